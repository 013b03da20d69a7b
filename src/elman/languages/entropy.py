"""Entropies of distributions over strings, in nats: exact ones, and Monte Carlo estimates with their interval.

The mean of -log p(x) over sampled strings x estimates the entropy. If another quantity of the same strings has a known
mean (their length, the log-probability of their derivations), it serves as a control variate: the part of -log p that
is linear in it, by least squares, is replaced by its exact mean (Lavenberg & Welch, Management Science, 1981). The
interval is Student's t interval; with thousands of samples of a light-tailed quantity its coverage is right. The
samples come from a fixed seed, so the estimate for a language is the same number every time.
"""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from elman.statistics import mean_over_seeds

if TYPE_CHECKING:
    from elman.languages.base import Language

SAMPLES = 10_000

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Entropy:
    """The entropy of a language's strings, in nats a string.

    ``interval`` holds the 95% confidence limits. For an exact entropy both limits are the entropy itself.
    """

    nats_per_string: float
    kind: Literal["exact", "estimate"]
    interval: tuple[float, float]
    samples: int = 0

    @property
    def bits_per_string(self) -> float:
        """The entropy in bits a string."""
        return self.nats_per_string / math.log(2)

    @classmethod
    def exact(cls, nats: float) -> "Entropy":
        """Return an exact entropy."""
        return cls(nats, "exact", (nats, nats))


def shannon_entropy(probabilities: Iterable[float]) -> float:
    """Return -Σ p log p."""
    return -math.fsum(p * math.log(p) for p in probabilities if p > 0)


def binary_entropy(p: float) -> float:
    """Return h(p), the entropy of a choice between two outcomes with probabilities p and 1 - p."""
    return -p * math.log(p) - (1 - p) * math.log1p(-p)


def entropy_from_counts(
    log_masses: Numbers, log_sizes: Numbers, tokens: npt.NDArray[np.int64]
) -> tuple[Entropy, float]:
    """Return the entropy and the mean number of tokens of strings that fall into classes of equally likely strings.

    Parameters
    ----------
    log_masses
        Log-probability of each class; need not be normalized.
    log_sizes
        Log of the number of strings in each class.
    tokens
        Number of tokens of the strings in each class.
    """
    logs = log_masses - np.logaddexp.reduce(log_masses)
    masses = np.exp(logs)
    return Entropy.exact(float(masses @ (log_sizes - logs))), float(masses @ tokens)


def sampled_entropy(language: "Language", samples: int = SAMPLES) -> Entropy:
    """Return an estimate of a language's entropy from ``samples`` strings."""
    strings = language.sample(samples, random.Random(0))
    return entropy_from_surprisals(np.array([-language.log_prob(string) for string in strings]))


def entropy_from_surprisals(nats: Floats, control: Floats | None = None, control_mean: float = 0.0) -> Entropy:
    """Return the mean of ``nats`` with Student's 95% interval, all at least zero.

    Parameters
    ----------
    nats
        -log p of independent strings.
    control, control_mean
        A control variate of the same strings, and its exact mean over all strings.
    """
    if control is not None and (variance := float(np.var(control))) > 0:
        slope = float(np.mean((control - control.mean()) * nats)) / variance
        nats = nats - slope * (control - control_mean)
    mean, low, high = (max(0.0, value) for value in mean_over_seeds(nats))
    return Entropy(mean, "estimate", (low, high), len(nats))
