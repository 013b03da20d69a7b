"""Regular languages as weighted automata: ndfa, the seven Tomita grammars, parity, and automata from files.

In each state the automaton takes an arc (symbol, target) or stops, with probabilities that sum to one. The mean length
and the entropy of a path follow from one linear system: v = (I - A^T)^-1 e_start is the mean number of visits to each
state, with A the matrix of transition probabilities between states. If no string has two paths, the entropy of strings
equals that of paths and is exact. Otherwise it is estimated from samples, each scored by the forward algorithm.
Source: Vidal et al. 2005, "Probabilistic finite-state machines". Out of scope: arcs that emit no symbol.
"""

import math
import random
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import Language, String
from elman.languages.checks import EMPTY_STRING_NAMES, LONGEST, check_alphabet, check_sum, check_weight, reachable
from elman.languages.entropy import Entropy, Floats, sampled_entropy, shannon_entropy
from elman.languages.machine import Arc, LimitedMachine, Machine, State


class Automaton(Machine[str]):
    """A weighted finite automaton.

    Parameters
    ----------
    name, alphabet, start
        The name of the language, its symbols, and the state to start from.
    arcs
        The arcs of each state: symbol, target, probability.
    stops
        The probability to stop in each state; 0 for a state that is not listed.

    Raises
    ------
    LanguageError
        A target or symbol is missing, the weights of a state do not sum to one, a state cannot be reached, or the
        automaton cannot stop from a state.

    Example: with ``{"even": [("0", "even", 0.5), ("1", "odd", 0.2)], "odd": [("1", "even", 1.0)]}``, the start state
    ``even`` and the probability 0.3 to stop there, P(011) = 0.5 · 0.2 · 1 · 0.3 = 0.03.
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
        self._arcs = {state: [Arc(*arc) for arc in triples] for state, triples in arcs.items()}
        self._stops = {state: stops.get(state, 0.0) for state in self._arcs}
        check_alphabet(self.alphabet)
        self._check()

    def _check(self) -> None:
        if self.start not in self._arcs:
            raise LanguageError(
                f"The start state {self.start!r} is not described.", "Describe it, or use another one.", ("start",)
            )
        for state, arcs in self._arcs.items():
            for arc in arcs:
                self._check_arc(state, arc)
            total = math.fsum([self._stops[state], *(arc.probability for arc in arcs)])
            check_sum(total, f"the arcs and the stop of state {state!r}", ("states", state))
        self._check_reach()
        self._check_length()

    def _check_arc(self, state: str, arc: Arc[str]) -> None:
        place = ("states", state, f"{arc.symbol} -> {arc.target}")
        check_weight(arc.probability, f"the arc {arc.symbol} -> {arc.target}", place)
        if arc.symbol not in self.alphabet:
            remedy = "Add it to the alphabet, or correct the arc."
            if arc.symbol in {"", *EMPTY_STRING_NAMES}:
                remedy = "Use a stop in the state where a string may end: every arc emits a symbol."
            raise LanguageError(f"The symbol {arc.symbol!r} is not in the alphabet.", remedy, place)
        if arc.target not in self._arcs:
            raise LanguageError(
                f"The state {arc.target!r} is not described.", "Describe it, or correct the arc.", place
            )

    def _check_reach(self) -> None:
        successors = {state: {arc.target for arc in arcs} for state, arcs in self._arcs.items()}
        reached = reachable(successors, {self.start})
        for state in (state for state in successors if state not in reached):
            raise LanguageError(
                f"The state {state!r} cannot be reached from {self.start!r}.",
                "Add an arc to it, or remove it.",
                ("states", state),
            )
        predecessors: dict[str, set[str]] = {state: set() for state in successors}
        for state, targets in successors.items():
            for target in targets:
                predecessors[target].add(state)
        stopping = reachable(predecessors, {state for state, weight in self._stops.items() if weight > 0})
        for state in (state for state in successors if state not in stopping):
            raise LanguageError(
                f"From the state {state!r} the automaton never stops: its mean length is infinite.",
                "Add a stop to it, or to a state that it leads to.",
                ("states", state),
            )

    def _check_length(self) -> None:
        try:
            mean_lengths = np.linalg.solve(np.eye(len(self._arcs)) - self._transitions, np.ones(len(self._arcs)))
        except np.linalg.LinAlgError:
            mean_lengths = np.full(len(self._arcs), math.inf)
        for state, tokens in zip(self._arcs, mean_lengths, strict=True):
            if not 0 < tokens <= LONGEST:
                raise LanguageError(
                    f"From the state {state!r} a string has more than {LONGEST:,.0f} symbols on average.",
                    "Increase its stop, or that of a state that it leads to.",
                    ("states", state),
                )

    def arcs(self, state: str) -> list[Arc[str]]:
        """Return the arcs of ``state``."""
        return self._arcs[state]

    def stop(self, state: str) -> float:
        """Return the probability to stop in ``state``."""
        return self._stops[state]

    @property
    def states(self) -> list[str]:
        """The names of the states, in the order of the description."""
        return list(self._arcs)

    @cached_property
    def _transitions(self) -> Floats:
        """The probability of a transition from each state (row) to each other (column)."""
        index = {state: i for i, state in enumerate(self._arcs)}
        transitions = np.zeros((len(index), len(index)))
        for state, arcs in self._arcs.items():
            for arc in arcs:
                transitions[index[state], index[arc.target]] += arc.probability
        return transitions

    @cached_property
    def _visits(self) -> Floats:
        """The mean number of visits to each state in one string."""
        start = np.array([float(state == self.start) for state in self._arcs])
        return np.linalg.solve(np.eye(len(start)) - self._transitions.T, start)

    @cached_property
    def unambiguous(self) -> bool:
        """Whether no string has two paths: two paths with the same symbols never part and then both stop."""
        successors: dict[tuple[str, str], set[tuple[str, str]]] = {}
        predecessors: dict[tuple[str, str], set[tuple[str, str]]] = {}
        waiting = [(self.start, self.start)]
        while waiting:
            pair = waiting.pop()
            if pair in successors:
                continue
            successors[pair] = {
                (first.target, second.target)
                for first in self._arcs[pair[0]]
                for second in self._arcs[pair[1]]
                if first.symbol == second.symbol
            }
            for target in successors[pair]:
                predecessors.setdefault(target, set()).add(pair)
            waiting.extend(successors[pair])
        both_stop = {pair for pair in successors if self._stops[pair[0]] > 0 and self._stops[pair[1]] > 0}
        parallel_arcs = any(len(arcs) > len({arc[:2] for arc in arcs}) for arcs in self._arcs.values())
        return not parallel_arcs and all(first == second for first, second in reachable(predecessors, both_stop))

    def entropy(self) -> Entropy:
        """Return the exact entropy if the automaton is `unambiguous`, else an estimate from samples."""
        return self._entropy

    @cached_property
    def _entropy(self) -> Entropy:
        if not self.unambiguous:
            return sampled_entropy(self)
        choices = np.array([_choice_entropy(self, state) for state in self._arcs])
        return Entropy.exact(float(self._visits @ choices))

    def mean_tokens(self) -> float:
        """Return the mean number of tokens, which is the mean number of visits to all states."""
        return float(self._visits.sum())

    def up_to(self, max_length: int) -> Language:
        """Return this distribution conditioned on strings of at most ``max_length`` symbols."""
        index = {state: i for i, state in enumerate(self._arcs)}
        within = self.within(max(max_length, 0))
        if max_length < 0 or within[-1, index[self.start]] <= 0:
            raise LanguageError(
                f"No string of {self.name} has at most {max_length} symbols.", "Use a higher length limit."
            )
        logs = np.log(within, out=np.full_like(within, -math.inf), where=within > 0)

        def limited(entropy: Entropy | None, tokens: float) -> LimitedMachine[str]:
            return LimitedMachine(
                self, max_length, lambda state, remaining: logs[remaining, index[state]], entropy, tokens
            )

        nats, tokens = _path_totals(limited(None, 0.0))
        return limited(Entropy.exact(nats) if self.unambiguous else None, tokens)

    def within(self, max_length: int) -> Floats:
        """Return the probability to stop within r more symbols, for every r and state, (max_length + 1, states)."""
        stops = np.array(list(self._stops.values()))
        rows = [stops]
        for _ in range(max_length):
            rows.append(stops + self._transitions @ rows[-1])
        return np.array(rows)


def _choice_entropy(machine: Machine[State], state: State) -> float:
    """Return the entropy of the next choice in ``state``: one of its arcs, or stopping."""
    return shannon_entropy([*(arc.probability for arc in machine.arcs(state)), machine.stop(state)])


def _path_totals(machine: LimitedMachine[str]) -> tuple[float, float]:
    """Return the entropy of a path in nats and its mean number of tokens, in one pass over the positions."""
    occupied = {machine.start: 1.0}
    nats = tokens = 0.0
    while occupied:
        following: dict[tuple[str, int], float] = {}
        for state, weight in occupied.items():
            nats += weight * _choice_entropy(machine, state)
            tokens += weight
            for arc in machine.arcs(state):
                following[arc.target] = following.get(arc.target, 0.0) + weight * arc.probability
        occupied = following
    return nats, tokens


class Ndfa(Automaton):
    """The course's ``ndfa``: s, then one of the words abc!, uvw!, klm! repeated any number of times, then s.

    The word is drawn once for a string. Before the first and after each repetition the string ends with probability
    1/4. So P(ss) = 1/4 and P(s (abc!)^k s) = 1/3 · (3/4)^k · 1/4. As an automaton: the first s is followed by s, a, u
    or k with 1/4 each; the ``!`` of a word is followed by s with 1/4, or by the same word again.

    Examples: ``ss``, ``sabc!s`` and ``suvw!uvw!uvw!s`` are members, ``sabc!uvw!s`` is not.
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
        """Return ``n`` strings, drawn as in the course: `rng.choice` of a word, then `rng.random() < 1/4` ends."""
        draw = rng.random
        strings: list[String] = []
        for _ in range(n):
            word, repeats = rng.choice(self.words), 0
            while draw() >= 1 / 4:
                repeats += 1
            strings.append("s" + word * repeats + "s")
        return strings


def from_dfa(
    name: str, transitions: Mapping[str, Mapping[str, str]], accepting: Iterable[str], stop: float
) -> Automaton:
    """Return a weighted automaton from a deterministic one over 0 and 1, without dead states.

    The first state is the start. An accepting state stops with probability ``stop``, or 1 if it has no transitions. The
    transitions of a state share the remaining probability equally.
    """
    if not 0 < stop < 1:
        raise LanguageError(f"The probability to stop cannot be {stop}.", "Use a stop between 0 and 1, both excluded.")
    accepting = set(accepting)
    stops = {state: (stop if targets else 1.0) if state in accepting else 0.0 for state, targets in transitions.items()}
    arcs = {
        state: [(symbol, target, (1 - stops[state]) / len(targets)) for symbol, target in targets.items()]
        for state, targets in transitions.items()
    }
    return Automaton(name, "01", next(iter(transitions)), arcs, stops)


def parity(stop: float = 0.1) -> Automaton:
    """Return parity: the strings over 0 and 1 with an even number of 1s.

    After an even number of 1s the string stops with probability ``stop``, and 0 and 1 share the rest. After an odd
    number, 0 and 1 have 1/2 each. Examples with stop = 0.1: P(empty) = 0.1, P(11) = 0.45 · 0.5 · 0.1; ``1`` and
    ``0111`` are not members.
    """
    transitions = {"even": {"0": "even", "1": "odd"}, "odd": {"0": "odd", "1": "even"}}
    return from_dfa("parity", transitions, ["even"], stop)


class Tomita(NamedTuple):
    """A grammar of Tomita 1982: its strings, and its minimal automaton without the dead state."""

    strings: str
    transitions: dict[str, dict[str, str]]
    accepting: str


TOMITA = {
    1: Tomita("only 1s", {"A": {"1": "A"}}, "A"),
    2: Tomita("(10)*", {"A": {"1": "B"}, "B": {"0": "A"}}, "A"),
    3: Tomita(
        "no odd run of 0s after an odd run of 1s",
        {  # A, B: an even, odd run of 1s; after an odd run of 1s has ended: C in an odd run of 0s, else D
            "A": {"0": "A", "1": "B"},
            "B": {"0": "C", "1": "A"},
            "C": {"0": "D"},
            "D": {"0": "C", "1": "D"},
        },
        "ABD",
    ),
    4: Tomita("no 000", {"A": {"0": "B", "1": "A"}, "B": {"0": "C", "1": "A"}, "C": {"1": "A"}}, "ABC"),
    5: Tomita(
        "an even number of 0s and of 1s",
        {
            "A": {"0": "B", "1": "C"},
            "B": {"0": "A", "1": "D"},
            "C": {"0": "D", "1": "A"},
            "D": {"0": "C", "1": "B"},
        },
        "A",
    ),
    6: Tomita(
        "the number of 0s minus that of 1s is a multiple of 3",
        {"A": {"0": "B", "1": "C"}, "B": {"0": "C", "1": "A"}, "C": {"0": "A", "1": "B"}},
        "A",
    ),
    7: Tomita(
        "0*1*0*1*",
        {"A": {"0": "A", "1": "B"}, "B": {"1": "B", "0": "C"}, "C": {"0": "C", "1": "D"}, "D": {"1": "D"}},
        "ABCD",
    ),
}


def tomita(number: int, stop: float = 0.1) -> Automaton:
    """Return one of the seven grammars of Tomita 1982, over 0 and 1, with the weights of `from_dfa`.

    Examples: 1 ``111``, not ``10``; 2 ``1010``, not ``101``; 3 ``1001``, not ``10`` or ``100110``; 4 ``1001``, not
    ``1000``; 5 ``0101``, not ``01``; 6 ``000`` and ``01``, not ``0``; 7 ``0101``, not ``01010``. With stop = 0.1,
    P(111) in grammar 1 is 0.9³ · 0.1.
    """
    if number not in TOMITA:
        raise LanguageError(f"{number} is not the number of a Tomita grammar.", "Use a number from 1 to 7.")
    _, transitions, accepting = TOMITA[number]
    return from_dfa(f"tomita{number}", transitions, accepting, stop)
