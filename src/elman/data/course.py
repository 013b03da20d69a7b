"""Provide the course's ``load_*`` functions and ``sample``, with its signatures and plain Python results.

The originals are in the assignment scripts of Deep Learning, Vrije Universiteit Amsterdam (P. Bloem). The differences:

- IMDb is prepared from the published archive; no pickle is needed.
- The strings of the languages depend on ``seed``; the scripts always use seed 0.
- Ids are ordered by frequency, then alphabetically, so they are the same in every process.
- "Short to long" counts tokens; the scripts count characters even for words.
- ``load_imdb_synth`` draws from other lists of adjectives, nouns and verbs.
"""

import math
import random
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from elman.data.imdb import checksum_of, prepared_level, validation_places
from elman.data.ledger import record_opening
from elman.data.synthetic import ADJECTIVES, NOUNS, VERBS, draw_review
from elman.errors import ConfigError
from elman.languages import language
from elman.text.sequences import Sequences
from elman.text.vocab import SPECIALS, Vocab

if TYPE_CHECKING:
    import torch

__all__ = [
    "END",
    "PAD",
    "START",
    "UNK",
    "load_brackets",
    "load_imdb",
    "load_imdb_synth",
    "load_ndfa",
    "load_toy",
    "load_xor",
    "sample",
]

PAD, START, END, UNK = SPECIALS
"""The special tokens as strings; their ids are ``w2i[PAD]`` and so on, 0 to 3."""

LANGUAGE_NAMES = {"lang": "toy", "dyck": "brackets", "ndfa": "ndfa"}
"""The course's name of each language, and ours."""

Dictionaries = tuple[list[str], dict[str, int]]
Labeled = tuple[list[list[int]], list[int]]
LabeledSplits = tuple[Labeled, Labeled, Dictionaries, int]
Strings = tuple[list[list[int]], Dictionaries]


def load_imdb(
    final: bool = False, val: int = 5000, seed: int = 0, voc: int | None = None, char: bool = False
) -> LabeledSplits:
    """Load the IMDb reviews.

    >>> (x_train, y_train), (x_val, y_val), (i2w, w2i), numcls = load_imdb()  # doctest: +SKIP
    >>> len(x_train), len(x_val), len(i2w), numcls  # doctest: +SKIP
    (20000, 5000, 99430, 2)

    Parameters
    ----------
    final
        Return all training reviews and the test reviews, instead of a training and a validation part. The ledger
        records each such call, and from the second call on a warning is issued.
    val
        Number of training reviews to hold out for validation.
    seed
        Seed of the generator that selects them, with ``random.sample``.
    voc
        Keep the ``voc`` most frequent tokens, special tokens included; all others become ``.unk``.
    char
        Make each character a token, instead of each word.

    Returns
    -------
    (x_train, y_train), (x_val, y_val), (i2w, w2i), 2
        Lists of ids, short to long, and their labels, 0 (positive) or 1 (negative); the list of tokens and the id of
        each token; the number of classes.

    Raises
    ------
    DataError
        IMDb cannot be found, or it has no more than ``val`` training reviews.
    ConfigError
        ``voc`` leaves no room for a word.
    """
    directory = prepared_level(None, "char" if char else "word")
    vocab = Vocab.load(directory / "vocab.json").truncated(voc)
    train, test = (Sequences.load(directory / part).with_vocab_size(len(vocab)) for part in ("train", "test"))
    dictionaries = vocab.tokens, vocab.ids
    if final:
        record_opening("imdb", checksum_of(directory), "load_imdb(final=True)", "")
        return _to_lists(train), _to_lists(test), dictionaries, 2
    held_out = validation_places(len(train), val, seed)
    fit, validation = (train.select(np.flatnonzero(part)) for part in (~held_out, held_out))
    return _to_lists(fit), _to_lists(validation), dictionaries, 2


def _to_lists(reviews: Sequences) -> Labeled:
    assert reviews.labels is not None  # train and test are labeled
    return [ids.tolist() for ids in reviews], reviews.labels.tolist()


def load_imdb_synth(ntrain: int = 25_000, ntest: int = 25_000, seed: int = 0) -> LabeledSplits:
    """Generate reviews of six words: ``this ADJECTIVE NOUN VERB (not|very) (great|terrible)``.

    The label is 1 for *very great* and *not terrible*, and 0 for *not great* and *very terrible*, as in the course (in
    :func:`load_imdb`, 0 is positive). No sum of word scores can predict it.

    >>> (x_train, y_train), (x_test, y_test), (i2w, w2i), numcls = load_imdb_synth(ntrain=2, ntest=1)
    >>> " ".join(i2w[i] for i in x_train[0]), y_train[0]
    ('this odd episode was very terrible', 0)

    Parameters
    ----------
    ntrain, ntest
        Number of training and of test reviews.
    seed
        Seed of the generator.

    Returns
    -------
    (x_train, y_train), (x_test, y_test), (i2w, w2i), 2
        As in :func:`load_imdb`, but in the order drawn.

    Raises
    ------
    ConfigError
        A number of reviews is negative.
    """
    rng = random.Random(seed)
    reviews = [draw_review("synth-reviews", rng, sentences=1, noise=0.0) for _ in _draws(ntrain, ntest)]
    tokens = ["this", "not", "very", "great", "terrible", *VERBS, *ADJECTIVES, *NOUNS]
    return _split([(words, 1 - label) for words, label in reviews], ntrain, tokens)


def load_xor(ntrain: int = 25_000, ntest: int = 25_000, seed: int = 0) -> LabeledSplits:
    """Generate pairs of ``true`` and ``false``. The label is 1 where both are equal, and 0 where they differ.

    >>> (x_train, y_train), (x_test, y_test), (i2w, w2i), numcls = load_xor(ntrain=3, ntest=1)
    >>> [([i2w[i] for i in ids], label) for ids, label in zip(x_train, y_train)]
    [(['false', 'false'], 1), (['true', 'false'], 0), (['false', 'false'], 1)]

    Parameters
    ----------
    ntrain, ntest
        Number of training and of test pairs.
    seed
        Seed of the generator. Each seed gives the pairs of the course's script.

    Returns
    -------
    (x_train, y_train), (x_test, y_test), (i2w, w2i), 2
        As in :func:`load_imdb`, but in the order drawn.

    Raises
    ------
    ConfigError
        A number of pairs is negative.
    """
    rng = random.Random(seed)
    pairs = [[rng.choice(("true", "false")) for _ in range(2)] for _ in _draws(ntrain, ntest)]
    return _split([(pair, int(pair[0] == pair[1])) for pair in pairs], ntrain, ["true", "false"])


def _draws(*counts: int) -> range:
    for count in counts:
        if count < 0:
            raise ConfigError(f"{count} texts cannot be generated.", "Pass 0 or more.")
    return range(sum(counts))


def _split(texts: list[tuple[list[str], int]], ntrain: int, tokens: list[str]) -> LabeledSplits:
    vocab = Vocab([*SPECIALS, *tokens])
    x, y = [vocab.encode(words) for words, _ in texts], [label for _, label in texts]
    return (x[:ntrain], y[:ntrain]), (x[ntrain:], y[ntrain:]), (vocab.tokens, vocab.ids), 2


def load_ndfa(n: int = 50_000, seed: int = 0, *, char: bool = True) -> Strings:
    """Generate ``n`` strings of ``ndfa``: an s, one of abc!, uvw! and klm! any number of times, an s.

    >>> x, (i2w, w2i) = load_ndfa(n=1000)
    >>> "".join(i2w[i] for i in x[0]), "".join(i2w[i] for i in x[500])
    ('ss', 'sklm!klm!s')

    Parameters
    ----------
    n
        Number of strings.
    seed
        Seed of the generator.
    char
        Make each character a token; otherwise each part between spaces, which for this language is the whole string.

    Returns
    -------
    x, (i2w, w2i)
        Lists of ids, short to long (strings of equal length in the order drawn); the list of tokens and the id of each
        token. The ids 0 to 3 belong to the special tokens, which occur in no string.

    Raises
    ------
    ConfigError
        ``n`` is negative.
    """
    return load_toy(n, char, seed, "ndfa")


def load_brackets(n: int = 50_000, seed: int = 0, *, char: bool = True) -> Strings:
    """Generate ``n`` strings of ``brackets``; parameters, result and errors are as for :func:`load_ndfa`.

    >>> x, (i2w, w2i) = load_brackets(n=1000)
    >>> "".join(i2w[i] for i in x[0]), "".join(i2w[i] for i in x[600])
    ('()', '(())')
    """
    return load_toy(n, char, seed, "dyck")


def load_toy(n: int = 50_000, char: bool = True, seed: int = 0, name: str = "lang") -> Strings:
    """Generate ``n`` strings of a language of the course; result and errors are as for :func:`load_ndfa`.

    >>> x, (i2w, w2i) = load_toy(n=1000, char=False)
    >>> " ".join(i2w[i] for i in x[0])
    'a man ran'

    Parameters
    ----------
    n
        Number of strings.
    char
        Make each character a token, instead of each part between spaces.
    seed
        Seed of the generator.
    name
        ``lang`` for sentences of the toy grammar (version 1), ``dyck`` for brackets, or ``ndfa``.

    Raises
    ------
    ConfigError
        ``name`` is not one of these.
    """
    if name not in LANGUAGE_NAMES:
        raise ConfigError(f"The course has no language {name!r}.", f"Pass one of: {', '.join(LANGUAGE_NAMES)}.")
    strings = [list(string) if char else string.split() for string in course_strings(LANGUAGE_NAMES[name], n, seed)]
    strings.sort(key=len)
    vocab = Vocab.from_counts(Counter(chain.from_iterable(strings)))
    return [vocab.encode(string) for string in strings], (vocab.tokens, vocab.ids)


def course_strings(name: str, n: int, seed: int) -> list[str]:
    """Return the course's ``n`` strings of one of our languages, sorted by length in characters (a stable sort)."""
    return sorted(map(str, language(name).sample(len(_draws(n)), random.Random(seed))), key=len)


def sample(
    lnprobs: "torch.Tensor", temperature: float = 1.0, generator: "torch.Generator | None" = None
) -> "torch.Tensor":
    """Draw the index of a token from log-probabilities.

    >>> import torch
    >>> sample(torch.tensor([0.1, 0.7, 0.2]).log(), temperature=0.0)
    tensor(1)

    Parameters
    ----------
    lnprobs
        (tokens,), log-probabilities in nats, or logits.
    temperature
        With 1, the distribution itself; with 0, always the most probable token; with T, probabilities proportional to
        p^(1/T).
    generator
        Source of random numbers; None uses torch's global generator, as the course does.

    Returns
    -------
    (), the index.

    Raises
    ------
    ConfigError
        The temperature is negative, infinite or not a number.
    """
    import torch

    if not 0 <= temperature < math.inf:
        raise ConfigError(f"The temperature cannot be {temperature}.", "Pass a number of 0 or more.")
    if temperature == 0:
        return lnprobs.argmax()
    smallest = torch.finfo(torch.float32).tiny  # float32, because Mac GPUs have no float64
    temperature = min(max(temperature, smallest), 1 / smallest)
    probs = torch.softmax((lnprobs.float() - lnprobs.max()) / temperature, dim=0)
    return torch.multinomial(probs, 1, generator=generator).squeeze(0)
