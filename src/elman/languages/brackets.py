"""Languages that need a stack: the course's brackets, and Dyck-k.

Both are deterministic: a prefix determines the open brackets. Strings with the same number of pairs are equally likely,
so the results under a length limit follow from the distribution of the number of pairs n. For Dyck it is
P(n) = C_n pⁿ (1 - p)ⁿ⁺¹ with the Catalan number C_n (Flajolet & Sedgewick 2009, Analytic Combinatorics, I.5.3). Out of
scope: kinds of brackets with unequal probabilities.
"""

import math
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from elman.errors import LanguageError
from elman.languages.base import Language, String
from elman.languages.checks import check_limit
from elman.languages.entropy import Entropy, Floats, binary_entropy, entropy_from_counts
from elman.languages.machine import Arc, LimitedMachine, Machine, no_string_of_length

PAIRS = ("()", "[]", "{}", "<>", *(chr(97 + i) + chr(65 + i) for i in range(26)))
LONGEST = 10_000  # the table of a length limit grows with its square: 400 MB at this limit


class Dyck(Machine[str]):
    """Dyck-k: balanced strings over k kinds of brackets, the empty one included.

    At every step a bracket of a uniformly drawn kind opens with probability p. Otherwise the innermost bracket closes
    or, at depth 0, the string ends. A string with n pairs has the probability (p / k)ⁿ (1 - p)ⁿ⁺¹, and every token is
    one choice of entropy h(p), plus log k for the kind of an opening bracket. The mean number of tokens is
    1 / (1 - 2p), so p must be below 1/2.

    Examples with k = 1, p = 0.3: P(empty) = 0.7, P(()) = 0.3 · 0.7², P(()()) = P((())) = 0.3² · 0.7³. A state is the
    string of open brackets.
    """

    start = ""

    def __init__(self, k: int = 1, p: float = 0.3) -> None:
        if not 1 <= k <= len(PAIRS):
            raise LanguageError(f"{k} is not a possible number of bracket kinds.", f"Use a k from 1 to {len(PAIRS)}.")
        if not 0 < p < 1 / 2:
            raise LanguageError(
                f"With the opening probability {p} strings are empty or have no finite mean length.",
                "Use a p between 0 and 0.5, both excluded.",
            )
        self.k, self.p = k, p
        self.name = f"dyck{k}"
        self.alphabet = tuple("".join(PAIRS[:k]))
        self._closing = {pair[0]: pair[1] for pair in PAIRS[:k]}

    def arcs(self, state: str) -> list[Arc[str]]:
        """Return an arc for each kind of opening bracket, then one that closes the innermost bracket."""
        share = self.p / self.k
        arcs = [Arc(opening, state + opening, share) for opening in self._closing]
        if state:
            arcs.append(Arc(self._closing[state[-1]], state[:-1], 1 - self.p))
        return arcs

    def stop(self, state: str) -> float:
        """Return the probability to stop, 0 while a bracket is open."""
        return 0.0 if state else 1 - self.p

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether every bracket is closed by its own kind, in the right order."""
        return balanced(tokens, self._closing)

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings of that length, all equally likely: a random nesting with random kinds."""
        if length % 2 or length < 0:
            raise no_string_of_length(self, length)
        return [self._with_kinds(random_nesting(length // 2, rng), rng) for _ in range(n)]

    def nested(self, depth: int, rng: random.Random) -> String:
        """Return ``depth`` nested pairs of brackets of random kinds."""
        return self._with_kinds([True] * depth + [False] * depth, rng)

    def _with_kinds(self, openings: Sequence[bool], rng: random.Random) -> String:
        tokens, stack = [], []
        for opens in openings:
            if opens:
                stack.append(rng.choice(list(self._closing)))
                tokens.append(stack[-1])
            else:
                tokens.append(self._closing[stack.pop()])
        return self.join(tokens)

    def entropy(self) -> Entropy:
        """Return h(p) times the mean number of tokens, plus log k times that of opening brackets, p / (1 - 2p)."""
        kinds = self.p / (1 - 2 * self.p) * math.log(self.k)
        return Entropy.exact(self.mean_tokens() * binary_entropy(self.p) + kinds)

    def mean_tokens(self) -> float:
        """Return 1 / (1 - 2p)."""
        return 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this distribution conditioned on strings of at most ``max_length`` symbols (10,000 or less)."""
        check_limit(self.name, max_length, 0, LONGEST)
        logs = _log_closed_within(self.p, max_length)
        n = np.arange(max_length // 2 + 1)
        entropy, mean = entropy_from_counts(
            n * math.log(self.p) + (n + 1) * math.log1p(-self.p) + _log_catalan(n),
            _log_catalan(n) + n * math.log(self.k),
            2 * n + 1,
        )
        return LimitedMachine(
            self, max_length, lambda state, remaining: _lookup(logs, len(state), remaining), entropy, mean
        )


class Brackets(Machine[int]):
    """The course's ``brackets``: balanced strings that a single pair of brackets encloses.

    The string starts with ( at depth 1. Until the depth is 0, a bracket opens with probability 7/16 and otherwise
    closes. A string of n pairs has the probability (7/16)ⁿ⁻¹ (9/16)ⁿ if its first bracket is closed by its last, and 0
    otherwise: ``()()`` is balanced, but never generated. Three tests therefore differ: `is_member` tests for balance,
    `in_support` for a positive probability, and `equal_counts` (the course's own check) compares the counts of ( and ).

    Examples: P(()) = 9/16, P((())) = 7/16 · (9/16)², P(()()) = 0. A state is the depth, -1 before the first bracket.
    """

    name = "brackets"
    alphabet = ("(", ")")
    start = -1
    p = 7 / 16

    def arcs(self, state: int) -> list[Arc[int]]:
        """Return the arcs that open and close a bracket. The first always opens; no arc leaves depth 0."""
        if state <= 0:
            return [Arc("(", 1, 1.0)] if state < 0 else []
        return [Arc("(", state + 1, self.p), Arc(")", state - 1, 1 - self.p)]

    def stop(self, state: int) -> float:
        """Return 1 at depth 0, else 0."""
        return float(state == 0)

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings, drawn as in the course: a bracket opens if `rng.random() < 7/16`, else one closes."""
        draw, p = rng.random, self.p
        strings: list[String] = []
        for _ in range(n):
            brackets, depth = ["("], 1
            while depth:
                opens = draw() < p
                brackets.append("(" if opens else ")")
                depth += 1 if opens else -1
            strings.append("".join(brackets))
        return strings

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is balanced."""
        return balanced(tokens, {"(": ")"})

    def equal_counts(self, tokens: Sequence[str]) -> bool:
        """Return whether the string has as many ( as ), in any order, and no other symbol."""
        opening = sum(token == "(" for token in tokens)
        return 2 * opening == len(tokens) and set(tokens) <= {"(", ")"}

    def judge(self, tokens: Sequence[str]) -> dict[str, bool]:
        """Return the results of the three tests. Here grammatical means balanced."""
        return {**super().judge(tokens), "equal_counts": self.equal_counts(tokens)}

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings of that length, all equally likely: a random nesting inside a pair of brackets."""
        if length % 2 or length < 2:
            raise no_string_of_length(self, length)
        inside = (random_nesting(length // 2 - 1, rng) for _ in range(n))
        return ["(" + "".join("(" if opens else ")" for opens in nesting) + ")" for nesting in inside]

    def nested(self, depth: int, rng: random.Random) -> String:  # noqa: ARG002 (only one such string)
        """Return ``depth`` nested pairs of brackets."""
        return "(" * depth + ")" * depth

    def entropy(self) -> Entropy:
        """Return 8 h(7/16): closing the first bracket takes 1 / (1 - 2p) = 8 choices on average."""
        return Entropy.exact(binary_entropy(self.p) / (1 - 2 * self.p))

    def mean_tokens(self) -> float:
        """Return 10: the first bracket, 8 more on average, and the end."""
        return 2 + 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this distribution conditioned on strings of at most ``max_length`` symbols (10,000 or less)."""
        check_limit(self.name, max_length, 2, LONGEST)
        # Depth d here corresponds to depth d - 1 in Dyck, whose decision to stop is the last closing bracket here.
        logs = _log_closed_within(self.p, max_length)

        def log_within(state: int, remaining: int) -> float:
            if state == 0:
                return 0.0
            depth, remaining = (state, remaining) if state > 0 else (1, remaining - 1)
            return _lookup(logs, depth - 1, remaining - 1)

        n = np.arange(1, max_length // 2 + 1)
        entropy, mean = entropy_from_counts(
            (n - 1) * math.log(self.p) + n * math.log1p(-self.p) + _log_catalan(n - 1),
            _log_catalan(n - 1),
            2 * n + 1,
        )
        return LimitedMachine(self, max_length, log_within, entropy, mean)


def random_nesting(pairs: int, rng: random.Random) -> list[bool]:
    """Return a uniformly drawn balanced string of one kind of brackets, as whether each bracket opens.

    By the cycle lemma (Dvoretzky & Motzkin 1947), exactly one rotation of n openings and n + 1 closings stays at or
    above its start until the last bracket, and the brackets before that one are balanced.
    """
    steps = [True] * pairs + [False] * (pairs + 1)
    rng.shuffle(steps)
    depth, lowest, rotation = 0, 0, 0
    for position, opens in enumerate(steps):
        depth += 1 if opens else -1
        if depth < lowest:
            lowest, rotation = depth, position + 1
    return (steps[rotation:] + steps[:rotation])[:-1]


def balanced(tokens: Sequence[str], closing: dict[str, str]) -> bool:
    """Return whether the tokens are brackets, each closed by its own kind, in the right order."""
    stack: list[str] = []
    for token in tokens:
        if token in closing:
            stack.append(closing[token])
        elif not stack or stack.pop() != token:
            return False
    return not stack


def _log_catalan(n: npt.NDArray[np.int64]) -> Floats:
    """Return log C_n = log (2n)! - 2 log n! - log(n + 1)."""
    return np.array([math.lgamma(2 * i + 1) - 2 * math.lgamma(i + 1) - math.log(i + 1) for i in n.tolist()])


def _log_closed_within(p: float, max_length: int) -> Floats:
    """Return the log-probability to close d open brackets and stop within r symbols, as an array (r, d).

    At every step a bracket opens with probability ``p``.
    """
    depths = max_length // 2 + 2  # a string that is deeper cannot close in time
    logs = np.full((max_length + 1, depths), -math.inf)
    logs[:, 0] = math.log1p(-p)
    deeper, shallower = math.log(p), math.log1p(-p)
    for r in range(1, max_length + 1):
        before = logs[r - 1]
        logs[r, 1:-1] = np.logaddexp(deeper + before[2:], shallower + before[:-2])
        logs[r, -1] = shallower + before[-2]
        logs[r, 0] = np.logaddexp(shallower, deeper + before[1])
    return logs


def _lookup(logs: Floats, depth: int, remaining: int) -> float:
    return float(logs[remaining, depth]) if depth <= remaining and depth < logs.shape[1] else -math.inf
