"""Recurrent layers in a stack, one or both ways, all cells alike.

A layer here is one layer and one direction of torch's ``nn.RNN``, ``nn.GRU``, ``nn.LSTM``, or of our own
:class:`~elman.models.elman.Elman`. Two of them make a bidirectional layer: the second reads each sequence reversed
within its length, so padding stands behind the end in both directions and is never read before a token. That is what
torch does with a ``PackedSequence``; on a CPU the padded form is many times faster.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from elman.models.elman import Elman
from elman.tensors import Features, Lengths

CellName = Literal["elman", "rnn", "gru", "lstm"]

LAYERS: dict[CellName, Callable[[int, int], nn.Module]] = {
    "elman": lambda insize, hsize: Elman(insize, hsize, hsize),
    "rnn": lambda insize, hsize: nn.RNN(insize, hsize, batch_first=True),
    "gru": lambda insize, hsize: nn.GRU(insize, hsize, batch_first=True),
    "lstm": lambda insize, hsize: nn.LSTM(insize, hsize, batch_first=True),
}
"""One layer, one direction: (batch, time, insize) → ((batch, time, hsize), last state)."""


class Recurrent(nn.Module):
    """A stack of recurrent layers.

    Parameters
    ----------
    cell
        Which kind.
    insize, hsize
        Numbers a time step in the input, and in the output of each direction.
    num_layers
        Layers, each reading the one below.
    bidirectional
        Read from the end too; the output then has 2 × hsize numbers, forward before backward.
    """

    def __init__(
        self, cell: CellName, insize: int, hsize: int, *, num_layers: int = 1, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.output_size = hsize * (2 if bidirectional else 1)
        sizes = [insize] + [self.output_size] * (num_layers - 1)
        self.forwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes)
        self.backwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes if bidirectional)

    def forward(self, x: Features, lengths: Lengths) -> Tensor:
        """Return the outputs of the last layer, (batch, time, output_size); behind an end they mean nothing."""
        if not self.backwards:
            for layer in self.forwards:
                x, _ = layer(x)
            return x
        turned = reversal(lengths, x.shape[1])
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead, _ = forwards(x)
            back, _ = backwards(rearranged(x, turned))
            x = torch.cat([ahead, rearranged(back, turned)], dim=-1)
        return x


def reversal(lengths: Lengths, width: int) -> Tensor:
    """Return (batch, width): for each place the place that it changes with when each sequence is turned around.

    >>> reversal(torch.tensor([3, 2]), 4)
    tensor([[2, 1, 0, 3],
            [1, 0, 2, 3]])
    """
    time = torch.arange(width, device=lengths.device)
    mirrored = lengths[:, None] - 1 - time
    return torch.where(mirrored >= 0, mirrored, time)


def rearranged(x: Features, places: Tensor) -> Tensor:
    """Return x with time step t of each row taken from its place: (batch, time, features)."""
    return x.gather(1, places[:, :, None].expand_as(x))
