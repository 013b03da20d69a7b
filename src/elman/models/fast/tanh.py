"""The recurrence of the Elman network and of ``nn.RNN`` with its back-propagation through time.

h_t = tanh(a_t + W_hh h_{t-1}),  a_t = W_ih x_t + b
"""

from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.models import plain
from elman.models.checks import check_lengths, first_state
from elman.models.fast.derivatives import first_derivatives_only
from elman.models.fast.packed import Packing, RowIndex, gather, sum_by_row
from elman.models.fast.products import product, tanh_backward
from elman.tensors import Features, Lengths, State


class Elman(plain.Elman):
    """The Elman network of ``models/plain.py``, with its recurrence over packed tokens."""

    def forward(self, x: Features, state: State | None = None, lengths: Lengths | None = None) -> tuple[Tensor, State]:
        """Return the outputs (batch, time, outsize), and the state at each sequence's end, as the plain form does."""
        check_lengths(lengths, *x.shape[:2])
        packing = Packing(lengths, x.shape[:2], x.device)
        rows = x.flatten(0, 1).index_select(0, packing.places)
        hidden = self.recur(self.project(rows), None, packing, first_state(x, state, self.state_size))
        return packing.unpack(self.lin2(hidden)), packing.last(hidden)

    @property
    def final_linear(self) -> nn.Linear:
        """The linear map after the states."""
        return self.lin2

    def project(self, x: Tensor) -> Tensor:
        """Return what the input contributes to a_t, (…, insize) → (…, hsize)."""
        return F.linear(x, self.lin1.weight[:, : self.insize], self.lin1.bias)

    def recur(self, projected: Tensor, row_index: RowIndex | None, packing: Packing, state: State) -> Tensor:
        """Return h_t of every token; see :func:`tanh_recurrence`."""
        return tanh_recurrence(projected, row_index, packing, state, self.lin1.weight[:, self.insize :])

    def step_projected(self, a_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output and the state after a step, from a projected input: h_t twice, (batch, hsize)."""
        h = torch.tanh(torch.addmm(a_t, state, self.lin1.weight[:, self.insize :].T))
        return h, h


class RNN(nn.RNN):
    """Torch's ``nn.RNN``, one layer in one direction, with the recurrence over packed tokens."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)
        self.state_size = hsize
        self.final_linear = nn.Identity()

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and the biases contribute to a_t, (…, insize) → (…, hsize)."""
        return F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)

    def recur(self, projected: Tensor, row_index: RowIndex | None, packing: Packing, state: State) -> Tensor:
        """Return h_t of every token; see :func:`tanh_recurrence`."""
        return tanh_recurrence(projected, row_index, packing, state, self.weight_hh_l0)

    def step_projected(self, a_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output and the state after a step, from a projected input: h_t twice, (batch, hsize)."""
        h = torch.tanh(torch.addmm(a_t, state, self.weight_hh_l0.T))
        return h, h


class TanhRecurrence(torch.autograd.Function):
    """The whole sequence as one node of autograd, its back-propagation written by hand.

    With z_t = a_t + W_hh h_{t-1}, L the loss and δ_t = ∂L/∂z_t:

        δ_t       = (∂L/∂h_t + W_hhᵀ δ_{t+1}) · (1 − h_t²)
        ∂L/∂W_hh  = Σ_t δ_t h_{t-1}ᵀ

    The sum over time is one matrix product, and only h is kept from the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, row_index: RowIndex | None, packing: Packing, first: Tensor, W_hh: Tensor
    ) -> Tensor:
        """Return h_t of every token, (tokens, hidden)."""
        states = torch.cat([first, gather(projected, row_index)])
        for before, now in pairwise(torch.split(states, [packing.batch, *packing.batch_sizes])):
            now.addmm_(before[: len(now)], W_hh.T).tanh_()
        ctx.save_for_backward(states, W_hh, row_index)
        ctx.packing, ctx.num_rows = packing, len(projected)
        return states[packing.batch :]

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, None, None, Tensor, Tensor]:
        """Return the gradients of projected, first and W_hh."""
        states, W_hh, row_index = ctx.saved_tensors
        packing, batch = ctx.packing, ctx.packing.batch
        deltas = torch.empty_like(grad_states)
        after = deltas[:0]  # the delta of the step after; after the last step there is none
        for delta, grad, h in reversed(packing.split_steps(deltas, grad_states, states[batch:])):
            delta.copy_(grad)
            delta[: len(after)].addmm_(after, W_hh)
            after = tanh_backward(delta, h, grad_input=delta)
        grad_W_hh = product(deltas.T, packing.previous_states(states), W_hh.dtype)
        return sum_by_row(deltas, row_index, ctx.num_rows), None, None, deltas[:batch] @ W_hh, grad_W_hh


def tanh_recurrence(
    projected: Tensor, row_index: RowIndex | None, packing: Packing, state: State, W_hh: Tensor
) -> Tensor:
    """Return h_t of every token in packed order, (tokens, hidden), from W_ih x_t + b.

    Parameters
    ----------
    projected, row_index
        (rows, hidden), and which of them each packed token has; None where they are in packed order already.
    packing
        The packed order.
    state
        (batch, hidden), h before the first step, in the order of the batch.
    W_hh
        (hidden, hidden).
    """
    projected = projected.to(
        W_hh.dtype
    )  # autocast made the projection in bf16; the recurrence runs in the type of the weights
    first = state.to(W_hh.dtype).index_select(0, packing.sorted_indices)
    return cast(Tensor, TanhRecurrence.apply(projected, row_index, packing, first, W_hh))  # type: ignore[no-untyped-call]  # torch's
