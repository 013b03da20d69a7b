"""Pretraining: predict words from one side of them, in the unlabelled texts or, without any, the training texts."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import nn

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.errors import DataError
from elman.inference import Device, for_each_batch
from elman.losses import Total, correct, cross_entropy_nats
from elman.tensors import States
from elman.text.batching import Batch, Batches
from elman.text.sequences import Sequences


class WordPrediction:
    """The words of each text; one update per batch."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        splits = [
            part.select(np.flatnonzero(part.lengths > 1)) for part in (pretraining_texts(dataset), dataset.split("val"))
        ]
        if not all(map(len, splits)):
            raise DataError("No text has two words, so there is nothing to predict.", "Leave out --pretrain-epochs.")
        self.train, self.val = (Batches.of(config, part) for part in splits)

    def pieces(self, batch: Batch) -> Iterable[Batch]:
        """Return the batch itself: it makes one update."""
        return [batch]

    def loss(self, forward: Callable[..., Any], piece: Batch, states: States) -> tuple[Total, Total, States]:
        """Return cross-entropy and correct words; there are no states."""
        logits, targets = forward(piece.token_ids, piece.lengths)
        return cross_entropy_nats(logits, targets), correct(logits, targets), states

    def measure(self, device: Device, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return cross-entropy and accuracy per word, among the words of its batch."""
        scores: list[tuple[Total, Total]] = []
        for_each_batch(
            device,
            model,
            self.val,
            f"validation {epoch}",
            lambda batch: scores.append(self.loss(model, batch, ())[:2]),
            after_batch,
        )
        nats, right = (sum(float(total.sum) for total in totals) for totals in zip(*scores, strict=True))
        count = sum(int(loss.count) for loss, _ in scores)
        return {"cross_entropy_nats": nats / count, "accuracy": right / count, "predictions": count}

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the negative cross-entropy."""
        return (-measured["cross_entropy_nats"],)

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the loss, and how often the most probable word was the right one."""
        return f"val loss {measured['cross_entropy_nats']:.4f} per word  accuracy {measured['accuracy']:.1%}"

    def details(self, measured: dict[str, Any]) -> list[str]:  # noqa: ARG002 (the line says it all)
        """Return no further lines."""
        return []


def pretraining_texts(dataset: Dataset) -> Sequences:
    """Return the unlabelled texts, or the training texts if there are none."""
    return dataset.splits.get("unlabelled", dataset.splits["train"])
