"""Languages that need counters: aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ and aⁿbᵐcⁿ⁺ᵐ.

All are deterministic: a prefix determines the state of the machine. Strings with the same counts are equally likely,
so the results under a length limit follow from the distribution of the counts. Counts are geometric from 1, as in
Lan et al. 2022, "Minimum description length recurrent neural networks". Out of scope: other distributions of counts.
"""

import math
import random
from collections.abc import Sequence

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import Language, String
from elman.languages.checks import check_limit
from elman.languages.entropy import Entropy, Floats, binary_entropy, entropy_from_counts
from elman.languages.machine import Arc, LimitedMachine, Machine, no_string_of_length


class EqualBlocks(Machine[tuple[int, int, int]]):
    """aⁿbⁿ, aⁿbⁿcⁿ, aⁿbⁿcⁿdⁿ: blocks of equal length n, one for each symbol of the alphabet.

    n is geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, so after each a another one follows with probability p, and every
    symbol after the first b is determined.

    Examples with p = 0.9: P(ab) = 0.1, P(aabb) = 0.09; the empty string, ``aab`` and ``abab`` are not members. A state
    is the number of the block, n so far, and the number of symbols that the block still needs.
    """

    start = (0, 0, 0)

    def __init__(self, alphabet: str, p: float = 0.9) -> None:
        _check_geometric(p)
        self.alphabet, self.p = tuple(alphabet), p
        self.name = "".join(f"{symbol}n" for symbol in alphabet)

    def arcs(self, state: tuple[int, int, int]) -> list[Arc[tuple[int, int, int]]]:
        """Return the arcs that continue the block or start the next one. Only the first block has a choice."""
        block, n, remaining = state
        if remaining:
            return [Arc(self.alphabet[block], (block, n, remaining - 1), 1.0)]
        if n == 0:
            return [Arc(self.alphabet[0], (0, 1, 0), 1.0)]
        arcs = [Arc(self.alphabet[0], (0, n + 1, 0), self.p)] if block == 0 else []
        if block + 1 < len(self.alphabet):
            arcs.append(Arc(self.alphabet[block + 1], (block + 1, n, n - 1), 1 - self.p if block == 0 else 1.0))
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
        if not self.is_member(tokens):
            return super().distribution_matrix(tokens)
        certain = np.eye(len(self.alphabet) + 1)
        matrix: Floats = certain[np.arange(len(tokens) + 1) // n]  # the symbol after i symbols belongs to block i // n
        matrix[1 : n + 1, :2] = self.p, 1 - self.p
        return matrix

    def entropy(self) -> Entropy:
        """Return the entropy of n, h(p) / (1 - p)."""
        return Entropy.exact(binary_entropy(self.p) / (1 - self.p))

    def mean_tokens(self) -> float:
        """Return the mean of n times the number of blocks, plus one."""
        return len(self.alphabet) / (1 - self.p) + 1

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:  # noqa: ARG002
        """Return the only string of that length ``n`` times."""
        size, rest = divmod(length, len(self.alphabet))
        if rest or size < 1:
            raise no_string_of_length(self, length)
        return [self.join([symbol for symbol in self.alphabet for _ in range(size)])] * n

    def up_to(self, max_length: int) -> Language:
        """Return this distribution conditioned on strings of at most ``max_length`` symbols."""
        blocks = len(self.alphabet)
        check_limit(self.name, max_length, blocks)

        def log_within(state: tuple[int, int, int], symbols: int) -> float:
            block, n, remaining = state
            if block:
                return 0.0 if remaining + (blocks - 1 - block) * n <= symbols else -math.inf
            return _log_geometric_below(self.p, (symbols + n) // blocks - max(n, 1) + 1)

        n = np.arange(1, max_length // blocks + 1)
        totals = entropy_from_counts((n - 1) * math.log(self.p), np.zeros(len(n)), blocks * n + 1)
        return LimitedMachine(self, max_length, log_within, *totals)


class SumBlocks(Machine[tuple[str, int, int]]):
    """aⁿbᵐcⁿ⁺ᵐ: as many c as a and b together.

    n and m are independent and geometric: P(n) = (1 - p) pⁿ⁻¹ for n ≥ 1, and likewise for m, so after each a (or b)
    another one follows with probability p.

    Examples with p = 0.8: P(abcc) = 0.2² = 0.04, P(aabccc) = P(abbccc) = 0.8 · 0.04; ``abc`` is not a member. A state
    is the last symbol, the number of a and b so far, and the number of c that are still needed.
    """

    name = "anbmcnm"
    alphabet = ("a", "b", "c")
    start = ("", 0, 0)

    def __init__(self, p: float = 0.8) -> None:
        _check_geometric(p)
        self.p = p

    def arcs(self, state: tuple[str, int, int]) -> list[Arc[tuple[str, int, int]]]:
        """Return the arcs that repeat the last symbol or go on to the next."""
        symbol, count, remaining = state
        if not symbol:
            return [Arc("a", ("a", 1, 0), 1.0)]
        if symbol == "c":
            return [Arc("c", ("c", count, remaining - 1), 1.0)] if remaining else []
        target = ("b", count + 1, 0) if symbol == "a" else ("c", count, count - 1)
        return [Arc(symbol, (symbol, count + 1, 0), self.p), Arc(target[0], target, 1 - self.p)]

    def stop(self, state: tuple[str, int, int]) -> float:
        """Return 1 after the last c, else 0."""
        return float(state[0] == "c" and state[2] == 0)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is n a, m b and n + m c in this order, with n and m at least 1."""
        n, m = list(tokens).count("a"), list(tokens).count("b")
        return n > 0 and m > 0 and list(tokens) == ["a"] * n + ["b"] * m + ["c"] * (n + m)

    def entropy(self) -> Entropy:
        """Return the entropy of n and m, 2 h(p) / (1 - p)."""
        return Entropy.exact(2 * binary_entropy(self.p) / (1 - self.p))

    def mean_tokens(self) -> float:
        """Return twice the mean of n + m, plus one."""
        return 4 / (1 - self.p) + 1

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings of that length, all equally likely, by drawing the number of a uniformly."""
        total, rest = divmod(length, 2)
        if rest or total < 2:
            raise no_string_of_length(self, length)
        counts = [rng.randrange(1, total) for _ in range(n)]
        return ["a" * count + "b" * (total - count) + "c" * total for count in counts]

    def up_to(self, max_length: int) -> Language:
        """Return this distribution conditioned on strings of at most ``max_length`` symbols."""
        check_limit(self.name, max_length, 4)
        k = np.arange(max_length // 2)
        masses = np.cumsum((k + 1) * (1 - self.p) ** 2 * self.p**k)  # P(K + M ≤ k) for K and M geometric from 0

        def log_within(state: tuple[str, int, int], symbols: int) -> float:
            symbol, count, remaining = state
            if symbol == "c":
                return 0.0 if remaining <= symbols else -math.inf
            further = (symbols - count) // 2  # how many more a and b the limit allows
            if symbol == "b":
                return _log_geometric_below(self.p, further + 1)
            further -= 1 if symbol else 2  # at least one b, and at the start one a, must follow
            return math.log(masses[further]) if further >= 0 else -math.inf

        sums = np.arange(2, max_length // 2 + 1)
        log_sizes = np.log(sums - 1)
        totals = entropy_from_counts((sums - 2) * math.log(self.p) + log_sizes, log_sizes, 2 * sums + 1)
        return LimitedMachine(self, max_length, log_within, *totals)


def _check_geometric(p: float) -> None:
    """Reject a continuation probability outside (0, 1)."""
    if not 0 < p < 1:
        raise LanguageError(
            f"The probability of another symbol cannot be {p}.", "Use a p between 0 and 1, both excluded."
        )


def _log_geometric_below(p: float, r: int) -> float:
    """Return log P(K < r) for K geometric from 0, with P(K < r) = 1 - p^r."""
    return math.log(-math.expm1(r * math.log(p))) if r > 0 else -math.inf
