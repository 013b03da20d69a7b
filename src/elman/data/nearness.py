"""How near to the training texts others are: how many share words with one of them that hardly another text has.

Names, mostly. Two reviews of one film share its actors and characters, and what a model remembers of the one helps it
with the other. Texts to validate on that were drawn from those of training may be nearer to them than others are.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from elman.data.dataset import Dataset
from elman.sequences import Sequences
from elman.statistics import wilson
from elman.vocab import SPECIALS, UNKNOWN

RARE = 20
"""A word is rare that occurs in so many training texts at most."""

SHARED = 3
"""Texts are near to each other that share so many rare words."""


def nearness(dataset: Dataset) -> dict[str, Any] | None:
    """Return which share of the texts of validation, and of the test, is near to a text that is trained on.

    Returns
    -------
    ``rare``, ``shared``: what near means; ``val``, ``test``: ``share`` with the ends ``low`` and ``high`` of its 95%
    interval (Wilson's). None where the rare words were cut off the vocabulary.
    """
    size = len(dataset.vocab)
    train = _occurrences(dataset.splits["train"], size)
    texts_with = train.sum(axis=0)
    if texts_with[UNKNOWN]:
        return None
    rare = np.flatnonzero((texts_with > 0) & (texts_with <= RARE))
    rare = rare[rare >= len(SPECIALS)]
    by_word = train[:, rare].T.tocsr()
    found: dict[str, Any] = {"rare": RARE, "shared": SHARED}
    for split in ("val", "test"):
        shared = _occurrences(dataset.splits[split], size)[:, rare] @ by_word
        near = wilson(int((shared.max(axis=1).toarray() >= SHARED).sum()), shared.shape[0])
        found[split] = {"share": near.value, "low": near.low, "high": near.high}
    return found


def _occurrences(texts: Sequences, vocab_size: int) -> csr_array:
    """Return (texts, vocab): 1 where the word occurs in the text."""
    places = np.repeat(np.arange(len(texts)), texts.lengths) * vocab_size + np.concatenate(list(texts))
    rows, words = np.divmod(np.unique(places), vocab_size)
    return csr_array((np.ones(len(rows), np.int32), (rows, words)), shape=(len(texts), vocab_size))
