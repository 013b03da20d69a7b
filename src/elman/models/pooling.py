"""ReLU, and time steps to one vector. Padding never reaches it.

The vectors come as rows and places or as steps (:mod:`elman.models.placed`), and are pooled where they stand: of rows,
(batch, time, features) is never built.

Where a linear layer stands before a maximum, only the place that has it gets a gradient: one of some hundred. So
:class:`LinearMax` goes back through both at once, from (batch, features) winners instead of (batch, time, features).
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import Pooling
from elman.models.derivatives import first_derivatives_only
from elman.models.placed import Placed, Steps
from elman.tensors import Lengths, Pooled
from elman.text.batching import padding_mask

MAX = 2
"""The mode, as ``torch.embedding_bag`` numbers them; it also returns who had the maximum."""


def max_over_time(x: Placed | Steps, lengths: Lengths) -> Pooled:
    """Return the largest value of each feature, or zero; the ReLU keeps the order, so it may come after the maximum."""
    if isinstance(x, Steps):
        return F.relu(_max_of_steps(x).index_select(0, x.columns))
    if x.linear is None:
        return F.relu(_bags(x.rows, x.places, lengths, "max"))
    members, starts = _members(x.places, lengths)

    def winners(values: Tensor) -> tuple[Tensor, Tensor]:
        values.nan_to_num_(torch.inf, torch.inf, -torch.inf)  # a bag would pass over a number that is none
        pooled, _, _, found = torch.embedding_bag(values, members, starts, mode=MAX)
        return pooled, found

    return F.relu(linear_max(x.rows, x.linear, winners))


def mean_over_time(x: Placed | Steps, lengths: Lengths) -> Pooled:
    """Return the mean of each feature's ReLU over the sequence's own length."""
    x = x.placed().finished()
    return _bags(F.relu(x.rows), x.places, lengths, "mean")


def last_in_time(x: Placed | Steps, lengths: Lengths) -> Pooled:
    """Return the ReLU of the features at each sequence's last token."""
    x = x.placed()
    rows = _at(x.rows, x.places, lengths - 1)
    return F.relu(rows if x.linear is None else x.linear(rows))


def last_both_ways(x: Placed | Steps, lengths: Lengths) -> Pooled:
    """Return what each direction has when it has read all: the first half's last step, the other half's first."""
    x = x.placed().finished()
    ahead, back = x.rows.chunk(2, dim=1)
    ends = _at(ahead, x.places, lengths - 1), _at(back, x.places, torch.zeros_like(lengths))
    return F.relu(torch.cat(ends, dim=1))


def pooling(name: Pooling, *, bidirectional: bool = False) -> Callable[[Placed | Steps, Tensor], Tensor]:
    """Return the pooling of that name: (batch, time, features), in either form, and (batch,) → (batch, features)."""
    if name == "last":
        return last_both_ways if bidirectional else last_in_time
    return {"max": max_over_time, "mean": mean_over_time}[name]


Winners = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(rows, features), which it may change → the largest values of some groups of rows, and which row has each."""


class LinearMax(torch.autograd.Function):
    """The largest value of each feature of x Wᵀ + b in a group of rows x.

    With r(i, k) the row that has the largest value of feature k in group i, L the loss and g = ∂L/∂out:

        ∂L/∂W_k = Σ_i g_ik x_r(i,k)        ∂L/∂x_r = Σ_{i, k: r(i,k) = r} g_ik W_k        ∂L/∂b = Σ_i g_i

    which are weighted sums of rows, such as ``embedding_bag`` makes.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, winners: Winners) -> Tensor:
        """Return (groups, features)."""
        pooled, found = winners(_full_precision(F.linear(rows, weight, bias)))
        ctx.save_for_backward(rows, weight, found)
        return pooled

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of rows, weight and bias."""
        rows, weight, winners = ctx.saved_tensors
        grad_weight = F.embedding_bag(winners.T, rows, per_sample_weights=grad.T, mode="sum")
        order = winners.flatten().argsort(stable=True)  # all that a row has won side by side
        won, counts = winners.flatten()[order].unique_consecutive(return_counts=True)
        starts, shares = counts.cumsum(0) - counts, grad.flatten()[order]
        sums = F.embedding_bag(order % len(weight), weight, starts, per_sample_weights=shares, mode="sum")
        grad_rows = torch.zeros_like(rows).index_copy_(0, won, sums)
        return grad_rows, grad_weight, grad.sum(dim=0), None


def linear_max(rows: Tensor, linear: nn.Linear, winners: Winners) -> Tensor:
    """Return (groups, features): the largest values of ``linear(rows)`` in each group, as ``winners`` finds them."""
    rows = rows.to(linear.weight.dtype)
    return cast(Tensor, LinearMax.apply(rows, linear.weight, linear.bias, winners))  # type: ignore[no-untyped-call]  # torch's


def _max_of_steps(x: Steps) -> Tensor:
    """The largest value of each feature in each column, or zero; the zeros behind an end do no harm under a ReLU."""
    ended = padding_mask(x.lengths, len(x.steps)).T[:, :, None]
    if x.linear is None:
        steps = x.steps if x.blank else x.steps.masked_fill(ended, 0)
        return _full_precision(steps.max(dim=0).values if torch.is_grad_enabled() else steps.amax(dim=0))

    def winners(values: Tensor) -> tuple[Tensor, Tensor]:
        columns = len(x.lengths)
        pooled, when = values.view(len(ended), columns, -1).masked_fill_(ended, 0).max(dim=0)
        return pooled, when * columns + torch.arange(columns, device=when.device)[:, None]

    return linear_max(x.steps.flatten(0, 1), x.linear, winners)


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
