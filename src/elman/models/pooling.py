"""Time steps to one vector. Padding never reaches it."""

from collections.abc import Callable

import torch
from torch import Tensor

from elman.batching import padding_mask
from elman.config import Pooling
from elman.tensors import Features, Lengths, Pooled


def max_over_time(features: Features, lengths: Lengths) -> Pooled:
    """Return the largest value of each feature."""
    padding = padding_mask(lengths, features.shape[1])
    return features.masked_fill(padding[:, :, None], -torch.inf).max(dim=1).values


def mean_over_time(features: Features, lengths: Lengths) -> Pooled:
    """Return the mean of each feature over the sequence's own length."""
    padding = padding_mask(lengths, features.shape[1])
    total = features.masked_fill(padding[:, :, None], 0).sum(dim=1)
    return total / lengths[:, None].to(features.dtype)


def last_in_time(features: Features, lengths: Lengths) -> Pooled:
    """Return the features at each sequence's last token."""
    rows = torch.arange(len(lengths), device=lengths.device)
    return torch.index_select(features.flatten(0, 1), 0, rows * features.shape[1] + lengths - 1)


def last_both_ways(features: Features, lengths: Lengths) -> Pooled:
    """Return what each direction has when it has read all: the first half's last step, the other half's first."""
    ahead, back = features.chunk(2, dim=-1)
    return torch.cat([last_in_time(ahead, lengths), back[:, 0]], dim=-1)


def pooling(name: Pooling, *, bidirectional: bool = False) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the pooling of that name, (batch, time, features) and (batch,) → (batch, features)."""
    if name == "last":
        return last_both_ways if bidirectional else last_in_time
    return {"max": max_over_time, "mean": mean_over_time}[name]
