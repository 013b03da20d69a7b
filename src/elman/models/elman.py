"""The Elman network (Elman, "Finding structure in time", Cognitive Science 14, 1990), written by hand twice.

    h_t   = tanh(W_ih x_t + W_hh h_{t-1} + b)
    out_t = W_out h_t + b_out

:func:`loop` is the definition, step by step, with autograd doing the rest. :class:`TanhRecurrence` is the same with its
back-propagation through time written out; the tests hold the two, and torch's ``nn.RNN``, to each other. ``nn.RNN``
computes h alone: it has no output layer.
"""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elman.tensors import Features, Lengths

State = Float[Tensor, "batch hidden"]
TimeMajor = Float[Tensor, "time batch hidden"]


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

    def forward(
        self, x: Features, hidden: State | None = None, lengths: Lengths | None = None
    ) -> tuple[Float[Tensor, "batch time out"], State]:
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
        if hidden is None:
            hidden = x.new_zeros(x.shape[0], self.hsize)
        W_ih, W_hh = self.lin1.weight[:, : self.insize], self.lin1.weight[:, self.insize :]
        projected = nn.functional.linear(x.transpose(0, 1), W_ih, self.lin1.bias)  # (T, B, H)
        states = self._recurrence(projected, hidden, W_hh)
        outputs: Tensor = self.lin2(states.transpose(0, 1))
        return outputs, _last(states, lengths)

    def _recurrence(self, projected: TimeMajor, hidden: State, W_hh: Float[Tensor, "hidden hidden"]) -> TimeMajor:
        # Under autocast the products come in half precision; the state keeps that of the weights.
        projected, hidden = projected.to(W_hh.dtype), hidden.to(W_hh.dtype)
        return recurrence(projected, hidden, W_hh) if self.fast else loop(projected, hidden, W_hh)


def loop(projected: TimeMajor, hidden: State, W_hh: Float[Tensor, "hidden hidden"]) -> TimeMajor:
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
    for step in projected:
        hidden = torch.tanh(step + hidden @ W_hh.T)
        states.append(hidden)
    return torch.stack(states)


class TanhRecurrence(torch.autograd.Function):
    """:func:`loop`, with back-propagation through time written by hand.

    With a_t the argument of the tanh, L the loss and δ_t = ∂L/∂a_t:

        δ_t       = (∂L/∂h_t + W_hhᵀ δ_{t+1}) · (1 − h_t²)
        ∂L/∂W_hh  = Σ_t δ_t h_{t-1}ᵀ

    The sum over time is one matrix product, and nothing but h is kept from the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, hidden: Tensor, W_hh: Tensor) -> Tensor:
        """Return all states (time, batch, hidden)."""
        states = torch.empty_like(projected)
        previous = hidden
        for step, state in zip(projected.unbind(), states.unbind(), strict=True):
            torch.addmm(step, previous, W_hh.T, out=state).tanh_()
            previous = state
        ctx.save_for_backward(states, hidden, W_hh)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of projected, hidden and W_hh."""
        states, hidden, W_hh = ctx.saved_tensors
        grad_projected = 1 - states * states  # becomes δ in place, from the end to the start
        grad_state = torch.zeros_like(hidden)
        for delta, grad in zip(reversed(grad_projected.unbind()), reversed(grad_states.unbind()), strict=True):
            delta.mul_(grad_state.add_(grad))
            grad_state = delta @ W_hh
        before = torch.cat([hidden[None], states[:-1]])
        grad_W_hh = grad_projected.flatten(0, 1).T @ before.flatten(0, 1)
        return grad_projected, grad_state, grad_W_hh


def recurrence(projected: TimeMajor, hidden: State, W_hh: Float[Tensor, "hidden hidden"]) -> TimeMajor:
    """Return what :func:`loop` returns, and the same gradients, sooner."""
    return cast(Tensor, TanhRecurrence.apply(projected, hidden, W_hh))  # type: ignore[no-untyped-call]  # torch's


def _last(states: TimeMajor, lengths: Lengths | None) -> State:
    if lengths is None:
        return states[-1]
    return states[lengths - 1, torch.arange(len(lengths), device=states.device)]
