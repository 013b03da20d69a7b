"""Languages that need a stack: the course's brackets, and Dyck-k.

Both are deterministic: a prefix says which brackets are open. Two strings with as many pairs are equally likely, so
under a length limit everything follows from the law of the number of pairs: for Dyck, P(n) = C_n pⁿ (1 - p)ⁿ⁺¹ with
Catalan's number C_n (Flajolet & Sedgewick 2009, Analytic Combinatorics, I.5.3). What it leaves out: kinds of
brackets that are not equally likely.
"""

import math
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from elman.errors import LanguageError
from elman.languages.base import Entropy, Language, String
from elman.languages.counts import Floats, binary_entropy, check_limit, from_counts
from elman.languages.machine import Arc, Limited, Machine, no_string_of

PAIRS = ("()", "[]", "{}", "<>", *(chr(97 + i) + chr(65 + i) for i in range(26)))
LONGEST = 10_000  # the table of a limited law grows with its square: 400 MB here


class Dyck(Machine[str]):
    """Dyck-k: balanced strings over k kinds of brackets, the empty one included.

    At every step a bracket opens with probability p, its kind uniform; else the innermost closes, or, at depth 0,
    the string ends. So a string with n pairs has probability (p / k)ⁿ (1 - p)ⁿ⁺¹, and every token is one choice
    of entropy h(p), the kinds apart. The mean number of tokens is 1 / (1 - 2p): p must stay below 1/2.

    Examples at k = 1, p = 0.3: P(empty) = 0.7, P(()) = 0.3 · 0.7², P(()()) = P((())) = 0.3² · 0.7³. A state is the
    string of brackets that are open.
    """

    start = ""

    def __init__(self, k: int = 1, p: float = 0.3) -> None:
        if not 1 <= k <= len(PAIRS):
            raise LanguageError(f"There is no Dyck language of {k} pairs.", f"Give 1 to {len(PAIRS)} pairs.")
        if not 0 < p < 1 / 2:
            raise LanguageError(
                f"With an opening probability of {p} the mean length is not finite and above 0.",
                "Give one between 0 and 0.5.",
            )
        self.k, self.p = k, p
        self.name = f"dyck{k}"
        self.alphabet = tuple("".join(PAIRS[:k]))
        self._closing = {pair[0]: pair[1] for pair in PAIRS[:k]}

    def arcs(self, state: str) -> list[Arc[str]]:
        """Return every opening bracket, then the innermost's closing one."""
        share = self.p / self.k
        ways = [Arc(opening, state + opening, share) for opening in self._closing]
        if state:
            ways.append(Arc(self._closing[state[-1]], state[:-1], 1 - self.p))
        return ways

    def stop(self, state: str) -> float:
        """Return the probability to end: none at depth above 0."""
        return 0.0 if state else 1 - self.p

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether every bracket is closed by its own kind, in order."""
        return balanced(tokens, self._closing)

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Draw from all balanced strings of that length: they are equally likely."""
        if length % 2 or length < 0:
            raise no_string_of(self, length)
        return [self._named(random_nesting(length // 2, rng), rng) for _ in range(n)]

    def nested(self, depth: int, rng: random.Random) -> String:
        """Return brackets of random kinds, ``depth`` of them inside one another."""
        return self._named([True] * depth + [False] * depth, rng)

    def _named(self, openings: Sequence[bool], rng: random.Random) -> String:
        tokens, stack = [], []
        for opens in openings:
            if opens:
                stack.append(rng.choice(list(self._closing)))
                tokens.append(stack[-1])
            else:
                tokens.append(self._closing[stack.pop()])
        return self.join(tokens)

    def entropy(self) -> Entropy:
        """Return h(p) a token, and log k an opening bracket, of which there are p / (1 - 2p)."""
        kinds = self.p / (1 - 2 * self.p) * math.log(self.k)
        return Entropy.exact(self.mean_tokens() * binary_entropy(self.p) + kinds)

    def mean_tokens(self) -> float:
        """Return 1 / (1 - 2p)."""
        return 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this law on condition that a string has at most ``max_length`` symbols (10,000 at most)."""
        check_limit(self, max_length, 0, LONGEST)
        logs = _log_closed_within(self.p, max_length)
        n = np.arange(max_length // 2 + 1)
        entropy, mean = from_counts(
            n * math.log(self.p) + (n + 1) * math.log1p(-self.p) + _log_catalan(n),
            _log_catalan(n) + n * math.log(self.k),
            2 * n + 1,
        )
        return Limited(self, max_length, lambda state, left: _lookup(logs, len(state), left), entropy, mean)


class Brackets(Machine[int]):
    """The course's ``brackets``: one pair, open until its own bracket closes.

    The string starts with ( at depth 1; until the depth is 0, a bracket opens with probability 7/16, else closes.
    So a string of n pairs has probability (7/16)ⁿ⁻¹ (9/16)ⁿ where it is *primitive*, and 0 elsewhere: ``()()`` is
    balanced, but never generated. Three questions differ: `is_member` asks for balance, `in_support` for what can
    be generated, and `equal_counts` (the course's own check) only counts.

    Examples: P(()) = 9/16, P((())) = 7/16 · (9/16)², P(()()) = 0. A state is the depth, -1 before the first.
    """

    name = "brackets"
    alphabet = ("(", ")")
    start = -1
    p = 7 / 16

    def arcs(self, state: int) -> list[Arc[int]]:
        """Return opening and closing; the first bracket is sure to open, and after the last nothing comes."""
        if state <= 0:
            return [Arc("(", 1, 1.0)] if state < 0 else []
        return [Arc("(", state + 1, self.p), Arc(")", state - 1, 1 - self.p)]

    def stop(self, state: int) -> float:
        """Return 1 at depth 0."""
        return float(state == 0)

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw as the course does: `rng.random() < 7/16` opens, else a bracket closes."""
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
        """Return whether as many brackets open as close, in whatever order."""
        opening = sum(token == "(" for token in tokens)
        return 2 * opening == len(tokens) and set(tokens) <= {"(", ")"}

    def judge(self, tokens: Sequence[str]) -> dict[str, bool]:
        """Return the answers to the three questions; grammatical is balanced."""
        return {**super().judge(tokens), "equal_counts": self.equal_counts(tokens)}

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Draw from all primitive strings of that length: they are equally likely."""
        if length % 2 or length < 2:
            raise no_string_of(self, length)
        inside = (random_nesting(length // 2 - 1, rng) for _ in range(n))
        return ["(" + "".join("(" if opens else ")" for opens in nesting) + ")" for nesting in inside]

    def nested(self, depth: int, rng: random.Random) -> String:  # noqa: ARG002 (there is one)
        """Return ``depth`` brackets inside one another."""
        return "(" * depth + ")" * depth

    def entropy(self) -> Entropy:
        """Return 8 h(7/16): so many choices, 1 / (1 - 2p), close the first bracket on average."""
        return Entropy.exact(binary_entropy(self.p) / (1 - 2 * self.p))

    def mean_tokens(self) -> float:
        """Return 10: the first bracket, 8 on average, and the end."""
        return 2 + 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this law on condition that a string has at most ``max_length`` symbols (10,000 at most)."""
        check_limit(self, max_length, 2, LONGEST)
        # To close depth d is to close depth d - 1 and then stop, as Dyck does, which a last closing stands for.
        logs = _log_closed_within(self.p, max_length)

        def log_within(state: int, left: int) -> float:
            if state == 0:
                return 0.0
            depth, left = (state, left) if state > 0 else (1, left - 1)
            return _lookup(logs, depth - 1, left - 1)

        n = np.arange(1, max_length // 2 + 1)
        entropy, mean = from_counts(
            (n - 1) * math.log(self.p) + n * math.log1p(-self.p) + _log_catalan(n - 1),
            _log_catalan(n - 1),
            2 * n + 1,
        )
        return Limited(self, max_length, log_within, entropy, mean)


def random_nesting(pairs: int, rng: random.Random) -> list[bool]:
    """Draw from all balanced strings of so many pairs of one kind, each as likely: whether each bracket opens.

    By the cycle lemma (Dvoretzky & Motzkin 1947): of the rotations of n openings and n + 1 closings exactly one stays
    above its start up to the last bracket, and what comes before that is balanced.
    """
    steps = [True] * pairs + [False] * (pairs + 1)
    rng.shuffle(steps)
    depth, lowest, turn = 0, 0, 0
    for position, opens in enumerate(steps):
        depth += 1 if opens else -1
        if depth < lowest:
            lowest, turn = depth, position + 1
    return (steps[turn:] + steps[:turn])[:-1]


def balanced(tokens: Sequence[str], closing: dict[str, str]) -> bool:
    """Return whether every bracket is closed by its own kind, in order, and nothing else is there."""
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
    """Return log W (r, d): to close d brackets and end within r symbols, opening others with probability p."""
    depths = max_length // 2 + 2  # deeper is never within reach of a string that must close in time
    logs = np.full((max_length + 1, depths), -math.inf)
    logs[:, 0] = math.log1p(-p)
    deeper, shallower = math.log(p), math.log1p(-p)
    for r in range(1, max_length + 1):
        before = logs[r - 1]
        logs[r, 1:-1] = np.logaddexp(deeper + before[2:], shallower + before[:-2])
        logs[r, -1] = shallower + before[-2]
        logs[r, 0] = np.logaddexp(shallower, deeper + before[1])
    return logs


def _lookup(logs: Floats, depth: int, left: int) -> float:
    return float(logs[left, depth]) if depth <= left and depth < logs.shape[1] else -math.inf
