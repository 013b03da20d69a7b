"""What a data set holds: counts, lengths, classes, duplicates within and across splits, films that these share."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np

from elman.data.dataset import Dataset
from elman.data.films import shared_films
from elman.text.sequences import Sequences


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return counts that a program can read; the command's ``--json`` prints them.

    The splits are described as they are published: ``train`` holds what is held out for validation too, and ``val`` is
    a part of it (a language's strings are drawn for each split, so there they are apart, and repeat by chance). Every
    count is of the texts as they are tokenised.
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
    described: dict[str, Any] = {
        "sequences": len(part),
        "tokens": part.total_tokens,
        "length_min": int(lengths.min()),
        "length_median": float(np.median(lengths)),
        "length_mean": float(lengths.mean()),
        "length_max": int(lengths.max()),
    }
    if part.labels is not None and part.labels.min() >= 0:
        counts = np.bincount(part.labels, minlength=len(dataset.class_names))
        described["classes"] = dict(zip(dataset.class_names, counts.tolist(), strict=True))
    return described


def _duplicates(dataset: Dataset, train: Sequences) -> dict[str, int]:
    """Count exact duplicates by a hash of the ids.

    ``groups``: how many texts stand more than once in train and test together; ``across_splits``: how many test
    texts stand in train too; ``val_in_train``: how many validation texts stand in what is left of train without them;
    ``label_conflicts``: groups whose members do not share their label.
    """
    test, fitted = dataset.splits["test"], {_key(ids) for ids in dataset.splits["train"]}
    labels: dict[bytes, list[int]] = {}
    keys = {name: [_key(ids) for ids in part] for name, part in (("train", train), ("test", test))}
    for part, own in ((train, keys["train"]), (test, keys["test"])):
        assert part.labels is not None  # train and test are labelled
        for key, label in zip(own, part.labels.tolist(), strict=True):
            labels.setdefault(key, []).append(label)
    trained_on = set(keys["train"])
    groups = [members for members in labels.values() if len(members) > 1]
    return {
        "groups": len(groups),
        "within_train": _repeated(keys["train"]),
        "within_test": _repeated(keys["test"]),
        "across_splits": sum(key in trained_on for key in keys["test"]),
        "val_in_train": sum(_key(ids) in fitted for ids in dataset.splits["val"]),
        "label_conflicts": sum(len(set(members)) > 1 for members in groups),
    }


def _key(ids: Any) -> bytes:
    return hashlib.blake2b(ids.tobytes(), digest_size=16).digest()


def _repeated(keys: list[bytes]) -> int:
    """How many are copies of an earlier one."""
    return len(keys) - len(Counter(keys))
