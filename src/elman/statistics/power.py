"""Statistical power: a test that finds no difference may have had too few texts to find one."""

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError

TAIL = 1e-12
"""Sums leave out numbers of discordant texts beyond this probability in each tail."""

STEPS = 10_000
"""Number of equally probable parts into which the distribution of a standard error is divided."""


def mcnemar_power(texts: int, discordant: float, difference: float, alpha: float = 0.05) -> float:
    """Return the probability that McNemar's exact test finds a true difference.

    Parameters
    ----------
    texts
        Number of texts that both models classify.
    discordant
        Share of the texts that only one of the models classifies correctly.
    difference
        Difference of the accuracies; its absolute value is at most ``discordant``.
    alpha
        Significance level: the test finds a difference if its p-value is at most this.

    Raises
    ------
    ConfigError
        ``texts`` is below 1, or the two shares contradict each other.

    >>> round(mcnemar_power(texts=100, discordant=0.3, difference=0.2), 3)
    0.961
    """
    from scipy.stats import binom  # takes half a second

    if texts < 1 or not 0 <= abs(difference) <= discordant <= 1:
        raise ConfigError(
            f"{texts} texts with a discordant share of {discordant} and a difference of {difference} are impossible.",
            "Pass at least one text, and a difference of at most the discordant share.",
        )
    if discordant == 0:
        return 0.0
    fewest, most = (int(end) for end in binom.ppf([TAIL, 1 - TAIL], texts, discordant))
    counts: NDArray[np.int64] = np.arange(fewest, most + 1)
    # With n discordant texts the test rejects if one side has at most k: the largest k with 2 P(X ≤ k) ≤ α, where
    # X ~ B(n, ½).
    critical = binom.ppf(alpha / 2, counts, 0.5)
    critical -= binom.cdf(critical, counts, 0.5) > alpha / 2
    share = (discordant + difference) / (2 * discordant)
    rejects = binom.cdf(critical, counts, share) + binom.cdf(critical, counts, 1 - share)
    return float((binom.pmf(counts, texts, discordant) * np.where(critical < 0, 0.0, rejects)).sum())


def smallest_detectable_difference(
    texts: int, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest difference of two accuracies that McNemar's exact test finds with probability ``power``.

    If even a difference as large as ``discordant`` is too small, the discordant share is raised to the difference.
    The result is None if there are too few texts to find any difference.

    Parameters
    ----------
    texts
        Number of texts that both models classify.
    discordant
        Observed share of the texts that only one of the models classifies correctly.

    Raises
    ------
    ConfigError
        ``texts`` is below 1, or ``discordant`` is above 1.

    >>> print(f"{smallest_detectable_difference(texts=25_000, discordant=0.08):.4f}")
    0.0050
    """
    from scipy.optimize import brentq  # takes half a second

    def lacking(difference: float) -> float:
        return mcnemar_power(texts, max(discordant, difference), difference, alpha) - power

    if lacking(1.0) < 0:
        return None
    return float(brentq(lacking, 0.0, 1.0, xtol=1e-7))


def student_power(difference: float, standard_error: float, freedom: float, alpha: float = 0.05) -> float:
    """Return the probability that a test by Student's t finds a true difference.

    The test estimates the standard error from the data; the probability accounts for the error of that estimate.

    Parameters
    ----------
    difference
        Difference of the means.
    standard_error, freedom
        True standard error of the difference (above 0), and the degrees of freedom of its estimate.
    alpha
        Significance level: the test finds a difference if its p-value is at most this.

    >>> round(student_power(difference=3.0, standard_error=1.0, freedom=10), 3)
    0.771
    """
    from scipy.stats import chi2, norm
    from scipy.stats import t as student  # takes half a second

    parts = (np.arange(STEPS) + 0.5) / STEPS
    needed = student.isf(alpha / 2, freedom) * np.sqrt(chi2.ppf(parts, freedom) / freedom)
    shift = difference / standard_error
    return float(np.mean(norm.sf(needed - shift) + norm.cdf(-needed - shift)))


def smallest_difference_by_student(
    standard_error: float, freedom: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest difference of two means that a test by Student's t finds with probability ``power``.

    Parameters
    ----------
    standard_error, freedom
        Those of the observed :class:`~elman.statistics.comparison.Difference`.

    >>> print(f"{smallest_difference_by_student(standard_error=0.005, freedom=10):.4f}")
    0.0155
    """
    from scipy.optimize import brentq  # takes half a second

    def lacking(shift: float) -> float:
        return student_power(shift, 1.0, freedom, alpha) - power

    most = 4.0
    while lacking(most) < 0:
        most *= 2
    return standard_error * float(brentq(lacking, 0.0, most, xtol=1e-7))
