"""Checks that descriptions of languages share. Each error carries its place in the description."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from elman.errors import LanguageError
from elman.text.vocab import SPECIALS

Node = TypeVar("Node", bound=Hashable)
TOLERANCE = 1e-9

LONGEST = 1e6
"""Largest mean length in symbols: longer strings cannot be processed, and rounding would decide the mean."""

EMPTY_STRING_NAMES = {"ε", "ϵ", "λ", "Λ", "epsilon", "eps", "lambda"}
"""Names that papers give to the empty string."""


def check_alphabet(alphabet: Sequence[str]) -> None:
    """Reject symbols that are empty, listed twice, contain blanks, or are special tokens.

    A single blank is allowed as a symbol if every symbol is one character. Otherwise blanks separate the symbols of a
    string.
    """
    if not alphabet:
        raise LanguageError("The alphabet is empty.", "List every symbol that a string may contain.", ("alphabet",))
    if len(set(alphabet)) < len(alphabet):
        raise LanguageError("The alphabet lists a symbol twice.", "List each symbol once.", ("alphabet",))
    characters = all(len(symbol) == 1 for symbol in alphabet)
    for symbol in alphabet:
        if symbol == " " and not characters:
            raise LanguageError(
                "The alphabet cannot contain a blank, because blanks separate the symbols of its strings.",
                "Use a blank only in an alphabet in which every symbol is one character.",
                ("alphabet",),
            )
        if symbol in SPECIALS or (symbol != " " and symbol.split() != [symbol]):
            raise LanguageError(
                f"The alphabet cannot contain {symbol!r}.",
                f"Use symbols without blanks in them, other than {' '.join(SPECIALS)}.",
                ("alphabet",),
            )


def check_weight(weight: float, name: str, place: tuple[str, ...]) -> None:
    """Reject a weight outside (0, 1]."""
    if not 0 < weight <= 1:
        raise LanguageError(f"The weight of {name} is {weight}.", "Use a weight above 0 and at most 1.", place)


def check_sum(total: float, name: str, place: tuple[str, ...]) -> None:
    """Reject weights that do not sum to one."""
    if not math.isclose(total, 1, abs_tol=TOLERANCE):
        raise LanguageError(
            f"The weights of {name} sum to {total:.10g}, not to 1.",
            'Correct the weights. A fraction can be written in quotes, such as "1/3".',
            place,
        )


def check_limit(name: str, max_length: int, shortest: int, longest: int | None = None) -> None:
    """Reject a length limit below the shortest string, or above the largest table."""
    if max_length < shortest:
        raise LanguageError(
            f"No string of {name} has at most {max_length} symbols.", f"Use a limit of {shortest} or more."
        )
    if longest is not None and max_length > longest:
        raise LanguageError(
            f"A length limit of {max_length} symbols would need too much memory.", f"Use a limit of {longest} or less."
        )


def reachable(successors: Mapping[Node, Iterable[Node]], roots: Iterable[Node]) -> set[Node]:
    """Return the nodes that can be reached from ``roots``, the roots included."""
    nodes: set[Node] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in nodes:
            nodes.add(node)
            waiting.extend(successors.get(node, ()))
    return nodes
