"""A second implementation of every language, independent of the package: whole strings, patterns and enumeration.

It is slow and obvious on purpose. The package reads a string symbol by symbol through states; nothing here does.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Prob = Callable[[str], float]


@dataclass(frozen=True)
class Reference:
    """The probability of a string, and whether it is a member of the language."""

    prob: Prob
    member: Callable[[str], bool]


def strings(alphabet: Sequence[str], most: int, longest: int = 99) -> Iterator[tuple[str, ...]]:
    """Yield all strings over the alphabet, length by length, as long as they are at most ``most``."""
    total = 0
    for length in range(longest + 1):
        total += len(alphabet) ** length
        if total > most:
            return
        yield from itertools.product(alphabet, repeat=length)


def reference(prob: Prob, member: Callable[[str], bool] | None = None) -> Reference:
    """Return a reference whose members are, by default, the strings of positive probability."""
    return Reference(prob, member or (lambda s: prob(s) > 0))


def ndfa(s: str) -> float:
    if s == "ss":
        return 1 / 4
    for word in ("abc!", "uvw!", "klm!"):
        k = len(s) // 4
        if k and s == "s" + word * k + "s":
            return 1 / 3 * (3 / 4) ** k / 4
    return 0.0


def balanced(s: str) -> bool:
    previous = None
    while previous != s:
        previous, s = s, re.sub(r"\(\)|\[\]|\{\}|<>", "", s)
    return s == ""


def brackets(s: str) -> float:
    primitive = s.startswith("(") and s.endswith(")") and balanced(s) and balanced(s[1:-1])
    n = len(s) // 2
    return (7 / 16) ** (n - 1) * (9 / 16) ** n if primitive else 0.0


def dyck(k: int, p: float) -> Prob:
    return lambda s: (p / k) ** (len(s) // 2) * (1 - p) ** (len(s) // 2 + 1) if balanced(s) else 0.0


def equal_blocks(alphabet: str, p: float) -> Prob:
    def prob(s: str) -> float:
        n = len(s) // len(alphabet)
        return (1 - p) * p ** (n - 1) if n and s == "".join(symbol * n for symbol in alphabet) else 0.0

    return prob


def sum_blocks(p: float) -> Prob:
    def prob(s: str) -> float:
        blocks = re.fullmatch("(a+)(b+)(c+)", s)
        if not blocks or len(blocks[1]) + len(blocks[2]) != len(blocks[3]):
            return 0.0
        return (1 - p) ** 2 * p ** (len(blocks[3]) - 2)

    return prob


NOT_TOMITA_3 = re.compile("((0|1)*0)?1(11)*(0(0|1)*1)?0(00)*(1(0|1)*)?")
MEMBERS: dict[str, Callable[[str], bool]] = {
    "tomita1": lambda s: "0" not in s,
    "tomita2": lambda s: s == "10" * (len(s) // 2),
    "tomita3": lambda s: not NOT_TOMITA_3.fullmatch(s),
    "tomita4": lambda s: "000" not in s,
    "tomita5": lambda s: s.count("0") % 2 == 0 and s.count("1") % 2 == 0,
    "tomita6": lambda s: (s.count("0") - s.count("1")) % 3 == 0,
    "tomita7": lambda s: bool(re.fullmatch("0*1*0*1*", s)),
    "parity": lambda s: s.count("1") % 2 == 0,
}


def weighed(member: Callable[[str], bool], stop: float) -> Prob:
    """Return the distribution in which a member ends with probability ``stop``, and possible symbols share the rest.

    A symbol is possible if up to three more symbols complete a member; that is enough for every language above.
    """
    futures = ["".join(future) for future in strings("01", 15)]
    live_cache: dict[str, list[str]] = {}

    def live(prefix: str) -> list[str]:
        if prefix not in live_cache:
            live_cache[prefix] = [a for a in "01" if any(member(prefix + a + future) for future in futures)]
        return live_cache[prefix]

    def prob(s: str) -> float:
        total = 1.0
        for i in range(len(s) + 1):
            ways = live(s[:i])
            end = (stop if ways else 1.0) if member(s[:i]) else 0.0
            if i == len(s):
                return total * end
            if s[i] not in ways:
                return 0.0
            total *= (1 - end) / len(ways)
        raise AssertionError

    return prob


def automaton_probabilities(start: str, arcs: Mapping, stops: Mapping, longest: int) -> dict[tuple[str, ...], float]:
    """Return all strings up to a length with their probabilities, by walking every path."""
    probabilities: dict[tuple[str, ...], float] = {}

    def walk(state: str, string: tuple[str, ...], p: float) -> None:
        if stops.get(state, 0.0) > 0:
            probabilities[string] = probabilities.get(string, 0.0) + p * stops[state]
        if len(string) < longest:
            for symbol, target, weight in arcs[state]:
                walk(target, (*string, symbol), p * weight)

    walk(start, (), 1.0)
    return probabilities


def grammar_probabilities(
    start: str, rules: Mapping[str, Mapping[str, float]], longest: int
) -> dict[tuple[str, ...], float]:
    """Return all strings up to a length with their probabilities: the least fixed point of the rules, by iteration.

    Each round allows derivations one level deeper, so empty rules, chains, ambiguity and left recursion need no care.
    """
    by_nonterminal: dict[str, dict[tuple[str, ...], float]] = {left: {} for left in rules}
    for _ in range(3000):
        new = {left: _expand(alternatives, by_nonterminal, longest) for left, alternatives in rules.items()}
        change = max(
            (
                abs(p - by_nonterminal[left].get(s, 0.0)) / p
                for left, probabilities in new.items()
                for s, p in probabilities.items()
                if p > 1e-200
            ),
            default=0.0,
        )
        by_nonterminal = new
        if change < 1e-14:
            return by_nonterminal[start]
    raise AssertionError("no fixed point")


def _expand(alternatives: Mapping[str, float], by_nonterminal: Mapping, longest: int) -> dict[tuple[str, ...], float]:
    probabilities: dict[tuple[str, ...], float] = {}
    for right, weight in alternatives.items():
        partial = {(): weight}
        for symbol in right.split():
            further: dict[tuple[str, ...], float] = {}
            for string, p in partial.items():
                for tail, q in by_nonterminal.get(symbol, {(symbol,): 1.0}).items():
                    if len(string) + len(tail) <= longest:
                        further[string + tail] = further.get(string + tail, 0.0) + p * q
            partial = further
        for string, p in partial.items():
            probabilities[string] = probabilities.get(string, 0.0) + p
    return probabilities


def inside(rules: Mapping[str, Mapping[str, float]], start: str, words: Sequence[str]) -> float:
    """Return the probability of a long string by memoized recursion over spans.

    The grammar must have neither empty rules nor chains.
    """
    memo: dict[tuple[tuple[str, ...], int, int], float] = {}

    def sequence(symbols: tuple[str, ...], i: int, j: int) -> float:
        if len(symbols) > j - i:
            return 0.0
        key = (symbols, i, j)
        if key not in memo:
            head, tail = symbols[0], symbols[1:]
            if tail:
                splits = range(i + 1, j - len(tail) + 1)
                memo[key] = math.fsum(sequence((head,), i, m) * sequence(tail, m, j) for m in splits)
            elif head in rules:
                memo[key] = math.fsum(p * sequence(tuple(right.split()), i, j) for right, p in rules[head].items())
            else:
                memo[key] = float(j - i == 1 and words[i] == head)
        return memo[key]

    return sequence((start,), 0, len(words))


REFERENCE: dict[str, Reference] = {
    "ndfa": reference(ndfa),
    "brackets": reference(brackets, balanced),
    "dyck1": reference(dyck(1, 0.3)),
    "dyck2": reference(dyck(2, 0.3)),
    "anbn": reference(equal_blocks("ab", 0.9)),
    "anbncn": reference(equal_blocks("abc", 0.9)),
    "anbncndn": reference(equal_blocks("abcd", 0.9)),
    "anbmcnm": reference(sum_blocks(0.8)),
    **{name: reference(weighed(member, 0.1), member) for name, member in MEMBERS.items()},
}

SMALL_TOY = {  # the toy grammar with fewer words, so that its strings can be enumerated
    "_s": dict.fromkeys(
        ["_s _adv", "_np _vp", "_np _vp _prep _np", "_np _vp ( _prep _np )", "_np _vp _con _s", "_np _vp ( _con _s )"],
        1 / 6,
    ),
    "_adv": {"briefly": 1.0},
    "_np": {"_noun": 0.5, "the _noun": 0.5},
    "_con": {"while": 1.0},
    "_prep": {"on": 1.0},
    "_noun": {"cat": 0.5, "dog": 0.5},
    "_vp": {"ran": 1.0},
}
GRAMMARS: dict[str, tuple[str, dict[str, dict[str, float]]]] = {  # start, rules
    "toy": ("_s", SMALL_TOY),
    "sums": ("E", {"E": {"E + E": 0.2, "( E )": 0.2, "x": 0.6}}),
    "vanishing": (
        "S",
        {"S": {"A S B": 0.3, "A B A": 0.3, "": 0.4}, "A": {"a": 0.5, "": 0.5}, "B": {"b": 0.7, "A": 0.3}},
    ),
    "chains": ("S", {"S": {"T": 0.5, "a": 0.5}, "T": {"S": 0.4, "T b": 0.3, "b S": 0.3}}),
    "left": ("S", {"S": {"S a": 0.5, "T": 0.5}, "T": {"S b": 0.3, "b": 0.7}}),
    "palindromes": ("S", {"S": {"a S a": 0.3, "b S b": 0.3, "a": 0.1, "": 0.3}}),
    "empty-heavy": ("S", {"S": {"N N a": 0.5, "N": 0.5}, "N": {"": 0.9, "N N": 0.05, "b": 0.05}}),
    "never-empty-nor-full": ("S", {"S": {"V a V": 1.0}, "V": {"": 1.0}}),
}


def words_of(rules: Mapping[str, Mapping[str, float]]) -> list[str]:
    return sorted({symbol for ways in rules.values() for right in ways for symbol in right.split()} - set(rules))
