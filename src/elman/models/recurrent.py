"""Recurrent layers in a stack, one or both ways, all cells alike.

A layer here is one layer and one direction of torch's ``nn.RNN``, ``nn.GRU``, ``nn.LSTM``, or of our own
:class:`~elman.models.elman.Elman`. Two of them make a bidirectional layer: the second reads each sequence reversed
within its length, so padding stands behind the end in both directions and is never read before a token. That is what
torch does with a ``PackedSequence``; on a CPU the padded form is many times faster.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.config import Stack
from elman.models.elman import Elman
from elman.tensors import Features, Lengths

CellName = Literal["elman", "rnn", "gru", "lstm"]

LAYERS: dict[CellName, Callable[[int, int], nn.Module]] = {
    "elman": lambda insize, hsize: Elman(insize, hsize, hsize),
    "rnn": lambda insize, hsize: nn.RNN(insize, hsize, batch_first=True),
    "gru": lambda insize, hsize: nn.GRU(insize, hsize, batch_first=True),
    "lstm": lambda insize, hsize: nn.LSTM(insize, hsize, batch_first=True),
}
"""One layer, one direction: (batch, time, insize) and the state before → ((batch, time, hsize), the state after)."""

State = Any
"""A layer's state: (batch, hsize) or (1, batch, hsize), or two such in a tuple. The batch is the last but one axis."""


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
    stack
        "deep" hands on the outputs of the last layer, "sum" those of all layers, added.
    """

    def __init__(
        self,
        cell: CellName,
        insize: int,
        hsize: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        stack: Stack = "deep",
    ) -> None:
        super().__init__()
        self.stack = stack
        self.output_size = hsize * (2 if bidirectional else 1)
        sizes = [insize] + [self.output_size] * (num_layers - 1)
        self.forwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes)
        self.backwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes if bidirectional)

    def forward(self, x: Features, lengths: Lengths) -> Tensor:
        """Return the stack's outputs, (batch, time, output_size); behind an end they mean nothing."""
        if not self.backwards:
            return self.advance(x)[0]
        turned = reversal(lengths, x.shape[1])
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead, _ = forwards(x)
            back, _ = backwards(rearranged(x, turned))
            x = torch.cat([ahead, rearranged(back, turned)], dim=-1)
        return x

    def advance(
        self, x: Features, states: Sequence[State] | None = None, lengths: Lengths | None = None
    ) -> tuple[Float[Tensor, "batch time hidden"], list[State]]:
        """Read on from a state, in one direction.

        Parameters
        ----------
        x
            (batch, time, insize).
        states
            Of each layer, from an earlier call; None starts anew.
        lengths
            (batch,), at least 1: pack the sequences, so that a layer of torch's reads no padding and returns each
            state at its sequence's end. None reads all of x.

        Returns
        -------
        The stack's outputs (batch, time, hsize), and the state of each layer to go on from.
        """
        states_after, outputs = [], []
        for layer, state in zip(self.forwards, states or [None] * len(self.forwards), strict=True):
            x, state_after = _packed(layer, x, state, lengths) if lengths is not None else layer(x, state)
            states_after.append(state_after)
            outputs.append(x)
        return sum(outputs[:-1], x) if self.stack == "sum" else x, states_after


def _packed(layer: nn.Module, x: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    if isinstance(layer, Elman):
        outputs, state_after = layer(x, state, lengths)
        return outputs, state_after
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    outputs, state_after = layer(packed, state)
    return pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], state_after


def picked(states: Sequence[State], rows: Tensor) -> list[State]:
    """Return the states of those rows of the batch."""

    def pick(state: State) -> State:
        return tuple(map(pick, state)) if isinstance(state, tuple) else state.index_select(-2, rows)

    return [pick(state) for state in states]


def detached(states: Sequence[State]) -> list[State]:
    """Return the states as values: no gradient flows through them."""
    return [tuple(part.detach() for part in s) if isinstance(s, tuple) else s.detach() for s in states]


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
