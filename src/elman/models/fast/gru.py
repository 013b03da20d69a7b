"""The gated recurrent unit (Cho et al., EMNLP 2014) with its back-propagation through time.

r, z = σ(W x_t + U h_{t-1} + b), a block of rows of W, U and b for each gate
q    = U_n h_{t-1} + b_q
n    = tanh(W_n x_t + b_n + r · q)
h_t  = (1 − z) · n + z · h_{t-1}
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.models.fast.derivatives import first_derivatives_only
from elman.models.fast.packed import Packing, RowIndex, gather, sum_by_row
from elman.models.fast.products import add_product, product, product_dtype, sigmoid_backward, tanh_backward
from elman.tensors import State


class GRU(nn.GRU):
    """Torch's ``nn.GRU``, one layer in one direction, with the recurrence over packed tokens."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)
        self.state_size = hsize
        self.final_linear = nn.Identity()

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and its biases contribute to r, z and n, (…, insize) → (…, 3 × hsize)."""
        b_r, b_z, _ = self.bias_hh_l0.chunk(3)
        return F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + torch.cat([b_r, b_z, torch.zeros_like(b_z)]))

    def recur(self, projected: Tensor, row_index: RowIndex | None, packing: Packing, state: State) -> Tensor:
        """Return h_t of every token; see :func:`gru_recurrence`."""
        return gru_recurrence(projected, row_index, packing, state, self.weight_hh_l0, self.bias_hh_l0.chunk(3)[2])

    def step_projected(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output and the state after a step, from a projected input: h_t twice, (batch, hsize)."""
        x_r, x_z, x_n = x_t.chunk(3, dim=1)
        h_r, h_z, q = (state @ self.weight_hh_l0.T).chunk(3, dim=1)
        r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        n = (x_n + r * (q + self.bias_hh_l0.chunk(3)[2])).tanh()
        h = (1 - z) * n + z * state
        return h, h


class GRURecurrence(torch.autograd.Function):
    """The whole sequence as one node of autograd, its back-propagation written by hand.

    With a the gates before σ and tanh, L the loss, and ∂h_t all of L's gradient that reaches h_t:

        ∂h_t = ∂L/∂h_t + z_{t+1} · ∂h_{t+1} + Uᵀ [∂a_r, ∂a_z, ∂q]_{t+1}
        ∂a_z = ∂h_t · (h_{t-1} − n) · z (1 − z)         ∂a_n = ∂h_t · (1 − z) (1 − n²)
        ∂a_r = ∂a_n · q · r (1 − r)                     ∂q   = ∂a_n · r
        ∂U   = Σ_t [∂a_r, ∂a_z, ∂q]_t h_{t-1}ᵀ          ∂b_q = Σ_t ∂q_t

    The factors beside ∂h and ∂a_n need no recurrence, so they are computed for many steps at once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        row_index: RowIndex | None,
        packing: Packing,
        first: Tensor,
        W_hh: Tensor,
        b_q: Tensor,
    ) -> Tensor:
        """Return h_t of every token, (tokens, hidden)."""
        size, batch = first.shape[1], packing.batch
        gates = gather(projected, row_index)
        states = torch.cat([first, first.new_empty(len(gates), size)])
        recurrent = torch.empty_like(states[batch:])
        U = W_hh.T.to(product_dtype(W_hh))
        U_rz, U_n = U[:, : 2 * size], U[:, 2 * size :]
        h = first
        for a_t, q, h_t in packing.split_steps(gates, recurrent, states[batch:]):
            h = h[: len(h_t)]
            rz, n = a_t[:, : 2 * size], a_t[:, 2 * size :]
            add_product(rz, h, U_rz, out=rz).sigmoid_()
            add_product(b_q, h, U_n, out=q)
            n.addcmul_(rz[:, :size], q).tanh_()
            h = torch.lerp(n, h, rz[:, size:], out=h_t)
        ctx.save_for_backward(gates, states, recurrent, U, row_index)
        ctx.packing, ctx.num_rows = packing, len(projected)
        return states[batch:]

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, None, None, Tensor, Tensor, Tensor]:
        """Return the gradients of projected, first, W_hh and b_q."""
        gates, states, recurrent, U, row_index = ctx.saved_tensors
        packing, size, dtype = ctx.packing, states.shape[1], U.dtype
        W_rz, W_n = U.T[: 2 * size], U.T[2 * size :]
        before = packing.previous_states(states)
        grad_gates, grad_q = torch.empty_like(gates), torch.empty_like(recurrent)
        grad_h = torch.zeros_like(before[: packing.batch])  # of the running sequences: ∂h of the step after, carried on
        steps = packing.split_steps(gates, grad_states, grad_gates, grad_q)
        for start, stop in packing.chunks(3 * size):
            chunk = packing.rows_of_steps(start, stop)
            factors = _factors(gates[chunk], recurrent[chunk], before[chunk])
            for (gate, grad, grad_a, grad_q_t), f in zip(
                reversed(steps[start:stop]),
                reversed(torch.split(factors, packing.batch_sizes[start:stop])),
                strict=True,
            ):
                n = len(gate)
                dh = grad_h[:n].add_(grad)
                f_r, f_z, f_n = f.chunk(3, dim=1)
                grad_r, grad_z, grad_n = grad_a.chunk(3, dim=1)
                torch.mul(dh, f_z, out=grad_z)
                torch.mul(dh, f_n, out=grad_n)
                torch.mul(grad_n, f_r, out=grad_r)
                torch.mul(grad_n, gate[:, :size], out=grad_q_t)
                dh.mul_(gate[:, size : 2 * size])
                add_product(dh, grad_a[:, : 2 * size], W_rz, out=dh)
                add_product(dh, grad_q_t, W_n, out=dh)
        grad_W_hh = torch.cat([product(grads.T, before, dtype) for grads in (grad_gates[:, : 2 * size], grad_q)])
        return sum_by_row(grad_gates, row_index, ctx.num_rows), None, None, grad_h, grad_W_hh, grad_q.sum(dim=0)


def _factors(gates: Tensor, q: Tensor, before: Tensor) -> Tensor:
    """Return the factors of ∂a_r, ∂a_z and ∂a_n beside ∂a_n, ∂h and ∂h."""
    factors = torch.empty_like(gates)
    (r, z, n), (f_r, f_z, f_n) = gates.chunk(3, dim=1), factors.chunk(3, dim=1)
    sigmoid_backward(q, r, grad_input=f_r)
    sigmoid_backward(before - n, z, grad_input=f_z)
    tanh_backward(1 - z, n, grad_input=f_n)
    return factors


def gru_recurrence(
    projected: Tensor, row_index: RowIndex | None, packing: Packing, state: State, W_hh: Tensor, b_q: Tensor
) -> Tensor:
    """Return h_t of every token in packed order; as :func:`elman.models.fast.tanh.tanh_recurrence`, with three gates.

    ``projected`` is (rows, 3 × hidden), ``W_hh`` (3 × hidden, hidden), ``b_q`` (hidden,).
    """
    projected = projected.to(W_hh.dtype)
    first = state.to(W_hh.dtype).index_select(0, packing.sorted_indices)
    return cast(Tensor, GRURecurrence.apply(projected, row_index, packing, first, W_hh, b_q))  # type: ignore[no-untyped-call]  # torch's
