"""The LSTM (Hochreiter & Schmidhuber, Neural Computation 9, 1997; with the forget gate of Gers et al., 2000).

    i, f, o = σ(W x_t + U h_{t-1} + b), a row of W, U and b for each gate
    g       = tanh(W_g x_t + U_g h_{t-1} + b_g)
    c_t     = f · c_{t-1} + i · g
    h_t     = o · tanh(c_t)

:class:`LSTM` is torch's ``nn.LSTM``: called as a layer it is torch's own, and the reference. :meth:`LSTM.read` computes
the same from inputs that are projected already, with its back-propagation through time written by hand. The product
W x is half the work of torch's layer, and a batch of reviews needs it for a fifth of its tokens only.
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
    overwritten,
    stretches,
    to_rows,
)
from elman.tensors import Lengths


class LSTM(nn.LSTM):
    """One layer in one direction, batch first; the state is h and c, each (1, batch, hsize)."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    output = None

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and the biases add to the gates at a step: (…, insize) → (…, 4 × hsize)."""
        return F.linear(x, _gates_first(self.weight_ih_l0), _gates_first(self.bias_ih_l0 + self.bias_hh_l0))

    def read(
        self,
        projected: Projected,
        places: Places | None,
        state: tuple[Tensor, Tensor] | None,
        active: Active | None = None,
        lengths: Lengths | None = None,
    ) -> tuple[TimeMajor, tuple[Tensor, Tensor]]:
        """Read sequences that are projected already, time first; see :meth:`elman.models.elman.Elman.read`."""
        weight = _gates_first(self.weight_hh_l0)
        projected = projected.to(weight.dtype)
        # What read before may have left the state in the precision of its products.
        before = (None, None) if state is None else (part[0] for part in state)
        hidden, cell = (first_state(projected, places, part, self.hidden_size) for part in before)
        states, cells = recurrence(projected, hidden, cell, weight, active, places)
        return states, (last(states, lengths)[None], last(cells, lengths)[None])

    def stepper(self) -> Callable[[Tensor, tuple[Tensor, Tensor]], tuple[State, tuple[Tensor, Tensor]]]:
        """Return a function of one step, projected already, and the state before it: to h and the state after."""
        W_hh = _gates_first(self.weight_hh_l0)

        def read(projected: Tensor, state: tuple[Tensor, Tensor]) -> tuple[State, tuple[Tensor, Tensor]]:
            hidden, cell = step(projected, state[0][0], state[1][0], W_hh)
            return hidden, (hidden[None], cell[None])

        return read


def _gates_first(weight: Tensor) -> Tensor:
    """From torch's order of the rows, i f g o, to i f o g: the three that are σ side by side."""
    i, f, g, o = weight.chunk(4)
    return torch.cat([i, f, o, g])


def step(projected: AtStep, hidden: State, cell: State, W_hh: Matrix) -> tuple[State, State]:
    """Return h_t and c_t, (batch, hidden) each; the gates stand in the order i f o g."""
    i, f, o, g = (projected + hidden @ W_hh.T).chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def loop(projected: Projected, hidden: State, cell: State, W_hh: Matrix) -> tuple[TimeMajor, TimeMajor]:
    """Follow the definition, a step at a time, and return all h and all c; the gates stand in the order i f o g."""
    states, cells = [], []
    for x_t in projected:
        hidden, cell = step(x_t, hidden, cell, W_hh)
        states.append(hidden)
        cells.append(cell)
    return torch.stack(states), torch.stack(cells)


class LSTMRecurrence(torch.autograd.Function):
    """:func:`loop`, with back-propagation through time written by hand.

    With a the gates before σ and tanh, L the loss, ∂h_t all of L's gradient that reaches h_t, and ∂c_t likewise:

        ∂h_t = ∂L/∂h_t + Uᵀ ∂a_{t+1}
        ∂c_t = ∂L/∂c_t + f_{t+1} · ∂c_{t+1} + ∂h_t · o (1 − tanh² c_t)
        ∂a_i = ∂c_t · g · i (1 − i)             ∂a_f = ∂c_t · c_{t-1} · f (1 − f)
        ∂a_g = ∂c_t · i · (1 − g²)              ∂a_o = ∂h_t · tanh(c_t) · o (1 − o)
        ∂U   = Σ_t ∂a_t h_{t-1}ᵀ

    All but ∂h and ∂c is known before the walk back begins, so it is computed for many steps at once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        hidden: Tensor,
        cell: Tensor,
        W_hh: Tensor,
        active: Active,
        places: Places | None,
        kept: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return all h and all c, (time, batch, hidden) each; the gates are kept where a gradient will be asked for."""
        batch, size = hidden.shape
        gates = blank(projected, active if kept else active[:1], batch, 4 * size)
        states, cells = (blank(projected, active, batch, size) for _ in range(2))
        U = W_hh.T.to(product_dtype(W_hh))
        h, c = hidden, cell
        for t, (x_t, n) in enumerate(zip(by_step(projected, places), active, strict=True)):
            a_t = gates[t % len(gates), :n]
            plus_product(at_step(projected, x_t, out=a_t), h[:n], U, out=a_t)
            a_t[:, : 3 * size].sigmoid_()
            a_t[:, 3 * size :].tanh_()
            i, f, o, g = a_t.chunk(4, dim=1)
            c = torch.mul(i, g, out=cells[t, :n]).addcmul_(f, c[:n])
            h = torch.mul(o, c.tanh(), out=states[t, :n])
        ctx.save_for_backward(gates, states, cells, hidden, cell, U, places)
        ctx.active, ctx.rows = active, len(projected)
        ctx.set_materialize_grads(False)
        return states, cells

    @staticmethod
    @first_derivatives_only
    def backward(
        ctx: Any, grad_states: Tensor | None, grad_cells: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None, None]:
        """Return the gradients of projected, hidden, cell and W_hh."""
        gates, states, cells, hidden, cell, U, places = ctx.saved_tensors
        size = hidden.shape[1]
        grad_gates = overwritten(gates)  # a step's gates are read before its gradients come in their place
        grad_c, grad_c_before, later = torch.zeros_like(cell), torch.zeros_like(cell), 0
        for steps in stretches(gates):
            factors, through_tanh = _factors(grad_gates[steps], cells[steps], one_earlier(cells, cell, steps))
            for t in reversed(range(steps.start, steps.stop)):
                n = ctx.active[t]
                grad_h = hidden.new_zeros(n, size) if grad_states is None else grad_states[t, :n].clone()
                if later:
                    plus_product(grad_h[:later], grad_gates[t + 1, :later], U.T, out=grad_h[:later])
                if grad_cells is not None:
                    grad_c[:n].add_(grad_cells[t, :n])
                grad_c[:n].addcmul_(grad_h, through_tanh[t - steps.start, :n])
                torch.mul(grad_c[:n], grad_gates[t, :n, size : 2 * size], out=grad_c_before[:n])
                for k, grad in enumerate((grad_c[:n], grad_c[:n], grad_h, grad_c[:n])):
                    gate = slice(k * size, (k + 1) * size)
                    torch.mul(grad, factors[t - steps.start, :n, gate], out=grad_gates[t, :n, gate])
                grad_c, grad_c_before, later = grad_c_before, grad_c, n
        grad_hidden = product(grad_gates[0], U.T, U.dtype)
        grad_W_hh = outer_products(grad_gates, states, hidden, U.dtype)
        return to_rows(grad_gates, places, ctx.rows), grad_hidden, grad_c, grad_W_hh, None, None, None


def _factors(gates: Tensor, cells: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Return what ∂a has as factors beside ∂c, ∂c, ∂h and ∂c, and what ∂h has on its way into ∂c."""
    squashed, factors, through_tanh = cells.tanh(), torch.empty_like(gates), torch.empty_like(cells)
    (i, f, o, g), (f_i, f_f, f_o, f_g) = gates.chunk(4, dim=2), factors.chunk(4, dim=2)
    sigmoid_backward(g, i, grad_input=f_i)
    sigmoid_backward(before, f, grad_input=f_f)
    sigmoid_backward(squashed, o, grad_input=f_o)
    tanh_backward(i, g, grad_input=f_g)
    tanh_backward(o, squashed, grad_input=through_tanh)
    return factors, through_tanh


def recurrence(
    projected: Projected,
    hidden: State,
    cell: State,
    W_hh: Matrix,
    active: Active | None = None,
    places: Places | None = None,
) -> tuple[TimeMajor, TimeMajor]:
    """Return what :func:`loop` returns, and the same gradients, sooner; the rest as for the Elman network."""
    active, kept = active or everyone(projected, places), torch.is_grad_enabled()
    found = LSTMRecurrence.apply(projected, hidden, cell, W_hh, active, places, kept)  # type: ignore[no-untyped-call]  # torch's
    return cast(tuple[Tensor, Tensor], found)
