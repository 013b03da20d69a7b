"""Entropy by Monte Carlo, with an interval, for laws in which a string can come about in several ways.

The mean of -log p(x) over samples x estimates the entropy. Where something else is known of the same strings, and its
exact mean too (how long they are, how likely their derivations), that is a control variate: as far as -log p follows
it, by least squares, its deviation from that mean is taken off (Lavenberg & Welch, Management Science, 1981). The
interval is Student's, 95%: over thousands of samples of a light-tailed quantity its coverage is right. The samples come
from a generator of their own with a fixed seed, so a language's entropy is the same number every time.
"""

import random

import numpy as np
import numpy.typing as npt

from elman.languages.base import Entropy, Language
from elman.statistics import mean_over_seeds

SAMPLES = 10_000

Floats = npt.NDArray[np.float64]


def estimate_entropy(language: Language, samples: int = SAMPLES) -> Entropy:
    """Return the mean of -log p over ``samples`` strings, and its interval."""
    strings = language.sample(samples, random.Random(0))
    return from_surprisals(np.array([-language.log_prob(string) for string in strings]))


def from_surprisals(nats: Floats, control: Floats | None = None, control_mean: float = 0.0) -> Entropy:
    """Return the mean of ``nats``, with Student's 95% interval; none is below zero.

    Parameters
    ----------
    nats
        -log p of independent strings.
    control, control_mean
        Another quantity of the same strings, and its mean over all strings, which is exact.
    """
    if control is not None and (spread := float(np.var(control))) > 0:
        slope = float(np.mean((control - control.mean()) * nats)) / spread
        nats = nats - slope * (control - control_mean)
    nats_per_string, low, high = (max(0.0, value) for value in mean_over_seeds(nats))
    return Entropy(nats_per_string, "estimate", (low, high), len(nats))
