"""How sure a figure is. Intervals come from SciPy; this file gives them the field's names."""

from typing import NamedTuple

from scipy.stats import binomtest


class Proportion(NamedTuple):
    """A share with its interval, all between 0 and 1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Proportion:
    """Return the share of successes with Wilson's score interval (1927): sound also near 0 and 1.

    >>> print(wilson(4360, 5000))
    87.20% (86.25% to 88.10%)
    """
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Proportion(successes / trials, float(interval.low), float(interval.high))
