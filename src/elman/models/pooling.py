"""ReLU, and time steps to one vector. Padding never reaches it.

The vectors come as rows and places (:mod:`elman.models.placed`), and are pooled where they stand: (batch, time,
features) is never built.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.batching import padding_mask
from elman.config import Pooling
from elman.models.placed import Placed
from elman.tensors import Lengths, Pooled


def max_over_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the largest value of each feature, or zero; the ReLU keeps the order, so it may come after the maximum."""
    return F.relu(_bags(x.rows, x.places, lengths, "max"))


def mean_over_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the mean of each feature's ReLU over the sequence's own length."""
    return _bags(F.relu(x.rows), x.places, lengths, "mean")


def last_in_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the ReLU of the features at each sequence's last token."""
    return F.relu(_at(x.rows, x.places, lengths - 1))


def last_both_ways(x: Placed, lengths: Lengths) -> Pooled:
    """Return what each direction has when it has read all: the first half's last step, the other half's first."""
    ahead, back = x.rows.chunk(2, dim=1)
    ends = _at(ahead, x.places, lengths - 1), _at(back, x.places, torch.zeros_like(lengths))
    return F.relu(torch.cat(ends, dim=1))


def pooling(name: Pooling, *, bidirectional: bool = False) -> Callable[[Placed, Tensor], Tensor]:
    """Return the pooling of that name, (batch, time, features) as rows and places, and (batch,) → (batch, features)."""
    if name == "last":
        return last_both_ways if bidirectional else last_in_time
    return {"max": max_over_time, "mean": mean_over_time}[name]


def _bags(rows: Tensor, places: Tensor, lengths: Tensor, mode: str) -> Tensor:
    """A bag for each sequence: the rows at its places before the padding."""
    inside = places[~padding_mask(lengths, places.shape[1])]
    starts = lengths.cumsum(0) - lengths
    rows = rows.float() if rows.dtype is torch.bfloat16 else rows
    return F.embedding_bag(inside, rows, starts, mode=mode)


def _at(rows: Tensor, places: Tensor, steps: Tensor) -> Tensor:
    return rows.index_select(0, places.gather(1, steps[:, None]).squeeze(1))
