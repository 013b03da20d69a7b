"""Apply ReLU, then reduce the time steps to one vector, as :func:`elman.models.plain.pool` does, but on rows.

The layer's last linear map comes as an argument of its own (``nn.Identity`` where there is none). Under a maximum only
one time step in a hundred gets a gradient, so :class:`LinearMax` goes back through the map and the maximum at once.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.fast.derivatives import first_derivatives_only
from elman.models.fast.distinct import IndexedRows
from elman.tensors import Lengths, Pooled
from elman.text.batching import padding_mask

FinalLinear = nn.Linear | nn.Identity
Pool = Callable[[IndexedRows, FinalLinear, Lengths], Pooled]

MAX_MODE = 2
"""The mode of ``torch.embedding_bag`` that also returns which row has the maximum."""


def build_pool(config: ModelConfig, final_linear: FinalLinear) -> Pool:
    """Return the pooling of a configuration, over a layer whose last linear map is ``final_linear``."""
    if config.pooling == "max":
        return linear_max_over_time if isinstance(final_linear, nn.Linear) else max_over_time
    if config.pooling == "mean":
        return mean_over_time
    return last_of_both_directions if config.bidirectional else last_in_time


def max_over_time(x: IndexedRows, final_linear: FinalLinear, lengths: Lengths) -> Pooled:
    """Return the largest value of each feature, (batch, features). ReLU keeps the order, so it may come last."""
    rows = final_linear(x.rows)
    if not rows.detach().sum().isfinite():  # embedding_bag's maximum ignores NaN
        rows = rows.nan_to_num(torch.inf, torch.inf, -torch.inf)
    return F.relu(_bags(rows, x, lengths, "max"))


def linear_max_over_time(x: IndexedRows, final_linear: FinalLinear, lengths: Lengths) -> Pooled:
    """Do the same for the rows after a linear map."""
    assert isinstance(final_linear, nn.Linear)  # build_pool has looked
    members, starts = _members(x, lengths)
    rows = x.rows.to(final_linear.weight.dtype)
    pooled = LinearMax.apply(rows, final_linear.weight, final_linear.bias, members, starts)  # type: ignore[no-untyped-call]  # torch's
    return F.relu(cast(Tensor, pooled))


def mean_over_time(x: IndexedRows, final_linear: FinalLinear, lengths: Lengths) -> Pooled:
    """Return the mean of each feature's ReLU over the sequence's length."""
    return _bags(F.relu(final_linear(x.rows)), x, lengths, "mean")


def last_in_time(x: IndexedRows, final_linear: FinalLinear, lengths: Lengths) -> Pooled:
    """Return the ReLU of the features at each sequence's last token."""
    return F.relu(final_linear(_rows_at(x, lengths - 1)))


def last_of_both_directions(x: IndexedRows, final_linear: FinalLinear, lengths: Lengths) -> Pooled:
    """Return what each direction has after the whole sequence: forwards at the last step, backwards at the first."""
    forwards, _ = final_linear(_rows_at(x, lengths - 1)).chunk(2, dim=1)
    _, backwards = final_linear(_rows_at(x, torch.zeros_like(lengths))).chunk(2, dim=1)
    return F.relu(torch.cat([forwards, backwards], dim=1))


class LinearMax(torch.autograd.Function):
    """The largest value of each feature of x Wᵀ + b over the rows x of a bag.

    With r(i, k) the row that has the largest value of feature k in bag i, L the loss and g = ∂L/∂out:

        ∂L/∂W_k = Σ_i g_ik x_r(i,k)        ∂L/∂x_r = Σ_{i, k: r(i,k) = r} g_ik W_k        ∂L/∂b = Σ_i g_i

    Both sums are weighted sums of rows, which ``embedding_bag`` computes.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, members: Tensor, starts: Tensor) -> Tensor:
        """Return (bags, features); bag i has the rows ``members[starts[i]:starts[i + 1]]``."""
        values = _full_precision(F.linear(rows, weight, bias))
        values.nan_to_num_(torch.inf, torch.inf, -torch.inf)  # embedding_bag's maximum ignores NaN
        pooled, _, _, winners = torch.embedding_bag(values, members, starts, mode=MAX_MODE)
        ctx.save_for_backward(rows, weight, winners)
        return pooled

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of rows, weight and bias."""
        rows, weight, winners = ctx.saved_tensors
        grad_weight = F.embedding_bag(winners.T, rows, per_sample_weights=grad.T, mode="sum")
        order = winners.flatten().argsort(stable=True)  # brings together all features that a row has won
        won, counts = winners.flatten()[order].unique_consecutive(return_counts=True)
        starts, shares = counts.cumsum(0) - counts, grad.flatten()[order]
        sums = F.embedding_bag(order % len(weight), weight, starts, per_sample_weights=shares, mode="sum")
        grad_rows = torch.zeros_like(rows).index_copy_(0, won, sums)
        return grad_rows, grad_weight, grad.sum(dim=0), None, None


def _members(x: IndexedRows, lengths: Lengths) -> tuple[Tensor, Tensor]:
    """Return the row of each token, sequence by sequence, and where each sequence begins."""
    return x.inverse[~padding_mask(lengths, x.inverse.shape[1])], lengths.cumsum(0) - lengths


def _bags(rows: Tensor, x: IndexedRows, lengths: Lengths, mode: str) -> Tensor:
    members, starts = _members(x, lengths)
    return F.embedding_bag(members, _full_precision(rows), starts, mode=mode)


def _full_precision(rows: Tensor) -> Tensor:
    """Return float32 for bf16, which ``embedding_bag`` does not take."""
    return rows.float() if rows.dtype is torch.bfloat16 else rows


def _rows_at(x: IndexedRows, steps: Tensor) -> Tensor:
    return x.rows.index_select(0, x.inverse.gather(1, steps[:, None]).squeeze(1))
