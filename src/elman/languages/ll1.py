"""Whether a grammar is LL(1): the next word determines the rule, so that no string has two derivations.

Ambiguity of a grammar is undecidable; LL(1) is a sufficient condition for unambiguity. first(A) is the set of words
that A can begin with; follow(A) is the set of words, and the end, that can come after A. Both are least fixed points.
A grammar is LL(1) if no word selects two rules of the same nonterminal. Source: Aho, Lam, Sethi & Ullman 2006,
section 4.4.
"""

from collections.abc import Mapping, Sequence

from elman.languages.base import END
from elman.languages.normal import Rule

EMPTY = ""
Sets = dict[str, set[str]]


def is_ll1(rules: Mapping[str, Sequence[Rule]], start: str) -> bool:
    """Return whether the grammar is LL(1)."""
    first = _first_sets(rules)
    follow = _follow_sets(rules, start, first)
    for left, alternatives in rules.items():
        selecting: set[str] = set()
        for rule in alternatives:
            words = _first(rule.right, first)
            words = words - {EMPTY} | (follow[left] if EMPTY in words else set())
            if selecting & words:
                return False
            selecting |= words
    return True


def _first(symbols: Sequence[str], first: Sets) -> set[str]:
    """Return the words that ``symbols`` can begin with, and `EMPTY` if all of them can derive the empty string."""
    words: set[str] = set()
    for symbol in symbols:
        first_words = first.get(symbol, {symbol})
        words |= first_words - {EMPTY}
        if EMPTY not in first_words:
            return words
    return words | {EMPTY}


def _first_sets(rules: Mapping[str, Sequence[Rule]]) -> Sets:
    first: Sets = {left: set() for left in rules}
    while True:
        size = sum(map(len, first.values()))
        for left, alternatives in rules.items():
            for rule in alternatives:
                first[left] |= _first(rule.right, first)
        if sum(map(len, first.values())) == size:
            return first


def _follow_sets(rules: Mapping[str, Sequence[Rule]], start: str, first: Sets) -> Sets:
    follow: Sets = {left: set() for left in rules}
    follow[start].add(END)
    while True:
        size = sum(map(len, follow.values()))
        for left, alternatives in rules.items():
            for rule in alternatives:
                for i, symbol in enumerate(rule.right):
                    if symbol in rules:
                        after = _first(rule.right[i + 1 :], first)
                        follow[symbol] |= after - {EMPTY} | (follow[left] if EMPTY in after else set())
        if sum(map(len, follow.values())) == size:
            return follow
