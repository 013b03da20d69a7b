"""A step that trains one classifier on one or several seeds, and measures it on validation."""

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.batching import Batches
from elman.evaluation import LogProbs, accuracy_and_loss, calibration, confident_mistakes, confusion, predict
from elman.inference import device_of, trained_model
from elman.runs import Run
from elman.sequences import Sequences
from elman.study.summary import SHARE, over_seeds, training_figures
from elman.study.work import Work, check_seeds, identity

WORDS_QUOTED = 12
"""Of a review that is quoted as a mistake."""

MOST_ODDS = 60_000.0
"""The greatest log-odds that are kept; float16 knows none above 65,504."""


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """How often it is trained."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """A run for each."""

    def __post_init__(self) -> None:
        check_seeds(self.seeds)


def train_classifiers(work: Work) -> dict[str, Any]:
    """Train a classifier on each seed and measure it on validation.

    Returns
    -------
    ``summary``: each main figure over the seeds. ``by_seed``: the figures of each run, with every validation text's
    log-odds (:func:`packed`), so that paired tests and ensembles need no weights.
    """
    dataset = work.dataset()
    val = dataset.split("val")
    runs = work.trained(work.options.seeds)
    measured = []
    for run in runs:
        log_probs = _predictions(run, val)
        assert val.labels is not None  # what has classes is labelled
        measured.append(
            {
                "seed": run.config.loop.seed,
                "run": run.path.name,
                **accuracy_and_loss(log_probs, val.labels),
                "confusion": confusion(log_probs, val.labels),
                "calibration": calibration(log_probs, val.labels),
                "mistakes": [_quoted(mistake) for mistake in confident_mistakes(log_probs, val, dataset)],
                "log_odds": packed(log_probs),
            }
        )
    chance = measured[0]["accuracy_low"], measured[0]["accuracy_high"]
    assert val.labels is not None
    return {
        "data": identity(dataset),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(val.labels),
        "summary": {
            "val_accuracy": over_seeds([found["accuracy"] for found in measured], chance, SHARE),
            "val_cross_entropy_nats": over_seeds([found["cross_entropy_nats"] for found in measured]),
            "val_calibration_error": over_seeds(
                [found["calibration"]["expected_calibration_error"] for found in measured]
            ),
        },
        "by_seed": measured,
        **training_figures(runs),
    }


def _predictions(run: Run, val: Sequences) -> LogProbs:
    fabric = device_of(run)
    model = trained_model(run).to(fabric.device)
    return predict(fabric, model, Batches(val, run.config.batches, run.config.loop.seed), "reading")


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
