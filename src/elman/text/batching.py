"""Sequences to padded batches. Padding is made here and nowhere else.

Sequences of similar length share a batch, so that little of it is padding. The lengths are blurred before they are
sorted, and the batches are shuffled, both differently in each epoch, so that the gradient does not see the same
neighbors twice. (Sorted and unshuffled, a model would read all short texts first and forget them.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.config import BatchConfig, RunConfig
from elman.errors import DataError
from elman.seeding import numpy_generator
from elman.tensors import Counts, Features, Labels, Lengths, PaddingMask, TokenIds
from elman.text.sequences import Sequences
from elman.text.vocab import PAD

Plan = list[NDArray[np.int64]]
"""Which sequences each batch holds."""

BF16_ROWS = 8
"""With bf16 products torch's LSTM is slow if no block of about this many rows divides the batch: 83 sequences take
322 ms, 84 take 143."""


@dataclass(frozen=True)
class Batch:
    """Sequences as a rectangle.

    Attributes
    ----------
    token_ids
        (batch, time), ``.pad`` after each sequence's end.
    lengths
        (batch,), tokens before the padding.
    labels
        (batch,), or None if the data has none.
    indices
        (batch,), the index of each sequence in the data; on the CPU.
    tokens
        Tokens of all sequences, without padding; shared ones as often as they occur.
    counts
        (batch,), how many sequences of the batch each row represents, if equal ones share a row; else None.
    """

    token_ids: TokenIds
    lengths: Lengths
    labels: Labels | None
    indices: Tensor
    tokens: int
    counts: Counts | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on ``device``."""
        labels, counts = (None if part is None else part.to(device) for part in (self.labels, self.counts))
        return Batch(self.token_ids.to(device), self.lengths.to(device), labels, self.indices, self.tokens, counts)


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
        Let equal sequences of a batch share a row. A batch of a formal language has many, and a model computes the same
        for all of them, unless dropout is drawn for each.
    row_multiple
        Cut batches to a multiple of this many sequences where they have more.

    Raises
    ------
    DataError
        There is no sequence, or an empty one.
    """

    def __init__(
        self, sequences: Sequences, config: BatchConfig, seed: int, *, share: bool = False, row_multiple: int = 1
    ) -> None:
        if len(sequences) == 0 or int(sequences.lengths.min()) == 0:
            raise DataError("There is nothing to read: no text, or an empty one.", "Leave empty texts out.")
        self.sequences = sequences
        self.config = config
        self.seed = seed
        self.row_multiple = row_multiple
        self.kinds = sequences.distinct()[1] if share else None

    @classmethod
    def of(cls, config: RunConfig, sequences: Sequences, *, share: bool = False) -> "Batches":
        """Return the batches that a run makes of sequences."""
        blocks = config.model.layer == "lstm" and config.loop.precision == "bf16" and config.batches.batch_size is None
        rows = BF16_ROWS if blocks else 1
        return cls(sequences, config.batches, config.loop.seed, share=share, row_multiple=rows)

    def epoch(self, epoch: int) -> Plan:
        """Return the shuffled plan of one epoch."""
        chosen = self._curriculum(epoch)
        generator = numpy_generator(self.seed, "batches of epoch", epoch)
        plan = plan_batches(self.sequences.lengths[chosen], self.config, generator, self.row_multiple)
        return [chosen[rows] for rows in plan]

    def _curriculum(self, epoch: int) -> NDArray[np.int64]:
        """Return the sequences that an epoch reads: during the curriculum a growing share, the shortest first."""
        growing, count = self.config.curriculum_epochs, len(self.sequences)
        if epoch >= growing:
            return np.arange(count)
        shortest_first = np.argsort(self.sequences.lengths, kind="stable")
        return shortest_first[: max(1, count * (epoch + 1) // (growing + 1))]

    def in_order(self) -> Plan:
        """Return a plan from short to long, always the same: for evaluation."""
        return plan_batches(self.sequences.lengths, self.config, row_multiple=self.row_multiple)

    def read(self, plan: Plan) -> Iterator[Batch]:
        """Make the batches of ``plan``."""
        for indices in plan:
            rows, counts = self._rows_of(indices)
            yield collate(self.sequences, rows, self.config.length_multiple, counts)

    def _rows_of(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the sequences that get a row, and how many each represents."""
        if self.kinds is None:
            return indices, None
        _, firsts, counts = np.unique(self.kinds[indices], return_index=True, return_counts=True)
        return indices[firsts], counts

    def padding_share(self, plan: Plan) -> float:
        """Return the share of padding in the batches of ``plan``, between 0 and 1."""
        lengths = self.sequences.lengths
        batches = [self._rows_of(indices)[0] for indices in plan]
        cells = sum(len(i) * _rounded_up(int(lengths[i].max()), self.config.length_multiple) for i in batches)
        return 1 - sum(int(lengths[i].sum()) for i in batches) / cells


def plan_batches(
    lengths: NDArray[np.int64],
    config: BatchConfig,
    generator: np.random.Generator | None = None,
    row_multiple: int = 1,
) -> Plan:
    """Group sequences of similar length; in any order if the model skips the padding (``config.packed``).

    Parameters
    ----------
    lengths
        (n,), tokens in each sequence.
    config
        Budget, noise, rounding. A sequence longer than the whole budget gets a batch of its own.
    generator
        Blurs the lengths and shuffles the batches; None sorts by length exactly and keeps that order.
    row_multiple
        As for :class:`Batches`.
    """
    if generator is None:
        return _fill(np.argsort(lengths, kind="stable"), lengths, config, row_multiple)
    blur = 1 + config.length_noise * generator.uniform(-1, 1, len(lengths))
    order = generator.permutation(len(lengths))  # sequences of equal length meet in a new order each time
    if config.packed:
        return _fill_packed(order, lengths, config)
    order = order[np.argsort((lengths * blur)[order], kind="stable")]
    plan = _fill(order, lengths, config, row_multiple)
    if config.shuffle:
        generator.shuffle(plan)
    return plan


def _fill(order: NDArray[np.int64], lengths: NDArray[np.int64], config: BatchConfig, row_multiple: int) -> Plan:
    """Cut ``order`` before the sequence that would exceed the budget, or earlier at a multiple of rows."""
    widths = -(-lengths[order] // config.length_multiple) * config.length_multiple
    widths = np.minimum(widths, config.bptt) if config.bptt else widths  # the budget is that of one piece
    cuts, first, widest = [], 0, 0
    for position, width in enumerate(widths.tolist()):
        rows, widest_with = position - first + 1, max(widest, width)
        full = rows > config.batch_size if config.batch_size else rows * widest_with > config.tokens_per_batch
        if full and rows > 1:
            cut = first + ((rows - 1) // row_multiple * row_multiple or rows - 1)
            widest_with = int(widths[cut : position + 1].max())
            if (position + 1 - cut) * widest_with > config.tokens_per_batch:  # what is carried over is too much
                cut, widest_with = position, width
            cuts.append(cut)
            first = cut
        widest = widest_with
    return np.split(order, cuts)


def _fill_packed(order: NDArray[np.int64], lengths: NDArray[np.int64], config: BatchConfig) -> Plan:
    """Cut ``order`` where the budget is reached; the model skips the padding, so lengths need not be similar."""
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
    return Batch(
        torch.from_numpy(sequences.padded(indices, width, PAD)),
        torch.from_numpy(lengths),
        None if sequences.labels is None else torch.from_numpy(sequences.labels[indices]),
        torch.from_numpy(indices),
        int((lengths if counts is None else lengths * counts).sum()),
        None if counts is None else torch.from_numpy(counts),
    )


def shifted(token_ids: TokenIds, steps: int | None = None) -> Iterator[tuple[TokenIds, TokenIds]]:
    """Yield what a language model reads and, shifted left by one, what it is to predict.

    Parameters
    ----------
    token_ids
        (batch, time); nothing is predicted from the last.
    steps
        Time steps per piece; None yields all at once. Pieces that hold nothing but padding are left out.
    """
    inputs, targets = token_ids[:, :-1], token_ids[:, 1:]
    if steps is None:
        yield inputs, targets
        return
    for piece in zip(torch.split(inputs, steps, dim=1), torch.split(targets, steps, dim=1), strict=True):
        if bool((piece[1] != PAD).any()):
            yield piece


def padding_mask(lengths: Lengths, width: int) -> PaddingMask:
    """Return (batch, width), True at padding."""
    return torch.arange(width, device=lengths.device) >= lengths[:, None]


def reverse(x: Features, lengths: Lengths) -> Features:
    """Return (batch, time, features) with each sequence reversed within its length; the padding stays at the end."""
    time = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - time
    return x.gather(1, torch.where(mirrored >= 0, mirrored, time)[:, :, None].expand_as(x))


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
