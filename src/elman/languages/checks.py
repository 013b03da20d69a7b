"""What a description of a language must satisfy, each failure with its place in the description."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from elman.errors import LanguageError
from elman.text.vocab import SPECIALS

Node = TypeVar("Node", bound=Hashable)
TOLERANCE = 1e-9

LONGEST = 1e6
"""Symbols that a string may have on average: beyond, nothing could be done with one, and rounding decides the mean."""


def check_alphabet(alphabet: Sequence[str]) -> None:
    """Refuse symbols that are empty, double, hold blanks, or are special tokens."""
    if not alphabet:
        raise LanguageError("The alphabet is empty.", "Name every symbol that a string may hold.", ("alphabet",))
    if len(set(alphabet)) < len(alphabet):
        raise LanguageError("The alphabet names a symbol twice.", "Name each once.", ("alphabet",))
    for symbol in alphabet:
        if symbol in SPECIALS or symbol.split() != [symbol]:
            raise LanguageError(
                f"The alphabet cannot hold {symbol!r}.",
                f"A symbol has no blanks in it, and is none of {' '.join(SPECIALS)}.",
                ("alphabet",),
            )


def check_weight(weight: float, what: str, place: tuple[str, ...]) -> None:
    """Refuse a weight outside (0, 1]."""
    if not 0 < weight <= 1:
        raise LanguageError(f"The weight of {what} is {weight}.", "Give one above 0 and at most 1.", place)


def check_sum(total: float, what: str, place: tuple[str, ...]) -> None:
    """Refuse weights that do not sum to one."""
    if not math.isclose(total, 1, abs_tol=TOLERANCE):
        raise LanguageError(
            f"The weights of {what} sum to {total:.10g}, not to 1.",
            'Correct them; a fraction may stand in quotes, as "1/3".',
            place,
        )


def reachable(ways: Mapping[Node, Iterable[Node]], roots: Iterable[Node]) -> set[Node]:
    """Return what can be reached from ``roots``, themselves included."""
    found: set[Node] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(ways.get(node, ()))
    return found
