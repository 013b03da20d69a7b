"""Losses and accuracies as (sum, count) pairs, divided once.

The figures of an epoch add them up: a mean of batch means would give a short last batch the weight of a full one. An
update uses the mean of its own batch.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from elman.tensors import Counts, Labels, Logits


@dataclass(frozen=True)
class Total:
    """A sum over ``count`` items, both on the device where they were computed."""

    sum: Float[Tensor, ""] | Int[Tensor, ""]
    count: Int[Tensor, ""]

    @property
    def mean(self) -> Tensor:
        """The sum divided by the count."""
        return self.sum / self.count


NOTHING = -100
"""A label that does not count; torch's own default."""

FEW_CLASSES = 16
"""Below this number of classes torch's softmax does not use vector instructions, unless the classes come first."""


def cross_entropy_nats(logits: Logits, labels: Labels, ignored: int = NOTHING, counts: Counts | None = None) -> Total:
    """Return the negative log-likelihood of the labels in nats, summed; labels equal to ``ignored`` do not count.

    With ``counts`` each label stands for several. The softmax is inside: the log softmax subtracts the maximum, and so
    stays finite where the logarithm of a softmax would be that of zero.
    """
    logits = logits.float()
    if logits.shape[1] < FEW_CLASSES:
        logits, labels = logits.T[None], labels[None]
    if counts is None:
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=ignored)
        return Total(total, (labels != ignored).sum())
    each = F.cross_entropy(logits, labels, reduction="none", ignore_index=ignored)
    return Total((each * counts).sum(), ((labels != ignored) * counts).sum())


def correct(logits: Logits, labels: Labels, ignored: int = NOTHING, counts: Counts | None = None) -> Total:
    """Return how many labels have the largest logit; softmax keeps the order, so it is not needed."""
    counted = (labels != ignored) * (1 if counts is None else counts)
    return Total(((logits.argmax(dim=-1) == labels) * counted).sum(), counted.sum())
