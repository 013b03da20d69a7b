"""A step that measures what a user would pick instead of a network, on the same splits and tokens."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.evaluation import LogProbs, accuracy_and_loss
from elman.study.bags import Grams, Method, fit
from elman.study.classifiers import classifier_summary, measured_classifier, packed_labels
from elman.study.work import Work, check_positive, check_some, identity
from elman.text.sequences import Sequences


@dataclass(frozen=True, kw_only=True)
class YardstickOptions:
    """Which one, and what it may choose from."""

    method: Method = "nb-svm"
    """majority, nb-svm or tf-idf."""
    longest: int = 2
    """The most tokens in an n-gram."""
    least_texts: int = 2
    """Leave out n-grams that fewer training texts hold."""
    strengths: list[float] = field(default_factory=lambda: [0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
    """Of which the best on validation is taken: scikit-learn's C, less is smaller weights."""

    def __post_init__(self) -> None:
        check_positive("longest and least_texts", [self.longest, self.least_texts])
        check_some("strengths", self.strengths)


def measure_yardstick(work: Work) -> dict[str, Any]:
    """Train at each strength, and measure the one that is best on validation.

    Returns
    -------
    What a classifier's step has too, of the one there is; and ``tried``: each ``strength`` with its accuracy and
    cross-entropy; ``strength``: the one that was chosen, by accuracy and among equals by cross-entropy.
    """
    dataset, options = work.dataset(), work.options
    train, val = dataset.split("train"), dataset.split("val")
    assert train.labels is not None  # what has classes is labelled
    assert val.labels is not None
    classes, started = len(dataset.class_names), time.monotonic()
    grams = Grams(train, len(dataset.vocab), options.longest, options.least_texts)
    seen, unseen = grams.counts(train), grams.counts(val)
    tried, found = [], []
    for strength in options.strengths if options.method != "majority" else options.strengths[:1]:
        log_probs = fit(options.method, seen, train.labels, classes, strength)(unseen)
        measured = accuracy_and_loss(log_probs, val.labels)
        tried.append({"strength": strength, **{name: measured[name] for name in ("accuracy", "cross_entropy_nats")}})
        found.append(log_probs)
        work.report(f"strength {strength:g}: validation accuracy {measured['accuracy']:.2%}")
    best = max(range(len(tried)), key=lambda i: (tried[i]["accuracy"], -tried[i]["cross_entropy_nats"]))
    by_seed = [{"seed": 0, **measured_classifier(found[best], val, dataset)}]
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


def final_yardstick(
    options: dict[str, Any], strength: float, train: Sequences, test: Sequences, vocab_size: int, classes: int
) -> LogProbs:
    """Train on all of ``train`` at the strength that was chosen, and return the log-probabilities of ``test``."""
    assert train.labels is not None
    grams = Grams(train, vocab_size, options["longest"], options["least_texts"])
    predict = fit(options["method"], grams.counts(train), np.asarray(train.labels), classes, strength)
    return predict(grams.counts(test))
