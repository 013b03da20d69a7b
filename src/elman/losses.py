"""Scores as (sum, count) pairs, divided once.

A mean of batch means weighs a short last batch like a full one; sums and counts added over batches do not, and they
add over devices too.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from elman.tensors import Labels, Logits


@dataclass(frozen=True)
class Total:
    """A sum over ``count`` items."""

    sum: Tensor
    count: int

    @property
    def mean(self) -> Tensor:
        """The sum over the count."""
        return self.sum / self.count


def cross_entropy_nats(logits: Logits, labels: Labels) -> Total:
    """Return the negative log-likelihood of the labels, in nats, summed over the batch.

    The softmax is inside: log softmax of the logits is computed with the maximum subtracted, which stays finite where
    the logarithm of a softmax would be that of zero.
    """
    return Total(F.cross_entropy(logits.float(), labels, reduction="sum"), len(labels))


def correct(logits: Logits, labels: Labels) -> Total:
    """Return how many labels have the largest logit (no softmax is needed for that: it keeps the order)."""
    return Total((logits.argmax(dim=-1) == labels).sum(), len(labels))
