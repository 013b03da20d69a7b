"""Sequences of vectors as the distinct ones, and which of them stands at each place.

Twenty thousand tokens of reviews hold some four thousand distinct words. What a layer does to a word alone, it does to
each distinct word once; only then are the results dealt out to their places. Padding has a place too, and any row.
"""

from typing import NamedTuple

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

    def dense(self) -> Features:
        """Return (batch, time, features)."""
        return F.embedding(self.places, self.finished().rows)
