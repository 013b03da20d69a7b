"""Confidence intervals of one figure. The distributions come from SciPy."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959963984540054
"""Standard errors on each side of the mean that cover 95% of a normal distribution."""

SHARE = (0.0, 1.0)
"""The bounds of a share."""


class Estimate(NamedTuple):
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float

    def clipped(self, bounds: tuple[float, float]) -> "Estimate":
        """Return the estimate with an interval that stays within the ``bounds`` of the figure."""
        return Estimate(self.value, max(self.low, bounds[0]), min(self.high, bounds[1]))


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """Return the share of successes with Wilson's score interval (1927), which is valid near 0 and 1 too.

    >>> wilson(4360, 5000)
    Estimate(value=0.872, low=0.86245..., high=0.88097...)
    """
    from scipy.stats import binomtest  # takes half a second

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def ratio(
    numerators: NDArray[Any], denominators: NDArray[Any], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """Return the sum of the numerators over the sum of the denominators, with its 95% interval.

    Each pair belongs to one of several independent items, for instance the nats and the tokens of a string. The
    interval is normal, with the linearized standard error of a ratio (Cochran, Sampling Techniques, 1977, chapter 6).
    It stays within the ``bounds`` of the ratio.

    >>> ratio(np.array([1.0, 2.0, 3.0]), np.array([2, 4, 6]))
    Estimate(value=0.5, low=0.5, high=0.5)
    """
    value = float(numerators.sum() / denominators.sum())
    count = len(numerators)
    residuals = numerators - value * denominators
    variance = count / max(count - 1, 1) * float(np.square(residuals).sum()) / float(denominators.sum()) ** 2
    margin = NORMAL_95 * math.sqrt(variance)
    return Estimate(value, value - margin, value + margin).clipped(bounds)


def mean_over_seeds(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """Return the mean of independent values with Student's 95% interval (1908); for one value it is unbounded.

    >>> mean_over_seeds([0.88, 0.89, 0.90])
    Estimate(value=0.89, low=0.86515862288..., high=0.91484137711...)
    """
    from scipy.special import stdtrit  # SciPy takes a fifth of a second to import

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf)
    margin = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - margin, mean + margin)


def over_seeds(values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, float | None]:
    """Return the mean, interval and range of the figures of several runs, ready for JSON.

    The interval is Student's 95% interval and stays within the ``bounds`` of the figure. With one run there is no
    interval, and its ends are None.

    >>> over_seeds([0.5])
    {'mean': 0.5, 'low': None, 'high': None, 'least': 0.5, 'most': 0.5}
    >>> over_seeds([0.98, 1.0], SHARE)["high"]
    1.0
    """
    mean, *ends = mean_over_seeds(values).clipped(bounds)
    low, high = ends if len(values) > 1 else (None, None)
    return {"mean": mean, "low": low, "high": high, "least": min(values), "most": max(values)}
