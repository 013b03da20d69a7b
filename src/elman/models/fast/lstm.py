"""Torch's ``nn.LSTM``, whose CPU kernel is faster than a recurrence written in PyTorch; and one step of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.tensors import State


class LSTM(nn.LSTM):
    """One layer in one direction; the state (batch, 2 × hsize) is h and c side by side."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__(insize, hsize, batch_first=True)
        self.state_size = 2 * hsize
        self.final_linear = nn.Identity()

    def project(self, x: Tensor) -> Tensor:
        """Return what the input and the biases contribute to the gates, (…, insize) → (…, 4 × hsize)."""
        return F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)

    def step_projected(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output and the state after a step, from a projected input."""
        h, c = state.chunk(2, dim=1)
        i, f, g, o = torch.addmm(x_t, h, self.weight_hh_l0.T).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, torch.cat([h, c], dim=1)
