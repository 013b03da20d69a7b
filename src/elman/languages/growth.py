"""Mean numbers of symbols in a derivation, and the rejection of rules whose strings have no finite mean length.

M[A, B] is the mean number of B in one rewriting of A. A derivation rewrites the nonterminals (I - M^T)^-1 e_start
times on average. This is finite if no cycle of nonterminals has a spectral radius of 1 or more; a derivation then ends
with probability 1. Source: Booth & Thompson 1973, "Applying probability measures to abstract languages".
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from elman.errors import LanguageError
from elman.languages.checks import EMPTY_STRING_NAMES, LONGEST, check_sum, check_weight, reachable
from elman.languages.entropy import Floats
from elman.languages.normal import Rule

Rules = Mapping[str, Sequence[Rule]]
"""The rules of each nonterminal."""


def check_rules(rules: Rules, alphabet: Sequence[str], start: str) -> None:
    """Reject rules that do not define a distribution over finite strings; see `Grammar`."""
    if start not in rules:
        raise LanguageError(
            f"The start symbol {start!r} has no rules.", "Add rules for it, or use another start symbol.", ("start",)
        )
    for left in (left for left in rules if left in alphabet):
        raise LanguageError(
            f"{left!r} is both in the alphabet and rewritten by rules.", "Rename one of the two.", ("rules", left)
        )
    for left, alternatives in rules.items():
        for rule in alternatives:
            _check_rule(rule, {*rules, *alphabet})
        check_sum(math.fsum(rule.probability for rule in alternatives), f"the rules of {left!r}", ("rules", left))
    _check_reach(rules, start)
    _check_growth(rules)


def _check_rule(rule: Rule, symbols: set[str]) -> None:
    place = ("rules", rule.left, " ".join(rule.right))
    check_weight(rule.probability, f"the rule {rule.left} -> {' '.join(rule.right) or 'the empty string'}", place)
    for symbol in rule.right:
        if symbol not in symbols:
            remedy = "Add it to one of them, or correct the rule."
            if symbol in EMPTY_STRING_NAMES:
                remedy = f'Write "" for the empty string, or add {symbol} to the alphabet if it is a symbol.'
            raise LanguageError(f"The symbol {symbol!r} has no rules and is not in the alphabet.", remedy, place)


def _successors(rules: Rules) -> dict[str, set[str]]:
    """Return the symbols on the right-hand sides of each nonterminal."""
    return {left: {symbol for rule in alternatives for symbol in rule.right} for left, alternatives in rules.items()}


def _check_reach(rules: Rules, start: str) -> None:
    reached = reachable(_successors(rules), {start})
    for left in (left for left in rules if left not in reached):
        raise LanguageError(
            f"The rules of {left!r} cannot be reached from {start!r}.",
            f"Use {left} in a rule, or remove it.",
            ("rules", left),
        )


def _check_growth(rules: Rules) -> None:
    """Reject a cycle of rules that produces itself once or more on average: the mean length is infinite."""
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
                "Increase the weights of rules that end the string.",
                ("rules", worst.left, " ".join(worst.right)),
            )


def _cycles(rules: Rules) -> list[tuple[str, ...]]:
    """Return the largest sets of nonterminals that all lead to one another, each in the order of the rules."""
    successors = _successors(rules)
    reached = {left: reachable(successors, successors[left]) for left in rules}
    cycles = (tuple(other for other in rules if other in reached[left] and left in reached[other]) for left in rules)
    return [cycle for cycle in dict.fromkeys(cycles) if cycle]


def _mean_matrix(rules: Rules) -> Floats:
    """Return the mean number of each nonterminal (column) in one rewriting of another (row)."""
    index = {left: i for i, left in enumerate(rules)}
    means = np.zeros((len(index), len(index)))
    for left, alternatives in rules.items():
        for rule in alternatives:
            for symbol in rule.right:
                if symbol in index:
                    means[index[left], index[symbol]] += rule.probability
    return means


def expected_counts(rules: Rules, start: str) -> dict[str, float]:
    """Return the mean number of each nonterminal and each word in one derivation.

    Raises
    ------
    LanguageError
        The mean number of a nonterminal exceeds one million.
    """
    begin = np.array([float(left == start) for left in rules])
    visits = np.linalg.solve(np.eye(len(begin)) - _mean_matrix(rules).T, begin)
    counts = dict(zip(rules, visits.tolist(), strict=True))
    for left, count in counts.items():
        if not 0 < count <= LONGEST:
            raise LanguageError(
                f"A string has more than {LONGEST:,.0f} {left!r} on average.",
                "Increase the weights of rules that end the string.",
                ("rules", left),
            )
    for left, alternatives in rules.items():
        for rule in alternatives:
            for symbol in rule.right:
                if symbol not in rules:
                    counts[symbol] = counts.get(symbol, 0.0) + counts[left] * rule.probability
    return counts
