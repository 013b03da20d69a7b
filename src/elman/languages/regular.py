"""Regular languages as weighted automata: ndfa, the seven Tomita grammars, parity, and any other.

In a state the automaton takes an arc (symbol, target) or stops, with probabilities that sum to one. Mean length
and the entropy of a path follow from one linear system: v = (I - A^T)^-1 e_start is how often each state is
visited, A the matrix of moves between states. Where no string has two paths, a path's entropy is the string's, and
exact; otherwise it is estimated from samples, each weighed by the forward algorithm. Source: Vidal et al. 2005,
"Probabilistic finite-state machines". What it leaves out: arcs that emit nothing.
"""

import math
import random
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from elman.errors import LanguageError
from elman.languages.base import Entropy, Language, String
from elman.languages.checks import LONGEST, check_alphabet, check_sum, check_weight, reachable
from elman.languages.estimate import estimate_entropy
from elman.languages.machine import Arc, Limited, Machine

Floats = npt.NDArray[np.float64]


class Automaton(Machine[str]):
    """A weighted finite automaton.

    Parameters
    ----------
    arcs
        Of each state, its arcs: symbol, target, probability.
    stops
        The probability to stop in a state; 0 for a state that is not named.

    Raises
    ------
    LanguageError
        A target or symbol is missing, the weights of a state do not sum to one, a state cannot be reached, or can
        never stop (its strings are endless).

    Example: ``{"even": [("0", "even", 0.5), ("1", "odd", 0.2)], "odd": [("1", "even", 1.0)]}`` that starts in
    ``even`` and stops there with probability 0.3 gives `0 11` the probability 0.5 · 0.2 · 1 · 0.3 = 0.03.
    """

    def __init__(
        self,
        name: str,
        alphabet: Iterable[str],
        start: str,
        arcs: Mapping[str, Iterable[tuple[str, str, float]]],
        stops: Mapping[str, float],
    ) -> None:
        self.name, self.alphabet, self.start = name, tuple(alphabet), start
        self._arcs = {state: [Arc(*arc) for arc in ways] for state, ways in arcs.items()}
        self._stops = {state: stops.get(state, 0.0) for state in self._arcs}
        check_alphabet(self.alphabet)
        self._check()

    def _check(self) -> None:
        if self.start not in self._arcs:
            raise LanguageError(
                f"The start state {self.start!r} is not described.",
                "Describe it, or start elsewhere.",
                ("start",),
            )
        for state, ways in self._arcs.items():
            for arc in ways:
                self._check_arc(state, arc)
            total = math.fsum([self._stops[state], *(arc.probability for arc in ways)])
            check_sum(total, f"the arcs and the stop of state {state!r}", ("states", state))
        self._check_reach()
        self._check_length()

    def _check_arc(self, state: str, arc: Arc[str]) -> None:
        place = ("states", state, f"{arc.symbol} -> {arc.target}")
        check_weight(arc.probability, f"the arc {arc.symbol} -> {arc.target}", place)
        if arc.symbol not in self.alphabet:
            raise LanguageError(
                f"The symbol {arc.symbol!r} is not in the alphabet.", "Add it, or correct the arc.", place
            )
        if arc.target not in self._arcs:
            raise LanguageError(
                f"The state {arc.target!r} is not described.", "Describe it, or correct the arc.", place
            )

    def _check_reach(self) -> None:
        ways = {state: {arc.target for arc in arcs} for state, arcs in self._arcs.items()}
        found = reachable(ways, {self.start})
        for state in (state for state in ways if state not in found):
            raise LanguageError(
                f"The state {state!r} cannot be reached from {self.start!r}.",
                "Lead an arc there, or remove it.",
                ("states", state),
            )
        back: dict[str, set[str]] = {state: set() for state in ways}
        for state, targets in ways.items():
            for target in targets:
                back[target].add(state)
        ending = reachable(back, {state for state, weight in self._stops.items() if weight > 0})
        for state in (state for state in ways if state not in ending):
            raise LanguageError(
                f"From the state {state!r} the automaton never stops: its mean length is infinite.",
                "Give it, or a state that it leads to, a stop.",
                ("states", state),
            )

    def _check_length(self) -> None:
        try:
            ahead = np.linalg.solve(np.eye(len(self._arcs)) - self._moves, np.ones(len(self._arcs)))
        except np.linalg.LinAlgError:
            ahead = np.full(len(self._arcs), math.inf)
        for state, tokens in zip(self._arcs, ahead, strict=True):
            if not 0 < tokens <= LONGEST:
                raise LanguageError(
                    f"From the state {state!r} a string goes on for more than {LONGEST:,.0f} symbols on average.",
                    "Give it, or a state that it leads to, a larger stop.",
                    ("states", state),
                )

    def arcs(self, state: str) -> list[Arc[str]]:
        """Return the arcs that leave ``state``."""
        return self._arcs[state]

    def stop(self, state: str) -> float:
        """Return the probability to stop in ``state``."""
        return self._stops[state]

    @property
    def states(self) -> list[str]:
        """The names of the states, in the order of the description."""
        return list(self._arcs)

    @cached_property
    def _moves(self) -> Floats:
        """The probability to move from a state (row) to another (column) by one symbol."""
        index = {state: i for i, state in enumerate(self._arcs)}
        moves = np.zeros((len(index), len(index)))
        for state, ways in self._arcs.items():
            for arc in ways:
                moves[index[state], index[arc.target]] += arc.probability
        return moves

    @cached_property
    def _visits(self) -> Floats:
        """How often each state is visited by one string, on average."""
        start = np.array([float(state == self.start) for state in self._arcs])
        return np.linalg.solve(np.eye(len(start)) - self._moves.T, start)

    @cached_property
    def unambiguous(self) -> bool:
        """Whether no string has two paths: two walks over one string never part and then both stop."""
        ways: dict[tuple[str, str], set[tuple[str, str]]] = {}
        back: dict[tuple[str, str], set[tuple[str, str]]] = {}
        waiting = [(self.start, self.start)]
        while waiting:
            pair = waiting.pop()
            if pair in ways:
                continue
            ways[pair] = {
                (one.target, other.target)
                for one in self._arcs[pair[0]]
                for other in self._arcs[pair[1]]
                if one.symbol == other.symbol
            }
            for target in ways[pair]:
                back.setdefault(target, set()).add(pair)
            waiting.extend(ways[pair])
        ends = {pair for pair in ways if self._stops[pair[0]] > 0 and self._stops[pair[1]] > 0}
        useful = reachable(back, ends)
        twice = any(len(ways) > len({arc[:2] for arc in ways}) for ways in self._arcs.values())
        return not twice and all(one == other for one, other in useful)

    def entropy(self) -> Entropy:
        """Return the entropy: exact where `unambiguous`, else estimated from samples."""
        return self._entropy

    @cached_property
    def _entropy(self) -> Entropy:
        if not self.unambiguous:
            return estimate_entropy(self)
        local = np.array([_shannon([*(a.probability for a in w), self._stops[s]]) for s, w in self._arcs.items()])
        return Entropy.exact(float(self._visits @ local))

    def mean_tokens(self) -> float:
        """Return the mean number of tokens: every visit to a state emits one."""
        return float(self._visits.sum())

    def up_to(self, max_length: int) -> Language:
        """Return this law on condition that a string has at most ``max_length`` symbols."""
        index = {state: i for i, state in enumerate(self._arcs)}
        within = self.within(max(max_length, 0))
        if max_length < 0 or within[-1, index[self.start]] <= 0:
            raise LanguageError(
                f"No string of {self.name} has at most {max_length} symbols.", "Raise the length limit."
            )
        logs = np.log(within, out=np.full_like(within, -math.inf), where=within > 0)

        def limited(entropy: Entropy | None, tokens: float) -> Limited[str]:
            return Limited(self, max_length, lambda state, left: logs[left, index[state]], entropy, tokens)

        nats, tokens = _walk_totals(limited(None, 0.0))
        return limited(Entropy.exact(nats) if self.unambiguous else None, tokens)

    def within(self, max_length: int) -> Floats:
        """Return W (max_length + 1, states): the probability to stop after at most r more symbols."""
        stops = np.array(list(self._stops.values()))
        rows = [stops]
        for _ in range(max_length):
            rows.append(stops + self._moves @ rows[-1])
        return np.array(rows)


def _shannon(weights: Iterable[float]) -> float:
    """Return the entropy of a law in nats."""
    return -math.fsum(p * math.log(p) for p in weights if p > 0)


def _walk_totals(machine: Limited[str]) -> tuple[float, float]:
    """Return a path's entropy in nats and its mean number of tokens: one pass over the clock."""
    occupied = {machine.start: 1.0}
    nats = tokens = 0.0
    while occupied:
        after: dict[tuple[str, int], float] = {}
        for state, weight in occupied.items():
            arcs = machine.arcs(state)
            nats += weight * _shannon([*(arc.probability for arc in arcs), machine.stop(state)])
            tokens += weight
            for arc in arcs:
                after[arc.target] = after.get(arc.target, 0.0) + weight * arc.probability
        occupied = after
    return nats, tokens


class Ndfa(Automaton):
    """The course's ``ndfa``: s, one word of abc!, uvw!, klm! any number of times, s.

    The word is chosen once a string; after each repetition, and before the first, the string ends with
    probability 1/4. So P(ss) = 1/4 and P(s (abc!)^k s) = 1/3 · (3/4)^k · 1/4. As an automaton: after the first s
    comes s with 1/4 or one of a, u, k with 1/4 each; after a word's ``!`` comes s with 1/4, or the word again.

    Examples: ``ss``, ``sabc!s``, ``suvw!uvw!uvw!s``; not ``sabc!uvw!s``.
    """

    words = ("abc!", "uvw!", "klm!")

    def __init__(self) -> None:
        arcs: dict[str, list[tuple[str, str, float]]] = {"start": [("s", "first", 1.0)]}
        arcs["first"] = [("s", "end", 1 / 4), *((word[0], word[:1], 1 / 4) for word in self.words)]
        for word in self.words:
            for i in range(1, 4):
                arcs[word[:i]] = [(word[i], word[: i + 1], 1.0)]
            arcs[word] = [("s", "end", 1 / 4), (word[0], word[:1], 3 / 4)]
        arcs["end"] = []
        super().__init__("ndfa", "!abcklmsuvw", "start", arcs, {"end": 1.0})

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw as the course does: `rng.choice` of the word, then `rng.random() < 1/4` ends the string."""
        draw = rng.random
        strings: list[String] = []
        for _ in range(n):
            word, repeats = rng.choice(self.words), 0
            while draw() >= 1 / 4:
                repeats += 1
            strings.append("s" + word * repeats + "s")
        return strings


def from_dfa(name: str, moves: Mapping[str, Mapping[str, str]], accepting: Iterable[str], stop: float) -> Automaton:
    """Weigh a deterministic automaton over 0 and 1 that starts in its first state and has no dead states.

    An accepting state stops with probability ``stop`` (1 where no symbol leaves it), and the symbols that leave a
    state share the rest equally.
    """
    if not 0 < stop < 1:
        raise LanguageError(f"The probability to stop cannot be {stop}.", "Give a number between 0 and 1.")
    ends = set(accepting)
    stops = {state: (stop if ways else 1.0) if state in ends else 0.0 for state, ways in moves.items()}
    arcs = {
        state: [(symbol, target, (1 - stops[state]) / len(ways)) for symbol, target in ways.items()]
        for state, ways in moves.items()
    }
    return Automaton(name, "01", next(iter(moves)), arcs, stops)


def parity(stop: float = 0.1) -> Automaton:
    """Return parity: the strings over 0 and 1 with an even number of 1s.

    With an even number so far the string stops with probability ``stop``, and 0 and 1 share the rest; with an odd
    number 0 and 1 have 1/2 each. Examples at 0.1: P(empty) = 0.1, P(11) = 0.45 · 0.5 · 0.1; not ``1``, ``0111``.
    """
    moves = {"even": {"0": "even", "1": "odd"}, "odd": {"0": "odd", "1": "even"}}
    return from_dfa("parity", moves, ["even"], stop)


# Every minimal automaton without its dead state: the moves, the accepting states.
TOMITA: dict[int, tuple[dict[str, dict[str, str]], str]] = {
    1: ({"A": {"1": "A"}}, "A"),
    2: ({"A": {"1": "B"}, "B": {"0": "A"}}, "A"),
    3: (
        {  # A, B: an even, odd run of 1s; C, D: an odd run of 1s has been, and an odd run of 0s ends here, or not
            "A": {"0": "A", "1": "B"},
            "B": {"0": "C", "1": "A"},
            "C": {"0": "D"},
            "D": {"0": "C", "1": "D"},
        },
        "ABD",
    ),
    4: ({"A": {"0": "B", "1": "A"}, "B": {"0": "C", "1": "A"}, "C": {"1": "A"}}, "ABC"),
    5: (
        {
            "A": {"0": "B", "1": "C"},
            "B": {"0": "A", "1": "D"},
            "C": {"0": "D", "1": "A"},
            "D": {"0": "C", "1": "B"},
        },
        "A",
    ),
    6: ({"A": {"0": "B", "1": "C"}, "B": {"0": "C", "1": "A"}, "C": {"0": "A", "1": "B"}}, "A"),
    7: (
        {"A": {"0": "A", "1": "B"}, "B": {"1": "B", "0": "C"}, "C": {"0": "C", "1": "D"}, "D": {"1": "D"}},
        "ABCD",
    ),
}


def tomita(number: int, stop: float = 0.1) -> Automaton:
    """Return one of the seven grammars of Tomita 1982, over 0 and 1.

    1: only 1s. 2: (10)*. 3: no odd run of 0s anywhere after an odd run of 1s. 4: no 000. 5: an even number of 0s
    and of 1s. 6: the number of 0s less that of 1s is a multiple of 3. 7: 0*1*0*1*. The weights are `from_dfa`'s.

    Examples: 1 ``111``, not ``10``; 2 ``1010``, not ``101``; 3 ``1001``, not ``10``, nor ``100110``; 4 ``1001``,
    not ``1000``; 5 ``0101``, not ``01``; 6 ``000``, ``01``, not ``0``; 7 ``0101``, not ``01010``. At stop = 0.1,
    P(111) in grammar 1 is 0.9³ · 0.1.
    """
    if number not in TOMITA:
        raise LanguageError(f"There is no Tomita grammar {number}.", "Choose one from 1 to 7.")
    moves, accepting = TOMITA[number]
    return from_dfa(f"tomita{number}", moves, accepting, stop)
