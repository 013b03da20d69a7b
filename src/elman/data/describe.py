"""Describe a data set: counts, lengths, classes, duplicates within and across splits, and films in several splits."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np

from elman.data.dataset import Dataset
from elman.data.films import shared_films
from elman.text.sequences import Sequences


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return counts of the tokenized texts, ready for JSON.

    The splits of published data are described as published: ``train`` includes ``val``. The strings of a formal
    language are drawn for each split, so there ``train`` and ``val`` are described separately.
    """
    splits = dict(dataset.splits)
    if "test" in splits:
        splits["train"] = splits["train"].joined(splits["val"])
    films = shared_films(dataset) if "test" in splits else None
    return {
        "name": dataset.name,
        "level": dataset.level,
        "source": dataset.source,
        "checksum": dataset.checksum,
        "vocab_size": len(dataset.vocab),
        "most_frequent": dataset.vocab.tokens[4:15],
        "splits": {name: _split(part, dataset) for name, part in splits.items()},
        **({"duplicates": _duplicates(dataset, splits["train"])} if "test" in splits else {}),
        **({"films": films} if films else {}),
    }


def _split(part: Sequences, dataset: Dataset) -> dict[str, Any]:
    lengths = part.lengths
    figures: dict[str, Any] = {
        "sequences": len(part),
        "tokens": part.total_tokens,
        "length_min": int(lengths.min()),
        "length_median": float(np.median(lengths)),
        "length_mean": float(lengths.mean()),
        "length_max": int(lengths.max()),
    }
    if part.labels is not None and part.labels.min() >= 0:
        counts = np.bincount(part.labels, minlength=len(dataset.class_names))
        figures["classes"] = dict(zip(dataset.class_names, counts.tolist(), strict=True))
    return figures


def _duplicates(dataset: Dataset, train: Sequences) -> dict[str, int]:
    """Count exact duplicates by a hash of their ids.

    Returns
    -------
    ``groups``
        Number of distinct texts that occur more than once in train and test together.
    ``within_train``, ``within_test``
        Number of texts that equal an earlier one of the same split.
    ``across_splits``
        Number of test texts that also occur in train.
    ``val_in_train``
        Number of validation texts that also occur in the rest of train.
    ``label_conflicts``
        Number of groups whose texts have different labels.
    """
    test, fit = dataset.splits["test"], set(_keys(dataset.splits["train"]))
    keys = {"train": _keys(train), "test": _keys(test)}
    labels: dict[bytes, list[int]] = {}
    for part, part_keys in ((train, keys["train"]), (test, keys["test"])):
        assert part.labels is not None  # train and test are labeled
        for key, label in zip(part_keys, part.labels.tolist(), strict=True):
            labels.setdefault(key, []).append(label)
    groups = [members for members in labels.values() if len(members) > 1]
    return {
        "groups": len(groups),
        "within_train": _repeated(keys["train"]),
        "within_test": _repeated(keys["test"]),
        "across_splits": _count_in(keys["test"], set(keys["train"])),
        "val_in_train": _count_in(_keys(dataset.splits["val"]), fit),
        "label_conflicts": sum(len(set(members)) > 1 for members in groups),
    }


def _keys(part: Sequences) -> list[bytes]:
    return [hashlib.blake2b(ids.tobytes(), digest_size=16).digest() for ids in part]


def _repeated(keys: list[bytes]) -> int:
    return len(keys) - len(Counter(keys))


def _count_in(keys: list[bytes], others: set[bytes]) -> int:
    return sum(key in others for key in keys)
