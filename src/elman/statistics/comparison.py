"""Tests of whether two models differ.

Each test covers its own sources of chance:

=========================  ==========================================================================================
:func:`mcnemar`            one run of each model on the same texts: chance of the texts
:func:`paired_bootstrap`   several seeds of each model on the same texts: chance of seeds and texts
:func:`welch_over_seeds`   several seeds of each model on a fixed test set: chance of the seeds
:func:`paired_over_seeds`  the same where a seed decides the same for both models, for instance the folds of the data
:func:`holm`               a correction for several tests together
=========================  ==========================================================================================

A difference is always the first model's figure minus the second's.
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
"""Maximal number of drawn texts that the bootstrap holds in memory at a time."""


class Difference(NamedTuple):
    """The first figure minus the second, its 95% interval, and the p-value of the hypothesis that it is zero.

    Attributes
    ----------
    standard_error, freedom
        Standard error of the difference and degrees of freedom; None if the interval is not Student's.
    """

    value: float
    low: float
    high: float
    p: float
    standard_error: float | None = None
    freedom: float | None = None


class PairedCounts(NamedTuple):
    """The comparison of two models on the same texts.

    Attributes
    ----------
    texts
        Number of texts.
    only_first, only_second
        Number of texts that only the first or only the second model classified correctly.
    difference
        Difference of the accuracies.
    """

    texts: int
    only_first: int
    only_second: int
    difference: Difference


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedCounts:
    """Compare the accuracies of two models on the same texts.

    The p-value is that of McNemar's exact test (1947). It considers the texts that only one model classified correctly
    and tests whether half of them are the first model's. The interval is that of Agresti and Min (Statistics in
    Medicine 24, 2005), which adds half a text to each of the four cells. The interval and the p-value may disagree
    near the significance level; the exact test is the more conservative one.

    Parameters
    ----------
    first, second
        (texts,), whether each model classified each text correctly.

    Raises
    ------
    ConfigError
        The arrays have different lengths, or are empty.

    >>> first = np.array([True] * 90 + [False] * 10)
    >>> second = np.array([True] * 78 + [False] * 18 + [True] * 4)
    >>> counts = mcnemar(first, second)
    >>> counts.only_first, counts.only_second
    (12, 4)
    >>> print(f"{counts.difference.value:.2f} ({counts.difference.low:.3f} to {counts.difference.high:.3f})")
    0.08 (0.001 to 0.156)
    >>> round(counts.difference.p, 4)
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
    """Compare the mean scores of two models by a bootstrap over seeds and texts.

    Each resample draws seeds for each model, and one set of texts for both. The standard error is that of the two-way
    ("pigeonhole") bootstrap (Owen, Annals of Applied Statistics 1, 2007). A resample draws S − 1 of S seeds, because
    drawing S would make the variance between seeds too small by the factor (S − 1) / S (Rao and Wu, JASA 83, 1988).
    The interval and the p-value are Student's, with the degrees of freedom of Welch and Satterthwaite (Biometrics
    Bulletin 2, 1946): with few seeds the resamples have too thin tails, which matters most when several p-values are
    corrected together. If a model has one seed only, the result does not cover other seeds of that model.

    Parameters
    ----------
    first, second
        (seeds, texts), a score for each text, for instance whether it was classified correctly, or its nats. The
        numbers of seeds may differ.
    seed
        Seed of the resampling.

    Raises
    ------
    ConfigError
        The numbers of texts differ, or are zero.

    >>> chance = np.random.default_rng(0)
    >>> first, second = chance.random((5, 1000)) < 0.90, chance.random((4, 1000)) < 0.88
    >>> difference = paired_bootstrap(first, second, resamples=1000)
    >>> difference.low < difference.value < difference.high
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
    """Return (count, texts): in each row the mean over seeds that were drawn with replacement."""
    seeds = len(scores)
    drawn = max(seeds - 1, 1)
    weights: NDArray[np.float64] = chance.multinomial(drawn, np.full(seeds, 1 / seeds), size=count) / drawn
    return weights @ scores


def welch_over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two models by one figure per seed, without assuming equal variances (Welch, Biometrika 34, 1947).

    The result holds for the given test texts only. For other texts of the same kind the interval is too narrow, and
    more so with more seeds; use :func:`paired_bootstrap` for those.

    Raises
    ------
    ConfigError
        A model has fewer than two seeds.

    >>> difference = welch_over_seeds([0.88, 0.89, 0.90], [0.85, 0.87, 0.86])
    >>> print(f"{difference.value:.3f} ({difference.low:.3f} to {difference.high:.3f}), p = {difference.p:.3f}")
    0.030 (0.007 to 0.053), p = 0.021
    """
    _two_seeds(first, second)
    variance = _variance_of_mean(first) + _variance_of_mean(second)
    return _by_student(float(np.mean(first) - np.mean(second)), math.sqrt(variance), _freedom([first, second]))


def paired_over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two models by one figure per seed, where a seed decides the same for both models (Student, 1908).

    Raises
    ------
    ConfigError
        The numbers of seeds differ, or are below two.

    >>> difference = paired_over_seeds([0.88, 0.89, 0.90], [0.85, 0.87, 0.86])
    >>> print(f"{difference.value:.3f} ({difference.low:.3f} to {difference.high:.3f}), p = {difference.p:.3f}")
    0.030 (0.005 to 0.055), p = 0.035
    """
    _two_seeds(first, second)
    if len(first) != len(second):
        raise ConfigError(
            f"Models with {len(first)} and {len(second)} seeds cannot be paired.",
            "Train both models with the same seeds, or use welch_over_seeds.",
        )
    gaps = np.subtract(first, second)
    return _by_student(float(gaps.mean()), math.sqrt(_variance_of_mean(gaps)), len(gaps) - 1)


def _freedom(samples: Sequence[Sequence[float] | NDArray[np.float64]]) -> float:
    """Return the degrees of freedom of a sum of means (Welch–Satterthwaite)."""
    variances = np.array([_variance_of_mean(values) for values in samples])
    if not variances.any():
        return float(max((len(values) - 1 for values in samples), default=1))
    shares = variances / variances.sum()  # the squares of the variances may underflow
    return float(1 / sum(shares**2 / [len(values) - 1 for values in samples]))


def _variance_of_mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.var(values, ddof=1)) / np.size(values) if np.ptp(values) else 0.0


def _by_student(value: float, standard_error: float, freedom: float) -> Difference:
    from scipy.stats import t as student  # takes half a second

    if standard_error == 0:  # the seeds do not vary
        return Difference(value, value, value, 1.0 if value == 0 else 0.0, 0.0, freedom)
    margin = float(student.ppf(0.975, freedom)) * standard_error
    p = 2 * float(student.sf(abs(value) / standard_error, freedom))
    return Difference(value, value - margin, value + margin, p, standard_error, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for several tests (Holm, Scandinavian Journal of Statistics 6, 1979).

    If corrected p-values up to α are called significant, the probability of even one false positive is at most α.

    Raises
    ------
    ConfigError
        A p-value is not between 0 and 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"{list(p_values)} are not all p-values.", "Pass numbers between 0 and 1.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    values: list[float] = adjusted.tolist()
    return values


def _same_texts(first: NDArray[Any], second: NDArray[Any]) -> int:
    if len(first) != len(second) or len(first) == 0:
        raise ConfigError(
            f"Models evaluated on {len(first)} and {len(second)} texts cannot be compared.",
            "Evaluate both models on the same texts.",
        )
    return len(first)


def _two_seeds(first: Sequence[float], second: Sequence[float]) -> None:
    fewest = min(len(first), len(second))
    if fewest < 2:
        raise ConfigError(f"A model with {fewest} seed has no variance over seeds.", "Train at least two seeds.")
