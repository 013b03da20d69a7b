"""A step that compares others by their result files alone: which is best, and which can be told apart."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

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
from elman.study.tested import RESAMPLES, as_figures, correct, difference
from elman.study.work import Work, check_positive, texts_of

MEASURES = {
    "test_accuracy": "more",
    "val_accuracy": "more",
    "excess_nats_per_token": "less",
    "val_bits_per_token": "less",
}
"""What is compared, the first that all have; and whether more of it is better."""

ALPHA = 0.05
"""Two are told apart where the p-value, corrected for the number of pairs, is not above this."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is held to what."""

    against: str = ""
    """The step that each of the others is held to; without it, each is held to each."""
    resamples: int = RESAMPLES
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        check_positive("resamples", [self.resamples])


def compare(work: Work) -> dict[str, Any]:
    """Rank the steps that are needed, and say which differences are larger than chance makes them.

    Two classifiers were measured on the same texts. With several seeds of either they are compared by the paired
    bootstrap over seeds and texts, with one seed of each by McNemar's test, which also stands beside the bootstrap for
    the first seeds. Language models of several seeds are compared by Welch's t over the seeds. All p-values are
    corrected together by Holm. Of language models with one seed each there is no test: these are told apart where
    their intervals do not overlap, which says less than a test would, never more.

    Returns
    -------
    ``order``: the steps, the best first. ``pairs``: for each the difference with its interval, ``test`` ("bootstrap",
    "mcnemar", "welch" or None), ``p``, ``p_holm``, and whether they are ``apart``; of classifiers also ``mcnemar`` of
    the first seeds. ``smallest``: the least difference that the same test would have shown in four of five cases, its
    p-value corrected for all pairs as for the first of them.

    Raises
    ------
    ConfigError
        There are not two or more of them, on the same data.
    """
    needs = {name: result["figures"] for name, result in work.needs.items()}
    measure = _measure(work.needs)
    means = {name: figures["summary"][measure]["mean"] for name, figures in needs.items()}
    sign = 1 if MEASURES[measure] == "more" else -1
    order = sorted(needs, key=lambda name: -sign * means[name])
    against = work.options.against
    if against and against not in needs:
        raise ConfigError(f"The step {against!r} is not among those that are compared.", "Name one of its needs.")
    pairs = [pair for pair in combinations(order, 2) if not against or against in pair]
    tested = [_tested(work, better, worse, measure, ALPHA / len(pairs)) for better, worse in pairs]
    corrected = iter(holm([found["p"] for found in tested if found["p"] is not None]))
    for found in tested:
        found["p_holm"] = None if found["p"] is None else next(corrected)
        found["apart"] = found["low"] is not None and found["low"] > 0 and (found["p_holm"] or 0.0) <= ALPHA
    return {
        "measure": measure,
        "better": MEASURES[measure],
        "against": against or None,
        "order": [
            {"step": name, "model": needs[name].get("source", name), **needs[name]["summary"][measure]}
            for name in order
        ],
        "pairs": [
            {"better": better, "worse": worse, **found} for (better, worse), found in zip(pairs, tested, strict=True)
        ],
    }


def _measure(results: dict[str, dict[str, Any]]) -> str:
    if len(results) < 2:
        raise ConfigError("There is nothing to compare.", "Let the step need two others or more.")
    figures = [result["figures"] for result in results.values()]
    for measure in MEASURES:
        if all(measure in found.get("summary", {}) for found in figures):
            data = {texts_of(found) for found in figures if "data" in found}
            tokens = {_tokens(found) for found in figures} if measure == "val_bits_per_token" else {()}
            if len(data) == len(tokens) == 1:
                return measure
    raise ConfigError(
        f"The steps {', '.join(results)} cannot be compared: they have no figure in common, or differ in data.",
        "Compare classifiers of the same texts, or language models of the same strings.",
    )


def _tokens(figures: dict[str, Any]) -> tuple[int, int]:
    """Return what bits a token are bits of: how many different tokens there are, and how many in the texts."""
    return figures["data"]["vocab_size"], figures["by_seed"][0]["val"]["tokens"]


def _tested(work: Work, better: str, worse: str, measure: str, alpha: float) -> dict[str, Any]:
    """Return the difference of two steps, in favour of the better one, and how sure it is."""
    if MEASURES[measure] == "more":
        return _of_classifiers(correct(work, better), correct(work, worse), work.options.resamples, alpha)
    ours, theirs = (work.needs[name]["figures"]["summary"][measure] for name in (better, worse))
    if ours["interval"] == theirs["interval"] == "seeds":
        found = {"test": "welch", **as_figures(welch_over_seeds(theirs["values"], ours["values"]))}
        return found | {"smallest": _by_student(found, alpha)}
    found = {"test": None, "difference": theirs["mean"] - ours["mean"], "low": None, "high": None, "p": None}
    if ours["interval"] is None or theirs["interval"] is None:
        return found
    return found | {"low": theirs["low"] - ours["high"], "high": theirs["high"] - ours["low"]}


def _of_classifiers(
    better: NDArray[np.bool_], worse: NDArray[np.bool_], resamples: int, alpha: float
) -> dict[str, Any]:
    first = mcnemar(better[0], worse[0])
    discordant = (first.only_first + first.only_second) / first.texts
    found = difference(better, worse, resamples)
    exact = found["test"] == "mcnemar"
    return {
        **found,
        "mcnemar": {
            "texts": first.texts,
            "only_better": first.only_first,
            "only_worse": first.only_second,
            "p": first.difference.p,
        },
        "smallest": (
            smallest_detectable_difference(first.texts, discordant, alpha=alpha) if exact else _by_student(found, alpha)
        ),
    }


def _by_student(found: dict[str, Any], alpha: float) -> float:
    return smallest_difference_by_student(found["standard_error"], found["freedom"], alpha=alpha)
