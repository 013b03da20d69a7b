"""What a model is trained to do: its batches, its loss, and its figures after an epoch.

The loop in :mod:`elman.training` knows nothing of classes or of next tokens; it asks one of the tasks here. A new task
is a class with the members of :class:`Task`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import nn

from elman.config import RunConfig, SamplingConfig
from elman.data.dataset import Dataset
from elman.errors import ConfigError, DataError
from elman.evaluation import accuracy_and_loss, predict
from elman.grading import Judge
from elman.inference import for_each_batch
from elman.losses import NOTHING, Total, correct, cross_entropy_nats
from elman.models.language_model import LanguageModel
from elman.models.recurrent import State, detached
from elman.sampling import Sample, draw
from elman.scoring import Scorer
from elman.seeding import derive
from elman.text.batching import Batch, Batches, shifted
from elman.text.sequences import Sequences
from elman.text.tokenize import text_of
from elman.text.vocab import PAD

Forward = Callable[..., Any]
Scores = tuple[Total, Total]
"""The loss in nats, and the right answers."""

SAMPLES_PRINTED = 10
SAMPLE_WIDTH = 300
"""Characters of a printed sample; the rest is left out."""


class Task(Protocol):
    """What the loop asks.

    Attributes
    ----------
    train, val
        The batches.
    """

    train: Batches
    val: Batches

    def scores(self, forward: Forward, batch: Batch) -> Iterator[Scores]:
        """Yield the scores of a batch, once for each update that is to be made from it."""

    def measure(self, fabric: Fabric, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return the figures of ``model`` on validation after that epoch."""

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the figures that decide which epoch is the best, the first before the second: more is better."""

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the figures on one line, for a person."""

    def details(self, measured: dict[str, Any]) -> list[str]:
        """Return the lines beneath it."""


class Classification:
    """Say what each text is."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        if not dataset.class_names:
            raise ConfigError(f"The texts of {dataset.name} have no classes.", "Train with --task language-model.")
        self.train, self.val = (
            Batches(dataset.split(split), config.batches, config.loop.seed) for split in ("train", "val")
        )

    def scores(self, forward: Forward, batch: Batch) -> Iterator[Scores]:
        """Yield the scores of the texts, once."""
        assert batch.labels is not None  # the training split is labelled
        logits = forward(batch.token_ids, batch.lengths)
        yield cross_entropy_nats(logits, batch.labels), correct(logits, batch.labels)

    def measure(self, fabric: Fabric, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return accuracy with its interval, and cross-entropy a text."""
        log_probs = predict(fabric, model, self.val, f"validation {epoch}", after_batch)
        labels = self.val.sequences.labels
        assert labels is not None  # so is the validation split
        return accuracy_and_loss(log_probs, labels)

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the accuracy, and among equals the loss turned around."""
        return measured["accuracy"], -measured["cross_entropy_nats"]

    def headline(self, measured: dict[str, Any]) -> str:
        """Return loss and accuracy."""
        return (
            f"val loss {measured['cross_entropy_nats']:.4f}  val accuracy {measured['accuracy']:.2%}"
            f" ({measured['accuracy_low']:.1%} to {measured['accuracy_high']:.1%})"
        )

    def details(self, measured: dict[str, Any]) -> list[str]:  # noqa: ARG002 (the line says all)
        """Return none."""
        return []


class LanguageModelling:
    """Predict each token from those before it; ``.end`` is the last of them."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset
        options, model = config.batches, config.model
        alike = model.word_dropout == model.embedding_dropout == model.top_dropout == 0  # what equal strings come to
        self.train = Batches(dataset.split("train").framed(), options, config.loop.seed, share=alike)
        self.val = Batches(dataset.split("val").framed(), options, config.loop.seed)
        self.judge = None if dataset.language is None else Judge(dataset)
        self.scorer = Scorer(self.val, dataset.vocab, dataset.language)

    def scores(self, forward: Forward, batch: Batch) -> Iterator[Scores]:
        """Yield the scores of each stretch of time steps; the state goes on from one to the next, as a value."""
        options = self.config.batches
        token_ids = batch.token_ids if options.mask_padding else F.pad(batch.token_ids, (0, 1), value=PAD)
        ignored = PAD if options.mask_padding else NOTHING
        states: Sequence[State] | None = None
        for read, targets in shifted(token_ids, options.bptt):
            lengths = (batch.lengths - 1,) if options.packed else ()
            logits, states_after = forward(read, states, *lengths)
            states = detached(states_after)
            counts = None if batch.counts is None else batch.counts[:, None].expand_as(targets).flatten()
            scored = logits.flatten(0, 1), targets.flatten(), ignored, counts
            yield cross_entropy_nats(*scored), correct(*scored)

    def measure(self, fabric: Fabric, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return cross-entropy, distance from the generator where it is known, and what samples look like."""
        measured = self.scorer.figures(fabric, model, f"validation {epoch}", after_batch)
        assert isinstance(model, LanguageModel)
        loop = self.config.loop
        options = SamplingConfig(seed=derive(loop.seed, "samples of epoch", epoch), max_new_tokens=loop.max_new_tokens)
        samples = draw(model, loop.samples, options, description=f"samples {epoch}")
        first = samples[:SAMPLES_PRINTED]
        if self.judge is not None:
            measured |= {**self.judge.counts(samples), "first_ten": self.judge.counts(first)}
        return measured | {"shown": [self._shown(sample) for sample in first]}

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the cross-entropy, turned around."""
        return (-measured["cross_entropy_nats"],)

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the loss, and beside it the floor and the excess where they are known."""
        loss = f"val loss {measured['cross_entropy_nats']:.4f}"
        if self.judge is None:
            unit = "character" if self.dataset.level == "char" else "word"
            return f"{loss}  {measured['bits_per_token']:.3f} bits a {unit}  perplexity {measured['perplexity']:.2f}"
        return (
            f"{loss}  floor {measured['floor_nats_per_token']:.4f}"
            f"  excess {measured['excess_nats_per_token']:.5f}"
            f" ({measured['excess_low']:.5f} to {measured['excess_high']:.5f}) nats a token"
        )

    def details(self, measured: dict[str, Any]) -> list[str]:
        """Return the samples, each with its mark, and what became of all."""
        lines = [f"    {line}" for line in measured["shown"]]
        if self.judge is None:
            return lines
        return [*lines, f"  of {measured['samples']:,} samples: {_outcome(measured)}", f"  {_course_verdict(measured)}"]

    def _shown(self, sample: Sample) -> str:
        tokens = self.dataset.vocab.decode(sample.token_ids)
        if self.judge is not None:
            text, mark = self.judge.law.to_text(tokens), "✓" if self.judge.verdict(sample)["grammatical"] else "✗"
        else:
            text, mark = text_of(tokens, self.dataset.level), "·"
        shown = text if len(text) <= SAMPLE_WIDTH else text[:SAMPLE_WIDTH] + " …"
        return f"{'…' if sample.cut_off and self.judge is not None else mark} {shown}"


class Pretraining:
    """Predict words from those on one side of them, in the unlabelled texts, or in those of the training."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        texts = [
            part.select(np.flatnonzero(part.lengths > 1)) for part in (to_pretrain_on(dataset), dataset.split("val"))
        ]
        if not all(map(len, texts)):
            raise DataError("There is no word to predict: no text has two.", "Leave out --pretrain-epochs.")
        self.train, self.val = (Batches(part, config.batches, config.loop.seed) for part in texts)

    def scores(self, forward: Forward, batch: Batch) -> Iterator[Scores]:
        """Yield the scores of the words that are asked for, once."""
        logits, targets = forward(batch.token_ids, batch.lengths)
        yield cross_entropy_nats(logits, targets), correct(logits, targets)

    def measure(self, fabric: Fabric, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return cross-entropy and accuracy a word, among the words of its batch."""
        scored: list[Scores] = []

        def read(batch: Batch) -> None:
            scored.extend(self.scores(model, batch))

        for_each_batch(fabric, model, self.val, f"validation {epoch}", read, after_batch)
        nats, right = (sum(float(total.sum) for total in totals) for totals in zip(*scored, strict=True))
        count = sum(nats.count for nats, _ in scored)
        return {"cross_entropy_nats": nats / count, "accuracy": right / count, "predictions": count}

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the cross-entropy, turned around."""
        return (-measured["cross_entropy_nats"],)

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the loss, and how often the word was the likeliest of its batch."""
        return f"val loss {measured['cross_entropy_nats']:.4f} a word  guessed {measured['accuracy']:.1%}"

    def details(self, measured: dict[str, Any]) -> list[str]:  # noqa: ARG002 (the line says all)
        """Return none."""
        return []


def to_pretrain_on(dataset: Dataset) -> Sequences:
    """Return the unlabelled texts, or where there are none those of the training."""
    return dataset.splits.get("unlabelled", dataset.splits["train"])


def _outcome(counts: dict[str, int]) -> str:
    outcome = (
        f"{counts['grammatical']:,} grammatical, {counts['cut_off']:,} cut off, {counts['novel']:,} novel"
        f" ({counts['novel_and_grammatical']:,} of them grammatical), {counts['distinct']:,} distinct"
    )
    if "words" in counts:
        outcome += f"; {counts['words_trained_on'] / counts['words']:.2%} of their words occur in training"
    return outcome


def _course_verdict(measured: dict[str, Any]) -> str:
    """The course's own judgement: by eye on ten samples, a majority; of brackets, as many open as close."""
    ten = measured["first_ten"]
    question = "equal_counts" if "equal_counts" in ten else "grammatical"
    right, count = ten[question], ten["samples"]
    said = "a majority" if 2 * right > count else "no majority"
    return f"the course's verdict: {right} of {count} {question.replace('_', ' ')}, {said}"


def task_of(config: RunConfig, dataset: Dataset) -> Task:
    """Return the task of a configuration.

    Raises
    ------
    ConfigError
        The data does not go with it.
    """
    tasks: dict[str, Callable[[RunConfig, Dataset], Task]] = {
        "classification": Classification,
        "language-model": LanguageModelling,
        "pretraining": Pretraining,
    }
    return tasks[config.data.task](config, dataset)
