"""A grammar in the form that charts need: at most two symbols on the right, nothing empty, chains summed.

Three steps, each keeping every string's probability. Long right-hand sides are split from the left, A → B C D
becoming A → B ⟨C D⟩; two rules that end alike share the rest. Nonterminals that can vanish, with probability
e_A = P(A ⇒ empty), are dropped from rules in all ways, so that each now stands for its non-empty part of mass
1 - e_A. Chains A → B → … are summed at once: (I - units)^-1; likewise left corners, of which the first symbol may
be any number of rules below. Source: Stolcke 1995, "An efficient probabilistic context-free parsing algorithm that
computes prefix probabilities"; Jelinek & Lafferty 1991.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elman.languages.checks import reachable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


class Rule(NamedTuple):
    """One way to rewrite a nonterminal."""

    left: str
    right: tuple[str, ...]
    probability: float


class Binary(NamedTuple):
    """The rules A → B C, an array entry each."""

    parents: Ints
    lefts: Ints
    rights: Ints
    weights: Floats

    def derivative(self, values: Floats, n: int) -> Floats:
        """Return d/dx of the sum of weight x_B x_C by parent, at ``values`` (n): an (n, n) array."""
        slope = np.zeros((n, n))
        np.add.at(slope, (self.parents, self.lefts), self.weights * values[self.rights])
        np.add.at(slope, (self.parents, self.rights), self.weights * values[self.lefts])
        return slope


@dataclass(frozen=True)
class NormalForm:
    """Arrays over N nonterminals, R binary rules, and C classes of words that the grammar cannot tell apart.

    ``empty`` (N): P(A ⇒ empty). ``parents``, ``lefts``, ``rights``, ``weights`` (R): the rules A → B C.
    ``lexical`` (C, N): the rules A → word, for a word of the class, divided by the word's share.
    ``word_class``, ``word_share``: of each word of the alphabet. ``units`` (N, N): the rules A → B;
    ``chains``: its closure. ``corners`` (N, N): the closure of left corners, everything else of a rule summed out.
    """

    start: int
    empty: Floats
    parents: Ints
    lefts: Ints
    rights: Ints
    weights: Floats
    lexical: Floats
    word_class: Ints
    word_share: Floats
    chains: Floats
    corners: Floats


def normal_form(rules: Iterable[Rule], start: str, alphabet: tuple[str, ...]) -> NormalForm:
    """Return the normal form of a grammar whose checks have passed."""
    index: dict[tuple[str, ...], int] = {}
    split = _split(list(rules), start, index)
    n = len(index)
    pairs = [(a, right[0], right[1], p) for a, right, p in split if len(right) == 2]
    parents, lefts, rights = (np.array([pair[i] for pair in pairs], dtype=np.intp) for i in range(3))
    binary = Binary(parents, lefts, rights, np.array([pair[3] for pair in pairs], dtype=np.float64))
    units = np.zeros((n, n))
    vanishing = np.zeros(n)
    words = np.zeros((len(alphabet), n))
    numbers = {word: i for i, word in enumerate(alphabet)}
    for a, right, p in split:
        if not right:
            vanishing[a] += p
        elif isinstance(right[0], str):
            words[numbers[right[0]], a] += p
        elif len(right) == 1:
            units[a, right[0]] += p
    empty = _vanish(vanishing, units, binary)
    units += binary.derivative(empty, n)
    corners = units.copy()
    np.add.at(corners, (binary.parents, binary.lefts), binary.weights * (1 - empty[binary.rights]))
    return NormalForm(index[(start,)], empty, *binary, *_classes(words), closure(units), closure(corners))


Split = tuple[int, tuple[()] | tuple[str] | tuple[int] | tuple[int, int], float]


def _split(rules: list[Rule], start: str, index: dict[tuple[str, ...], int]) -> list[Split]:
    """Return rules of at most two nonterminals or one word; ``index`` numbers what stands on the left."""
    grammar: dict[str, list[Rule]] = {}
    for rule in rules:
        grammar.setdefault(rule.left, []).append(rule)
    found: list[Split] = []
    waiting: list[tuple[str, ...]] = [(start,)]
    index[(start,)] = 0

    def number(name: tuple[str, ...]) -> int:
        if name not in index:
            index[name] = len(index)
            waiting.append(name)
        return index[name]

    while waiting:
        name = waiting.pop()
        a = index[name]
        if len(name) > 1:  # the rest of a long rule
            found.append((a, (number(name[:1]), number(name[1:])), 1.0))
        elif name[0] not in grammar:  # a word among nonterminals
            found.append((a, (name[0],), 1.0))
        else:
            for _, right, p in grammar[name[0]]:
                if len(right) > 1:
                    found.append((a, (number(right[:1]), number(right[1:])), p))
                elif right and right[0] in grammar:
                    found.append((a, (number(right),), p))
                else:
                    found.append((a, right[:1], p))  # type: ignore[arg-type]  # a slice of one word or none
    return found


def _vanish(vanishing: Floats, units: Floats, binary: Binary) -> Floats:
    """Return P(A ⇒ empty): the least solution of e = v + U e + Σ w e_B e_C, by Newton's method from 0.

    From 0 the steps grow monotonically towards the least solution (Etessami & Yannakakis 2009).
    """
    n = len(vanishing)
    empty = np.zeros(n)
    for _ in range(100 if vanishing.any() else 0):
        products = np.bincount(binary.parents, binary.weights * empty[binary.lefts] * empty[binary.rights], n)
        slope = units + binary.derivative(empty, n)
        step = np.linalg.solve(np.eye(n) - slope, vanishing + units @ empty + products - empty)
        empty = empty + step
        if np.abs(step).max() < 1e-16:
            break
    return np.where(_can_vanish(vanishing, units, binary), np.clip(empty, 0.0, 1.0), 0.0)


def _can_vanish(vanishing: Floats, units: Floats, binary: Binary) -> npt.NDArray[np.bool_]:
    """Return which nonterminals can vanish at all, free of rounding."""
    can = vanishing > 0
    while True:
        more = can | ((units > 0) @ can)
        more[binary.parents[more[binary.lefts] & more[binary.rights]]] = True
        if (more == can).all():
            return can
        can = more


def _classes(words: Floats) -> tuple[Floats, Ints, Floats]:
    """Group words whose rules are proportional: (C, N) rules of a class, a word's class, a word's share."""
    shares = words.sum(1)
    known: dict[bytes, int] = {}
    lexical: list[Floats] = []
    numbers = []
    for word, share in zip(words, shares, strict=True):
        scaled = word / share if share > 0 else word
        key = np.round(scaled, 14).tobytes()
        if key not in known:
            known[key] = len(lexical)
            lexical.append(scaled)
        numbers.append(known[key])
    return np.array(lexical), np.array(numbers, dtype=np.intp), shares


def closure(matrix: Floats) -> Floats:
    """Return (I - matrix)^-1 = I + matrix + matrix² + …, zero exactly where no path leads."""
    n = len(matrix)
    ways: Mapping[int, list[int]] = {i: np.flatnonzero(matrix[i]).tolist() for i in range(n)}
    paths = np.zeros((n, n), dtype=bool)
    for i in range(n):
        paths[i, list(reachable(ways, {i}))] = True
    return np.where(paths, np.clip(np.linalg.inv(np.eye(n) - matrix), 0.0, None), 0.0)
