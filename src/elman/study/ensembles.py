"""A step that averages the probabilities of several models, over seeds and over two steps."""

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError
from elman.evaluation import LogProbs, accuracy_and_loss, calibration, confusion
from elman.study.classifiers import classifier_summary, unpacked, unpacked_labels
from elman.study.probabilities import correct, difference, save_probabilities, saved_probabilities
from elman.study.work import Figures, NoOptions, Work, texts_of

WEIGHTS = 21
"""The number of weights that are tried for a mixture, evenly spaced from 0 to 1."""

MIN_PROBABILITY = 1e-7
"""Smaller probabilities are raised to this before their logarithm is taken."""


def combine(work: Work[NoOptions]) -> Figures:
    """Average the test probabilities over the seeds of a test evaluation; with two of them, mix the two averages.

    The weight of the mixture is chosen on validation, by accuracy and among equals by cross-entropy. So an ensemble of
    two also needs the steps that the two were taken from. The test split is not opened again: the probabilities are
    saved.

    Returns
    -------
    Figures as of a test evaluation with one seed; ``over_a_single``: its difference in accuracy from a single seed of
    its best member, on the same texts.

    Raises
    ------
    ConfigError
        The step does not need one or two test evaluations on the same data, or lacks the validation of two.
    """
    members = [name for name, result in work.needs.items() if result["kind"] == "test-evaluation"]
    figures = [work.needs[name]["figures"] for name in members]
    if len(members) not in (1, 2) or len({texts_of(member) for member in figures}) != 1:
        raise ConfigError(
            f"{work.name} needs the test evaluations {members}, which cannot be averaged.",
            "Use one or two test evaluations of the same data.",
        )
    labels = unpacked_labels(figures[0]["labels"])
    means = [saved_probabilities(work, name, len(labels)).mean(axis=0) for name in members]
    mixture: Figures = {}
    if len(members) == 2:
        mixture = _mixture(work, [member["source"] for member in figures])
        means = [mixture["weight"] * means[0] + (1 - mixture["weight"]) * means[1]]
    log_probs = _log(means[0])
    by_seed = [
        {
            "seed": 0,
            "probabilities": save_probabilities(work, 0, log_probs),
            **accuracy_and_loss(log_probs, labels),
            "confusion": confusion(log_probs, labels),
            "calibration": calibration(log_probs, labels),
        }
    ]
    accuracies = [member["summary"]["test_accuracy"] for member in figures]
    best = members[int(np.argmax([accuracy["mean"] for accuracy in accuracies]))]
    return {
        "members": [
            {"step": name, "seeds": len(member["by_seed"]), **accuracy}
            for name, member, accuracy in zip(members, figures, accuracies, strict=True)
        ],
        "over_a_single": {"step": best, **difference((log_probs.argmax(axis=1) == labels)[None], correct(work, best))},
        **mixture,
        "data": figures[0]["data"],
        "class_names": figures[0]["class_names"],
        "labels": figures[0]["labels"],
        "summary": classifier_summary("test", by_seed),
        "by_seed": by_seed,
    }


def _mixture(work: Work[NoOptions], sources: list[str]) -> Figures:
    """Return the weight of the first step that is best on validation, and all weights that were tried."""
    missing = [name for name in sources if name not in work.needs or "log_odds" not in _first_run(work, name)]
    if missing:
        raise ConfigError(
            f"{work.name} cannot choose its mixture without the validation of {', '.join(missing)}.",
            "Add these steps to its needs.",
        )
    figures = [work.needs[name]["figures"] for name in sources]
    labels, classes = unpacked_labels(figures[0]["labels"]), len(figures[0]["class_names"])
    first, second = (
        np.mean([np.exp(unpacked(seed["log_odds"], classes)) for seed in source["by_seed"]], axis=0)
        for source in figures
    )
    tried = []
    for weight in np.linspace(0, 1, WEIGHTS).tolist():
        measured = accuracy_and_loss(_log(weight * first + (1 - weight) * second), labels)
        tried.append({"weight": weight, **{name: measured[name] for name in ("accuracy", "cross_entropy_nats")}})
    best = max(tried, key=lambda entry: (entry["accuracy"], -entry["cross_entropy_nats"]))
    return {"weight": best["weight"], "rest": 1 - best["weight"], "tried": tried}


def _first_run(work: Work[NoOptions], name: str) -> Figures:
    runs: list[Figures] = work.needs[name]["figures"].get("by_seed", [{}])
    return runs[0]


def _log(mean: NDArray[np.float32]) -> LogProbs:
    return np.log(np.maximum(mean, MIN_PROBABILITY)).astype(np.float32)
