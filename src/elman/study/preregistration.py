"""A step that writes down, before the test split is opened, what validation predicts for the test.

    DIRECTORY/preregistrations/STEP.json    the predicted accuracies and their order
              ledger.json                   the opening: when, of which data, under which preregistration (its SHA-256)

All test evaluations of a study share one opening, and a study is bound to the preregistration of its opening.
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
from elman.files import read_json, write_json, write_text
from elman.report.results import study_openings
from elman.statistics import SHARE, paired_bootstrap
from elman.study.probabilities import correct
from elman.study.work import Figures, NoOptions, Work, sha256, texts_of


def write_preregistration(work: Work[NoOptions]) -> Figures:
    """Write down, before the test split is opened, the accuracies and the order that validation predicts.

    Each interval is that of the bootstrap over seeds and texts; with one seed, over texts.

    Raises
    ------
    ConfigError
        A step that is needed has no accuracy on validation, or its data differs from that of the others.
    RunError
        The test split was already opened under another preregistration.
    """
    steps = {name: result["figures"] for name, result in work.needs.items()}
    measured = [figures for figures in steps.values() if "val_accuracy" in figures.get("summary", {})]
    data = {texts_of(figures) for figures in measured}
    if len(data) != 1 or len(measured) < len(steps):
        raise ConfigError(
            f"No test accuracies can be predicted from {', '.join(steps) or 'no steps'}.",
            "Use classifiers and baselines that were measured on the same validation texts.",
        )
    [(checksum, *_)] = data
    expected = sorted((_prediction(work, name) for name in steps), key=lambda entry: -entry["accuracy"])
    content = json.dumps({"data": checksum, "expected": expected}, indent=2) + "\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    opening = _opening(work.directory, checksum)
    if opening is not None and opening.config != digest:
        raise RunError(
            f"The test split was opened at {opening.time} under another preregistration, so this one is too late.",
            "Use another directory for the study; the ledger will report the earlier opening.",
        )
    file = f"preregistrations/{work.name}.json"
    write_text(work.directory / file, content)
    return {"file": file, "sha256": digest, "expected": expected}


def _prediction(work: Work[NoOptions], name: str) -> Figures:
    right = correct(work, name)
    accuracy = paired_bootstrap(right, np.zeros((1, right.shape[1])))
    return {
        "step": name,
        "accuracy": accuracy.value,
        "low": max(accuracy.low, SHARE[0]),
        "high": min(accuracy.high, SHARE[1]),
        "seeds": len(right),
        "config": hashlib.sha256((work.needs[name]["config"] or "").encode()).hexdigest(),
    }


def check_preregistration(work: Work[Any]) -> tuple[str, Figures]:
    """Return the digest of the preregistration that a test evaluation needs, and its prediction for this model.

    Raises
    ------
    ConfigError
        The step does not need exactly one preregistration, or it predicts nothing for this model.
    RunError
        The file of the preregistration is missing or was changed.
    """
    needed = {name: result["figures"] for name, result in work.needs.items() if result["kind"] == "preregistration"}
    if len(needed) != 1:
        raise ConfigError(
            f"{work.name} needs {len(needed)} preregistrations.", "Use exactly one, with a prediction for this model."
        )
    [(name, figures)] = needed.items()
    path = work.directory / figures["file"]
    digest = sha256(path) if path.is_file() else None
    if digest != figures["sha256"]:
        raise RunError(
            f"The preregistration {path} {'was changed' if digest else 'is missing'}, so the test split stays closed.",
            f"Restore the file, or remove {work.directory / 'results' / name}.json to write it again.",
        )
    for entry in figures["expected"]:
        if entry["step"] == work.source:
            return figures["sha256"], entry
    raise ConfigError(
        f"The preregistration predicts nothing for {work.source}.",
        f"Add {work.source!r} to the list `needs` of the step {name!r}.",
    )


def open_test_split(work: Work[Any], dataset: Dataset, preregistration: str) -> Opening:
    """Record the study's one opening in the ledger and in the study's directory, before anything is read; return it.

    Raises
    ------
    RunError
        The study opened the test split under another preregistration.
    """
    lock = work.directory / "runs" / "ledger.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # several processes may evaluate seeds at the same time
        opening = _opening(work.directory, dataset.checksum)
        if opening is None:
            opening = _new_opening(work, dataset, preregistration)
        elif opening.config != preregistration:
            raise RunError(
                f"This study opened the test split at {opening.time} under another preregistration.",
                "Use another directory for the study.",
            )
        else:
            restore_opening(opening)  # the study may come from another machine
        _save_opening(work.directory, opening)
        return opening


def _new_opening(work: Work[Any], dataset: Dataset, preregistration: str) -> Opening:
    directory = str(work.directory.resolve())
    work.report(f"the test split of {dataset.name} is opened, under the preregistration {preregistration[:16]}")
    for entry in openings(dataset.checksum):
        if (entry.run, entry.config) == (directory, preregistration):
            break
    else:
        entry = record_opening(dataset.name, dataset.checksum, directory, preregistration, work.report)
    return replace(entry, run=work.directory.name)  # results are published, so they hold no path of this machine


def _save_opening(directory: Path, opening: Opening) -> None:
    path = directory / "ledger.json"
    saved = [Opening(**entry) for entry in read_json(path)] if path.exists() else []
    if opening not in saved:
        write_json(path, [asdict(entry) for entry in [*saved, opening]])


def _opening(directory: Path, checksum: str) -> Opening | None:
    """Return the study's opening of that data; if its file is lost, from the results of the evaluated seeds."""
    recorded = (Opening(**entry) for entry in study_openings(directory))
    return next((opening for opening in recorded if opening.checksum == checksum), None)
