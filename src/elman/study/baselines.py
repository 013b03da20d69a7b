"""A step that measures a baseline, on the same splits and tokens as the networks."""

import time
from dataclasses import dataclass, field

import numpy as np

from elman.evaluation import LogProbs, accuracy_and_loss
from elman.study.bags import Grams, Method, fit
from elman.study.classifiers import classifier_summary, measured_classifier, packed_labels
from elman.study.work import Figures, Work, check_not_empty, check_positive, identity
from elman.text.sequences import Sequences


@dataclass(frozen=True, kw_only=True)
class BaselineOptions:
    """Which baseline, and what is chosen on validation."""

    method: Method = "nb-svm"
    """majority, nb-svm or tf-idf."""
    longest: int = 2
    """The largest number of tokens in an n-gram."""
    least_texts: int = 2
    """Leave out n-grams that occur in fewer training texts."""
    strengths: list[float] = field(default_factory=lambda: [0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
    """Values of scikit-learn's C to choose from on validation; less means smaller weights."""

    def __post_init__(self) -> None:
        check_positive("longest and least_texts", [self.longest, self.least_texts])
        check_not_empty("strengths", self.strengths)


def measure_baseline(work: Work[BaselineOptions]) -> Figures:
    """Train at each strength, and measure the best on validation.

    Returns
    -------
    The figures of a classifier with one seed; ``tried``: each ``strength`` with its accuracy and cross-entropy;
    ``strength``: the chosen one, with the highest accuracy and among equals the lowest cross-entropy.
    """
    dataset, options = work.dataset(), work.options
    train, val = dataset.split("train"), dataset.split("val")
    assert train.labels is not None  # data with classes has labels
    assert val.labels is not None
    classes, started = len(dataset.class_names), time.monotonic()
    grams = Grams(train, len(dataset.vocab), options.longest, options.least_texts)
    train_counts, val_counts = grams.counts(train), grams.counts(val)
    tried, predictions = [], []
    for strength in options.strengths if options.method != "majority" else options.strengths[:1]:
        log_probs = fit(options.method, train_counts, train.labels, classes, strength)(val_counts)
        measured = accuracy_and_loss(log_probs, val.labels)
        tried.append({"strength": strength, **{name: measured[name] for name in ("accuracy", "cross_entropy_nats")}})
        predictions.append(log_probs)
        work.report(f"strength {strength:g}: validation accuracy {measured['accuracy']:.2%}")
    best = max(range(len(tried)), key=lambda i: (tried[i]["accuracy"], -tried[i]["cross_entropy_nats"]))
    by_seed = [{"seed": 0, **measured_classifier(predictions[best], val, dataset)}]
    return {
        "data": identity(dataset),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(val.labels),
        "n_grams": len(grams),
        "tried": tried,
        "strength": tried[best]["strength"],
        "seconds": time.monotonic() - started,
        "summary": classifier_summary("val", by_seed),
        "by_seed": by_seed,
    }


def predict_test(
    options: Figures, strength: float, train: Sequences, test: Sequences, vocab_size: int, classes: int
) -> LogProbs:
    """Train on all of ``train`` at the chosen strength, and return the log-probabilities of ``test``."""
    assert train.labels is not None
    grams = Grams(train, vocab_size, options["longest"], options["least_texts"])
    predict = fit(options["method"], grams.counts(train), np.asarray(train.labels), classes, strength)
    return predict(grams.counts(test))
