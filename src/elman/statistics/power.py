"""What the data could have shown: a difference that was not found may be absent, or too small for so few texts."""

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError

TAIL = 1e-12
"""Numbers of discordant texts that are less probable than this are left out of a sum."""

STEPS = 10_000
"""Into so many equally probable parts the distribution of a standard error is cut."""


def mcnemar_power(texts: int, discordant: float, difference: float, alpha: float = 0.05) -> float:
    """Return the probability that the exact McNemar test finds a difference that is there.

    Parameters
    ----------
    texts
        How many both models read.
    discordant
        The share of texts that one model alone has right.
    difference
        Of the accuracies, in size at most ``discordant``.
    alpha
        The test finds a difference where its p-value is not above this.

    Raises
    ------
    ConfigError
        There are no texts, or the shares cannot be.

    >>> round(mcnemar_power(texts=100, discordant=0.3, difference=0.2), 3)
    0.961
    """
    from scipy.stats import binom  # takes half a second

    if texts < 1 or not 0 <= abs(difference) <= discordant <= 1:
        raise ConfigError(
            f"No two models on {texts} texts differ by {difference} and on a share of {discordant}.",
            "The difference is at most the share of texts that one model alone has right.",
        )
    if discordant == 0:
        return 0.0
    fewest, most = (int(end) for end in binom.ppf([TAIL, 1 - TAIL], texts, discordant))
    counts: NDArray[np.int64] = np.arange(fewest, most + 1)
    # Of n discordant texts the test rejects where one side has at most k, the most with 2 P(X ≤ k) ≤ α, X ~ B(n, ½).
    critical = binom.ppf(alpha / 2, counts, 0.5)
    critical -= binom.cdf(critical, counts, 0.5) > alpha / 2
    share = (discordant + difference) / (2 * discordant)
    rejects = binom.cdf(critical, counts, share) + binom.cdf(critical, counts, 1 - share)
    return float((binom.pmf(counts, texts, discordant) * np.where(critical < 0, 0.0, rejects)).sum())


def smallest_detectable_difference(
    texts: int, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the least difference of two accuracies that the exact McNemar test would have found so surely.

    Where even a difference as large as ``discordant`` would be too small, the models are taken to disagree on just as
    many texts as they differ by. None says that no difference at all could be found: there are too few texts.

    Parameters
    ----------
    texts
        How many both models read.
    discordant
        The share of texts that one model alone has right: what was seen.

    Raises
    ------
    ConfigError
        There are no texts, or the shares cannot be.

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
    """Return the probability that a test by Student's t finds a difference that is there.

    Parameters
    ----------
    difference
        Of the means.
    standard_error, freedom
        Of the difference (above 0), and the degrees of freedom that it is estimated with: how often the estimate is
        smaller or greater than the truth is reckoned with.
    alpha
        The test finds a difference where its p-value is not above this.

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
    """Return the least difference of two means that a test by Student's t would have found so surely.

    Parameters
    ----------
    standard_error, freedom
        As :class:`~elman.statistics.comparison.Difference` has them: what was seen.

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
