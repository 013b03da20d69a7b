"""Which texts tell of a film that training tells of too: what a model remembers of the one helps it with the other."""

from typing import Any

import numpy as np

from elman.config import SplitName
from elman.data.dataset import Dataset


def shared_films(dataset: Dataset) -> dict[str, Any] | None:
    """Return how many texts of validation, and of the test, tell of a film that is trained on.

    Returns
    -------
    ``val``, ``test``: ``texts`` and their ``share``. ``val_by_film``: the share of validation texts whose class one
    knows from the film alone, by saying of each what most training texts on its film say; a text of whose film nothing
    is known, or as much of one class as of the other, counts as a guess. None where the source does not say which
    films.
    """
    if dataset.texts is None:
        return None
    splits: tuple[SplitName, ...] = ("train", "val", "test")
    train, val, test = (dataset.texts.films(split) for split in splits)
    if min(map(np.min, (train, val, test))) < 0:
        return None
    found: dict[str, Any] = {}
    for split, films in (("val", val), ("test", test)):
        shared = np.isin(films, train)
        found[split] = {"texts": int(shared.sum()), "share": float(shared.mean())}
    labels, val_labels = dataset.splits["train"].labels, dataset.splits["val"].labels
    assert labels is not None  # both are labelled
    assert val_labels is not None
    counts = np.zeros((max(train.max(), val.max()) + 1, len(dataset.class_names)), np.int64)
    np.add.at(counts, (train, labels), 1)
    said = counts[val] == counts[val].max(axis=1, keepdims=True)  # several where no class is the commonest
    found["val_by_film"] = float((said[np.arange(len(val)), val_labels] / said.sum(axis=1)).mean())
    return found
