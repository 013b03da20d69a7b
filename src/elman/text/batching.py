"""Sequences to padded batches. Padding is made here and nowhere else.

Sequences of similar length share a batch, so that little of it is padding; the lengths are blurred a little before
they are sorted and the batches are shuffled, both anew each epoch, so that the gradient does not see the same
neighbours twice. (Sorted and unshuffled, a model would see all short texts first and forget them.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.config import BatchConfig
from elman.errors import DataError
from elman.seeding import numpy_generator
from elman.tensors import Labels, Lengths, PaddingMask, TokenIds
from elman.text.sequences import Sequences
from elman.text.vocab import PAD

Plan = list[NDArray[np.int64]]
"""Which sequences each batch holds."""


@dataclass(frozen=True)
class Batch:
    """Sequences as a rectangle.

    Attributes
    ----------
    token_ids
        (batch, time), ``.pad`` behind each sequence's end.
    lengths
        (batch,), tokens before the padding.
    labels
        (batch,), or None where the data has none.
    indices
        (batch,), which sequences of the data these are.
    counts
        (batch,), how many sequences of the batch each stands for, where equal ones are read once; else None.
    """

    token_ids: TokenIds
    lengths: Lengths
    labels: Labels | None
    indices: Tensor
    counts: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences, padding not among them."""
        return int((self.lengths if self.counts is None else self.lengths * self.counts).sum())

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on ``device``."""
        labels, counts = (None if part is None else part.to(device) for part in (self.labels, self.counts))
        return Batch(self.token_ids.to(device), self.lengths.to(device), labels, self.indices, counts)


class Batches:
    """The batches of some sequences, epoch by epoch.

    Parameters
    ----------
    sequences
        What to read; none may be empty.
    config
        Budget, noise, rounding.
    seed
        The batches of epoch ``e`` follow from this and ``e`` alone.
    share
        Put only one of a batch's equal sequences into it, and their number beside it: a batch of a formal language is
        full of them, and what a model makes of one it makes of all, unless dropout is drawn for each.
    """

    def __init__(self, sequences: Sequences, config: BatchConfig, seed: int, *, share: bool = False) -> None:
        if len(sequences) == 0 or int(sequences.lengths.min()) == 0:
            raise DataError("There is nothing to read: no text, or an empty one.", "Leave empty texts out.")
        self.sequences = sequences
        self.config = config
        self.seed = seed
        self.kinds = sequences.distinct()[1] if share else None

    def epoch(self, epoch: int) -> Plan:
        """Return the shuffled plan of one epoch."""
        chosen = self._curriculum(epoch)
        generator = numpy_generator(self.seed, "batches of epoch", epoch)
        return [chosen[places] for places in plan_batches(self.sequences.lengths[chosen], self.config, generator)]

    def _curriculum(self, epoch: int) -> NDArray[np.int64]:
        """Return which sequences an epoch reads: while the curriculum lasts, a growing share from the shortest on."""
        growing, count = self.config.curriculum_epochs, len(self.sequences)
        if epoch >= growing:
            return np.arange(count)
        shortest_first = np.argsort(self.sequences.lengths, kind="stable")
        return shortest_first[: max(1, count * (epoch + 1) // (growing + 1))]

    def in_order(self) -> Plan:
        """Return a plan from short to long, always the same: for evaluation."""
        return plan_batches(self.sequences.lengths, self.config)

    def read(self, plan: Plan) -> Iterator[Batch]:
        """Make the batches of ``plan``."""
        for indices in plan:
            read, counts = self._read_of(indices)
            yield collate(self.sequences, read, self.config.length_multiple, counts)

    def _read_of(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Which of a batch's sequences are read, and for how many each stands."""
        if self.kinds is None:
            return indices, None
        _, firsts, counts = np.unique(self.kinds[indices], return_index=True, return_counts=True)
        return indices[firsts], counts

    def padding_share(self, plan: Plan) -> float:
        """Return how much of what is read of the batches of ``plan`` is padding, between 0 and 1."""
        lengths = self.sequences.lengths
        batches = [self._read_of(indices)[0] for indices in plan]
        cells = sum(len(i) * _rounded_up(int(lengths[i].max()), self.config.length_multiple) for i in batches)
        return 1 - sum(int(lengths[i].sum()) for i in batches) / cells


def plan_batches(lengths: NDArray[np.int64], config: BatchConfig, generator: np.random.Generator | None = None) -> Plan:
    """Group sequences of similar length; packed ones as they come.

    Parameters
    ----------
    lengths
        (n,), tokens in each sequence.
    config
        Budget, noise, rounding. A sequence longer than the whole budget gets a batch of its own.
    generator
        Blurs the lengths and shuffles the batches; None sorts by length exactly and keeps that order.
    """
    if generator is None:
        return _fill(np.argsort(lengths, kind="stable"), lengths, config)
    blur = 1 + config.length_noise * generator.uniform(-1, 1, len(lengths))
    order = generator.permutation(len(lengths))  # equals in length meet in a new order each time
    if config.packed:
        return _fill_packed(order, lengths, config)
    order = order[np.argsort((lengths * blur)[order], kind="stable")]
    plan = _fill(order, lengths, config)
    if config.shuffle:
        generator.shuffle(plan)
    return plan


def _fill(order: NDArray[np.int64], lengths: NDArray[np.int64], config: BatchConfig) -> Plan:
    """Cut ``order`` where the next sequence would break the budget."""
    cuts, first, widest = [], 0, 0
    for position, length in enumerate(lengths[order].tolist()):
        width = _rounded_up(length, config.length_multiple)
        width = min(width, config.bptt) if config.bptt else width
        widest_with = max(widest, width)
        rows = position - first + 1
        full = rows > config.batch_size if config.batch_size else rows * widest_with > config.tokens_per_batch
        if full and rows > 1:
            cuts.append(position)
            first, widest_with = position, width
        widest = widest_with
    return np.split(order, cuts)


def _fill_packed(order: NDArray[np.int64], lengths: NDArray[np.int64], config: BatchConfig) -> Plan:
    """Cut ``order`` where the budget of tokens (or of sequences) is reached; a packed batch has no padding."""
    spent = np.arange(len(order)) if config.batch_size else np.cumsum(lengths[order]) - 1
    batch = spent // (config.batch_size or config.tokens_per_batch)
    return np.split(order, np.flatnonzero(np.diff(batch)) + 1)


def collate(
    sequences: Sequences,
    indices: NDArray[np.int64],
    length_multiple: int = 1,
    counts: NDArray[np.int64] | None = None,
) -> Batch:
    """Make one padded batch of those sequences, its width a multiple of ``length_multiple``."""
    lengths = sequences.lengths[indices]
    width = _rounded_up(int(lengths.max()), length_multiple)
    labels = None if sequences.labels is None else torch.from_numpy(sequences.labels[indices])
    return Batch(
        torch.from_numpy(sequences.padded(indices, width, PAD)),
        torch.from_numpy(lengths),
        labels,
        torch.from_numpy(indices),
        None if counts is None else torch.from_numpy(counts),
    )


def shifted(token_ids: TokenIds, steps: int | None = None) -> Iterator[tuple[TokenIds, TokenIds]]:
    """Yield what a language model reads and, shifted left by one, what it is to predict.

    Parameters
    ----------
    token_ids
        (batch, time); nothing is predicted from the last.
    steps
        Time steps at a time; None yields all at once. Where nothing but padding is left, the rest is not yielded.
    """
    read, targets = token_ids[:, :-1], token_ids[:, 1:]
    if steps is None:
        yield read, targets
        return
    for piece in zip(torch.split(read, steps, dim=1), torch.split(targets, steps, dim=1), strict=True):
        if bool((piece[1] != PAD).any()):
            yield piece


def padding_mask(lengths: Lengths, width: int) -> PaddingMask:
    """Return (batch, width), True at padding."""
    return torch.arange(width, device=lengths.device) >= lengths[:, None]


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
