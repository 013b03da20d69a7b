"""A step that evaluates a model on the test split, once: trained on everything, under a preregistration.

DIRECTORY/results/STEP/seed-0.json      the figures of a seed on the test texts
          results/STEP/seed-0.npy       its probabilities (texts, classes − 1) as float16, without the last class
"""

from dataclasses import asdict, replace

import numpy as np

from elman.data.dataset import Dataset
from elman.evaluation import predictions
from elman.study.baselines import predict_test
from elman.study.classifiers import classifier_summary, measured_classifier, packed_labels
from elman.study.preregistration import check_preregistration, open_test_split
from elman.study.probabilities import save_probabilities
from elman.study.summary import training, training_figures
from elman.study.work import Figures, SeedOptions, Work, identity

MONITORED_TEXTS = 100
"""The number of texts that the training on everything is measured on after each epoch; they are training texts too."""


def evaluate_on_test(work: Work[SeedOptions]) -> Figures:
    """Train on the training and the validation texts together, and measure on the test texts.

    The number of epochs is that of the configuration, and the last weights are used: nothing is chosen.

    Returns
    -------
    ``source``: the step whose configuration it is; ``expected``: its prediction in the preregistration; ``opening``:
    when the test split was opened, and how many earlier openings the ledger knows. The rest is as of a classifier, on
    the test texts; the probabilities are saved in files of their own.

    Raises
    ------
    ConfigError
        It does not need a preregistration that predicts this model.
    RunError
        The file of the preregistration is missing or was changed.
    """
    preregistration, expected = check_preregistration(work)
    source, dataset = work.needs[work.source], work.dataset()
    is_baseline = source["kind"] == "baseline"
    test = dataset.split("test", final=True)
    assert test.labels is not None  # data with classes has labels
    joined = with_validation_in_training(dataset)

    def measure(seed: int) -> Figures:
        figures: Figures = {"seed": seed}
        if is_baseline:
            figures["opening"] = asdict(open_test_split(work, dataset, preregistration))
            train, strength = joined.split("train"), source["figures"]["strength"]
            classes = len(joined.class_names)
            log_probs = predict_test(source["options"], strength, train, test, len(joined.vocab), classes)
        else:
            config = replace(work.config, loop=replace(work.config.loop, keep="last", patience=None))
            run = work.trained(seed, config, joined)
            figures["opening"] = asdict(open_test_split(work, dataset, preregistration))
            log_probs = predictions(run, test, "reading the test texts")
            figures |= {"run": run.path.name, "training": training(run)}
            run.keep_only_metrics()
        digest = save_probabilities(work, seed, log_probs)
        measured = measured_classifier(log_probs, test, dataset)
        del measured["log_odds"], measured["mistakes"]
        return {**figures, "probabilities": digest, **measured}

    by_seed = work.seed_by_seed(measure)
    opening = open_test_split(work, dataset, preregistration)  # the same opening, if a seed was measured now
    trainings = [figures.pop("training") for figures in by_seed if "training" in figures]
    return {
        "source": work.source,
        "method": "baseline" if is_baseline else work.config.model.layer,
        "preregistration": preregistration,
        "opening": {"time": opening.time, "earlier": opening.earlier},
        "expected": expected,
        "data": identity(joined),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(test.labels),
        "summary": classifier_summary("test", by_seed),
        "by_seed": by_seed,
        **(training_figures(trainings) if trainings else {}),
    }


def with_validation_in_training(dataset: Dataset) -> Dataset:
    """Return the data with the validation texts among the training texts; a few also stay as validation texts."""
    train, val = dataset.split("train"), dataset.split("val")
    monitored = val.select(np.arange(min(MONITORED_TEXTS, len(val))))
    return replace(dataset, splits={**dataset.splits, "train": train.joined(val), "val": monitored}, held_out="")
