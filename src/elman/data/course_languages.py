"""The course's synthetic languages, by its own names, arguments and return values.

The strings are the course's, draw by draw. Three faults of its script are not repeated: the seed is honoured; ids
follow frequency, then the alphabet, and so are the same in every process; and "short to long" counts tokens, words
where the tokens are words. Everything returned is plain Python. What it leaves out: what the course loads from
archives.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from elman.errors import ConfigError
from elman.languages import language
from elman.languages.base import SPECIALS

if TYPE_CHECKING:
    import torch

Loaded = tuple[list[list[int]], tuple[list[str], dict[str, int]]]


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
    counts = Counter(chain.from_iterable(strings))
    i2w = [*SPECIALS, *sorted(counts, key=lambda token: (-counts[token], token))]
    w2i = {token: i for i, token in enumerate(i2w)}
    return [list(map(w2i.__getitem__, string)) for string in strings], (i2w, w2i)


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

    if temperature < 0:
        raise ConfigError(f"The temperature cannot be {temperature}.", "Give 0 or more.")
    if temperature == 0:
        return lnprobs.argmax()
    probs = torch.softmax(lnprobs / temperature, dim=0)
    return torch.multinomial(probs, 1, generator=generator).squeeze(0)
