"""Count the texts about films that are also in training, where a model can profit from remembering the film."""

from typing import Any

import numpy as np

from elman.config import SplitName
from elman.data.dataset import Dataset


def shared_films(dataset: Dataset) -> dict[str, Any] | None:
    """Count the validation and test texts about a film that is also in training.

    Returns
    -------
    ``val``, ``test``
        The number of such ``texts`` and their ``share`` of the split.
    ``val_by_film``
        The expected accuracy on validation of a baseline that sees only the film and predicts the most frequent class
        of the training texts about it. It guesses among equally frequent classes, and where the film is not in
        training.

    None, if the film of some text is unknown.
    """
    if dataset.texts is None:
        return None
    splits: tuple[SplitName, ...] = ("train", "val", "test")
    train, val, test = (dataset.texts.films(split) for split in splits)
    if min(map(np.min, (train, val, test))) < 0:
        return None
    figures: dict[str, Any] = {}
    for split, films in (("val", val), ("test", test)):
        shared = np.isin(films, train)
        figures[split] = {"texts": int(shared.sum()), "share": float(shared.mean())}
    labels, val_labels = dataset.splits["train"].labels, dataset.splits["val"].labels
    assert labels is not None  # texts with films are reviews, and these are labeled
    assert val_labels is not None
    counts = np.zeros((max(train.max(), val.max()) + 1, len(dataset.class_names)), np.int64)
    np.add.at(counts, (train, labels), 1)
    predicted = counts[val] == counts[val].max(axis=1, keepdims=True)  # (val, classes), several True in a row if equal
    figures["val_by_film"] = float((predicted[np.arange(len(val)), val_labels] / predicted.sum(axis=1)).mean())
    return figures
