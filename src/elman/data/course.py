"""The course's ``load_*`` functions: the same signatures, the same plain lists back.

From the assignment scripts of Deep Learning, Vrije Universiteit Amsterdam (P. Bloem). What differs, and why: the
reviews come from the published archive, so no pickle has to be trusted; and the ids are ordered by frequency, then by
the alphabet.
"""

import numpy as np

from elman.data.imdb import prepared_level, validation_places
from elman.sequences import Sequences
from elman.vocab import Vocab

Reviews = tuple[list[list[int]], list[int]]


def load_imdb(
    final: bool = False, val: int = 5000, seed: int = 0, voc: int | None = None, char: bool = False
) -> tuple[Reviews, Reviews, tuple[list[str], dict[str, int]], int]:
    """Load IMDb as the course does.

    Parameters
    ----------
    final
        Return all training reviews and the test reviews, instead of a training and a validation part.
    val
        How many training reviews to hold out for validation.
    seed
        Which ones: ``random.seed(seed)``, then ``random.sample``.
    voc
        Keep this many ids, the most frequent (specials included); the others become ``.unk``.
    char
        One id a character instead of one a word.

    Returns
    -------
    ``(x_train, y_train), (x_val, y_val), (i2w, w2i), 2``: sequences as lists of ids, short to long; labels 0
    (positive) and 1 (negative); the tokens by id, and the id of each token.

    Raises
    ------
    DataError
        IMDb cannot be found, or has not ``val`` reviews to hold out.
    ConfigError
        ``voc`` leaves no room for a word.
    """
    directory = prepared_level(None, "char" if char else "word")
    vocab = Vocab.load(directory / "vocab.json").truncated(voc)
    train, test = (Sequences.load(directory / part).with_vocab_size(len(vocab)) for part in ("train", "test"))
    if final:
        return _plain(train), _plain(test), (vocab.tokens, vocab.ids), 2
    held_out = validation_places(len(train), val, seed)
    fitted, validation = (train.select(np.flatnonzero(part)) for part in (~held_out, held_out))
    return _plain(fitted), _plain(validation), (vocab.tokens, vocab.ids), 2


def _plain(reviews: Sequences) -> Reviews:
    assert reviews.labels is not None  # train and test are labelled
    return [ids.tolist() for ids in reviews], reviews.labels.tolist()
