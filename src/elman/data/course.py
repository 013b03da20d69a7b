"""The course's ``load_*`` functions and its ``sample``: the same signatures, the same plain lists back.

From the assignment scripts of Deep Learning, Vrije Universiteit Amsterdam (P. Bloem). What differs, and why: the
reviews come from the published archive, so no pickle has to be trusted; the languages honour the seed; ids are ordered
by frequency, then by the alphabet, and so are the same in every process; and "short to long" counts tokens.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from elman.data.imdb import checksum_of, prepared_level, validation_places
from elman.data.ledger import record_opening
from elman.errors import ConfigError
from elman.languages import language
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab

if TYPE_CHECKING:
    import torch

Reviews = tuple[list[list[int]], list[int]]
Loaded = tuple[list[list[int]], tuple[list[str], dict[str, int]]]


def load_imdb(
    final: bool = False, val: int = 5000, seed: int = 0, voc: int | None = None, char: bool = False
) -> tuple[Reviews, Reviews, tuple[list[str], dict[str, int]], int]:
    """Load IMDb as the course does.

    Parameters
    ----------
    final
        Return all training reviews and the test reviews, instead of a training and a validation part. The ledger
        records it, and warns from the second time on.
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
        record_opening("imdb", checksum_of(directory), "load_imdb(final=True)", "")
        return _plain(train), _plain(test), (vocab.tokens, vocab.ids), 2
    held_out = validation_places(len(train), val, seed)
    fitted, validation = (train.select(np.flatnonzero(part)) for part in (~held_out, held_out))
    return _plain(fitted), _plain(validation), (vocab.tokens, vocab.ids), 2


def _plain(reviews: Sequences) -> Reviews:
    assert reviews.labels is not None  # train and test are labelled
    return [ids.tolist() for ids in reviews], reviews.labels.tolist()


def load_ndfa(n: int = 50_000, char: bool = True, seed: int = 0) -> Loaded:
    """Return ``n`` strings of ``ndfa``: s, one of abc!, uvw!, klm! repeated, s (`elman.languages.regular.Ndfa`).

    Parameters
    ----------
    n, seed
        How many strings, and of which seed.
    char
        Whether a token is a character; else it is what stands between blanks, here the whole string.

    Returns
    -------
    x, (i2w, w2i)
        A list of lists of ids, short to long (strings of one length in the order drawn); the token of each id, and
        the id of each token. ``.pad`` 0, ``.start`` 1, ``.end`` 2 and ``.unk`` 3 come first; no string holds them.
    """
    return _load("ndfa", n, char, seed)


def load_brackets(n: int = 50_000, char: bool = True, seed: int = 0) -> Loaded:
    """Return ``n`` strings of ``brackets`` (`elman.languages.brackets.Brackets`), otherwise as `load_ndfa`."""
    return _load("brackets", n, char, seed)


def load_toy(n: int = 50_000, char: bool = True, seed: int = 0) -> Loaded:
    """Return ``n`` sentences of ``toy``, version 1 (`elman.languages.toy`), otherwise as `load_ndfa`."""
    return _load("toy", n, char, seed)


def course_strings(name: str, n: int, seed: int) -> list[str]:
    """Return the course's ``n`` strings of a language, sorted by their length in characters, equal ones as drawn."""
    if n < 0:
        raise ConfigError(f"There are no {n} strings.", "Ask for 0 or more.")
    return sorted(map(str, language(name).sample(n, random.Random(seed))), key=len)


def _load(name: str, n: int, char: bool, seed: int) -> Loaded:
    split: Callable[[str], Sequence[str]] = (lambda string: string) if char else str.split
    strings = [split(string) for string in course_strings(name, n, seed)]
    strings.sort(key=len)
    vocab = Vocab.from_counts(Counter(chain.from_iterable(strings)))
    return [vocab.encode(string) for string in strings], (vocab.tokens, vocab.ids)


def sample(
    lnprobs: "torch.Tensor", temperature: float = 1.0, generator: "torch.Generator | None" = None
) -> "torch.Tensor":
    """Draw one outcome, as the course does between two steps of a language model.

    Parameters
    ----------
    lnprobs
        (outcomes,): log-probabilities, or any scores that differ from them by a constant.
    temperature
        1 draws from the distribution itself, 0 returns the most probable outcome; between, p^(1 / temperature).
    generator
        Where to draw from; torch's own generator where None, as in the course.

    Returns
    -------
    The outcome's index, a tensor of no dimensions.
    """
    import torch

    if not 0 <= temperature < math.inf:
        raise ConfigError(f"The temperature cannot be {temperature}.", "Give 0 or more.")
    if temperature == 0:
        return lnprobs.argmax()
    probs = torch.softmax((lnprobs.double() - lnprobs.max()) / temperature, dim=0).to(lnprobs.dtype)
    return torch.multinomial(probs, 1, generator=generator).squeeze(0)
