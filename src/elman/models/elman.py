"""The Elman network (Elman, "Finding structure in time", Cognitive Science 14, 1990), written by hand twice.

    h_t   = tanh(W_ih x_t + W_hh h_{t-1} + b)
    out_t = W_out h_t + b_out

:func:`loop` is the definition, step by step, with autograd doing the rest. :class:`TanhRecurrence` is the same with its
back-propagation through time written out; the tests hold the two, and torch's ``nn.RNN``, to each other. ``nn.RNN``
computes h alone: it has no output layer.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.models.derivatives import first_derivatives_only
from elman.models.products import outer_products, tanh_backward
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
    to_rows,
)
from elman.tensors import Features, Lengths


class Elman(nn.Module):
    """An Elman network, batch first; the course's class.

    ``h_t = tanh(lin1([x_t, h_{t-1}]))``, ``out_t = lin2(h_t)``.

    Parameters
    ----------
    insize, outsize, hsize
        Numbers a time step in the input, in the output, and in the hidden state.
    fast
        Use the back-propagation written by hand; False follows the loop. The results are the same.
    """

    def __init__(self, insize: int, outsize: int, hsize: int, *, fast: bool = True) -> None:
        super().__init__()
        self.insize = insize
        self.hsize = hsize
        self.fast = fast
        self.lin1 = nn.Linear(insize + hsize, hsize)
        self.lin2 = nn.Linear(hsize, outsize)

    def forward(self, x: Features, hidden: State | None = None, lengths: Lengths | None = None) -> tuple[Tensor, State]:
        """Read sequences.

        Parameters
        ----------
        x
            (batch, time, insize).
        hidden
            (batch, hsize), the state before the first step; None is zeros.
        lengths
            (batch,), at least 1: where each sequence ends; None reads all of x.

        Returns
        -------
        All outputs (batch, time, outsize), and each sequence's last hidden state (batch, hsize). What stands
        behind a sequence's end is of no meaning.
        """
        states, hidden = self.read(self.project(x.transpose(0, 1)), None, hidden, lengths=lengths)
        return self.lin2(states).transpose(0, 1), hidden

    @property
    def output(self) -> nn.Linear:
        """What comes behind the states that :meth:`read` returns."""
        return self.lin2

    def project(self, x: Tensor) -> Tensor:
        """Return what the input adds at a step, W_ih x + b: (…, insize) → (…, hsize)."""
        return F.linear(x, self.lin1.weight[:, : self.insize], self.lin1.bias)

    def read(
        self,
        projected: Projected,
        places: Places | None,
        hidden: State | None,
        active: Active | None = None,
        lengths: Lengths | None = None,
    ) -> tuple[TimeMajor, State]:
        """Read sequences that are projected already: what ``forward`` does, time first, and without the last layer.

        Parameters
        ----------
        projected, places
            (time, batch, hsize), and None; or (rows, hsize), and (time, batch) which row stands where.
        hidden, lengths
            As for ``forward``.
        active
            For sequences from long to short: how many are still being read at each step.
        """
        W_hh = self.lin1.weight[:, self.insize :]
        # Under autocast the products come in half precision; the state keeps that of the weights.
        projected = projected.to(W_hh.dtype)
        hidden = first_state(projected, places, hidden, self.hsize)
        if self.fast:
            states = recurrence(projected, hidden, W_hh, active, places)
        else:
            states = loop(projected if places is None else F.embedding(places, projected), hidden, W_hh)
        return states, last(states, lengths)

    def stepper(self) -> Callable[[Tensor, State], tuple[State, State]]:
        """Return a function of one step, projected already, and the state before it: to h and the state after."""
        W_hh = self.lin1.weight[:, self.insize :]

        def read(projected: Tensor, hidden: State) -> tuple[State, State]:
            hidden = step(projected, hidden, W_hh)
            return hidden, hidden

        return read


def step(projected: AtStep, hidden: State, W_hh: Matrix) -> State:
    """Return h_t, (batch, hidden), from W_ih x_t + b and h_{t-1}."""
    return torch.tanh(projected + hidden @ W_hh.T)


def loop(projected: TimeMajor, hidden: State, W_hh: Matrix) -> TimeMajor:
    """Follow the definition, a step at a time.

    Parameters
    ----------
    projected
        (time, batch, hidden), W_ih x_t + b of every step.
    hidden
        (batch, hidden), h_0.
    W_hh
        (hidden, hidden).

    Returns
    -------
    All states (time, batch, hidden).
    """
    states = []
    for a_t in projected:
        hidden = step(a_t, hidden, W_hh)
        states.append(hidden)
    return torch.stack(states)


class TanhRecurrence(torch.autograd.Function):
    """:func:`loop`, with back-propagation through time written by hand.

    With a_t the argument of the tanh, L the loss and δ_t = ∂L/∂a_t:

        δ_t       = (∂L/∂h_t + W_hhᵀ δ_{t+1}) · (1 − h_t²)
        ∂L/∂W_hh  = Σ_t δ_t h_{t-1}ᵀ

    The sum over time is one matrix product, and nothing but h is kept from the forward pass. At step t only the first
    n_t sequences are read; behind an end h and δ are zero, so that the one product may run over everything.
    """

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, hidden: Tensor, W_hh: Tensor, active: Active, places: Places | None
    ) -> Tensor:
        """Return all states (time, batch, hidden)."""
        states = blank(projected, active, *hidden.shape)
        h = hidden
        for x_t, h_t, n in zip(by_step(projected, places), states, active, strict=True):
            now = h_t[:n]
            h = torch.addmm(at_step(projected, x_t, out=now), h[:n], W_hh.T, out=now).tanh_()
        ctx.save_for_backward(states, hidden, W_hh, places)
        ctx.active, ctx.rows = active, len(projected)
        return states

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of projected, hidden and W_hh."""
        states, hidden, W_hh, places = ctx.saved_tensors
        deltas = blank(states, ctx.active, *hidden.shape)
        after = deltas[0, :0]  # the delta of the step after; after the last there is none
        for t in reversed(range(len(states))):
            n = ctx.active[t]
            delta = deltas[t, :n].copy_(grad_states[t, :n])
            delta[: len(after)].addmm_(after, W_hh)
            after = tanh_backward(delta, states[t, :n], grad_input=delta)
        grad_hidden = deltas[0] @ W_hh
        grad_W_hh = outer_products(deltas, states, hidden, W_hh.dtype)
        return to_rows(deltas, places, ctx.rows), grad_hidden, grad_W_hh, None, None


def recurrence(
    projected: Projected, hidden: State, W_hh: Matrix, active: Active | None = None, places: Places | None = None
) -> TimeMajor:
    """Return what :func:`loop` returns, and the same gradients, sooner.

    ``active`` says how many sequences, from the first on, are read at each step (never more than at the step before);
    what stands behind an end is zero. None reads all. With ``places`` the projected are rows, and each step gathers its
    own: dealt out over all steps at once they would be many times as large.
    """
    active = active or everyone(projected, places)
    return cast(Tensor, TanhRecurrence.apply(projected, hidden, W_hh, active, places))  # type: ignore[no-untyped-call]  # torch's
