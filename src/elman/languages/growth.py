"""What a grammar's rules make on average, and the refusal of rules that make no law over finite strings.

With M[A, B] the mean number of B in one rewriting of A, a derivation rewrites each nonterminal (I - M^T)^-1 e_start
times. The sum is finite where no cycle of nonterminals has a spectral radius of 1 or more; then, too, a derivation
ends with probability 1. Source: Booth & Thompson 1973, "Applying probability measures to abstract languages".
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from elman.errors import LanguageError
from elman.languages.checks import LONGEST, check_sum, check_weight, reachable
from elman.languages.normal import Floats, Rule


def check_rules(rules: Mapping[str, Sequence[Rule]], alphabet: Sequence[str], start: str) -> None:
    """Refuse rules that do not make a law over finite strings: see `Grammar`."""
    if start not in rules:
        raise LanguageError(
            f"The start symbol {start!r} has no rules.", "Give it some, or start elsewhere.", ("start",)
        )
    known = {*rules, *alphabet}
    for left in (left for left in rules if left in alphabet):
        raise LanguageError(f"{left!r} is both in the alphabet and rewritten by rules.", "Rename one.", ("rules", left))
    for left, ways in rules.items():
        for rule in ways:
            place = ("rules", left, " ".join(rule.right))
            check_weight(rule.probability, f"the rule {left} -> {' '.join(rule.right) or 'nothing'}", place)
            for symbol in rule.right:
                if symbol not in known:
                    raise LanguageError(
                        f"The symbol {symbol!r} has no rules and is not in the alphabet.",
                        "Add it to one of them, or correct the rule.",
                        place,
                    )
        check_sum(math.fsum(rule.probability for rule in ways), f"the rules of {left!r}", ("rules", left))
    _check_reach(rules, start)
    _check_growth(rules)


def _successors(rules: Mapping[str, Sequence[Rule]]) -> dict[str, set[str]]:
    """Return the symbols on the right-hand sides of each nonterminal."""
    return {left: {symbol for rule in ways for symbol in rule.right} for left, ways in rules.items()}


def _check_reach(rules: Mapping[str, Sequence[Rule]], start: str) -> None:
    reached = reachable(_successors(rules), {start})
    for left in (left for left in rules if left not in reached):
        raise LanguageError(
            f"The rules of {left!r} cannot be reached from {start!r}.",
            "Use it in a rule, or remove it.",
            ("rules", left),
        )


def _check_growth(rules: Mapping[str, Sequence[Rule]]) -> None:
    """Refuse a cycle of rules that makes, on average, one or more of itself: the mean length is infinite."""
    index = {nonterminal: i for i, nonterminal in enumerate(rules)}
    means = _mean_matrix(rules)
    for cycle in _cycles(rules):
        members = [index[nonterminal] for nonterminal in cycle]
        growth = float(np.abs(np.linalg.eigvals(means[np.ix_(members, members)])).max())
        if growth > 1 - 1e-9:
            worst = max(
                (rule for nonterminal in cycle for rule in rules[nonterminal]),
                key=lambda rule: sum(symbol in cycle for symbol in rule.right),
            )
            raise LanguageError(
                f"The rule {worst.left} -> {' '.join(worst.right)} grows endlessly: it leads back to {worst.left!r} "
                f"{growth:.4g} times on average, and the mean length is infinite.",
                "Give rules that end a larger weight.",
                ("rules", worst.left, " ".join(worst.right)),
            )


def _cycles(rules: Mapping[str, Sequence[Rule]]) -> list[list[str]]:
    """Return the largest sets of nonterminals that all lead to one another, each in the order of the rules."""
    ways = _successors(rules)
    reached = {nonterminal: reachable(ways, successors) for nonterminal, successors in ways.items()}
    cycles: dict[tuple[str, ...], None] = {}
    for nonterminal in rules:
        cycles[tuple(other for other in rules if other in reached[nonterminal] and nonterminal in reached[other])] = (
            None
        )
    return [list(cycle) for cycle in cycles if cycle]


def _mean_matrix(rules: Mapping[str, Sequence[Rule]]) -> Floats:
    """Return how many of each nonterminal (column) one rewriting of another (row) makes on average."""
    index = {left: i for i, left in enumerate(rules)}
    means = np.zeros((len(index), len(index)))
    for left, ways in rules.items():
        for rule in ways:
            for symbol in rule.right:
                if symbol in index:
                    means[index[left], index[symbol]] += rule.probability
    return means


def expected_counts(rules: Mapping[str, Sequence[Rule]], start: str) -> dict[str, float]:
    """Return how often each nonterminal, and each word, comes up in one derivation on average.

    Raises
    ------
    LanguageError
        A nonterminal comes up so often that nothing could be done with a string.
    """
    begin = np.array([float(left == start) for left in rules])
    visits = np.linalg.solve(np.eye(len(begin)) - _mean_matrix(rules).T, begin)
    counts = dict(zip(rules, visits.tolist(), strict=True))
    for left, count in counts.items():
        if not 0 < count <= LONGEST:
            raise LanguageError(
                f"A string has more than {LONGEST:,.0f} {left!r} on average.",
                "Give rules that end a larger weight.",
                ("rules", left),
            )
    for left, ways in rules.items():
        for rule in ways:
            for symbol in rule.right:
                if symbol not in rules:
                    counts[symbol] = counts.get(symbol, 0.0) + counts[left] * rule.probability
    return counts
