"""Ragged sequences of token ids: one flat array, with the start and the length of each sequence.

On disk they are up to three ``.npy`` files. The file of ids is memory-mapped: 25,000 reviews open in a millisecond, and
several processes share them. A selection shares the flat array and copies only starts, lengths and labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.text.vocab import END, START, UNK


@dataclass(frozen=True, eq=False)
class Sequences:
    """A list of sequences of token ids, with or without labels.

    Attributes
    ----------
    tokens
        (tokens,), the ids of all sequences, one sequence after another; any integer type.
    starts, lengths
        (sequences,), the position in ``tokens`` where each sequence begins, and its number of ids.
    labels
        (sequences,), the class of each sequence, or None.
    vocab_size
        Ids equal to or above this number are returned as ``.unk``; None keeps all ids.
    whole
        (sequences,), False where :meth:`cut` removed the end of a sequence; None if all are whole. It is not saved.
    """

    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    vocab_size: int | None = None
    whole: NDArray[np.bool_] | None = None

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int]], labels: Sequence[int] | None = None) -> "Sequences":
        """Build from lists of ids."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        tokens = np.fromiter((i for ids in sequences for i in ids), np.int32, int(lengths.sum()))
        return cls(tokens, starts_of(lengths), lengths, None if labels is None else np.asarray(labels, np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> NDArray[np.int64]:
        """Return the ids of sequence ``i``."""
        start = self.starts[i]
        return self._within_vocab(self.tokens[start : start + self.lengths[i]])

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self[i] for i in range(len(self)))

    @property
    def total_tokens(self) -> int:
        """The number of ids in all sequences together."""
        return int(self.lengths.sum())

    def select(self, indices: NDArray[np.int64]) -> "Sequences":
        """Return the sequences at ``indices``, in that order, sharing the same tokens."""
        labels = None if self.labels is None else self.labels[indices]
        whole = None if self.whole is None else self.whole[indices]
        return replace(self, starts=self.starts[indices], lengths=self.lengths[indices], labels=labels, whole=whole)

    def joined(self, other: "Sequences") -> "Sequences":
        """Return these sequences followed by the ``other`` ones; tokens are copied unless both share them."""
        both = [self, other]
        labels = None if self.labels is None or other.labels is None else np.concatenate([self.labels, other.labels])
        lengths = np.concatenate([part.lengths for part in both])
        whole = np.concatenate([part._is_whole() for part in both])
        joined = replace(self, lengths=lengths, labels=labels, whole=whole)
        if self.tokens is other.tokens:
            return replace(joined, starts=np.concatenate([part.starts for part in both]))
        starts = np.concatenate([self.starts, other.starts + len(self.tokens)])
        return replace(joined, starts=starts, tokens=np.concatenate([part.tokens for part in both]))

    def cut(self, max_length: int | None) -> "Sequences":
        """Keep the first ``max_length`` ids of each sequence; None keeps all."""
        if max_length is None:
            return self
        whole = self._is_whole() & (self.lengths <= max_length)
        return replace(self, lengths=np.minimum(self.lengths, max_length), whole=whole)

    def with_vocab_size(self, vocab_size: int) -> "Sequences":
        """Return the same sequences, with ids equal to or above ``vocab_size`` as ``.unk``."""
        return replace(self, vocab_size=vocab_size)

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find equal sequences.

        Returns
        -------
        (distinct,), the index where each distinct sequence first occurs; (sequences,), the number of the distinct
        sequence that each one equals.
        """
        numbers: dict[bytes, int] = {}
        spans = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        inverse = np.fromiter(
            (numbers.setdefault(self.tokens[s : s + n].tobytes(), len(numbers)) for s, n in spans), np.int64, len(self)
        )
        return np.unique(inverse, return_index=True)[1], inverse

    def framed(self) -> "Sequences":
        """Return a copy with ``.start`` before every sequence and ``.end`` after every whole one."""
        whole = self._is_whole()
        lengths = self.lengths + 1 + whole
        starts = starts_of(lengths)
        tokens = np.empty(int(lengths.sum()), self.tokens.dtype)
        inside = np.ones(len(tokens), bool)
        for places, special in ((starts, START), ((starts + lengths - 1)[whole], END)):
            tokens[places], inside[places] = special, False
        sources = np.arange(self.total_tokens) + np.repeat(self.starts - starts_of(self.lengths), self.lengths)
        tokens[inside] = self.tokens[sources]
        return replace(self, tokens=tokens, starts=starts, lengths=lengths)

    def padded(self, indices: NDArray[np.int64], width: int, padding: int) -> NDArray[np.int64]:
        """Return the sequences at ``indices`` as (batch, width), filled up with ``padding`` at the end."""
        time = np.arange(width)
        inside = time < self.lengths[indices, None]
        positions = np.where(inside, self.starts[indices, None] + time, 0)
        return np.where(inside, self._within_vocab(self.tokens[positions]), padding)

    def save(self, directory: Path) -> None:
        """Write the files into ``directory``; of a selection, only its own tokens."""
        directory.mkdir(parents=True, exist_ok=True)
        flat = np.concatenate([self.tokens[s : s + n] for s, n in zip(self.starts, self.lengths, strict=True)])
        np.save(directory / "tokens.npy", flat)
        np.save(directory / "lengths.npy", self.lengths)
        if self.labels is not None:
            np.save(directory / "labels.npy", self.labels)

    @classmethod
    def load(cls, directory: Path) -> "Sequences":
        """Open the files that :meth:`save` wrote, with the ids memory-mapped.

        Raises
        ------
        DataError
            A file is missing or damaged, or the files do not fit together.
        """
        try:
            tokens = np.load(directory / "tokens.npy", mmap_mode="r")
            lengths = np.load(directory / "lengths.npy")
            labelled = (directory / "labels.npy").exists()
            labels = np.load(directory / "labels.npy") if labelled else None
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{directory} holds no sequences ({error}).", "Remove it and prepare it again.") from error
        if int(lengths.sum()) != len(tokens) or (labels is not None and len(labels) != len(lengths)):
            raise DataError(f"The files in {directory} do not fit together.", "Remove it and prepare it again.")
        return cls(tokens, starts_of(lengths), lengths, labels)

    def _is_whole(self) -> NDArray[np.bool_]:
        return np.ones(len(self), bool) if self.whole is None else self.whole

    def _within_vocab(self, tokens: NDArray[Any]) -> NDArray[np.int64]:
        ids = tokens.astype(np.int64)
        return ids if self.vocab_size is None else np.where(ids < self.vocab_size, ids, UNK)


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the start of each sequence when sequences of these lengths follow one another."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)[:-1]]) if len(lengths) else lengths.copy()
