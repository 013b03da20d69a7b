"""Whether two models differ, by figures that belong together.

Which test answers which question:

=========================  ==========================================================================================
:func:`mcnemar`            one run of each on the same texts: would other texts show the same?
:func:`paired_bootstrap`   several seeds of each on the same texts: would other seeds and other texts?
:func:`welch_over_seeds`   several seeds of each: would other seeds, on these very texts?
:func:`paired_over_seeds`  the same where a seed decides the same for both, such as the folds of the data
:func:`holm`               several of these at once
=========================  ==========================================================================================

A difference is always the first minus the second.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elman.errors import ConfigError
from elman.seeding import numpy_generator
from elman.statistics.intervals import NORMAL_95

AT_ONCE = 2_000_000
"""Drawn texts that the bootstrap holds in memory together."""


class Difference(NamedTuple):
    """The first minus the second, its 95% interval, and the p-value of the hypothesis that there is none.

    Attributes
    ----------
    standard_error, freedom
        Where the interval is Student's: of the difference, and the degrees of freedom.
    """

    value: float
    low: float
    high: float
    p: float
    standard_error: float | None = None
    freedom: float | None = None


class PairedCounts(NamedTuple):
    """Two models on the same texts.

    Attributes
    ----------
    texts
        How many there were.
    only_first, only_second
        Those that one of the two alone had right; the others tell nothing of a difference.
    difference
        Of the accuracies.
    """

    texts: int
    only_first: int
    only_second: int
    difference: Difference


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedCounts:
    """Compare two models by which of the same texts each had right.

    The p-value is McNemar's (1947), exact: of the texts that only one model had right, the share that is the first's
    is tested against a half. The interval is that of Agresti and Min (Statistics in Medicine 24, 2005): half a text is
    added to each of the four kinds. Near the border the two may disagree; the exact test is the more careful one.

    Parameters
    ----------
    first, second
        (texts,), whether each text was classified rightly.

    Raises
    ------
    ConfigError
        They are not of the same texts, or of none.

    >>> first = np.array([True] * 90 + [False] * 10)
    >>> second = np.array([True] * 78 + [False] * 18 + [True] * 4)
    >>> found = mcnemar(first, second)
    >>> found.only_first, found.only_second
    (12, 4)
    >>> print(f"{found.difference.value:.2f} ({found.difference.low:.3f} to {found.difference.high:.3f})")
    0.08 (0.001 to 0.156)
    >>> round(found.difference.p, 4)
    0.0768
    """
    from scipy.stats import binomtest  # takes half a second

    texts = _same_texts(first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant, gap = only_first + only_second, only_first - only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    middle = gap / (texts + 2)
    margin = NORMAL_95 * math.sqrt(discordant + 1 - gap**2 / (texts + 2)) / (texts + 2)
    low, high = max(middle - margin, -1.0), min(middle + margin, 1.0)
    return PairedCounts(texts, only_first, only_second, Difference(gap / texts, low, high, p))


def paired_bootstrap(first: ArrayLike, second: ArrayLike, *, seed: int = 0, resamples: int = 10_000) -> Difference:
    """Compare two models over seeds and texts: drawn again are the seeds of each, and the texts of both together.

    The standard error is that of the two-way ("pigeonhole") bootstrap (Owen, Annals of Applied Statistics 1, 2007). Of
    S seeds S − 1 are drawn, which keeps the variance between seeds from coming out too small by (S − 1) / S (Rao and
    Wu, JASA 83, 1988). Interval and p-value are Student's, with the degrees of freedom of Welch and Satterthwaite
    (Biometrics Bulletin 2, 1946): of few seeds the resamples themselves have too thin tails, the more so where several
    p-values are corrected together. A model's only seed stands for itself: nothing is then said of other seeds.

    Parameters
    ----------
    first, second
        (seeds, texts) of scores whose mean is to be compared: right or wrong, or nats. The numbers of seeds may differ.
    seed
        The resamples follow from it.

    Raises
    ------
    ConfigError
        They are not of the same texts, or of none.

    >>> chance = np.random.default_rng(0)
    >>> first, second = chance.random((5, 1000)) < 0.90, chance.random((4, 1000)) < 0.88
    >>> found = paired_bootstrap(first, second, resamples=1000)
    >>> found.low < found.value < found.high
    True
    """
    a, b = (np.atleast_2d(np.asarray(scores, dtype=np.float64)) for scores in (first, second))
    texts = _same_texts(a[0], b[0])
    chance = numpy_generator(seed, "paired bootstrap")
    means = np.empty(resamples)
    rows = max(1, AT_ONCE // texts)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        gaps = _drawn_seeds(a, count, chance) - _drawn_seeds(b, count, chance)  # (count, texts)
        means[start : start + count] = np.take_along_axis(gaps, chance.integers(texts, size=gaps.shape), 1).mean(axis=1)
    spread = float(means.std()) if np.ptp(means) else 0.0
    parts = [a.mean(axis=1), b.mean(axis=1), a.mean(axis=0) - b.mean(axis=0)]
    return _by_student(float(a.mean() - b.mean()), spread, _freedom([part for part in parts if len(part) > 1]))


def _drawn_seeds(scores: NDArray[np.float64], count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return (count, texts), each row the mean over seeds that are drawn with replacement."""
    seeds = len(scores)
    drawn = max(seeds - 1, 1)
    weights: NDArray[np.float64] = chance.multinomial(drawn, np.full(seeds, 1 / seeds), size=count) / drawn
    return weights @ scores


def welch_over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two models by a figure of each seed; the variances may differ (Welch, Biometrika 34, 1947).

    It takes the texts as given: what it says holds for these. Where other texts are meant, its intervals are too
    narrow, the more so the more seeds there are; :func:`paired_bootstrap` is for that.

    Raises
    ------
    ConfigError
        One of them has fewer than two seeds.

    >>> found = welch_over_seeds([0.88, 0.89, 0.90], [0.85, 0.87, 0.86])
    >>> print(f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f}), p = {found.p:.3f}")
    0.030 (0.007 to 0.053), p = 0.021
    """
    _two_seeds(first, second)
    variance = _variance_of_mean(first) + _variance_of_mean(second)
    return _by_student(float(np.mean(first) - np.mean(second)), math.sqrt(variance), _freedom([first, second]))


def paired_over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two models by a figure of each seed, where what a seed decides is the same for both (Student, 1908).

    Raises
    ------
    ConfigError
        They have not the same number of seeds, or fewer than two.

    >>> found = paired_over_seeds([0.88, 0.89, 0.90], [0.85, 0.87, 0.86])
    >>> print(f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f}), p = {found.p:.3f}")
    0.030 (0.005 to 0.055), p = 0.035
    """
    _two_seeds(first, second)
    if len(first) != len(second):
        raise ConfigError(
            f"Seeds cannot be paired: there are {len(first)} and {len(second)}.",
            "Train the same seeds of both, or compare them unpaired.",
        )
    gaps = np.subtract(first, second)
    return _by_student(float(gaps.mean()), math.sqrt(_variance_of_mean(gaps)), len(gaps) - 1)


def _freedom(samples: Sequence[Sequence[float] | NDArray[np.float64]]) -> float:
    """Return the degrees of freedom of a sum of means (Welch–Satterthwaite), by what each adds to its variance."""
    variances = np.array([_variance_of_mean(values) for values in samples])
    if not variances.any():
        return float(max((len(values) - 1 for values in samples), default=1))
    shares = variances / variances.sum()  # the squares of the variances themselves may be smaller than any double
    return float(1 / sum(shares**2 / [len(values) - 1 for values in samples]))


def _variance_of_mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.var(values, ddof=1)) / np.size(values) if np.ptp(values) else 0.0


def _by_student(value: float, standard_error: float, freedom: float) -> Difference:
    from scipy.stats import t as student  # takes half a second

    if standard_error == 0:  # the seeds do not vary, so nothing is uncertain
        return Difference(value, value, value, 1.0 if value == 0 else 0.0, 0.0, freedom)
    margin = float(student.ppf(0.975, freedom)) * standard_error
    p = 2 * float(student.sf(abs(value) / standard_error, freedom))
    return Difference(value, value - margin, value + margin, p, standard_error, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for several tests together (Holm, Scandinavian Journal of Statistics 6, 1979).

    Called significant where they are below α, they are wrong even once with a probability of at most α.

    Raises
    ------
    ConfigError
        One is not between 0 and 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"A p-value lies between 0 and 1; among {list(p_values)} one does not.", "Mend it.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    values: list[float] = adjusted.tolist()
    return values


def _same_texts(first: NDArray[Any], second: NDArray[Any]) -> int:
    if len(first) != len(second) or len(first) == 0:
        raise ConfigError(
            f"Models are compared on the same texts, not on {len(first)} and {len(second)}.",
            "Evaluate both on one split.",
        )
    return len(first)


def _two_seeds(first: Sequence[float], second: Sequence[float]) -> None:
    fewest = min(len(first), len(second))
    if fewest < 2:
        raise ConfigError(f"Of {fewest} seed nothing is known about others.", "Train at least two of each model.")
