"""Torch's ``nn.RNN``, one layer and one direction, with the recurrence of :mod:`elman.models.elman` inside.

Called as a layer it is torch's own, which the tests hold :meth:`RNN.read` to.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from elman.models.elman import recurrence, step
from elman.models.time_major import Active, Places, Projected, State, TimeMajor, first_state, last
from elman.tensors import Lengths


class RNN(nn.RNN):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), batch first; the state is (1, batch, hsize)."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    output = None

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and the biases add at a step: (…, insize) → (…, hsize)."""
        return F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)

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
        states = recurrence(projected, hidden, self.weight_hh_l0, active, places)
        return states, last(states, lengths)[None]

    def stepper(self) -> Callable[[Tensor, Tensor], tuple[State, Tensor]]:
        """Return a function of one step, projected already, and the state before it: to h and the state after."""

        def read(projected: Tensor, state: Tensor) -> tuple[State, Tensor]:
            hidden = step(projected, state[0], self.weight_hh_l0)
            return hidden, hidden[None]

        return read
