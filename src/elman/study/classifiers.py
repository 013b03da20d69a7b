"""A step that trains one classifier on one or several seeds, and measures it on validation."""

import base64

import numpy as np
from numpy.typing import NDArray

from elman.data.dataset import Dataset
from elman.evaluation import LogProbs, accuracy_and_loss, calibration, confident_mistakes, confusion, predictions
from elman.statistics import SHARE
from elman.study.summary import figure_over_seeds, training, training_figures
from elman.study.work import Figures, SeedOptions, Work, identity
from elman.text.sequences import Sequences

WORDS_QUOTED = 12
"""The number of words that are quoted of a review that was classified wrongly."""

MAX_LOG_ODDS = 60_000.0
"""The largest log-odds that are saved; float16 ends at 65,504."""


def train_classifiers(work: Work[SeedOptions]) -> Figures:
    """Train a classifier on each seed and measure it on validation.

    Returns
    -------
    ``summary``: each main figure over the seeds. ``by_seed``: the figures of each run, with the log-odds of every
    validation text (:func:`packed`), so that paired tests and ensembles do not need the weights.
    """
    dataset = work.dataset()
    val = dataset.split("val")
    assert val.labels is not None  # data with classes has labels

    def measure(seed: int) -> Figures:
        run = work.trained(seed)
        measured = measured_classifier(predictions(run, val, "reading"), val, dataset)
        return {"seed": seed, "run": run.path.name, **measured, "training": training(run)}

    by_seed = work.seed_by_seed(measure)
    trainings = [figures.pop("training") for figures in by_seed]
    return {
        "data": identity(dataset),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(val.labels),
        "summary": classifier_summary("val", by_seed),
        "by_seed": by_seed,
        **training_figures(trainings),
    }


def measured_classifier(log_probs: LogProbs, sequences: Sequences, dataset: Dataset) -> Figures:
    """Return all figures of a classifier on labeled sequences, with every text's log-odds."""
    assert sequences.labels is not None
    return {
        **accuracy_and_loss(log_probs, sequences.labels),
        "confusion": confusion(log_probs, sequences.labels),
        "calibration": calibration(log_probs, sequences.labels),
        "mistakes": [_quoted(mistake) for mistake in confident_mistakes(log_probs, sequences, dataset)],
        "log_odds": packed(log_probs),
    }


def classifier_summary(split: str, by_seed: list[Figures]) -> Figures:
    """Return the main figures of a classifier over its seeds; their names begin with the split."""
    over_texts = by_seed[0]["accuracy_low"], by_seed[0]["accuracy_high"]
    errors = [figures["calibration"]["expected_calibration_error"] for figures in by_seed]
    cross_entropies = [figures["cross_entropy_nats"] for figures in by_seed]
    return {
        f"{split}_accuracy": figure_over_seeds([figures["accuracy"] for figures in by_seed], over_texts, SHARE),
        f"{split}_cross_entropy_nats": figure_over_seeds(cross_entropies),
        f"{split}_calibration_error": figure_over_seeds(errors),
    }


def _quoted(mistake: Figures) -> Figures:
    words = mistake["text"].split()
    more = " …" if len(words) > WORDS_QUOTED else ""
    return {**mistake, "text": " ".join(words[:WORDS_QUOTED]) + more}


def packed(log_probs: LogProbs) -> str:
    """Return log-probabilities (texts, classes) as text.

    The text holds the log-odds of each class against the last one, as float16 in base64: three digits at any size, so
    the more probable class stays the same even near a tie.
    """
    odds = (log_probs[:, :-1] - log_probs[:, -1:]).clip(-MAX_LOG_ODDS, MAX_LOG_ODDS)
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
