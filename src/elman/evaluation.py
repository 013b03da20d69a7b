"""What a run is worth on a split.

Of a classifier: accuracy with its interval, loss, confusion, calibration, and where it errs. Of a language model:
cross-entropy, and where the generator is known the distance from it.
"""

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from elman.config import SplitName
from elman.data.dataset import Dataset
from elman.data.ledger import record_opening
from elman.errors import DataError, RunError
from elman.files import write_json
from elman.inference import for_each_batch, on_its_device
from elman.losses import cross_entropy_nats
from elman.runs import Run
from elman.scoring import distance, likelihood, model_nats, true_nats
from elman.statistics import wilson
from elman.text.batching import Batch, Batches
from elman.text.sequences import Sequences
from elman.text.tokenize import text_of

CALIBRATION_BINS = 10
WORDS_SHOWN = 60

LogProbs = NDArray[np.float32]
"""(sequences, classes), natural logarithms, in the order of the split."""


def predict(
    fabric: Fabric,
    model: nn.Module,
    batches: Batches,
    description: str,
    after_batch: Callable[[], None] = lambda: None,
) -> LogProbs:
    """Return the log-probabilities of every class for every sequence."""
    found: list[NDArray[np.float32]] = []
    order: list[NDArray[np.int64]] = []

    def read(batch: Batch) -> None:
        logits = model(batch.token_ids, batch.lengths)
        found.append(logits.float().log_softmax(dim=-1).cpu().numpy())
        order.append(batch.indices.numpy())

    for_each_batch(fabric, model, batches, description, read, after_batch)
    return np.concatenate(found)[np.concatenate(order).argsort()]


def predictions(run: Run, sequences: Sequences, description: str) -> LogProbs:
    """Return what a run's best weights say of every sequence, as :func:`predict` does."""
    fabric, model = on_its_device(run)
    return predict(fabric, model, Batches(sequences, run.config.batches, run.config.loop.seed), description)


def accuracy_and_loss(log_probs: LogProbs, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return accuracy with its 95% Wilson interval, cross-entropy in nats a sequence, and the number of sequences."""
    correct = int((log_probs.argmax(axis=1) == labels).sum())
    accuracy = wilson(correct, len(labels))
    total = cross_entropy_nats(torch.from_numpy(log_probs), torch.from_numpy(labels))
    return {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "cross_entropy_nats": float(total.mean),
        "sequences": len(labels),
    }


def confusion(log_probs: LogProbs, labels: NDArray[np.int64]) -> list[list[int]]:
    """Return (true class, predicted class) counts."""
    classes = log_probs.shape[1]
    pairs = labels * classes + log_probs.argmax(axis=1)
    counts: list[list[int]] = np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist()
    return counts


def calibration(log_probs: LogProbs, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return how often the model is right when it says how sure it is.

    Sequences are put in bins of equal width by the probability of the predicted class. The expected calibration error
    is the mean over sequences of the distance between a bin's mean confidence and its accuracy (Guo et al., ICML 2017).
    """
    confidence = np.exp(log_probs.max(axis=1).astype(np.float64))
    right = log_probs.argmax(axis=1) == labels
    where = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for i in np.unique(where):
        inside = where == i
        bins.append(
            {
                "from": i / CALIBRATION_BINS,
                "to": (i + 1) / CALIBRATION_BINS,
                "sequences": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(right[inside].mean()),
            }
        )
    error = sum(b["sequences"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(labels)
    return {"expected_calibration_error": error, "bins": bins}


def confident_mistakes(
    log_probs: LogProbs, sequences: Sequences, dataset: Dataset, count: int = 5
) -> list[dict[str, Any]]:
    """Return the sequences on which the model is surest and wrong, in words."""
    assert sequences.labels is not None  # only labelled splits are evaluated
    predicted = log_probs.argmax(axis=1)
    sureness = np.where(predicted == sequences.labels, -np.inf, log_probs.max(axis=1))
    surest = [int(i) for i in np.argsort(-sureness, kind="stable")[:count] if np.isfinite(sureness[i])]
    return [
        {
            "index": i,
            "label": dataset.class_names[int(sequences.labels[i])],
            "predicted": dataset.class_names[int(predicted[i])],
            "probability": float(np.exp(sureness[i])),
            "text": _excerpt(dataset, sequences[i]),
        }
        for i in surest
    ]


def evaluate(
    run: Run, split: SplitName, *, final: bool = False, warn: Callable[[str], None] = warnings.warn
) -> dict[str, Any]:
    """Evaluate a run's best weights on a split, and keep the figures in ``results/SPLIT.json``.

    Parameters
    ----------
    run
        A run that has finished an epoch.
    split
        One that has labels.
    final
        Open the test split; the ledger records it.
    warn
        What to do with a warning: the test split was opened before.

    Returns
    -------
    The figures, ready for JSON.

    Raises
    ------
    TestSplitLocked
        The test split, without ``final``.
    DataError
        The split has no labels.
    RunError
        The run is a pretraining, or no result can be kept in its directory.
    """
    task = run.config.data.task
    if task == "pretraining":
        raise RunError(f"{run.path} is a pretraining, for a classifier to begin with.", "Evaluate the classifier.")
    run.check_writable()
    dataset = run.open_dataset()
    sequences = dataset.split(split, final=final)
    measure = {"classification": _measure_classifier, "language-model": _measure_language_model}[task]
    fabric, model = on_its_device(run)
    if task == "classification" and (sequences.labels is None or sequences.labels.min() < 0):
        raise DataError(f"The split {split!r} has no labels.", "Evaluate on val.")
    opened = {}
    if split == "test":
        digest = hashlib.sha256(run.config.to_toml().encode()).hexdigest()
        entry = record_opening(dataset.name, dataset.checksum, str(run.path.resolve()), digest, warn)
        opened = {"opened": entry.time, "openings_before": entry.earlier}
    figures = {
        "run": str(run.path),
        "split": split,
        "task": task,
        **measure(run, fabric, model, dataset, sequences),
        **opened,
    }
    write_json(run.result_path(split), figures)
    return figures


def _measure_classifier(
    run: Run, fabric: Fabric, model: nn.Module, dataset: Dataset, sequences: Sequences
) -> dict[str, Any]:
    log_probs = predict(fabric, model, Batches(sequences, run.config.batches, run.config.loop.seed), "reading")
    assert sequences.labels is not None  # evaluate refuses a split without
    return {
        "class_names": list(dataset.class_names),
        **accuracy_and_loss(log_probs, sequences.labels),
        "confusion": confusion(log_probs, sequences.labels),
        "calibration": calibration(log_probs, sequences.labels),
        "mistakes": confident_mistakes(log_probs, sequences, dataset),
    }


def _measure_language_model(
    run: Run, fabric: Fabric, model: nn.Module, dataset: Dataset, sequences: Sequences
) -> dict[str, Any]:
    framed = sequences.framed()
    tokens = framed.lengths - 1
    nats = model_nats(fabric, model, Batches(framed, run.config.batches, run.config.loop.seed), "reading")
    figures = {"level": dataset.level, **likelihood(nats, tokens)}
    if dataset.language is not None:
        strings = [dataset.vocab.decode(ids.tolist()) for ids in sequences]
        figures |= distance(nats, true_nats(dataset.language, strings), tokens, dataset.language)
    return figures


def _excerpt(dataset: Dataset, token_ids: NDArray[np.int64]) -> str:
    shown = token_ids if len(token_ids) <= WORDS_SHOWN else token_ids[:WORDS_SHOWN]
    text = text_of(dataset.vocab.decode(shown.tolist()), dataset.level)
    return text if len(shown) == len(token_ids) else text + " …"
