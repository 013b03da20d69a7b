"""A step that trains one classifier on one or several seeds, and measures it on validation."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.dataset import Dataset
from elman.evaluation import LogProbs, accuracy_and_loss, calibration, confident_mistakes, confusion, predictions
from elman.statistics import SHARE
from elman.study.summary import figure_over_seeds, training, training_figures
from elman.study.work import Work, identity
from elman.text.sequences import Sequences

WORDS_QUOTED = 12
"""Of a review that is quoted as a mistake."""

MOST_ODDS = 60_000.0
"""The greatest log-odds that are kept; float16 knows none above 65,504."""


def train_classifiers(work: Work) -> dict[str, Any]:
    """Train a classifier on each seed and measure it on validation.

    Returns
    -------
    ``summary``: each main figure over the seeds. ``by_seed``: the figures of each run, with every validation text's
    log-odds (:func:`packed`), so that paired tests and ensembles need no weights.
    """
    dataset = work.dataset()
    val = dataset.split("val")
    assert val.labels is not None  # what has classes is labelled

    def measure(seed: int) -> dict[str, Any]:
        run = work.trained(seed)
        measured = measured_classifier(predictions(run, val, "reading"), val, dataset)
        return {"seed": seed, "run": run.path.name, **measured, "training": training(run)}

    found = work.seed_by_seed(measure)
    trainings = [each.pop("training") for each in found]
    return {
        "data": identity(dataset),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(val.labels),
        "summary": classifier_summary("val", found),
        "by_seed": found,
        **training_figures(trainings),
    }


def measured_classifier(log_probs: LogProbs, sequences: Sequences, dataset: Dataset) -> dict[str, Any]:
    """Return all figures of a classifier on labelled sequences, with every text's log-odds."""
    assert sequences.labels is not None
    return {
        **accuracy_and_loss(log_probs, sequences.labels),
        "confusion": confusion(log_probs, sequences.labels),
        "calibration": calibration(log_probs, sequences.labels),
        "mistakes": [_quoted(mistake) for mistake in confident_mistakes(log_probs, sequences, dataset)],
        "log_odds": packed(log_probs),
    }


def classifier_summary(split: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the main figures of a classifier over its seeds, named by the split."""
    chance = found[0]["accuracy_low"], found[0]["accuracy_high"]
    errors = [each["calibration"]["expected_calibration_error"] for each in found]
    return {
        f"{split}_accuracy": figure_over_seeds([each["accuracy"] for each in found], chance, SHARE),
        f"{split}_cross_entropy_nats": figure_over_seeds([each["cross_entropy_nats"] for each in found]),
        f"{split}_calibration_error": figure_over_seeds(errors),
    }


def _quoted(mistake: dict[str, Any]) -> dict[str, Any]:
    words = mistake["text"].split()
    more = " …" if len(words) > WORDS_QUOTED else ""
    return {**mistake, "text": " ".join(words[:WORDS_QUOTED]) + more}


def packed(log_probs: LogProbs) -> str:
    """Return log-probabilities (texts, classes) as text.

    What is kept is each class's log-odds against the last one, as float16 in base64: three digits wherever they are,
    and which class is the more probable survives even near a tie.
    """
    odds = (log_probs[:, :-1] - log_probs[:, -1:]).clip(-MOST_ODDS, MOST_ODDS)
    return base64.b64encode(odds.astype("<f2").tobytes()).decode("ascii")


def unpacked(text: str, classes: int) -> LogProbs:
    """Return the log-probabilities (texts, classes) that :func:`packed` wrote."""
    odds = np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32).reshape(-1, classes - 1)
    logits = np.concatenate([odds, np.zeros((len(odds), 1), np.float32)], axis=1)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def packed_labels(labels: NDArray[np.int64]) -> str:
    """Return labels (texts,) as text: integers of two bytes in base64."""
    return base64.b64encode(labels.astype("<i2").tobytes()).decode("ascii")


def unpacked_labels(text: str) -> NDArray[np.int64]:
    """Return the labels that :func:`packed_labels` wrote."""
    return np.frombuffer(base64.b64decode(text), "<i2").astype(np.int64)
