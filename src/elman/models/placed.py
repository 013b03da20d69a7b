"""Sequences of vectors as the distinct ones, and which of them stands at each place.

Twenty thousand tokens of reviews hold some four thousand distinct words. What a layer does to a word alone, it does to
each distinct word once; only then are the results dealt out to their places. Padding has a place too, and any row.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from elman.tensors import Features


class Placed(NamedTuple):
    """Vectors, and where they stand.

    Attributes
    ----------
    rows
        (rows, features).
    places
        (batch, time), the row that stands there; behind a sequence's end any.
    linear
        What is still to be done to each row: left to whoever reads them all, as a pool may do it at less cost.
    """

    rows: Float[Tensor, "rows features"]
    places: Int[Tensor, "batch time"]
    linear: nn.Linear | None = None

    def finished(self) -> "Placed":
        """Return the same with nothing left to be done."""
        return self if self.linear is None else Placed(self.linear(self.rows), self.places)

    def placed(self) -> "Placed":
        """Return itself; see :meth:`Steps.placed`."""
        return self

    def dense(self) -> Features:
        """Return (batch, time, features)."""
        return F.embedding(self.places, self.finished().rows)


class Steps(NamedTuple):
    """What a recurrent layer hands on: a vector at every time step, the batch in an order of its own.

    Attributes
    ----------
    steps
        (time, columns, features).
    lengths
        (columns,), where each ends.
    columns
        (batch,), in which column each sequence stands; a column may stand for none.
    blank
        Whether all behind an end is zero; else it is anything finite.
    linear
        As for :class:`Placed`; where it is given, what is behind it is not blank.
    """

    steps: Float[Tensor, "time columns features"]
    lengths: Int[Tensor, " columns"]
    columns: Int[Tensor, " batch"]
    blank: bool
    linear: nn.Linear | None = None

    def placed(self) -> Placed:
        """Return the same as rows and places."""
        places = torch.arange(self.steps[:, :, 0].numel(), device=self.steps.device).view(self.steps.shape[:2])
        return Placed(self.steps.flatten(0, 1), places.T[self.columns], self.linear)

    def dense(self) -> Features:
        """Return (batch, time, features)."""
        return self.placed().dense()
