"""ReLU, and time steps to one vector. Padding never reaches it.

The vectors come as rows and places (:mod:`elman.models.placed`), and are pooled where they stand: (batch, time,
features) is never built.

Where a linear layer stands before a maximum, only the place that has it gets a gradient: one of some hundred. So
:class:`LinearMax` goes back through both at once, from (batch, features) winners instead of (batch, time, features).
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elman.batching import padding_mask
from elman.config import Pooling
from elman.models.placed import Placed
from elman.tensors import Lengths, Pooled

MAX = 2
"""The mode, as ``torch.embedding_bag`` numbers them; it also returns who had the maximum."""


def max_over_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the largest value of each feature, or zero; the ReLU keeps the order, so it may come after the maximum."""
    if x.linear is None:
        return F.relu(_bags(x.rows, x.places, lengths, "max"))
    return F.relu(linear_max(x.rows, x.linear, *_members(x.places, lengths)))


def mean_over_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the mean of each feature's ReLU over the sequence's own length."""
    x = x.finished()
    return _bags(F.relu(x.rows), x.places, lengths, "mean")


def last_in_time(x: Placed, lengths: Lengths) -> Pooled:
    """Return the ReLU of the features at each sequence's last token."""
    rows = _at(x.rows, x.places, lengths - 1)
    return F.relu(rows if x.linear is None else x.linear(rows))


def last_both_ways(x: Placed, lengths: Lengths) -> Pooled:
    """Return what each direction has when it has read all: the first half's last step, the other half's first."""
    x = x.finished()
    ahead, back = x.rows.chunk(2, dim=1)
    ends = _at(ahead, x.places, lengths - 1), _at(back, x.places, torch.zeros_like(lengths))
    return F.relu(torch.cat(ends, dim=1))


def pooling(name: Pooling, *, bidirectional: bool = False) -> Callable[[Placed, Tensor], Tensor]:
    """Return the pooling of that name, (batch, time, features) as rows and places, and (batch,) → (batch, features)."""
    if name == "last":
        return last_both_ways if bidirectional else last_in_time
    return {"max": max_over_time, "mean": mean_over_time}[name]


class LinearMax(torch.autograd.Function):
    """The largest value of each feature of x Wᵀ + b over a bag of rows x.

    With r(i, k) the row that has the largest value of feature k in bag i, L the loss and g = ∂L/∂out:

        ∂L/∂W_k = Σ_i g_ik x_r(i,k)        ∂L/∂x_r = Σ_{i, k: r(i,k) = r} g_ik W_k        ∂L/∂b = Σ_i g_i

    which are weighted sums of rows, such as ``embedding_bag`` makes.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, members: Tensor, starts: Tensor) -> Tensor:
        """Return (bags, features)."""
        values = _full_precision(F.linear(rows, weight, bias))
        pooled, _, _, winners = torch.embedding_bag(values, members, starts, mode=MAX)
        ctx.save_for_backward(rows, weight, winners)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of rows, weight and bias."""
        rows, weight, winners = ctx.saved_tensors
        grad_weight = F.embedding_bag(winners.T, rows, per_sample_weights=grad.T, mode="sum")
        order = winners.flatten().argsort(stable=True)  # all that a row has won side by side
        won, counts = winners.flatten()[order].unique_consecutive(return_counts=True)
        shares = grad.flatten()[order].to(weight.dtype)
        sums = F.embedding_bag(
            order % len(weight), weight, counts.cumsum(0) - counts, per_sample_weights=shares, mode="sum"
        )
        grad_rows = torch.zeros_like(rows).index_copy_(0, won, sums)
        return grad_rows, grad_weight, grad.sum(dim=0), None, None


def linear_max(rows: Tensor, linear: nn.Linear, members: Tensor, starts: Tensor) -> Tensor:
    """Return (bags, features): the largest values of ``linear(rows)`` over each bag.

    Parameters
    ----------
    rows
        (rows, insize), in the precision of the weights.
    linear
        With a bias.
    members, starts
        The rows of all bags, one bag after another, and where each begins, as ``F.embedding_bag`` takes them.
    """
    rows = rows.to(linear.weight.dtype)
    return cast(Tensor, LinearMax.apply(rows, linear.weight, linear.bias, members, starts))  # type: ignore[no-untyped-call]  # torch's


def _members(places: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """A bag for each sequence, the rows at its places before the padding; and where each bag begins."""
    return places[~padding_mask(lengths, places.shape[1])], lengths.cumsum(0) - lengths


def _bags(rows: Tensor, places: Tensor, lengths: Tensor, mode: str) -> Tensor:
    members, starts = _members(places, lengths)
    return F.embedding_bag(members, _full_precision(rows), starts, mode=mode)


def _full_precision(rows: Tensor) -> Tensor:
    """Bags are of no half-precision numbers."""
    return rows.float() if rows.dtype is torch.bfloat16 else rows


def _at(rows: Tensor, places: Tensor, steps: Tensor) -> Tensor:
    return rows.index_select(0, places.gather(1, steps[:, None]).squeeze(1))
