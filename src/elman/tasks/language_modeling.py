"""Predict each token from those before it; of a formal language, compare with the best possible model."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import nn

from elman.config import RunConfig, SamplingConfig
from elman.data.dataset import Dataset
from elman.grading import Judge
from elman.inference import Device
from elman.losses import NOTHING, Total, correct, cross_entropy_nats
from elman.models import LanguageModel
from elman.sampling import Sample, draw
from elman.scoring import Scorer
from elman.seeding import derive
from elman.tensors import Counts, Lengths, States, TokenIds
from elman.text.batching import Batch, Batches, shifted
from elman.text.tokenize import text_of
from elman.text.vocab import PAD

SAMPLES_PRINTED = 10
SAMPLE_WIDTH = 300
"""Characters of a printed sample; the rest is left out."""


class Piece(NamedTuple):
    """What a batch's model reads and is to predict, (batch, time), for one update."""

    inputs: TokenIds
    targets: TokenIds
    lengths: Lengths | None
    counts: Counts | None


class LanguageModeling:
    """Predict each token from those before it; ``.end`` is the last of them."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset
        model = config.model
        no_dropout = model.word_dropout == model.embedding_dropout == model.top_dropout == 0
        self.train = Batches.of(config, dataset.split("train").framed(), share=no_dropout)
        self.val = Batches.of(config, dataset.split("val").framed())
        self.judge = None if dataset.language is None else Judge(dataset)
        self.scorer = Scorer(self.val, dataset.vocab, dataset.language)

    def pieces(self, batch: Batch) -> Iterable[Piece]:
        """Return the batch, in chunks of time steps with truncated back-propagation: each makes an update."""
        options = self.config.batches
        token_ids = batch.token_ids if options.mask_padding else F.pad(batch.token_ids, (0, 1), value=PAD)
        lengths = batch.lengths - 1 if options.packed else None
        return (Piece(inputs, targets, lengths, batch.counts) for inputs, targets in shifted(token_ids, options.bptt))

    def loss(self, forward: Callable[..., Any], piece: Piece, states: States) -> tuple[Total, Total, States]:
        """Return cross-entropy, correct tokens, and the states as values: no gradient flows into the piece before."""
        logits, states = forward(piece.inputs, states, piece.lengths)
        labels = piece.targets.flatten()
        ignored = PAD if self.config.batches.mask_padding else NOTHING
        counts = None if piece.counts is None else piece.counts[:, None].expand_as(piece.targets).flatten()
        scored = logits.flatten(0, 1), labels, ignored, counts
        return cross_entropy_nats(*scored), correct(*scored), [state.detach().clone() for state in states]

    def measure(self, device: Device, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return cross-entropy, distance from the generator where it is known, and what samples look like."""
        measured = self.scorer.figures(device, model, f"validation {epoch}", after_batch)
        assert isinstance(model, LanguageModel)  # that is its task
        loop = self.config.loop
        options = SamplingConfig(seed=derive(loop.seed, "samples of epoch", epoch), max_new_tokens=loop.max_new_tokens)
        samples = draw(model, loop.samples, options, description=f"samples {epoch}")
        first = samples[:SAMPLES_PRINTED]
        if self.judge is not None:
            measured |= {**self.judge.counts(samples), "first_ten": self.judge.counts(first)}
        return measured | {"shown": [self._shown(sample) for sample in first]}

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the negative cross-entropy."""
        return (-measured["cross_entropy_nats"],)

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the loss; with a known generator also the floor and the excess."""
        loss = f"val loss {measured['cross_entropy_nats']:.4f}"
        if self.judge is None:
            unit = "character" if self.dataset.level == "char" else "word"
            return f"{loss}  {measured['bits_per_token']:.3f} bits per {unit}  perplexity {measured['perplexity']:.2f}"
        return (
            f"{loss}  floor {measured['floor_nats_per_token']:.4f}"
            f"  excess {measured['excess_nats_per_token']:.5f}"
            f" ({measured['excess_low']:.5f} to {measured['excess_high']:.5f}) nats per token"
        )

    def details(self, measured: dict[str, Any]) -> list[str]:
        """Return the first samples, each with its mark, and counts over all of them."""
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


def _outcome(counts: dict[str, int]) -> str:
    outcome = (
        f"{counts['grammatical']:,} grammatical, {counts['cut_off']:,} cut off, {counts['novel']:,} novel"
        f" ({counts['novel_and_grammatical']:,} of them grammatical), {counts['distinct']:,} distinct"
    )
    if "words" in counts:
        outcome += f"; {counts['words_trained_on'] / counts['words']:.2%} of their words occur in training"
    return outcome


def _course_verdict(measured: dict[str, Any]) -> str:
    """Judge as the course does: whether most of ten samples are right; of brackets, whether as many open as close."""
    ten = measured["first_ten"]
    question = "equal_counts" if "equal_counts" in ten else "grammatical"
    right, count = ten[question], ten["samples"]
    majority = "a majority" if 2 * right > count else "no majority"
    return f"the course's test: {right} of {count} {question.replace('_', ' ')}, {majority}"
