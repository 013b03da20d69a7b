"""How sure one figure is. Intervals come from SciPy; this file gives them the field's names."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959963984540054
"""Standard errors on each side that hold 95% of a normal distribution."""

SHARE = (0.0, 1.0)
"""The least and the greatest that a share can be."""


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
    from scipy.stats import binomtest  # takes half a second

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Proportion(successes / trials, float(interval.low), float(interval.high))


class Estimate(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float


def ratio(
    numerators: NDArray[Any], denominators: NDArray[Any], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """Return the sum of the numerators over that of the denominators, with its 95% interval.

    Both belong to the same independent items, such as nats and tokens to strings; the interval is the normal one with
    the linearised standard error of a ratio (Cochran, Sampling Techniques, 1977, chapter 6), and goes no further than
    the ``bounds`` of what the ratio can be.

    >>> ratio(np.array([1.0, 2.0, 3.0]), np.array([2, 4, 6]))
    Estimate(value=0.5, low=0.5, high=0.5)
    """
    value = float(numerators.sum() / denominators.sum())
    count = len(numerators)
    residuals = numerators - value * denominators
    variance = count / max(count - 1, 1) * float(np.square(residuals).sum()) / float(denominators.sum()) ** 2
    margin = NORMAL_95 * math.sqrt(variance)
    return Estimate(value, max(value - margin, bounds[0]), min(value + margin, bounds[1]))


def over_seeds(values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, float | None]:
    """Return, ready for JSON, the ``mean`` of runs' figures, its 95% interval ``low`` to ``high``, ``least``, ``most``.

    The interval is Student's, and goes no further than the ``bounds`` of what the figure can be. Of one run there is
    none, and its ends are None.

    >>> over_seeds([0.5])
    {'mean': 0.5, 'low': None, 'high': None, 'least': 0.5, 'most': 0.5}
    >>> over_seeds([0.98, 1.0], SHARE)["high"]
    1.0
    """
    mean = mean_over_seeds(values)
    low, high = (max(mean.low, bounds[0]), min(mean.high, bounds[1])) if len(values) > 1 else (None, None)
    return {"mean": mean.value, "low": low, "high": high, "least": min(values), "most": max(values)}


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """Return the mean of independent runs' figures with Student's 95% interval (1908); of one run it has no ends.

    >>> mean_over_seeds([0.88, 0.89, 0.90])
    Estimate(value=0.89, low=0.86515862288..., high=0.91484137711...)
    """
    from scipy.stats import t as student  # takes half a second

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf)
    margin = float(student.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - margin, mean + margin)
