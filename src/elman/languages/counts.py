"""What languages of counters share: a law over counts, each standing for strings that are equally likely."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from elman.errors import LanguageError
from elman.languages.base import Entropy, Language

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating[Any]]


def check_limit(language: Language, max_length: int, least: int, longest: int | None = None) -> None:
    """Refuse a length limit below the shortest string, or above what the tables can hold."""
    if max_length < least:
        raise LanguageError(
            f"No string of {language.name} has at most {max_length} symbols.",
            f"Give a limit of {least} or more.",
        )
    if longest is not None and max_length > longest:
        raise LanguageError(
            f"The table for a limit of {max_length} symbols is too large.",
            f"Give a limit of {longest} or less.",
        )


def binary_entropy(p: float) -> float:
    """Return h(p) in nats."""
    return -p * math.log(p) - (1 - p) * math.log1p(-p)


def from_counts(log_masses: Numbers, log_ways: Numbers, tokens: npt.NDArray[np.int64]) -> tuple[Entropy, float]:
    """Return entropy and mean tokens of a law over counts, each standing for equally likely strings.

    ``log_masses`` of the counts need not be normalised; ``log_ways`` is the log of how many strings each has.
    """
    logs = log_masses - np.logaddexp.reduce(log_masses)
    masses = np.exp(logs)
    return Entropy.exact(float(masses @ (log_ways - logs))), float(masses @ tokens)
