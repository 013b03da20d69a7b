"""The gated recurrent unit (Cho et al., EMNLP 2014), as torch and cuDNN compute it.

    r, z = σ(W x_t + U h_{t-1} + b), a row of W, U and b for each gate
    q    = U_n h_{t-1} + b_q
    n    = tanh(W_n x_t + b_n + r · q)
    h_t  = (1 − z) · n + z · h_{t-1}

:class:`GRU` is torch's ``nn.GRU``: called as a layer it is torch's own, and the reference. :meth:`GRU.read` computes
the same from inputs that are projected already, with its back-propagation through time written by hand.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.models.derivatives import first_derivatives_only
from elman.models.products import outer_products, plus_product, product, product_dtype, sigmoid_backward, tanh_backward
from elman.models.time_major import (
    Active,
    AtStep,
    Matrix,
    Places,
    Projected,
    State,
    TimeMajor,
    at_step,
    blank,
    by_step,
    everyone,
    first_state,
    last,
    one_earlier,
    stretches,
    to_rows,
)
from elman.tensors import Lengths


class GRU(nn.GRU):
    """One layer in one direction, batch first; the state is (1, batch, hsize)."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    output = None

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and its biases add to r, z and n at a step: (…, insize) → (…, 3 × hsize)."""
        b_r, b_z, _ = self.bias_hh_l0.chunk(3)
        return F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + torch.cat([b_r, b_z, torch.zeros_like(b_z)]))

    def read(
        self,
        projected: Projected,
        places: Places | None,
        state: Tensor | None,
        active: Active | None = None,
        lengths: Lengths | None = None,
    ) -> tuple[TimeMajor, Tensor]:
        """Read sequences that are projected already, time first; see :meth:`elman.models.elman.Elman.read`."""
        projected = projected.to(self.weight_hh_l0.dtype)
        hidden = first_state(projected, places, None if state is None else state[0], self.hidden_size)
        b_q = self.bias_hh_l0[2 * self.hidden_size :]
        states = recurrence(projected, hidden, self.weight_hh_l0, b_q, active, places)
        return states, last(states, lengths)[None]

    def stepper(self) -> Callable[[Tensor, Tensor], tuple[State, Tensor]]:
        """Return a function of one step, projected already, and the state before it: to h and the state after."""
        b_q = self.bias_hh_l0[2 * self.hidden_size :]

        def read(projected: Tensor, state: Tensor) -> tuple[State, Tensor]:
            hidden = step(projected, state[0], self.weight_hh_l0, b_q)
            return hidden, hidden[None]

        return read


def step(projected: AtStep, hidden: State, W_hh: Matrix, b_q: Tensor) -> State:
    """Return h_t, (batch, hidden); the rows of W_hh are those of r, z and n."""
    x_r, x_z, x_n = projected.chunk(3, dim=1)
    h_r, h_z, q = (hidden @ W_hh.T).chunk(3, dim=1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * (q + b_q)).tanh()
    return (1 - z) * n + z * hidden


def loop(projected: Projected, hidden: State, W_hh: Matrix, b_q: Tensor) -> TimeMajor:
    """Follow the definition, a step at a time, and return all h; the rows of W_hh are those of r, z and n."""
    states = []
    for x_t in projected:
        hidden = step(x_t, hidden, W_hh, b_q)
        states.append(hidden)
    return torch.stack(states)


class GRURecurrence(torch.autograd.Function):
    """:func:`loop`, with back-propagation through time written by hand.

    With a the gates before σ and tanh, L the loss, and ∂h_t all of L's gradient that reaches h_t:

        ∂h_t = ∂L/∂h_t + z_{t+1} · ∂h_{t+1} + Uᵀ [∂a_r, ∂a_z, ∂q]_{t+1}
        ∂a_z = ∂h_t · (h_{t-1} − n) · z (1 − z)         ∂a_n = ∂h_t · (1 − z) (1 − n²)
        ∂a_r = ∂a_n · q · r (1 − r)                     ∂q   = ∂a_n · r
        ∂U   = Σ_t [∂a_r, ∂a_z, ∂q]_t h_{t-1}ᵀ          ∂b_q = Σ_t ∂q_t

    All but ∂h is known before the walk back begins, so it is computed for many steps at once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        hidden: Tensor,
        W_hh: Tensor,
        b_q: Tensor,
        active: Active,
        places: Places | None,
    ) -> Tensor:
        """Return all h, (time, batch, hidden)."""
        batch, size = hidden.shape
        gates = projected.new_empty(len(active), batch, 3 * size)
        states, recurrent = (blank(projected, active, batch, size) for _ in range(2))
        U = W_hh.T.to(product_dtype(W_hh))
        U_rz, U_n = U[:, : 2 * size], U[:, 2 * size :]
        h = hidden
        for t, (x_t, n) in enumerate(zip(by_step(projected, places), active, strict=True)):
            a_t = gates[t, :n]
            a_t.copy_(at_step(projected, x_t, out=a_t))  # no work where it was gathered there
            rz, new = a_t[:, : 2 * size], a_t[:, 2 * size :]
            plus_product(rz, h[:n], U_rz, out=rz).sigmoid_()
            q = plus_product(b_q, h[:n], U_n, out=recurrent[t, :n])
            new.addcmul_(rz[:, :size], q).tanh_()
            h = torch.lerp(new, h[:n], rz[:, size:], out=states[t, :n])
        ctx.save_for_backward(gates, states, recurrent, hidden, U, places)
        ctx.active, ctx.rows = active, len(projected)
        return states

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of projected, hidden, W_hh and b_q."""
        gates, states, recurrent, hidden, U, places = ctx.saved_tensors
        batch, size = hidden.shape
        W_rz, W_n = U.T[: 2 * size], U.T[2 * size :]
        grad_gates, grad_q = (blank(states, ctx.active, batch, width) for width in (3 * size, size))
        grad_h, later = hidden.new_zeros(hidden.shape), 0
        for steps in stretches(gates):
            factors = _factors(gates[steps], recurrent[steps], one_earlier(states, hidden, steps))
            for t in reversed(range(steps.start, steps.stop)):
                n = ctx.active[t]
                if later:
                    grad_h[:later].mul_(gates[t + 1, :later, size : 2 * size])
                    _carry(grad_h[:later], grad_gates[t + 1, :later, : 2 * size], W_rz)
                    _carry(grad_h[:later], grad_q[t + 1, :later], W_n)
                grad_h[:n].add_(grad_states[t, :n])
                f_r, f_z, f_n = factors[t - steps.start, :n].chunk(3, dim=1)
                grad_r, grad_z, grad_n = grad_gates[t, :n].chunk(3, dim=1)
                torch.mul(grad_h[:n], f_z, out=grad_z)
                torch.mul(grad_h[:n], f_n, out=grad_n)
                torch.mul(grad_n, f_r, out=grad_r)
                torch.mul(grad_n, gates[t, :n, :size], out=grad_q[t, :n])
                later = n
        grad_rz = grad_gates[:, :, : 2 * size]
        grad_hidden = grad_h * gates[0, :, size : 2 * size]
        grad_hidden += product(grad_rz[0], W_rz, U.dtype) + product(grad_q[0], W_n, U.dtype)
        each = [outer_products(grads, states, hidden, U.dtype) for grads in (grad_rz, grad_q)]
        grad_W_hh = torch.cat(each)
        grad_projected = to_rows(grad_gates, places, ctx.rows)
        return grad_projected, grad_hidden, grad_W_hh, grad_q.sum(dim=(0, 1)), None, None


def _factors(gates: Tensor, q: Tensor, before: Tensor) -> Tensor:
    """Return what ∂a_r, ∂a_z and ∂a_n have as factors beside ∂a_n, ∂h and ∂h."""
    factors = torch.empty_like(gates)
    (r, z, n), (f_r, f_z, f_n) = gates.chunk(3, dim=2), factors.chunk(3, dim=2)
    sigmoid_backward(q, r, grad_input=f_r)
    sigmoid_backward(before - n, z, grad_input=f_z)
    tanh_backward(1 - z, n, grad_input=f_n)
    return factors


def _carry(grad_h: Tensor, grad_later: Tensor, W: Matrix) -> None:
    plus_product(grad_h, grad_later, W, out=grad_h)


def recurrence(
    projected: Projected,
    hidden: State,
    W_hh: Matrix,
    b_q: Tensor,
    active: Active | None = None,
    places: Places | None = None,
) -> TimeMajor:
    """Return what :func:`loop` returns, and the same gradients, sooner; the rest as for the Elman network."""
    active = active or everyone(projected, places)
    return cast(Tensor, GRURecurrence.apply(projected, hidden, W_hh, b_q, active, places))  # type: ignore[no-untyped-call]  # torch's
