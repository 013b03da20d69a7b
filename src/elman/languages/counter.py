"""Languages that need counters: aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ and aⁿbᵐcⁿ⁺ᵐ.

All are deterministic: a prefix says where the machine is. Two strings with the same counts are equally likely, so
under a length limit everything follows from the law of the counts. The number of a symbol is geometric from 1, as
in Lan et al. 2022, "Minimum description length recurrent neural networks". What it leaves out: other laws of n.
"""

import math
import random
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import Entropy, Language, String
from elman.languages.counts import Floats, binary_entropy, check_limit, from_counts
from elman.languages.machine import Arc, Machine, no_string_of


class EqualBlocks(Machine[tuple[int, int, int]]):
    """aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ: blocks of one length n, each of its own symbol.

    n is geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, so after each a there is another with probability p, and all that
    follows the first b is forced. With ``most``, P(n) is conditioned on n ≤ most.

    Examples at p = 0.9: P(ab) = 0.1, P(aabb) = 0.09; not the empty string, ``aab``, ``abab``. A state is the block,
    n so far, and how many symbols of the block are still to come.
    """

    start = (0, 0, 0)

    def __init__(self, alphabet: str, p: float = 0.9, most: int | None = None) -> None:
        _check_geometric(p)
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

    def distribution_matrix(self, tokens: Sequence[str]) -> Floats:
        """Return `distributions` as an array; of a whole string in closed form, so that very long ones are quick."""
        n = len(tokens) // len(self.alphabet)
        if not self.is_member(tokens) or n > (self.most or n):
            return super().distribution_matrix(tokens)
        certain = np.eye(len(self.alphabet) + 1)
        matrix: Floats = certain[np.arange(len(tokens) + 1) // n]  # what comes after i symbols stands in block i // n
        matrix[1 : n + 1, 0] = [self._another(count) for count in range(1, n + 1)]
        matrix[1 : n + 1, 1] = 1 - matrix[1 : n + 1, 0]
        return matrix

    def entropy(self) -> Entropy:
        """Return the entropy of n: h(p) / (1 - p) without a limit."""
        if self.most is None:
            return Entropy.exact(binary_entropy(self.p) / (1 - self.p))
        return self._counts(self.most)[0]

    def mean_tokens(self) -> float:
        """Return as many times the mean of n as there are blocks, and one."""
        if self.most is None:
            return len(self.alphabet) / (1 - self.p) + 1
        return self._counts(self.most)[1]

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:  # noqa: ARG002
        """Return the only string of that length."""
        size, rest = divmod(length, len(self.alphabet))
        if rest or not 1 <= size <= (self.most or size):
            raise no_string_of(self, length)
        return [self.join([symbol for symbol in self.alphabet for _ in range(size)])] * n

    def _counts(self, most: int) -> tuple[Entropy, float]:
        n = np.arange(1, most + 1)
        return from_counts((n - 1) * math.log(self.p), np.zeros(most), len(self.alphabet) * n + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the law with n conditioned on at most ``max_length`` divided by the number of blocks."""
        check_limit(self, max_length, len(self.alphabet))
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
        _check_geometric(p)
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
            return Entropy.exact(2 * binary_entropy(self.p) / (1 - self.p))
        return self._counts(self.most)[0]

    def mean_tokens(self) -> float:
        """Return twice the mean of n + m, and one."""
        return 4 / (1 - self.p) + 1 if self.most is None else self._counts(self.most)[1]

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Draw n uniformly, given n + m: those strings are equally likely."""
        both, rest = divmod(length, 2)
        if rest or not 2 <= both <= (self.most or both):
            raise no_string_of(self, length)
        firsts = [rng.randrange(1, both) for _ in range(n)]
        return ["a" * first + "b" * (both - first) + "c" * both for first in firsts]

    def _counts(self, most: int) -> tuple[Entropy, float]:
        both = np.arange(2, most + 1)
        ways = np.log(both - 1)
        return from_counts((both - 2) * math.log(self.p) + ways, ways, 2 * both + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the law conditioned on n + m of at most half ``max_length``."""
        check_limit(self, max_length, 4)
        most = max_length // 2
        return SumBlocks(self.p, most if self.most is None else min(most, self.most))


def _check_geometric(p: float) -> None:
    """Refuse a probability to go on outside (0, 1)."""
    if not 0 < p < 1:
        raise LanguageError(f"The probability of one symbol more cannot be {p}.", "Give one between 0 and 1.")


def _some_within(p: float, r: int) -> float:
    """Return P(K < r) for K geometric from 0: 1 - p^r."""
    return -math.expm1(r * math.log(p))
