"""A step that compares others by their result files alone: which is best, and which can be told apart."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError
from elman.statistics import mean_over_seeds, ratio
from elman.study.classifiers import unpacked, unpacked_labels
from elman.study.work import Work

MEASURES = {
    "val_accuracy": "more",
    "excess_nats_per_token": "less",
    "val_bits_per_token": "less",
}
"""What is compared, the first that all have; and whether more of it is better."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is held to what."""

    against: str = ""
    """The step that each of the others is held to; without it, neighbours in the ranking are held to each other."""


def compare(work: Work) -> dict[str, Any]:
    """Rank the steps that are needed, and say which differences are larger than chance makes them.

    Two classifiers were measured on the same texts: the interval of their difference is the wider of that over texts
    (paired) and, with several seeds, of Student's over seeds. Of other figures the difference lies between the
    extremes that the two intervals allow, so two are told apart only where these do not overlap: it says less than a
    test would, never more.

    Raises
    ------
    ConfigError
        There are not two or more of them, of one kind, on the same data.
    """
    needs = {name: result["figures"] for name, result in work.needs.items()}
    measure = _measure(work.needs)
    means = {name: figures["summary"][measure]["mean"] for name, figures in needs.items()}
    sign = 1 if MEASURES[measure] == "more" else -1
    order = sorted(needs, key=lambda name: -sign * means[name])
    against = work.options.against
    if against and against not in needs:
        raise ConfigError(f"The step {against!r} is not among those that are compared.", "Name one of its needs.")
    others = [name for name in order if name != against]
    pairs = [tuple(sorted((against, name), key=order.index)) for name in others] if against else [*pairwise(order)]
    return {
        "measure": measure,
        "better": MEASURES[measure],
        "against": against or None,
        "order": [{"step": name, **needs[name]["summary"][measure]} for name in order],
        "pairs": [
            {"better": better, "worse": worse, **_difference(needs[better], needs[worse], measure, sign)}
            for better, worse in pairs
        ],
    }


def _measure(results: dict[str, dict[str, Any]]) -> str:
    if len(results) < 2:
        raise ConfigError("There is nothing to compare.", "Let the step need two others or more.")
    figures = [result["figures"] for result in results.values()]
    kinds = {result["kind"] for result in results.values()}
    data = {found["data"]["checksum"] for found in figures if "data" in found}
    for measure in MEASURES:
        if len(kinds) == len(data) == 1 and all(measure in found.get("summary", {}) for found in figures):
            return measure
    raise ConfigError(
        f"The steps {', '.join(results)} cannot be compared: they differ in kind or in data.",
        "Compare classifiers of the same texts, or language models of the same strings.",
    )


def _difference(better: dict[str, Any], worse: dict[str, Any], measure: str, sign: int) -> dict[str, Any]:
    ours, theirs = better["summary"][measure], worse["summary"][measure]
    value = sign * (ours["mean"] - theirs["mean"])
    if ours["interval"] is None or theirs["interval"] is None:
        return {"difference": value, "low": None, "high": None, "apart": False}
    if measure == "val_accuracy":
        low, high = _paired(better, worse)
    elif sign > 0:
        low, high = ours["low"] - theirs["high"], ours["high"] - theirs["low"]
    else:
        low, high = theirs["low"] - ours["high"], theirs["high"] - ours["low"]
    return {"difference": value, "low": low, "high": high, "apart": low > 0}


def _paired(better: dict[str, Any], worse: dict[str, Any]) -> tuple[float, float]:
    difference = _correct(better).mean(axis=0) - _correct(worse).mean(axis=0)
    found = [ratio(difference, np.ones_like(difference))]
    accuracies = [[seed["accuracy"] for seed in figures["by_seed"]] for figures in (better, worse)]
    if len(accuracies[0]) == len(accuracies[1]) > 1:
        found.append(mean_over_seeds([ours - theirs for ours, theirs in zip(*accuracies, strict=True)]))
    return min(estimate.low for estimate in found), max(estimate.high for estimate in found)


def _correct(figures: dict[str, Any]) -> NDArray[np.bool_]:
    """Return (seeds, texts), whether each run was right."""
    labels, classes = unpacked_labels(figures["labels"]), len(figures["class_names"])
    return np.array([unpacked(seed["log_odds"], classes).argmax(axis=1) == labels for seed in figures["by_seed"]])
