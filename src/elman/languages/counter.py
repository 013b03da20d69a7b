"""Languages that need counters: aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ and aⁿbᵐcⁿ⁺ᵐ.

All are deterministic: a prefix determines the state of the machine. Strings with the same counts are equally likely,
so the results under a length limit follow from the distribution of the counts. Counts are geometric from 1, as in
Lan et al. 2022, "Minimum description length recurrent neural networks". Out of scope: other distributions of counts.
"""

import math
import random
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import Language, String
from elman.languages.checks import check_limit
from elman.languages.entropy import Entropy, Floats, binary_entropy, entropy_from_counts
from elman.languages.machine import Arc, Machine, no_string_of_length


class EqualBlocks(Machine[tuple[int, int, int]]):
    """aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ: blocks of equal length n, one for each symbol of the alphabet.

    n is geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, so after each a another one follows with probability p, and every
    symbol after the first b is determined. With ``max_n``, the distribution is conditioned on n ≤ max_n.

    Examples with p = 0.9: P(ab) = 0.1, P(aabb) = 0.09; the empty string, ``aab`` and ``abab`` are not members. A state
    is the number of the block, n so far, and the number of symbols that the block still needs.
    """

    start = (0, 0, 0)

    def __init__(self, alphabet: str, p: float = 0.9, max_n: int | None = None) -> None:
        _check_geometric(p)
        self.alphabet, self.p, self.max_n = tuple(alphabet), p, max_n
        self.name = "".join(f"{symbol}n" for symbol in alphabet)
        if max_n is not None:
            self.name += f" up to {max_n * len(alphabet)}"

    def _another(self, n: int) -> float:
        """Return the probability of another first symbol after n of them."""
        if n == 0:
            return 1.0
        if self.max_n is None:
            return self.p
        return self.p * _geometric_below(self.p, self.max_n - n) / _geometric_below(self.p, self.max_n - n + 1)

    def arcs(self, state: tuple[int, int, int]) -> list[Arc[tuple[int, int, int]]]:
        """Return the arcs that continue the block or start the next one. Only the first block has a choice."""
        block, n, remaining = state
        if remaining:
            return [Arc(self.alphabet[block], (block, n, remaining - 1), 1.0)]
        another = self._another(n) if block == 0 else 0.0
        arcs = [Arc(self.alphabet[0], (0, n + 1, 0), another)] if another > 0 else []
        if block + 1 < len(self.alphabet) and another < 1:
            arcs.append(Arc(self.alphabet[block + 1], (block + 1, n, n - 1), 1 - another))
        return arcs

    def stop(self, state: tuple[int, int, int]) -> float:
        """Return 1 if the last block is complete, else 0."""
        return float(state[0] == len(self.alphabet) - 1 and state[2] == 0)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string consists of the blocks in order, all of the same length."""
        n, rest = divmod(len(tokens), len(self.alphabet))
        return n > 0 and rest == 0 and list(tokens) == [symbol for symbol in self.alphabet for _ in range(n)]

    def distribution_matrix(self, tokens: Sequence[str]) -> Floats:
        """Return `distributions` as an array, in closed form for a complete string, so that long strings are fast."""
        n = len(tokens) // len(self.alphabet)
        if not self.is_member(tokens) or n > (self.max_n or n):
            return super().distribution_matrix(tokens)
        certain = np.eye(len(self.alphabet) + 1)
        matrix: Floats = certain[np.arange(len(tokens) + 1) // n]  # the symbol after i symbols belongs to block i // n
        matrix[1 : n + 1, 0] = [self._another(count) for count in range(1, n + 1)]
        matrix[1 : n + 1, 1] = 1 - matrix[1 : n + 1, 0]
        return matrix

    def entropy(self) -> Entropy:
        """Return the entropy of n, which is h(p) / (1 - p) without a limit."""
        if self.max_n is None:
            return Entropy.exact(binary_entropy(self.p) / (1 - self.p))
        return self._limited_totals(self.max_n)[0]

    def mean_tokens(self) -> float:
        """Return the mean of n times the number of blocks, plus one."""
        if self.max_n is None:
            return len(self.alphabet) / (1 - self.p) + 1
        return self._limited_totals(self.max_n)[1]

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:  # noqa: ARG002
        """Return the only string of that length ``n`` times."""
        size, rest = divmod(length, len(self.alphabet))
        if rest or not 1 <= size <= (self.max_n or size):
            raise no_string_of_length(self, length)
        return [self.join([symbol for symbol in self.alphabet for _ in range(size)])] * n

    def _limited_totals(self, max_n: int) -> tuple[Entropy, float]:
        """Return the entropy and the mean number of tokens with n ≤ ``max_n``."""
        n = np.arange(1, max_n + 1)
        return entropy_from_counts((n - 1) * math.log(self.p), np.zeros(max_n), len(self.alphabet) * n + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the distribution with n limited to ``max_length`` divided by the number of blocks."""
        check_limit(self.name, max_length, len(self.alphabet))
        max_n = max_length // len(self.alphabet)
        return EqualBlocks("".join(self.alphabet), self.p, max_n if self.max_n is None else min(max_n, self.max_n))


class SumBlocks(Machine[tuple[str, int, int]]):
    """aⁿbᵐcⁿ⁺ᵐ: as many c as a and b together.

    n and m are independent and geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, and likewise for m, so after each a (or b)
    another one follows with probability p. With ``max_sum``, the distribution is conditioned on n + m ≤ max_sum.

    Examples with p = 0.8: P(abcc) = 0.2² = 0.04, P(aabccc) = P(abbccc) = 0.8 · 0.04; ``abc`` is not a member. A state
    is the last symbol, the number of a and b so far, and the number of c that are still needed.
    """

    alphabet = ("a", "b", "c")
    start = ("", 0, 0)

    def __init__(self, p: float = 0.8, max_sum: int | None = None) -> None:
        _check_geometric(p)
        self.p, self.max_sum = p, max_sum
        self.name = "anbmcnm" if max_sum is None else f"anbmcnm up to {2 * max_sum}"

    def _another(self, symbol: str, count: int) -> float:
        """Return the probability of another ``symbol`` after ``count`` a and b."""
        if not symbol:
            return 1.0
        if self.max_sum is None:
            return self.p
        if symbol == "a":  # further a, and further b after the first b, share the remaining sum
            remaining = self.max_sum - count
            return float(self.p * self._two_geometric_below[remaining - 1] / self._two_geometric_below[remaining])
        remaining = self.max_sum - count + 1
        return self.p * _geometric_below(self.p, remaining - 1) / _geometric_below(self.p, remaining)

    @cached_property
    def _two_geometric_below(self) -> Floats:
        """P(K + M < r) for K and M geometric from 0, indexed by r."""
        k = np.arange(self.max_sum or 0)
        return np.concatenate([[0.0], np.cumsum((k + 1) * (1 - self.p) ** 2 * self.p**k)])

    def arcs(self, state: tuple[str, int, int]) -> list[Arc[tuple[str, int, int]]]:
        """Return the arcs that repeat the last symbol or go on to the next."""
        symbol, count, remaining = state
        if symbol == "c":
            return [Arc("c", ("c", count, remaining - 1), 1.0)] if remaining else []
        another = self._another(symbol, count)
        arcs = [Arc(symbol or "a", (symbol or "a", count + 1, 0), another)] if another > 0 else []
        if another < 1:
            target = ("b", count + 1, 0) if symbol == "a" else ("c", count, count - 1)
            arcs.append(Arc(target[0], target, 1 - another))
        return arcs

    def stop(self, state: tuple[str, int, int]) -> float:
        """Return 1 after the last c, else 0."""
        return float(state[0] == "c" and state[2] == 0)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is n a, m b and n + m c in this order, with n and m at least 1."""
        n, m = list(tokens).count("a"), list(tokens).count("b")
        return n > 0 and m > 0 and list(tokens) == ["a"] * n + ["b"] * m + ["c"] * (n + m)

    def entropy(self) -> Entropy:
        """Return the entropy of n and m, which is 2 h(p) / (1 - p) without a limit."""
        if self.max_sum is None:
            return Entropy.exact(2 * binary_entropy(self.p) / (1 - self.p))
        return self._limited_totals(self.max_sum)[0]

    def mean_tokens(self) -> float:
        """Return twice the mean of n + m, plus one."""
        return 4 / (1 - self.p) + 1 if self.max_sum is None else self._limited_totals(self.max_sum)[1]

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings of that length, all equally likely, by drawing the number of a uniformly."""
        total, rest = divmod(length, 2)
        if rest or not 2 <= total <= (self.max_sum or total):
            raise no_string_of_length(self, length)
        counts = [rng.randrange(1, total) for _ in range(n)]
        return ["a" * count + "b" * (total - count) + "c" * total for count in counts]

    def _limited_totals(self, max_sum: int) -> tuple[Entropy, float]:
        """Return the entropy and the mean number of tokens with n + m ≤ ``max_sum``."""
        sums = np.arange(2, max_sum + 1)
        log_sizes = np.log(sums - 1)
        return entropy_from_counts((sums - 2) * math.log(self.p) + log_sizes, log_sizes, 2 * sums + 1)

    def up_to(self, max_length: int) -> Language:
        """Return the distribution with n + m limited to half of ``max_length``."""
        check_limit(self.name, max_length, 4)
        max_sum = max_length // 2
        return SumBlocks(self.p, max_sum if self.max_sum is None else min(max_sum, self.max_sum))


def _check_geometric(p: float) -> None:
    """Reject a continuation probability outside (0, 1)."""
    if not 0 < p < 1:
        raise LanguageError(
            f"The probability of another symbol cannot be {p}.", "Use a p between 0 and 1, both excluded."
        )


def _geometric_below(p: float, r: int) -> float:
    """Return P(K < r) for K geometric from 0: 1 - p^r."""
    return -math.expm1(r * math.log(p))
