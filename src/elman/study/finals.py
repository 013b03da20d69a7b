"""The test, once: an expectation that is written first, then each model trained on everything and tested.

    DIRECTORY/hypotheses/STEP.json          what was expected from validation, before the test split was opened
              ledger.json                   the opening: when, of which data, under which hypothesis (its SHA-256)
              results/STEP/seed-0.json      the figures of a seed on the test texts
              results/STEP/seed-0.npy       its probabilities (texts, classes − 1) as float16: all classes but the last

All final steps of a study share one opening. A study is bound to the hypothesis under which it was made.
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from elman.data.dataset import Dataset
from elman.data.ledger import Opening, openings, record_opening, restore_opening
from elman.errors import ConfigError, RunError
from elman.evaluation import LogProbs, predictions
from elman.files import read_json, write_json, write_text
from elman.report.results import study_openings
from elman.statistics import SHARE, paired_bootstrap
from elman.study.classifiers import classifier_summary, measured_classifier, packed_labels
from elman.study.summary import training, training_figures
from elman.study.tested import correct, keep
from elman.study.work import Work, identity, sha256, texts_of
from elman.study.yardsticks import final_yardstick
from elman.text.sequences import Sequences

SEEN_WHILE_TRAINING = 100
"""Texts that the training on everything measures itself on after an epoch; it has read them, so they choose nothing."""


def write_hypothesis(work: Work) -> dict[str, Any]:
    """Write down, before the test split is opened, which accuracies and which order validation lets expect.

    Each interval is that of the bootstrap over seeds and texts (of one seed, over texts).

    Raises
    ------
    ConfigError
        A step that is needed measured no accuracy on validation, or on other data.
    RunError
        The test split was opened already, under another hypothesis.
    """
    figures = {name: result["figures"] for name, result in work.needs.items()}
    data = {texts_of(found) for found in figures.values() if "val_accuracy" in found.get("summary", {})}
    if len(data) != 1 or not all("val_accuracy" in found.get("summary", {}) for found in figures.values()):
        raise ConfigError(
            f"Nothing can be expected of {', '.join(figures) or 'no step'}.",
            "Let the hypothesis need classifiers and yardsticks that were measured on the same validation texts.",
        )
    [(checksum, *_)] = data
    expected = [_expected(work, name) for name in figures]
    expected.sort(key=lambda entry: -entry["accuracy"])
    content = json.dumps({"data": checksum, "expected": expected}, indent=2) + "\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    made = _opening(work.directory, checksum)
    if made is not None and made.config != digest:
        raise RunError(
            f"The test split was opened at {made.time} under another hypothesis, so this one would come too late.",
            "Give the study another directory; the ledger will tell that the split was opened before.",
        )
    path = _hypothesis_path(work.directory, work.name)
    write_text(path, content)
    return {"file": path.relative_to(work.directory).as_posix(), "sha256": digest, "expected": expected}


def _expected(work: Work, name: str) -> dict[str, Any]:
    right = correct(work, name)
    difference = paired_bootstrap(right, np.zeros((1, right.shape[1])))
    config = hashlib.sha256((work.needs[name]["config"] or "").encode()).hexdigest()
    return {
        "step": name,
        "accuracy": difference.value,
        "low": max(difference.low, SHARE[0]),
        "high": min(difference.high, SHARE[1]),
        "seeds": len(right),
        "config": config,
    }


def _hypothesis_path(directory: Path, name: str) -> Path:
    return directory / "hypotheses" / f"{name}.json"


def measure_finally(work: Work) -> dict[str, Any]:
    """Train on all training texts, those of validation among them, and measure on the test texts.

    The number of epochs is that of the configuration, and the last weights are kept: nothing is chosen.

    Returns
    -------
    ``source``: the step whose configuration it is; ``expected``: what the hypothesis says of it. The rest is what a
    classifier's step has, of the test texts; the probabilities lie beside (:func:`probabilities`). ``opening``: when
    the test split was opened, and how often it had been before, as far as the ledger knows.

    Raises
    ------
    ConfigError
        It needs no hypothesis, or one that does not speak of this model.
    RunError
        The hypothesis is missing or was changed.
    """
    hypothesis, expected = _hypothesis(work)
    source, dataset = work.needs[work.source], work.dataset()
    bag = source["kind"] == "yardstick"
    test = dataset.split("test", final=True)
    assert test.labels is not None  # what has classes is labelled
    whole = everything(dataset)

    def measure(seed: int) -> dict[str, Any]:
        found: dict[str, Any] = {"seed": seed}
        if bag:
            found["opening"] = asdict(open_test_split(work, dataset, hypothesis))
            log_probs = _of_yardstick(source, whole, test)
        else:
            config = replace(work.config, loop=replace(work.config.loop, keep="last", patience=None))
            run = work.trained(seed, config, whole)
            found["opening"] = asdict(open_test_split(work, dataset, hypothesis))
            log_probs = predictions(run, test, "reading the test texts")
            found |= {"run": run.path.name, "training": training(run)}
            run.keep_only_metrics()
        return found | keep_tested(work, seed, log_probs, test, dataset)

    found = work.seed_by_seed(measure)
    opening = open_test_split(work, dataset, hypothesis)  # as it was, if any seed was measured now
    trainings = [each.pop("training") for each in found if "training" in each]
    return {
        "source": work.source,
        "method": "yardstick" if bag else work.config.model.layer,
        "hypothesis": hypothesis,
        "opening": {"time": opening.time, "earlier": opening.earlier},
        "expected": expected,
        "data": identity(whole),
        "class_names": list(dataset.class_names),
        "labels": packed_labels(test.labels),
        "summary": classifier_summary("test", found),
        "by_seed": found,
        **(training_figures(trainings) if trainings else {}),
    }


def keep_tested(work: Work, seed: int, log_probs: LogProbs, test: Sequences, dataset: Dataset) -> dict[str, Any]:
    """Keep the probabilities of the test texts, and return the figures."""
    digest = keep(work, seed, log_probs)
    figures = measured_classifier(log_probs, test, dataset)
    left_out = {"log_odds", "mistakes"}
    return {"probabilities": digest, **{name: value for name, value in figures.items() if name not in left_out}}


def _hypothesis(work: Work) -> tuple[str, dict[str, Any]]:
    """Return the digest of the hypothesis that is needed, and what it says of this model."""
    found = {name: result["figures"] for name, result in work.needs.items() if result["kind"] == "hypothesis"}
    if len(found) != 1:
        raise ConfigError(f"{work.name} needs {len(found)} hypotheses.", "Let it need the one that speaks of it.")
    [(name, figures)] = found.items()
    path = _hypothesis_path(work.directory, name)
    digest = sha256(path) if path.is_file() else None
    if digest != figures["sha256"]:
        raise RunError(
            f"The hypothesis {path} {'was changed' if digest else 'is missing'}, so the test split stays closed.",
            f"Put it back as it was, or remove {work.directory / 'results' / name}.json to have it written anew.",
        )
    for entry in figures["expected"]:
        if entry["step"] == work.source:
            return figures["sha256"], entry
    raise ConfigError(f"The hypothesis says nothing of {work.source}.", f"Let {name} need {work.source}.")


def everything(dataset: Dataset) -> Dataset:
    """Return the data with validation moved into the training texts; what stays of it only shows how training goes."""
    train, val = dataset.split("train"), dataset.split("val")
    few = val.select(np.arange(min(SEEN_WHILE_TRAINING, len(val))))
    return replace(dataset, splits={**dataset.splits, "train": train.joined(val), "val": few}, held_out="")


def open_test_split(work: Work, dataset: Dataset, hypothesis: str) -> Opening:
    """Write the study's one opening into the ledger and beside the study, before anything is read; return it.

    Raises
    ------
    RunError
        It was opened under another hypothesis.
    """
    lock = work.directory / "runs" / "ledger.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # seeds are tested beside each other
        return _open(work, dataset, hypothesis)


def _open(work: Work, dataset: Dataset, hypothesis: str) -> Opening:
    made = _opening(work.directory, dataset.checksum)
    if made is not None:
        if made.config != hypothesis:
            raise RunError(
                f"This study opened the test split at {made.time} under another hypothesis.",
                "Give the study another directory.",
            )
        restore_opening(made)  # the study may have come from another machine
        _keep_opening(work.directory, made)  # or its file was lost
        return made
    place = str(work.directory.resolve())
    mine = [entry for entry in openings(dataset.checksum) if (entry.run, entry.config) == (place, hypothesis)]
    work.report(f"the test split of {dataset.name} is opened, under the hypothesis {hypothesis[:16]}")
    entry = mine[0] if mine else record_opening(dataset.name, dataset.checksum, place, hypothesis, work.report)
    published = replace(entry, run=work.directory.name)  # where that lies on this machine concerns nobody else
    _keep_opening(work.directory, published)
    return published


def _openings(directory: Path) -> list[Opening]:
    path = directory / "ledger.json"
    return [Opening(**entry) for entry in read_json(path)] if path.exists() else []


def _keep_opening(directory: Path, entry: Opening) -> None:
    known = _openings(directory)
    if entry not in known:
        write_json(directory / "ledger.json", [asdict(each) for each in [*known, entry]])


def _opening(directory: Path, checksum: str) -> Opening | None:
    """Return the study's opening of that data; should its file be lost, from the seeds that were tested."""
    known = (Opening(**entry) for entry in study_openings(directory))
    return next((entry for entry in known if entry.checksum == checksum), None)


def _of_yardstick(source: dict[str, Any], whole: Dataset, test: Sequences) -> LogProbs:
    strength, classes = source["figures"]["strength"], len(whole.class_names)
    return final_yardstick(source["options"], strength, whole.split("train"), test, len(whole.vocab), classes)
