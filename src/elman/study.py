"""A study: several runs declared in one file, trained one after another, and a report of them.

    DIRECTORY/runs/NAME-HASH/     a run directory for each; HASH is of its configuration
              results.json        the figures of all
              report.md           the same for a person
              figures/*.svg

A run whose directory is finished is not trained again, one that was interrupted goes on. Since the directory's name
follows from the configuration, a changed one trains anew, and what it replaces stays.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from elman.config import RunConfig, parse_toml
from elman.data.dataset import Dataset
from elman.data.describe import describe
from elman.data.table import open_dataset
from elman.errors import ConfigError, Interrupted, SourceUnreachable
from elman.evaluation import evaluate
from elman.files import write_json
from elman.progress import seconds
from elman.report.study import write_report
from elman.runs import Run
from elman.training import train

Profile = Literal["smoke", "quick"]
Report = Callable[[str], None]

TRAINING_FIGURES = ("epochs", "best_epoch", "seconds", "tokens_per_second", "parameters", "machine")
VALIDATION_FIGURES = ("accuracy", "accuracy_low", "accuracy_high", "cross_entropy_nats", "sequences")


@dataclass(frozen=True)
class Study:
    """What a study file declares.

    Attributes
    ----------
    name, title
        Of the file; for the report's head.
    runs
        The configuration of each run.
    fallback
        The same on data that every machine has, or None.
    """

    name: str
    title: str
    runs: dict[str, RunConfig]
    fallback: dict[str, RunConfig] | None


def read_study(profile: Profile) -> Study:
    """Read one of the studies that come with the package."""
    return parse_study(files("elman.studies").joinpath(f"{profile}.toml").read_text(encoding="utf-8"), profile)


def parse_study(text: str, name: str) -> Study:
    """Read a study from TOML: ``title``, ``[base]``, ``[fallback]`` and ``[[runs]]`` with the sections of a run.

    Raises
    ------
    ConfigError
        Something in it is unknown, or cannot be.
    """
    tables = parse_toml(text, name)
    unknown = set(tables) - {"title", "base", "fallback", "runs"}
    if unknown or not tables.get("runs"):
        problem = "it has no [[runs]]" if not unknown else f"{unknown.pop()!r} is unknown"
        raise ConfigError(f"The study {name} cannot be read: {problem}.", "It holds title, base, fallback and runs.")
    base = RunConfig.from_tables(tables.get("base", {}), f"{name} [base]")
    runs: dict[str, RunConfig] = {}
    for run in tables["runs"]:
        label = run.pop("name", f"run {len(runs) + 1}")
        runs[label] = base.with_tables(run, f"{name} {label}")
    fallback = tables.get("fallback")
    return Study(
        name,
        tables.get("title", name),
        runs,
        fallback and {label: run.with_tables(fallback, f"{name} [fallback]") for label, run in runs.items()},
    )


def run_study(study: Study, directory: Path, report: Report = print) -> Path:
    """Train what is not trained yet, write the report, and return its path.

    Parameters
    ----------
    study
        What to train.
    directory
        Where to keep it.
    report
        What to do with the lines that say how it goes.
    """
    configs, missing = study.runs, None
    try:
        open_dataset(next(iter(configs.values())).data)
    except SourceUnreachable as error:
        if study.fallback is None:
            raise
        configs, missing = study.fallback, error.problem
        report(f"NOTE: {missing} The study runs on generated reviews instead. {error.remedy}")
    results: dict[str, Any] = {"study": study.name, "title": study.title, "data_missing": missing, "runs": {}}
    runs: dict[str, Run] = {}
    for number, (label, config) in enumerate(configs.items(), start=1):
        dataset = open_dataset(config.data)
        results["data"] = describe(dataset)
        report(f"[{number}/{len(configs)}] {label}")
        runs[label] = _finished_run(directory / "runs" / f"{label}-{_digest(config)}", config, dataset, report)
        results["runs"][label] = _figures(runs[label])
    write_json(directory / "results.json", results)
    path = write_report(directory, results, runs)
    spent = sum(figures["seconds"] for figures in results["runs"].values())
    report(f"{seconds(spent)} of training; the report is {path}")
    if missing:
        report(f"NOTE: this was on generated reviews, not on IMDb. {missing}")
    return path


def _finished_run(path: Path, config: RunConfig, dataset: Dataset, report: Report) -> Run:
    run = Run(path) if (path / "config.toml").exists() else Run.create(path, config, dataset)
    report(f"{'trained already' if run.finished else 'training'}: {path}")
    try:
        train(run, dataset, report)
    except Interrupted as stop:
        raise Interrupted(stop.problem, "Continue with the same elman study.") from stop
    if not run.result_path("val").exists():
        evaluate(run, "val")
    return run


def _figures(run: Run) -> dict[str, Any]:
    training, validation = run.result("training"), run.result("val")
    return {
        "run": str(run.path),
        **{name: training[name] for name in TRAINING_FIGURES},
        **{f"val_{name}": validation[name] for name in VALIDATION_FIGURES},
        "val_calibration_error": validation["calibration"]["expected_calibration_error"],
        "surest_mistake": next(iter(validation["mistakes"]), None),
    }


def _digest(config: RunConfig) -> str:
    return hashlib.sha256(config.to_toml().encode()).hexdigest()[:8]
