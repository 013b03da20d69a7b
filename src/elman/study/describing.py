"""Steps on the data alone: what it contains, and how much padding its lengths cost."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elman.data.describe import describe
from elman.languages.facts import facts
from elman.seeding import numpy_generator
from elman.study.work import Figures, NoOptions, Work, check_not_empty, identity
from elman.text.batching import Batches, Plan

QUANTILES = 50
"""The number of quantiles that describe the distribution of the lengths."""


@dataclass(frozen=True, kw_only=True)
class PaddingOptions:
    """Which batches are measured."""

    batch_sizes: list[int] = field(default_factory=lambda: [1, 4, 16, 64, 256])
    """Sequences in a batch."""
    seed: int = 0
    """Seeds the random batches, and the noise with which lengths are sorted."""

    def __post_init__(self) -> None:
        check_not_empty("batch_sizes", self.batch_sizes)


def describe_data(work: Work[NoOptions]) -> Figures:
    """Return the counts of the data, and for a formal language its entropy and other facts."""
    dataset = work.dataset()
    lengths = {name: _quantiles(part.lengths) for name, part in dataset.splits.items()}
    source = Path(dataset.source).name  # results are published, so they hold no path of this machine
    described: Figures = {**describe(dataset), "source": source, "length_quantiles": lengths}
    if dataset.language is not None:
        described["language"] = facts(dataset.language)
        train = Counter(ids.tobytes() for ids in dataset.split("train"))
        described["distinct"] = len(train)
        described["most_frequent_share"] = train.most_common(1)[0][1] / train.total()
        val = dataset.split("val")
        described["val_in_train_share"] = sum(ids.tobytes() in train for ids in val) / len(val)
    return described


def _quantiles(lengths: NDArray[np.int64]) -> list[int]:
    return [int(length) for length in np.quantile(lengths, np.linspace(0, 1, QUANTILES + 1), method="nearest")]


def measure_padding(work: Work[PaddingOptions]) -> Figures:
    """Measure the share of padding by batch size, for random batches and for batches sorted by length."""
    sequences, seed = work.dataset().split("train"), work.options.seed
    rows = []
    for size in work.options.batch_sizes:
        batches = Batches(sequences, replace(work.config.batches, batch_size=size), seed)
        random = _random_batches(len(sequences), size, seed)
        rows.append(
            {
                "batch_size": size,
                "random": batches.padding_share(random),
                "sorted": batches.padding_share(batches.epoch(0)),
                "mean_longest": float(np.mean([sequences.lengths[indices].max() for indices in random])),
            }
        )
    return {
        "data": identity(work.dataset()),
        "sequences": len(sequences),
        "mean_length": float(sequences.lengths.mean()),
        "length_multiple": work.config.batches.length_multiple,
        "length_noise": work.config.batches.length_noise,
        "rows": rows,
    }


def _random_batches(count: int, size: int, seed: int) -> Plan:
    """Return batches of randomly ordered sequences, whatever their lengths."""
    order = numpy_generator(seed, "padding by batch size").permutation(count)
    return np.split(order, range(size, count, size))
