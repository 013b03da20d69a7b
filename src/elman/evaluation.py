"""Evaluation of a run on a split.

A classifier gets accuracy with its interval, cross-entropy, confusion, calibration and its most confident mistakes. A
language model gets cross-entropy and, where the generator is known, the excess over the floor.
"""

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.config import SplitName
from elman.data.dataset import Dataset, check_test_is_final
from elman.data.ledger import record_opening
from elman.errors import DataError, RunError
from elman.files import write_json
from elman.inference import Device, for_each_batch, on_its_device
from elman.losses import cross_entropy_nats
from elman.runs import Run
from elman.scoring import Scorer
from elman.statistics import wilson
from elman.text.batching import Batch, Batches
from elman.text.sequences import Sequences
from elman.text.tokenize import text_of

CALIBRATION_BINS = 10
WORDS_SHOWN = 60

LogProbs = NDArray[np.float32]
"""(sequences, classes), natural logarithms, in the order of the split."""


def predict(
    device: Device,
    model: nn.Module,
    batches: Batches,
    description: str,
    after_batch: Callable[[], None] = lambda: None,
) -> LogProbs:
    """Return the log-probabilities of every class for every sequence; a GPU hands them over at the end."""
    log_probs: list[Tensor] = []
    indices: list[Tensor] = []

    def read(batch: Batch) -> None:
        log_probs.append(model(batch.token_ids, batch.lengths).float().log_softmax(dim=-1))
        indices.append(batch.indices)

    for_each_batch(device, model, batches, description, read, after_batch)
    in_order: LogProbs = torch.cat(log_probs).cpu().numpy()[torch.cat(indices).argsort().numpy()]
    return in_order


def predictions(run: Run, sequences: Sequences, description: str) -> LogProbs:
    """Return the log-probabilities of every class for every sequence under a run's best weights."""
    device, model = on_its_device(run)
    return predict(device, model, Batches.of(run.config, sequences), description)


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
    """Return the accuracy in each bin of confidence, and the expected calibration error (Guo et al., ICML 2017).

    The confidence is the probability of the predicted class; the bins have equal width. The expected calibration error
    is the mean over sequences of the absolute difference between the mean confidence and the accuracy of their bin.
    """
    confidence = np.exp(log_probs.max(axis=1).astype(np.float64))
    correct = log_probs.argmax(axis=1) == labels
    bin_indices = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = []
    for i in np.unique(bin_indices):
        inside = bin_indices == i
        bins.append(
            {
                "from": i / CALIBRATION_BINS,
                "to": (i + 1) / CALIBRATION_BINS,
                "sequences": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(correct[inside].mean()),
            }
        )
    error = sum(b["sequences"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(labels)
    return {"expected_calibration_error": error, "bins": bins}


def confident_mistakes(
    log_probs: LogProbs, sequences: Sequences, dataset: Dataset, count: int = 5
) -> list[dict[str, Any]]:
    """Return the mistakes with the highest confidence, as text."""
    assert sequences.labels is not None  # only labeled splits are evaluated
    predicted = log_probs.argmax(axis=1)
    confidence = np.where(predicted == sequences.labels, -np.inf, log_probs.max(axis=1))
    indices = [int(i) for i in np.argsort(-confidence, kind="stable")[:count] if np.isfinite(confidence[i])]
    return [
        {
            "index": i,
            "label": dataset.class_names[int(sequences.labels[i])],
            "predicted": dataset.class_names[int(predicted[i])],
            "probability": float(np.exp(confidence[i])),
            "text": _excerpt(dataset, sequences[i]),
        }
        for i in indices
    ]


def evaluate(
    run: Run, split: SplitName, *, final: bool = False, warn: Callable[[str], None] = warnings.warn
) -> dict[str, Any]:
    """Evaluate a run's best weights on a split, and write the figures to ``results/SPLIT.json``.

    Parameters
    ----------
    run
        A run that has finished at least one epoch.
    split
        For a classifier, a split with labels.
    final
        Open the test split. The ledger records it.
    warn
        Called with a message if the test split was opened before.

    Returns
    -------
    The figures, ready for JSON.

    Raises
    ------
    TestSplitLocked
        The test split was requested without ``final``. Nothing has been loaded then.
    DataError
        The split has no labels.
    RunError
        The run is a pretraining, or its directory cannot be written to.
    """
    check_test_is_final(split, final=final)
    task = run.config.data.task
    if task == "pretraining":
        raise RunError(f"{run.path} is a pretraining, which has no classes to predict.", "Evaluate the classifier.")
    run.check_writable()
    dataset = run.open_dataset()
    sequences = dataset.split(split, final=final)
    measure = {"classification": _measure_classifier, "language-model": _measure_language_model}[task]
    device, model = on_its_device(run)
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
        **measure(run, device, model, dataset, sequences),
        **opened,
    }
    write_json(run.result_path(split), figures)
    return figures


def _measure_classifier(
    run: Run, device: Device, model: nn.Module, dataset: Dataset, sequences: Sequences
) -> dict[str, Any]:
    log_probs = predict(device, model, Batches.of(run.config, sequences), "reading")
    assert sequences.labels is not None  # evaluate refuses a split without labels
    return {
        "class_names": list(dataset.class_names),
        **accuracy_and_loss(log_probs, sequences.labels),
        "confusion": confusion(log_probs, sequences.labels),
        "calibration": calibration(log_probs, sequences.labels),
        "mistakes": confident_mistakes(log_probs, sequences, dataset),
    }


def _measure_language_model(
    run: Run, device: Device, model: nn.Module, dataset: Dataset, sequences: Sequences
) -> dict[str, Any]:
    batches = Batches.of(run.config, sequences.framed())
    scorer = Scorer(batches, dataset.vocab, dataset.language)
    return {"level": dataset.level, **scorer.figures(device, model, "reading")}


def _excerpt(dataset: Dataset, token_ids: NDArray[np.int64]) -> str:
    text = text_of(dataset.vocab.decode(token_ids[:WORDS_SHOWN].tolist()), dataset.level)
    return text if len(token_ids) <= WORDS_SHOWN else text + " …"
