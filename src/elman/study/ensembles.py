"""A step that lets several judge together: the mean of probabilities, over seeds and over two kinds of model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError
from elman.evaluation import LogProbs, accuracy_and_loss, calibration, confusion
from elman.study.classifiers import classifier_summary, unpacked, unpacked_labels
from elman.study.tested import correct, difference, keep, probabilities
from elman.study.work import Work, texts_of

WEIGHTS = 21
"""Of a mixture, from none of the first to nothing else, all at the same distance."""

LEAST = 1e-7
"""The least probability that is taken a logarithm of."""


def combine(work: Work) -> dict[str, Any]:
    """Take the mean of the test probabilities over the seeds of a final step; of two such, a mixture of both means.

    How much of each is mixed is chosen on validation, by accuracy and among equals by cross-entropy; for this the steps
    that the two were taken from are needed too. The test texts are not opened anew: the probabilities were kept.

    Returns
    -------
    Figures as of a final step with one seed; ``over_a_single``: how much more often it is right than a single seed of
    its best member, on the same texts.

    Raises
    ------
    ConfigError
        There are not one or two final steps on the same data, or of two the validation is not there.
    """
    members = [name for name, result in work.needs.items() if result["kind"] == "final"]
    figures = [work.needs[name]["figures"] for name in members]
    if len(members) not in (1, 2) or len({texts_of(found) for found in figures}) != 1:
        raise ConfigError(
            f"{work.name} cannot be made of {members}.", "Let it need one or two final steps of one data."
        )
    labels = unpacked_labels(figures[0]["labels"])
    means = [probabilities(work, name, len(labels)).mean(axis=0) for name in members]
    mixed: dict[str, Any] = {}
    if len(members) == 2:
        mixed = _chosen(work, [found["source"] for found in figures])
        means = [mixed["weight"] * means[0] + (1 - mixed["weight"]) * means[1]]
    log_probs = _log(means[0])
    digest = keep(work, 0, log_probs)
    by_seed = [
        {
            "seed": 0,
            "probabilities": digest,
            **accuracy_and_loss(log_probs, labels),
            "confusion": confusion(log_probs, labels),
            "calibration": calibration(log_probs, labels),
        }
    ]
    accuracies = [found["summary"]["test_accuracy"] for found in figures]
    best = members[int(np.argmax([accuracy["mean"] for accuracy in accuracies]))]
    return {
        "members": [
            {"step": name, "seeds": len(found["by_seed"]), **accuracy}
            for name, found, accuracy in zip(members, figures, accuracies, strict=True)
        ],
        "over_a_single": {"step": best, **difference((log_probs.argmax(axis=1) == labels)[None], correct(work, best))},
        **mixed,
        "data": figures[0]["data"],
        "class_names": figures[0]["class_names"],
        "labels": figures[0]["labels"],
        "summary": classifier_summary("test", by_seed),
        "by_seed": by_seed,
    }


def _chosen(work: Work, sources: list[str]) -> dict[str, Any]:
    """Return the first's weight that is best on validation, and all that were tried."""
    missing = [name for name in sources if name not in work.needs or "log_odds" not in _first_run(work, name)]
    if missing:
        raise ConfigError(
            f"{work.name} cannot choose its mixture: it needs the validation of {', '.join(missing)}.",
            "Let it need these steps too.",
        )
    found = [work.needs[name]["figures"] for name in sources]
    labels, classes = unpacked_labels(found[0]["labels"]), len(found[0]["class_names"])
    first, second = (
        np.mean([np.exp(unpacked(seed["log_odds"], classes)) for seed in each["by_seed"]], axis=0) for each in found
    )
    tried = []
    for weight in np.linspace(0, 1, WEIGHTS).tolist():
        measured = accuracy_and_loss(_log(weight * first + (1 - weight) * second), labels)
        tried.append({"weight": weight, **{name: measured[name] for name in ("accuracy", "cross_entropy_nats")}})
    best = max(tried, key=lambda entry: (entry["accuracy"], -entry["cross_entropy_nats"]))
    return {"weight": best["weight"], "rest": 1 - best["weight"], "tried": tried}


def _first_run(work: Work, name: str) -> dict[str, Any]:
    runs: list[dict[str, Any]] = work.needs[name]["figures"].get("by_seed", [{}])
    return runs[0]


def _log(mean: NDArray[np.float32]) -> LogProbs:
    return np.log(np.maximum(mean, LEAST)).astype(np.float32)
