"""Recurrent layers on top of each other, over packed tokens on a CPU.

There a layer projects the distinct tokens of a batch, and a recurrence written by hand reads them in packed order. The
LSTM runs torch's kernel on the padded batch, and so do the RNN and the GRU on a GPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.config import ModelConfig
from elman.models.checks import check_state
from elman.models.fast.distinct import IndexedRows
from elman.models.fast.gru import GRU
from elman.models.fast.lstm import LSTM
from elman.models.fast.packed import Packing
from elman.models.fast.pooling import FinalLinear
from elman.models.fast.tanh import RNN, Elman
from elman.tensors import Features, Lengths, Outputs, State, States
from elman.text.batching import reverse

PackedLayer = Elman | RNN | GRU
TorchLayer = RNN | GRU | LSTM
Layer = PackedLayer | LSTM

CELLS: dict[str, Callable[[int, int], Layer]] = {
    "elman": lambda insize, hsize: Elman(insize, hsize, hsize),
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
}

SMALL_VOCABULARY = 10_000
"""A sampler projects all embeddings of a vocabulary up to this size before it begins, else those it draws, as drawn."""


class Recurrent(nn.Module):
    """What :class:`elman.models.plain.Recurrent` computes, from distinct tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        cell, hsize = CELLS[config.layer], config.hidden_size
        self.stack, self.output_size = config.stack, hsize * (2 if config.bidirectional else 1)
        sizes = [config.embedding_size] + [self.output_size] * (config.num_layers - 1)
        self.forwards = nn.ModuleList(cell(insize, hsize) for insize in sizes)
        self.backwards = nn.ModuleList(cell(insize, hsize) for insize in sizes if config.bidirectional)
        self.leaves_final_linear = config.stack == "deep" and not config.bidirectional

    @property
    def final_linear(self) -> FinalLinear:
        """The linear map that :meth:`forward` leaves to its caller, who can apply it to fewer rows."""
        return _layer(self.forwards[-1]).final_linear if self.leaves_final_linear else nn.Identity()

    def forward(self, x: IndexedRows, lengths: Lengths) -> IndexedRows:
        """Return the hidden states, both directions side by side; the caller applies :attr:`final_linear`.

        ``x`` represents (batch, time, insize), the result (batch, time, output_size); at padding it means nothing.
        """
        if self._packs(x.rows.device):
            packing = Packing(lengths, x.inverse.shape, x.rows.device)
            rows, _ = self._packed(x, (), packing, leave_final_linear=self.leaves_final_linear)
            return IndexedRows(rows, packing.inverse)
        outputs = self._padded(x.gather(), lengths).transpose(0, 1)  # time first, as they are in memory
        places = torch.arange(x.inverse.numel(), device=x.inverse.device)
        return IndexedRows(outputs.flatten(0, 1), places.view(outputs.shape[:2]).T)

    def advance(
        self, x: IndexedRows, states: States = (), lengths: Lengths | None = None
    ) -> tuple[Outputs, list[State]]:
        """Read on from a state, in one direction.

        Returns the outputs (batch, time, hsize), and the state of each layer at each sequence's end. Without lengths
        every sequence is read to the end of x; without states the first are zeros.
        """
        if self._packs(x.rows.device):
            packing = Packing(lengths, x.inverse.shape, x.rows.device)
            rows, states_after = self._packed(x, states, packing, leave_final_linear=False)
            return packing.unpack(rows), states_after
        y, outputs, states_after = x.gather(), [], []
        for k, layer in enumerate(self.forwards):
            y, state = run_torch_layer(layer, y, _state(states, k, layer, y), lengths)
            outputs.append(y)
            states_after.append(state)
        return self._stacked(outputs), states_after

    def stepper(self, table: Tensor) -> Callable[[Tensor, States], tuple[Tensor, list[State]]]:
        """Return a function that reads one token of each sequence: tokens (batch,) and states to outputs and states.

        ``table`` has the embedding of each token, as they are now. Those of a small vocabulary are projected once.
        """
        layers = [_layer(layer) for layer in self.forwards]
        project_first = len(table) <= SMALL_VOCABULARY
        rows = layers[0].project(table) if project_first else table

        def step(tokens: Tensor, states: States) -> tuple[Tensor, list[State]]:
            x, outputs, states_after = rows.index_select(0, tokens), [], []
            for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
                x, state_after = layer.step_projected(x if project_first and k == 0 else layer.project(x), state)
                x = layer.final_linear(x)
                outputs.append(x)
                states_after.append(state_after)
            return self._stacked(outputs), states_after

        return step

    def _packs(self, device: torch.device) -> bool:
        """Return whether the layers read packed tokens on that device: all of a stack are of one kind."""
        layer = self.forwards[0]
        return isinstance(layer, Elman) or (device.type == "cpu" and not isinstance(layer, LSTM))

    def _packed(
        self, x: IndexedRows, states: States, packing: Packing, *, leave_final_linear: bool
    ) -> tuple[Tensor, list[State]]:
        """Return the outputs in packed order, of the last layer without its linear map if that is left, and states."""
        rows: Tensor = x.rows
        index: Tensor | None = packing.pack(x.inverse)
        outputs: list[Tensor] = []
        states_after: list[State] = []
        for k, layer in enumerate(self.forwards):
            hidden = _recur(layer, rows, index, packing, _state(states, k, layer, x.inverse))
            states_after.append(packing.last(hidden))
            y = hidden if leave_final_linear and k == len(self.forwards) - 1 else _layer(layer).final_linear(hidden)
            if self.backwards:
                back, reversal = self.backwards[k], packing.reversal
                hidden = _recur(back, rows, reversal if index is None else index[reversal], packing, None)
                y = torch.cat([y, F.embedding(reversal, _layer(back).final_linear(hidden))], dim=1)
            outputs.append(y)
            rows, index = y, None
        return self._stacked(outputs), states_after

    def _padded(self, x: Features, lengths: Lengths) -> Outputs:
        """Return the outputs of torch's layers; they read the padding too, after each end, where it changes nothing."""
        outputs: list[Tensor] = []
        for k, layer in enumerate(self.forwards):
            y, _ = run_torch_layer(layer, x)
            if self.backwards:
                y_reversed, _ = run_torch_layer(self.backwards[k], reverse(x, lengths))
                y = torch.cat([y, reverse(y_reversed, lengths)], dim=2)
            outputs.append(y)
            x = y
        return self._stacked(outputs)

    def _stacked(self, outputs: list[Tensor]) -> Tensor:
        """Return the last layer's outputs, or the sum of all layers'."""
        return sum(outputs[:-1], outputs[-1]) if self.stack == "sum" else outputs[-1]


def _layer(module: nn.Module) -> Layer:
    """Return a layer of a ModuleList, which has no types."""
    assert isinstance(module, Layer)
    return module


def _state(states: States, k: int, layer: nn.Module, x: Tensor) -> Tensor | None:
    """Return the k-th state, checked against the batch of x; None without states."""
    return check_state(states[k], len(x), _layer(layer).state_size) if states else None


def _recur(layer: nn.Module, rows: Tensor, index: Tensor | None, packing: Packing, state: Tensor | None) -> Tensor:
    """Return the states of one layer in packed order."""
    assert isinstance(layer, PackedLayer)  # the others do not pack
    first = rows.new_zeros(packing.batch, layer.state_size) if state is None else state
    return layer.recur(layer.project(rows), index, packing, first)


def run_torch_layer(
    layer: nn.Module, x: Features, state: State | None = None, lengths: Lengths | None = None
) -> tuple[Outputs, State]:
    """Run one of torch's layers; with lengths on a ``PackedSequence``, whose state is that of each sequence's end.

    Takes and returns the outputs (batch, time, hsize) and states as :class:`elman.models.plain.RecurrentLayer` has
    them.
    """
    assert isinstance(layer, TorchLayer)  # Elman's has no torch kernel
    first = None
    if state is not None:
        parts = tuple(part[None].contiguous() for part in torch.split(state, layer.hidden_size, dim=1))
        first = parts if isinstance(layer, LSTM) else parts[0]
    if lengths is None:
        outputs, last = layer(x, first)
    else:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = layer(packed, first)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
    return outputs, torch.cat([part[0] for part in last], dim=1) if isinstance(layer, LSTM) else last[0]
