"""Whether one word ahead decides every rule of a grammar (LL(1)), so that no string has two derivations.

Ambiguity of a grammar is undecidable, but this sufficient test is two fixed points. first(A): the words that A may
begin with; follow(A): the words, and the end, that may stand after A. A grammar is LL(1) where, of two rules of one
nonterminal, no word announces both. Source: Aho, Lam, Sethi & Ullman 2006, section 4.4.
"""

from collections.abc import Mapping, Sequence

from elman.languages.base import END
from elman.languages.normal import Rule

EMPTY = ""
Sets = dict[str, set[str]]


def is_predictive(rules: Mapping[str, Sequence[Rule]], start: str) -> bool:
    """Return whether the grammar is LL(1)."""
    first = _first_sets(rules)
    follow = _follow_sets(rules, start, first)
    for left, ways in rules.items():
        announced: set[str] = set()
        for rule in ways:
            begins = _first(rule.right, first)
            begins = begins - {EMPTY} | (follow[left] if EMPTY in begins else set())
            if announced & begins:
                return False
            announced |= begins
    return True


def _first(symbols: Sequence[str], first: Sets) -> set[str]:
    """Return the words that ``symbols`` may begin with, and `EMPTY` where they may all vanish."""
    words: set[str] = set()
    for symbol in symbols:
        begins = first.get(symbol, {symbol})
        words |= begins - {EMPTY}
        if EMPTY not in begins:
            return words
    return words | {EMPTY}


def _first_sets(rules: Mapping[str, Sequence[Rule]]) -> Sets:
    first: Sets = {left: set() for left in rules}
    while True:
        size = sum(map(len, first.values()))
        for left, ways in rules.items():
            for rule in ways:
                first[left] |= _first(rule.right, first)
        if sum(map(len, first.values())) == size:
            return first


def _follow_sets(rules: Mapping[str, Sequence[Rule]], start: str, first: Sets) -> Sets:
    follow: Sets = {left: set() for left in rules}
    follow[start].add(END)
    while True:
        size = sum(map(len, follow.values()))
        for left, ways in rules.items():
            for rule in ways:
                for i, symbol in enumerate(rule.right):
                    if symbol in rules:
                        after = _first(rule.right[i + 1 :], first)
                        follow[symbol] |= after - {EMPTY} | (follow[left] if EMPTY in after else set())
        if sum(map(len, follow.values())) == size:
            return follow
