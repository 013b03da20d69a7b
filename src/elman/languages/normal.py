"""The normal form of a grammar that charts use: at most two symbols on the right, no empty rules, no chains.

Three steps, each of which keeps the probability of every string:

1. Long right-hand sides are split from the left: A → B C D becomes A → B ⟨C D⟩. Rules with equal ends share them.
2. A nonterminal that can derive the empty string, with probability e_A = P(A ⇒ empty), is dropped from the rules in
   all combinations. Afterwards it represents its nonempty strings, of total mass 1 - e_A.
3. Chains A → B → … are summed in closed form, (I - units)^-1. Left corners, whose first symbol can be any number of
   rules below, are summed in the same way.

Source: Stolcke 1995, "An efficient probabilistic context-free parsing algorithm that computes prefix probabilities";
Jelinek & Lafferty 1991.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elman.languages.checks import reachable
from elman.languages.entropy import Floats

Ints = npt.NDArray[np.intp]


class Rule(NamedTuple):
    """One way to rewrite a nonterminal."""

    left: str
    right: tuple[str, ...]
    probability: float


class Binary(NamedTuple):
    """The rules A → B C, one array entry a rule."""

    parents: Ints
    lefts: Ints
    rights: Ints
    weights: Floats

    def derivative(self, values: Floats, n: int) -> Floats:
        """Return the derivative of Σ weight x_B x_C for each parent at x = ``values`` (n), as an (n, n) array."""
        slope = np.zeros((n, n))
        np.add.at(slope, (self.parents, self.lefts), self.weights * values[self.rights])
        np.add.at(slope, (self.parents, self.rights), self.weights * values[self.lefts])
        return slope


@dataclass(frozen=True)
class NormalForm:
    """Arrays over N nonterminals, R binary rules, and C classes of words that the grammar does not distinguish.

    Attributes
    ----------
    start
        The number of the start symbol.
    empty
        P(A ⇒ empty), (N,).
    parents, lefts, rights, weights
        The rules A → B C, (R,).
    lexical
        The rules A → word for a word of the class, divided by the word's share, (C, N).
    word_class, word_share
        The class and the share of each word of the alphabet.
    chains
        The closure of the rules A → B, (N, N).
    corners
        The closure of left corners, summed over the remaining symbols of each rule, (N, N).
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
    """Return the normal form of a grammar that has been checked."""
    index: dict[tuple[str, ...], int] = {}
    split = _split(list(rules), start, index)
    n = len(index)
    pairs = [(a, right[0], right[1], p) for a, right, p in split if len(right) == 2]
    parents, lefts, rights = (np.array([pair[i] for pair in pairs], dtype=np.intp) for i in range(3))
    binary = Binary(parents, lefts, rights, np.array([pair[3] for pair in pairs], dtype=np.float64))
    units = np.zeros((n, n))
    empty_rules = np.zeros(n)
    words = np.zeros((len(alphabet), n))
    numbers = {word: i for i, word in enumerate(alphabet)}
    for a, right, p in split:
        if not right:
            empty_rules[a] += p
        elif isinstance(right[0], str):
            words[numbers[right[0]], a] += p
        elif len(right) == 1:
            units[a, right[0]] += p
    empty = _empty_probabilities(empty_rules, units, binary)
    units += binary.derivative(empty, n)
    corners = units.copy()
    np.add.at(corners, (binary.parents, binary.lefts), binary.weights * (1 - empty[binary.rights]))
    return NormalForm(index[(start,)], empty, *binary, *_classes(words), closure(units), closure(corners))


Split = tuple[int, tuple[()] | tuple[str] | tuple[int] | tuple[int, int], float]


def _split(rules: list[Rule], start: str, index: dict[tuple[str, ...], int]) -> list[Split]:
    """Return rules of at most two nonterminals or one word, and number their left-hand sides in ``index``."""
    grammar: dict[str, list[Rule]] = {}
    for rule in rules:
        grammar.setdefault(rule.left, []).append(rule)
    split: list[Split] = []
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
        if len(name) > 1:  # the end of a long rule
            split.append((a, (number(name[:1]), number(name[1:])), 1.0))
        elif name[0] not in grammar:  # a word among nonterminals
            split.append((a, (name[0],), 1.0))
        else:
            for _, right, p in grammar[name[0]]:
                if len(right) > 1:
                    split.append((a, (number(right[:1]), number(right[1:])), p))
                elif right and right[0] in grammar:
                    split.append((a, (number(right),), p))
                else:
                    split.append((a, right[:1], p))  # type: ignore[arg-type]  # a slice of one word or of none
    return split


def _empty_probabilities(empty_rules: Floats, units: Floats, binary: Binary) -> Floats:
    """Return P(A ⇒ empty): the least solution of e = v + U e + Σ w e_B e_C, by Newton's method from 0.

    Starting at 0, Newton's method increases monotonically to the least solution (Etessami & Yannakakis 2009).
    """
    n = len(empty_rules)
    empty = np.zeros(n)
    for _ in range(100 if empty_rules.any() else 0):
        products = np.bincount(binary.parents, binary.weights * empty[binary.lefts] * empty[binary.rights], n)
        slope = units + binary.derivative(empty, n)
        step = np.linalg.solve(np.eye(n) - slope, empty_rules + units @ empty + products - empty)
        empty = empty + step
        if np.abs(step).max() < 1e-16:
            break
    return np.where(_can_be_empty(empty_rules, units, binary), np.clip(empty, 0.0, 1.0), 0.0)


def _can_be_empty(empty_rules: Floats, units: Floats, binary: Binary) -> npt.NDArray[np.bool_]:
    """Return which nonterminals can derive the empty string, without rounding."""
    can = empty_rules > 0
    while True:
        more = can | ((units > 0) @ can)
        more[binary.parents[more[binary.lefts] & more[binary.rights]]] = True
        if (more == can).all():
            return can
        can = more


def _classes(words: Floats) -> tuple[Floats, Ints, Floats]:
    """Group words with proportional rules. Return the rules of each class (C, N), and each word's class and share."""
    shares = words.sum(1)
    class_numbers: dict[bytes, int] = {}
    lexical: list[Floats] = []
    numbers = []
    for word, share in zip(words, shares, strict=True):
        scaled = word / share if share > 0 else word
        key = np.round(scaled, 14).tobytes()
        if key not in class_numbers:
            class_numbers[key] = len(lexical)
            lexical.append(scaled)
        numbers.append(class_numbers[key])
    return np.array(lexical), np.array(numbers, dtype=np.intp), shares


def closure(matrix: Floats) -> Floats:
    """Return (I - matrix)^-1 = I + matrix + matrix² + …, with exact zeros where no path exists."""
    n = len(matrix)
    successors: Mapping[int, list[int]] = {i: np.flatnonzero(matrix[i]).tolist() for i in range(n)}
    paths = np.zeros((n, n), dtype=bool)
    for i in range(n):
        paths[i, list(reachable(successors, {i}))] = True
    return np.where(paths, np.clip(np.linalg.inv(np.eye(n) - matrix), 0.0, None), 0.0)
