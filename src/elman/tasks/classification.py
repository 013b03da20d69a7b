"""Classify each text."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.errors import ConfigError
from elman.evaluation import accuracy_and_loss, predict
from elman.inference import Device
from elman.losses import Total, correct, cross_entropy_nats
from elman.tensors import States
from elman.text.batching import Batch, Batches


class Classification:
    """One label per text; one update per batch."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        if not dataset.class_names:
            raise ConfigError(f"The texts of {dataset.name} have no classes.", "Use --task language-model.")
        self.train, self.val = (Batches.of(config, dataset.split(split)) for split in ("train", "val"))

    def pieces(self, batch: Batch) -> Iterable[Batch]:
        """Return the batch itself: it makes one update."""
        return [batch]

    def loss(self, forward: Callable[..., Any], piece: Batch, states: States) -> tuple[Total, Total, States]:
        """Return cross-entropy and correct labels; there are no states."""
        assert piece.labels is not None  # the training split has labels
        logits = forward(piece.token_ids, piece.lengths)
        return cross_entropy_nats(logits, piece.labels), correct(logits, piece.labels), states

    def measure(self, device: Device, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return accuracy with its interval, and cross-entropy per text."""
        log_probs = predict(device, model, self.val, f"validation {epoch}", after_batch)
        labels = self.val.sequences.labels
        assert labels is not None  # so has the validation split
        return accuracy_and_loss(log_probs, labels)

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return the accuracy, and among equal ones the lower loss."""
        return measured["accuracy"], -measured["cross_entropy_nats"]

    def headline(self, measured: dict[str, Any]) -> str:
        """Return loss and accuracy."""
        return (
            f"val loss {measured['cross_entropy_nats']:.4f}  val accuracy {measured['accuracy']:.2%}"
            f" ({measured['accuracy_low']:.1%} to {measured['accuracy_high']:.1%})"
        )

    def details(self, measured: dict[str, Any]) -> list[str]:  # noqa: ARG002 (the line says it all)
        """Return no further lines."""
        return []
