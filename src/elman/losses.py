"""Scores as (sum, count) pairs, divided once.

A mean of batch means weighs a short last batch like a full one; sums and counts added over batches do not, and they
add over devices too.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from elman.tensors import Counts, Labels, Logits


@dataclass(frozen=True)
class Total:
    """A sum over ``count`` items."""

    sum: Tensor
    count: int

    @property
    def mean(self) -> Tensor:
        """The sum over the count."""
        return self.sum / self.count


NOTHING = -100
"""A label that no score counts; torch's own default."""

FEW_CLASSES = 16
"""A processor's vector holds so many numbers. Over fewer classes torch's softmax takes them one by one; with the
classes first, it takes one class of sixteen items at once."""


def cross_entropy_nats(logits: Logits, labels: Labels, ignored: int = NOTHING, counts: Counts | None = None) -> Total:
    """Return the negative log-likelihood of the labels, in nats, summed; labels that are ``ignored`` do not count.

    Where ``counts`` are given, each label stands for so many. The softmax is inside: log softmax of the logits is
    computed with the maximum subtracted, which stays finite where the logarithm of a softmax would be that of zero.
    """
    logits = logits.float()
    if logits.shape[1] < FEW_CLASSES:
        logits, labels = logits.T[None], labels[None]
    if counts is None:
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=ignored)
        return Total(total, int((labels != ignored).sum()))
    each = F.cross_entropy(logits, labels, reduction="none", ignore_index=ignored)
    return Total((each * counts).sum(), int(((labels != ignored) * counts).sum()))


def correct(logits: Logits, labels: Labels, ignored: int = NOTHING, counts: Counts | None = None) -> Total:
    """Return how many labels have the largest logit (no softmax is needed for that: it keeps the order)."""
    counted = (labels != ignored) * (1 if counts is None else counts)
    return Total(((logits.argmax(dim=-1) == labels) * counted).sum(), int(counted.sum()))
