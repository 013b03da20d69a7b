"""Packed order: the tokens of a padded batch without its padding, one time step after another.

First come the first tokens of all sequences, the longest sequence first; then the second tokens of those that have two;
and so on. It is the order of torch's ``PackedSequence``, and the names are torch's. At each time step the sequences
that still run are the first rows of the step before, so a recurrence needs no mask.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from elman.tensors import Features, Lengths, State

PackedRows = Float[Tensor, "tokens features"]
RowIndex = Int[Tensor, " tokens"]

NUMBERS_PER_CHUNK = 800_000
"""The GRU's backward pass computes what needs no recurrence in chunks of this many numbers, which fit in a cache."""


class Packing:
    """Where each token of a padded batch is in packed order.

    Parameters
    ----------
    lengths
        (batch,), at least 1; None packs all ``time`` steps of each sequence.
    shape
        (batch, time) of the padded batch.
    device
        Where its tokens are.
    """

    def __init__(self, lengths: Lengths | None, shape: tuple[int, ...], device: torch.device) -> None:
        batch, time = self.batch, self.time = shape
        self.device = device
        self.lengths = lengths
        if lengths is None:
            self.sorted_indices = torch.arange(batch, device=device)
            self.batch_sizes = [batch] * time
        else:
            self.sorted_lengths, self.sorted_indices = lengths.sort(descending=True, stable=True)
            running = self.sorted_lengths > torch.arange(time, device=device)[:, None]  # (time, batch)
            self.batch_sizes = [size for size in running.sum(dim=1).tolist() if size]

    @cached_property
    def unsorted_indices(self) -> Tensor:
        """(batch,), the rank of each sequence, the longest being 0."""
        return self.sorted_indices.argsort()

    @cached_property
    def _step_and_rank(self) -> tuple[Tensor, Tensor]:
        """The time step and the rank of the sequence, for each packed token."""
        if self.lengths is None:
            row = torch.arange(self.batch * self.time, device=self.device)
            return row // self.batch, row % self.batch
        running = self.sorted_lengths > torch.arange(len(self.batch_sizes), device=self.device)[:, None]
        step, rank = running.nonzero(as_tuple=True)
        return step, rank

    @cached_property
    def _step_starts(self) -> Tensor:
        """(steps,), the first packed row of each time step."""
        sizes = torch.tensor(self.batch_sizes, device=self.device)
        return sizes.cumsum(0) - sizes

    @cached_property
    def places(self) -> RowIndex:
        """(tokens,), the place of each packed token in the flattened (batch, time)."""
        step, rank = self._step_and_rank
        return self.sorted_indices[rank] * self.time + step

    @cached_property
    def inverse(self) -> Int[Tensor, "batch time"]:
        """The packed row of each place; row 0 at padding."""
        rows = torch.arange(len(self.places), device=self.device)
        return rows.new_zeros(self.batch * self.time).index_copy_(0, self.places, rows).view(self.batch, self.time)

    @cached_property
    def reversal(self) -> RowIndex:
        """(tokens,), the packed row that each token swaps places with when every sequence is reversed."""
        step, rank = self._step_and_rank
        assert self.lengths is not None  # only classifiers read backwards, and they know their lengths
        return self._step_starts[self.sorted_lengths[rank] - 1 - step] + rank

    def pack(self, padded: Int[Tensor, "batch time"]) -> RowIndex:
        """Return the values of (batch, time) in packed order."""
        return padded.flatten().index_select(0, self.places)

    def unpack(self, rows: PackedRows) -> Features:
        """Return packed rows as (batch, time, features); at padding any row."""
        if self.lengths is None:
            return rows.view(self.time, self.batch, -1).transpose(0, 1)
        return F.embedding(self.inverse, rows)

    def split_steps(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """Return for each time step its rows of every tensor."""
        return list(zip(*(torch.split(rows, self.batch_sizes) for rows in tensors), strict=True))

    def rows_of_steps(self, start: int, stop: int) -> slice:
        """Return the packed rows of a range of time steps."""
        return slice(sum(self.batch_sizes[:start]), sum(self.batch_sizes[:stop]))

    def chunks(self, features: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of time steps, from the last to the first, whose (tokens, features) fit in a cache."""
        stop, tokens = len(self.batch_sizes), 0
        for start in reversed(range(stop)):
            tokens += self.batch_sizes[start]
            if start == 0 or (tokens + self.batch_sizes[start - 1]) * features > NUMBERS_PER_CHUNK:
                yield start, stop
                stop, tokens = start, 0

    def last(self, rows: PackedRows) -> State:
        """Return the row of each sequence's last token, (batch, features)."""
        if self.lengths is None:
            return rows[-self.batch :]
        row = self._step_starts[self.sorted_lengths - 1] + torch.arange(self.batch, device=self.device)
        return rows.index_select(0, row[self.unsorted_indices])

    def previous_states(self, rows: PackedRows) -> Tensor:
        """Return for each token the row of its sequence one time step before.

        ``rows`` begins with the state before the first step: (batch + tokens, features).
        """
        if self.batch_sizes[0] == self.batch_sizes[-1]:  # all lengths are equal
            return rows[: -self.batch]
        return rows.index_select(0, self._previous)

    @cached_property
    def _previous(self) -> RowIndex:
        """The row of :meth:`previous_states` for each token."""
        step, rank = self._step_and_rank
        return torch.where(step == 0, rank, self.batch + self._step_starts[step - 1] + rank)


def gather(projected: Float[Tensor, "rows features"], row_index: RowIndex | None) -> PackedRows:
    """Return a copy of the projected row of each packed token; without an index they are in packed order already."""
    return projected.clone() if row_index is None else projected.index_select(0, row_index)


def sum_by_row(grad: PackedRows, row_index: RowIndex | None, num_rows: int) -> Float[Tensor, "rows features"]:
    """Return the gradient of what :func:`gather` read: for each row the sum over its tokens.

    As the backward pass of ``F.embedding`` computes it, in a fixed order of the terms.
    """
    if row_index is None:
        return grad
    no_padding, by_frequency = -1, False
    summed: Tensor = torch.ops.aten.embedding_dense_backward(grad, row_index, num_rows, no_padding, by_frequency)
    return summed
