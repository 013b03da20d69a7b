"""The result files of a study, as the report reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elman.errors import DataError, RunError
from elman.files import read_json
from elman.report.former_names import with_current_names

Figures = dict[str, Any]
"""The measurements of a step, as in its result file."""

Steps = dict[str, Figures]
"""The figures of several steps, by name."""


def read_study(directory: Path) -> dict[str, Any]:
    """Read the declaration of a study.

    Raises
    ------
    RunError
        The directory has no ``study.json``, or one that this version cannot read.
    """
    try:
        study: dict[str, Any] = with_current_names(read_json(directory / "study.json"))
    except DataError as error:
        raise RunError(f"{directory} is not a study ({error.problem})", "Create one with elman study.") from error
    return study


def read_result(directory: Path, step: dict[str, str]) -> dict[str, Any]:
    """Read the result of a step; a missing or outdated result has the status "missing" and a ``problem``."""
    missing = {"step": step["name"], "kind": step["kind"], "options": {}, "status": "missing"}
    try:
        result: dict[str, Any] = with_current_names(read_json(directory / "results" / f"{step['name']}.json"))
        outdated = result["digest"] != step["digest"]
    except (DataError, KeyError, TypeError):
        return {**missing, "problem": "There is no result file. The step has not run yet, or the file was lost."}
    if outdated:
        return {**missing, "problem": "The result file belongs to another configuration."}
    return result


def study_openings(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield each opening of the test split that the study's ledger records, then those in the results of seeds."""
    if (directory / "ledger.json").exists():
        yield from read_json(directory / "ledger.json")
    for path in sorted(directory.glob("results/*/seed-*.json")):
        figures = read_json(path).get("figures", {})
        if "opening" in figures:
            yield figures["opening"]


def better_than_guessing(accuracy: Figures, figures: Figures) -> bool:
    """Return whether the interval of an accuracy is above that of guessing a class; without an interval it counts."""
    return accuracy["low"] is None or accuracy["low"] > 1 / len(figures["class_names"])


def is_baseline(figures: Figures) -> bool:
    """Return whether a step measured a baseline on validation or on the test."""
    return "strength" in figures or figures.get("method") == "baseline"
