"""Languages that need a counter or a stack: brackets and Dyck, and aⁿbⁿ with its kin.

All are deterministic: a prefix says where the machine is. Two strings with the same counts are equally likely, so
under a length limit everything follows from the law of the counts: P(count) times the number of strings that have
it. For Dyck the mass of n pairs is Catalan's C_n pⁿ (1 - p)ⁿ⁺¹ (Flajolet & Sedgewick 2009, Analytic Combinatorics,
I.5.3). What it leaves out: counters that a string may cross below zero.
"""

import math
import random
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from elman.errors import LanguageError
from elman.languages.base import Entropy, Language, String
from elman.languages.machine import Arc, Limited, Machine

Floats = npt.NDArray[np.float64]
PAIRS = ("()", "[]", "{}", "<>", *(chr(97 + i) + chr(65 + i) for i in range(26)))
LONGEST = 10_000  # the table of a limited Dyck law grows with its square: 400 MB here


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

    def entropy(self) -> Entropy:
        """Return h(p) a token, and log k an opening bracket, of which there are p / (1 - 2p)."""
        kinds = self.p / (1 - 2 * self.p) * math.log(self.k)
        return Entropy.exact(self.mean_tokens() * _binary_entropy(self.p) + kinds)

    def mean_tokens(self) -> float:
        """Return 1 / (1 - 2p)."""
        return 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this law on condition that a string has at most ``max_length`` symbols (10,000 at most)."""
        _check_limit(self, max_length, 0)
        logs = _log_closed_within(self.p, max_length)
        n = np.arange(max_length // 2 + 1)
        entropy, mean = _from_counts(
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

    def entropy(self) -> Entropy:
        """Return 8 h(7/16): so many choices, 1 / (1 - 2p), close the first bracket on average."""
        return Entropy.exact(_binary_entropy(self.p) / (1 - 2 * self.p))

    def mean_tokens(self) -> float:
        """Return 10: the first bracket, 8 on average, and the end."""
        return 2 + 1 / (1 - 2 * self.p)

    def up_to(self, max_length: int) -> Language:
        """Return this law on condition that a string has at most ``max_length`` symbols (10,000 at most)."""
        _check_limit(self, max_length, 2)
        # To close depth d is to close depth d - 1 and then stop, as Dyck does, which a last closing stands for.
        logs = _log_closed_within(self.p, max_length)

        def log_within(state: int, left: int) -> float:
            if state == 0:
                return 0.0
            depth, left = (state, left) if state > 0 else (1, left - 1)
            return _lookup(logs, depth - 1, left - 1)

        n = np.arange(1, max_length // 2 + 1)
        entropy, mean = _from_counts(
            (n - 1) * math.log(self.p) + n * math.log1p(-self.p) + _log_catalan(n - 1),
            _log_catalan(n - 1),
            2 * n + 1,
        )
        return Limited(self, max_length, log_within, entropy, mean)


class EqualBlocks(Machine[tuple[int, int, int]]):
    """aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ: blocks of one length n, each of its own symbol.

    n is geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, so after each a there is another with probability p, and all that
    follows the first b is forced. With ``most``, P(n) is conditioned on n ≤ most.

    Examples at p = 0.9: P(ab) = 0.1, P(aabb) = 0.09; not the empty string, ``aab``, ``abab``. A state is the block,
    n so far, and how many symbols of the block are still to come.
    """

    start = (0, 0, 0)

    def __init__(self, alphabet: str, p: float = 0.9, most: int | None = None) -> None:
        check_geometric(p)
        self.alphabet, self.p, self.most = tuple(alphabet), p, most
        self.name = "".join(f"{symbol}n" for symbol in alphabet)
        if most is not None:
            self.name += f" up to {most * len(alphabet)}"

    def _another(self, n: int) -> float:
        """Return the probability of one more of the first symbol after n of them."""
        if n == 0:
            return 1.0
        if self.most is None:
            return self.p
        return self.p * _some_within(self.p, self.most - n) / _some_within(self.p, self.most - n + 1)

    def arcs(self, state: tuple[int, int, int]) -> list[Arc[tuple[int, int, int]]]:
        """Return the block's own symbol, or the next block's first, or in the first block both."""
        block, n, left = state
        if left:
            return [Arc(self.alphabet[block], (block, n, left - 1), 1.0)]
        another = self._another(n) if block == 0 else 0.0
        ways = [Arc(self.alphabet[0], (0, n + 1, 0), another)] if another > 0 else []
        if block + 1 < len(self.alphabet) and another < 1:
            ways.append(Arc(self.alphabet[block + 1], (block + 1, n, n - 1), 1 - another))
        return ways

    def stop(self, state: tuple[int, int, int]) -> float:
        """Return 1 where the last block is full."""
        return float(state[0] == len(self.alphabet) - 1 and state[2] == 0)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is the blocks in order, all of one length, whatever that is."""
        n, rest = divmod(len(tokens), len(self.alphabet))
        return n > 0 and rest == 0 and list(tokens) == [symbol for symbol in self.alphabet for _ in range(n)]

    def entropy(self) -> Entropy:
        """Return the entropy of n: h(p) / (1 - p) without a limit."""
        if self.most is None:
            return Entropy.exact(_binary_entropy(self.p) / (1 - self.p))
        return self._counts(self.most)[0]

    def mean_tokens(self) -> float:
        """Return as many times the mean of n as there are blocks, and one."""
        if self.most is None:
            return len(self.alphabet) / (1 - self.p) + 1
        return self._counts(self.most)[1]

    def _counts(self, most: int) -> tuple[Entropy, float]:
        n = np.arange(1, most + 1)
        return _from_counts((n - 1) * math.log(self.p), np.zeros(most), len(self.alphabet) * n + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the law with n conditioned on at most ``max_length`` divided by the number of blocks."""
        _check_limit(self, max_length, len(self.alphabet), longest=None)
        most = max_length // len(self.alphabet)
        return EqualBlocks("".join(self.alphabet), self.p, most if self.most is None else min(most, self.most))


class SumBlocks(Machine[tuple[str, int, int]]):
    """aⁿbᵐcⁿ⁺ᵐ: as many c as there were a and b together.

    n and m are independent and geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, and m likewise, so after each a (or b)
    there is another with probability p. With ``most``, the law is conditioned on n + m ≤ most.

    Examples at p = 0.8: P(abcc) = 0.2² = 0.04, P(aabccc) = P(abbccc) = 0.8 · 0.04; not ``abc``. A state is the
    symbol before, how many a and b there were, and how many c are still to come.
    """

    alphabet = ("a", "b", "c")
    start = ("", 0, 0)

    def __init__(self, p: float = 0.8, most: int | None = None) -> None:
        check_geometric(p)
        self.p, self.most = p, most
        self.name = "anbmcnm" if most is None else f"anbmcnm up to {2 * most}"

    def _another(self, symbol: str, count: int) -> float:
        """Return the probability of the same symbol again, after ``count`` of a and b."""
        if not symbol:
            return 1.0
        if self.most is None:
            return self.p
        if symbol == "a":  # of what is left, further a and, after the first, further b
            left = self.most - count
            return float(self.p * self._two_within[left - 1] / self._two_within[left])
        left = self.most - count + 1
        return self.p * _some_within(self.p, left - 1) / _some_within(self.p, left)

    @cached_property
    def _two_within(self) -> Floats:
        """P(K + M < r) for K and M geometric from 0, by r."""
        k = np.arange(self.most or 0)
        return np.concatenate([[0.0], np.cumsum((k + 1) * (1 - self.p) ** 2 * self.p**k)])

    def arcs(self, state: tuple[str, int, int]) -> list[Arc[tuple[str, int, int]]]:
        """Return the symbol again, and the next one."""
        symbol, count, left = state
        if symbol == "c":
            return [Arc("c", ("c", count, left - 1), 1.0)] if left else []
        another = self._another(symbol, count)
        ways = [Arc(symbol or "a", (symbol or "a", count + 1, 0), another)] if another > 0 else []
        if another < 1:
            after = ("b", count + 1, 0) if symbol == "a" else ("c", count, count - 1)
            ways.append(Arc(after[0], after, 1 - another))
        return ways

    def stop(self, state: tuple[str, int, int]) -> float:
        """Return 1 after the last c."""
        return float(state[0] == "c" and state[2] == 0)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is some a, some b, and as many c as both."""
        n, m = list(tokens).count("a"), list(tokens).count("b")
        return n > 0 and m > 0 and list(tokens) == ["a"] * n + ["b"] * m + ["c"] * (n + m)

    def entropy(self) -> Entropy:
        """Return the entropy of n and m: 2 h(p) / (1 - p) without a limit."""
        if self.most is None:
            return Entropy.exact(2 * _binary_entropy(self.p) / (1 - self.p))
        return self._counts(self.most)[0]

    def mean_tokens(self) -> float:
        """Return twice the mean of n + m, and one."""
        return 4 / (1 - self.p) + 1 if self.most is None else self._counts(self.most)[1]

    def _counts(self, most: int) -> tuple[Entropy, float]:
        both = np.arange(2, most + 1)
        ways: Floats = np.log(np.asarray(both - 1, dtype=np.float64))
        return _from_counts((both - 2) * math.log(self.p) + ways, ways, 2 * both + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the law conditioned on n + m of at most half ``max_length``."""
        _check_limit(self, max_length, 4, longest=None)
        most = max_length // 2
        return SumBlocks(self.p, most if self.most is None else min(most, self.most))


def balanced(tokens: Sequence[str], closing: dict[str, str]) -> bool:
    """Return whether every bracket is closed by its own kind, in order, and nothing else is there."""
    stack: list[str] = []
    for token in tokens:
        if token in closing:
            stack.append(closing[token])
        elif not stack or stack.pop() != token:
            return False
    return not stack


def check_geometric(p: float) -> None:
    """Refuse a probability to go on outside (0, 1)."""
    if not 0 < p < 1:
        raise LanguageError(f"The probability of one symbol more cannot be {p}.", "Give one between 0 and 1.")


def _check_limit(language: Language, max_length: int, least: int, longest: int | None = LONGEST) -> None:
    if max_length < least:
        raise LanguageError(
            f"No string of {language.name} has at most {max_length} symbols.",
            f"Give a limit of {least} or more.",
        )
    if longest is not None and max_length > longest:
        raise LanguageError(
            f"The table for a limit of {max_length} symbols is too large.",
            f"Give a limit of {longest} or less.",
        )


def _binary_entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log1p(-p)


def _some_within(p: float, r: int) -> float:
    """Return P(K < r) for K geometric from 0: 1 - p^r."""
    return -math.expm1(r * math.log(p))


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


def _from_counts(log_masses: Floats, log_ways: Floats, tokens: npt.NDArray[np.int64]) -> tuple[Entropy, float]:
    """Return entropy and mean tokens of a law over counts, each standing for equally likely strings.

    ``log_masses`` of the counts need not be normalised; ``log_ways`` is the log of how many strings each has.
    """
    logs = log_masses - np.logaddexp.reduce(log_masses)
    masses = np.exp(logs)
    return Entropy.exact(float(masses @ (log_ways - logs))), float(masses @ tokens)
