"""Recurrent layers in a stack, one or both ways, all cells alike.

A layer here is one layer and one direction: our own :class:`~elman.models.elman.Elman`, or one of torch's, read in our
own way. Two of them make a bidirectional layer: the second reads each sequence reversed within its length, so padding
stands behind the end in both directions and is never read before a token. That is what torch does with a
``PackedSequence``.

``fast`` is for an ordinary processor. There a layer projects the distinct words of a batch, deals the results out to
their places, and reads the sequences from long to short, each time step only those that have not ended. On a GPU, with
``fast=False``, and for an LSTM whose time steps are narrow or whose products are in half precision, torch's own layers
read the padded batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.config import Stack
from elman.models.elman import Elman
from elman.models.gru import GRU
from elman.models.lstm import LSTM
from elman.models.placed import Placed, Steps
from elman.models.rnn import RNN
from elman.models.time_major import Active, Places, Projected, TimeMajor, active, longest_first, reversal
from elman.tensors import Features, Lengths

CellName = Literal["elman", "rnn", "gru", "lstm"]

LAYERS: dict[CellName, Callable[[int, int], nn.Module]] = {
    "elman": lambda insize, hsize: Elman(insize, hsize, hsize),
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
}
"""One layer, one direction: (batch, time, insize) and the state before → ((batch, time, hsize), the state after)."""

WIDE_LSTM = 16_000
"""A time step of so many numbers (batch × hidden) pays for reading an LSTM in our own way; below, torch's is sooner,
and so it is for any number where autocast halves the products' precision. A single step is sooner in our way."""

BLOCK = 8
"""In half precision torch's LSTM takes twice as long where no block of this size or so divides the batch: 83 sequences
of 240 steps take 322 ms, 84 take 143 (300 numbers each, AMX). Rows are added up to a multiple."""

SMALL_ALPHABET = 10_000
"""A sampler projects the vectors of so many tokens before it begins; of more, those that it draws."""

State = Any
"""A layer's state: (batch, hsize) or (1, batch, hsize), or two such in a tuple. The batch is the last but one axis."""


@runtime_checkable
class Layer(Protocol):
    """The parts of a recurrent layer: what needs no time, what does, and what comes behind the states."""

    @property
    def output(self) -> nn.Linear | None:
        """A last layer, of each step alone, that :meth:`read` and :meth:`stepper` leave to the caller."""

    def project(self, x: Tensor) -> Tensor:
        """Return what the input adds at a step: (…, insize) → (…, gates × hsize)."""

    def read(
        self,
        projected: Projected,
        places: Places | None,
        state: State,
        active: Active | None = None,
        lengths: Lengths | None = None,
    ) -> tuple[TimeMajor, State]:
        """Return the outputs of every step, and the state after the last, of each sequence where lengths are given."""

    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Return a function of one step and the state before it, to its outputs, (batch, …), and the state after it."""


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
    fast
        On a processor, read as the module's text says; False calls torch's layers. The results are the same.
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
        fast: bool = True,
    ) -> None:
        super().__init__()
        self.stack = stack
        self.fast = fast
        self.output_size = hsize * (2 if bidirectional else 1)
        sizes = [insize] + [self.output_size] * (num_layers - 1)
        self.forwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes)
        self.backwards = nn.ModuleList(LAYERS[cell](size, hsize) for size in sizes if bidirectional)

    def forward(self, x: Placed, lengths: Lengths) -> Steps:
        """Return the stack's outputs; behind an end they mean nothing.

        Parameters
        ----------
        x
            (batch, time, insize), as rows and places.
        lengths
            (batch,), at least 1.
        """
        order = longest_first(lengths)
        width = x.places.shape[1]
        reading, columns = active(lengths[order], width), order.argsort()
        spare = self._spare_rows(len(order), lengths.device)
        order = F.pad(order, (0, spare))  # sequence 0 once more, in columns that nobody looks at
        lengths = lengths[order]
        steps = reversal(lengths, width)
        grid = torch.arange(steps.numel(), device=steps.device).view_as(steps)  # the row of each (time, batch)
        rows, places = x.rows, x.places[order].T
        left = None if self.backwards or self.stack == "sum" else _halves(self.forwards[-1]).output
        layers: list[Tensor] = []
        for k, forwards in enumerate(self.forwards):
            finish = left is None or k < len(self.forwards) - 1
            outputs, _ = self._read(forwards, rows, places, active=reading, finish=finish)
            made = [outputs.flatten(0, 1)]
            if self.backwards:
                back, _ = self._read(self.backwards[k], rows, places.gather(0, steps), active=reading)
                made.append(F.embedding(grid.gather(0, steps).flatten(), back.flatten(0, 1)))
            rows, places = torch.cat(made, dim=1) if self.backwards else made[0], grid
            layers.append(rows)
        outputs = self._stacked(layers).view(*steps.shape, -1)
        last = self.forwards[-1]
        blank = _halves(last).output is None and self._in_our_way(last, steps)
        return Steps(outputs, lengths, columns, blank, left)

    def advance(
        self, x: Placed, states: Sequence[State] | None = None, lengths: Lengths | None = None
    ) -> tuple[Features, list[State]]:
        """Read on from a state, in one direction.

        Parameters
        ----------
        x
            (batch, time, insize), as rows and places.
        states
            Of each layer, from an earlier call; None starts anew.
        lengths
            (batch,), at least 1: read no padding, and return each state at its sequence's end. None reads all of x.

        Returns
        -------
        The stack's outputs (batch, time, hsize), and the state of each layer to go on from.
        """
        if lengths is not None:
            return self._advance_packed(x, states, lengths)
        return self._advance(x, states)

    def stepper(self, table: Tensor) -> Callable[[Tensor, Sequence[State]], tuple[Tensor, list[State]]]:
        """Return :meth:`advance` by one step, for tokens whose vectors are the rows of ``table``, as they are now.

        It takes (batch,) tokens and the states before them. The vectors of a small alphabet are projected once for all.
        """
        halves = [_halves(layer) for layer in self.forwards]
        small = len(table) <= SMALL_ALPHABET
        rows, reads = halves[0].project(table) if small else table, [layer.stepper() for layer in halves]

        def step(tokens: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
            x, layers, after = rows.index_select(0, tokens), [], []
            for k, (layer, read, state) in enumerate(zip(halves, reads, states, strict=True)):
                x, state_after = read(x if small and k == 0 else layer.project(x), state)
                x = x if layer.output is None else layer.output(x)
                layers.append(x)
                after.append(state_after)
            return self._stacked(layers), after

        return step

    def _advance_packed(
        self, x: Placed, states: Sequence[State] | None, lengths: Lengths
    ) -> tuple[Features, list[State]]:
        order = longest_first(lengths)
        back = order.argsort()
        ordered = Placed(x.rows, x.places[order])
        outputs, after = self._advance(ordered, states and picked(states, order), lengths[order])
        return outputs.index_select(0, back), picked(after, back)

    def _advance(
        self, x: Placed, states: Sequence[State] | None, lengths: Lengths | None = None
    ) -> tuple[Features, list[State]]:
        rows, batch = x.rows, len(x.places)
        spare = 0 if lengths is not None else self._spare_rows(batch, rows.device)
        places, states = F.pad(x.places, (0, 0, 0, spare)).T, states and _padded(states, spare)
        reading = None if lengths is None else active(lengths, len(places))
        states_after: list[State] = []
        layers = []
        for layer, state in zip(self.forwards, states or [None] * len(self.forwards), strict=True):
            outputs, state_after = self._read(layer, rows, places, state, active=reading, lengths=lengths)
            states_after.append(state_after)
            layers.append(outputs)
            rows, places = outputs.flatten(0, 1), torch.arange(places.numel(), device=places.device).view_as(places)
        outputs = self._stacked(layers).transpose(0, 1)
        return (outputs[:batch], _cut(states_after, batch)) if spare else (outputs, states_after)

    def _spare_rows(self, batch: int, device: torch.device) -> int:
        """How many rows the batch is to be padded with (see :data:`BLOCK`)."""
        uneven = isinstance(self.forwards[0], LSTM) and torch.is_autocast_enabled("cpu")
        return -batch % BLOCK if uneven and self._on_processor(device) else 0

    def _stacked(self, layers: list[Tensor]) -> Tensor:
        """What a stack hands on of the outputs of its layers."""
        return sum(layers[:-1], layers[-1]) if self.stack == "sum" else layers[-1]

    def _read(
        self,
        layer: nn.Module,
        rows: Tensor,
        places: Tensor,
        state: State = None,
        *,
        active: Active | None = None,
        lengths: Lengths | None = None,
        finish: bool = True,
    ) -> tuple[TimeMajor, State]:
        """Let one layer read (time, batch) places; its last layer, where it has one, is left out unless ``finish``."""
        if self._in_our_way(layer, places, packed=lengths is not None):
            halves = _halves(layer)
            states, state = halves.read(halves.project(rows), places, state, active, lengths)
            return states if halves.output is None or not finish else halves.output(states), state
        kind = places.device.type
        if torch.is_autocast_enabled(kind) and not torch.is_grad_enabled():  # a sum of gradients would suffer
            rows = rows.to(torch.get_autocast_dtype(kind))  # while they are few
        return torchs_own(layer, F.embedding(places, rows), state, lengths)

    def _in_our_way(self, layer: nn.Module, places: Tensor, *, packed: bool = False) -> bool:
        """Whether a layer reads (time, batch) places by its ``read``, which leaves all behind an end zero."""
        if isinstance(layer, Elman):
            return True  # there is no other
        if isinstance(layer, LSTM) and not packed and len(places) > 1:
            wide = places.shape[1] * layer.hidden_size >= WIDE_LSTM
            return self._on_processor(places.device) and wide and not torch.is_autocast_enabled("cpu")
        return self._on_processor(places.device)

    def _on_processor(self, device: torch.device) -> bool:
        return self.fast and device.type == "cpu"


def _halves(layer: nn.Module) -> Layer:
    return cast(Layer, layer)


def torchs_own(layer: nn.Module, x: Tensor, state: State, lengths: Lengths | None) -> tuple[TimeMajor, State]:
    """Call one of torch's layers, on a packed batch where lengths are given; time first."""
    if lengths is None:
        outputs, state = layer(x.transpose(0, 1), state)
    else:
        packed = pack_padded_sequence(x, lengths.cpu())
        outputs, state = layer(packed, state)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=len(x))
    return outputs.transpose(0, 1), state


def picked(states: Sequence[State], rows: Tensor) -> list[State]:
    """Return the states of those rows of the batch."""
    return _each(lambda part: part.index_select(-2, rows), states)


def _padded(states: Sequence[State], rows: int) -> list[State]:
    return _each(lambda part: F.pad(part, (0, 0, 0, rows)), states)


def _cut(states: Sequence[State], batch: int) -> list[State]:
    return _each(lambda part: part.narrow(-2, 0, batch), states)


def _each(change: Callable[[Tensor], Tensor], states: Sequence[State]) -> list[State]:
    return [tuple(map(change, state)) if isinstance(state, tuple) else change(state) for state in states]


def detached(states: Sequence[State]) -> list[State]:
    """Return the states as values: no gradient flows through them, and nothing of the stretch before is kept alive."""
    return _each(lambda part: part.detach().clone(), states)
