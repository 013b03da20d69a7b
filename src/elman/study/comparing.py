"""A step that compares others by their result files alone: their order, and which differences are significant."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError
from elman.statistics import (
    holm,
    mcnemar,
    smallest_detectable_difference,
    smallest_difference_by_student,
    welch_over_seeds,
)
from elman.study.probabilities import RESAMPLES, as_figures, correct, difference
from elman.study.work import Figures, Work, check_positive, texts_of

MEASURES = {
    "test_accuracy": "more",
    "val_accuracy": "more",
    "excess_nats_per_token": "less",
    "val_bits_per_token": "less",
}
"""The figures that steps are compared by, and whether more or less is better. The first that all steps have counts."""

ALPHA = 0.05
"""A difference is significant if its p-value, corrected for the number of pairs, is at most this."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which pairs are compared."""

    against: str = ""
    """The step that each other step is compared with; without it, all pairs are compared."""
    resamples: int = RESAMPLES
    """The number of bootstrap samples."""

    def __post_init__(self) -> None:
        check_positive("resamples", [self.resamples])


def compare(work: Work[CompareOptions]) -> Figures:
    """Rank the steps that are needed, and test which of their differences are significant.

    Classifiers are compared on the same texts: with several seeds of either by the paired bootstrap over seeds and
    texts, with one seed of each by McNemar's test. With several seeds the result of McNemar's test for the first seeds
    is given too. Language models of several seeds are compared by Welch's t test over the seeds. All p-values are
    corrected together by Holm's method. Language models with one seed each are not tested: their difference counts as
    significant if their intervals do not overlap, which is stricter than a test.

    Returns
    -------
    ``order``: the steps, the best first. ``pairs``: for each pair the difference with its interval, ``test``
    ("bootstrap", "mcnemar", "welch" or None), ``p``, ``p_holm``, and whether it is ``significant``; for classifiers
    also ``mcnemar`` of the first seeds. ``smallest``: the smallest difference that the same test finds in four of five
    cases, with the strictest of Holm's corrections.

    Raises
    ------
    ConfigError
        There are fewer than two steps, or they are not on the same data.
    """
    needs = {name: result["figures"] for name, result in work.needs.items()}
    measure = _measure(work.needs)
    means = {name: figures["summary"][measure]["mean"] for name, figures in needs.items()}
    sign = 1 if MEASURES[measure] == "more" else -1
    order = sorted(needs, key=lambda name: -sign * means[name])
    against = work.options.against
    if against and against not in needs:
        raise ConfigError(f"The step {against!r} is not among the compared steps.", "Add it to the needs.")
    pairs: list[Figures] = [
        {"better": better, "worse": worse}
        for better, worse in combinations(order, 2)
        if not against or against in (better, worse)
    ]
    for pair in pairs:
        pair.update(_difference(work, pair["better"], pair["worse"], measure, ALPHA / len(pairs)))
    corrected = iter(holm([pair["p"] for pair in pairs if pair["p"] is not None]))
    for pair in pairs:
        pair["p_holm"] = None if pair["p"] is None else next(corrected)
        pair["significant"] = pair["low"] is not None and pair["low"] > 0 and (pair["p_holm"] or 0.0) <= ALPHA
    return {
        "measure": measure,
        "better": MEASURES[measure],
        "against": against or None,
        "order": [
            {"step": name, "model": needs[name].get("source", name), **needs[name]["summary"][measure]}
            for name in order
        ],
        "pairs": pairs,
    }


def _measure(results: dict[str, Figures]) -> str:
    if len(results) < 2:
        raise ConfigError("A comparison needs two or more steps.", "Add steps to its needs.")
    steps = [result["figures"] for result in results.values()]
    for measure in MEASURES:
        if all(measure in figures.get("summary", {}) for figures in steps):
            data = {texts_of(figures) for figures in steps if "data" in figures}
            tokens = {_tokens(figures) for figures in steps} if measure == "val_bits_per_token" else {()}
            if len(data) == len(tokens) == 1:
                return measure
    raise ConfigError(
        f"The steps {', '.join(results)} cannot be compared: they share no figure, or differ in data.",
        "Use classifiers of the same texts, or language models of the same strings.",
    )


def _tokens(figures: Figures) -> tuple[int, int]:
    """Return the size of the vocabulary and the number of tokens, which must be equal to compare bits per token."""
    return figures["data"]["vocab_size"], figures["by_seed"][0]["val"]["tokens"]


def _difference(work: Work[CompareOptions], better: str, worse: str, measure: str, alpha: float) -> Figures:
    """Return the advantage of the better of two steps, its interval and its p-value."""
    if MEASURES[measure] == "more":
        return _between_classifiers(correct(work, better), correct(work, worse), work.options.resamples, alpha)
    first, second = (work.needs[name]["figures"]["summary"][measure] for name in (better, worse))
    if first["interval"] == second["interval"] == "seeds":
        result = {"test": "welch", **as_figures(welch_over_seeds(second["values"], first["values"]))}
        return result | {"smallest": _smallest_by_student(result, alpha)}
    untested = {"test": None, "difference": second["mean"] - first["mean"], "low": None, "high": None, "p": None}
    if first["interval"] is None or second["interval"] is None:
        return untested
    return untested | {"low": second["low"] - first["high"], "high": second["high"] - first["low"]}


def _between_classifiers(better: NDArray[np.bool_], worse: NDArray[np.bool_], resamples: int, alpha: float) -> Figures:
    counts = mcnemar(better[0], worse[0])
    discordant = (counts.only_first + counts.only_second) / counts.texts
    result = difference(better, worse, resamples)
    if result["test"] == "mcnemar":
        smallest = smallest_detectable_difference(counts.texts, discordant, alpha=alpha)
    else:
        smallest = _smallest_by_student(result, alpha)
    return {
        **result,
        "mcnemar": {
            "texts": counts.texts,
            "only_better": counts.only_first,
            "only_worse": counts.only_second,
            "p": counts.difference.p,
        },
        "smallest": smallest,
    }


def _smallest_by_student(result: Figures, alpha: float) -> float:
    return smallest_difference_by_student(result["standard_error"], result["freedom"], alpha=alpha)
