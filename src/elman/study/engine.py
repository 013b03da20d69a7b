"""Does the steps of a study in order, skips those that are done, and goes on where one fails."""

import hashlib
import json
import time
import tomllib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elman.config import RunConfig
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError, ElmanError, Interrupted, RunError, SourceUnreachable, is_out_of_memory
from elman.files import locked_directory, read_json, write_json, write_text
from elman.languages import is_language, own_file
from elman.machine import machine
from elman.progress import Report, seconds
from elman.report.study import write_report
from elman.runs import keep_language, refuse_run
from elman.study.declaration import Step, Study
from elman.study.kinds import KINDS
from elman.study.seeds import CONTINUE, measured
from elman.study.work import Datasets, Work, sha256

FORMAT = 2
"""The version of the result files; another one repeats every step."""

Results = dict[str, dict[str, Any]]

HOW = ("processes",)
"""Options that say how a thing is done; as the device, they repeat nothing."""

HOW_MUCH = ("seeds", "trials", "seconds")
"""Options that say how often a thing is done, and change nothing of what was done already."""


def run_study(study: Study, directory: Path, report: Report = print) -> Path:
    """Do what is not done yet, write the report, and return its path.

    Parameters
    ----------
    study
        What to do.
    directory
        Where to keep it.
    report
        What to do with the lines that say how it goes.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; the same study goes on from there.
    DataError
        The data cannot be had; nothing was begun.
    RunError
        A step failed; the others are done, and the report says so. Or another process works on this study.
    """
    _refuse_another(study, directory)
    fallback, missing = _data(study, directory)
    with locked_directory(directory, "worked on"):
        return _run(study, directory, report, fallback=fallback, missing=missing)


def _run(study: Study, directory: Path, report: Report, *, fallback: bool, missing: SourceUnreachable | None) -> Path:
    if missing is not None:
        report(f"NOTE: {missing.problem} The study runs on generated reviews instead. {missing.remedy}")
    digests = _digests(study, fallback=fallback)
    units = _digests(study, fallback=fallback, without=HOW_MUCH)
    _declare(study, directory, digests, missing)
    datasets, results = Datasets(), Results()
    for number, step in enumerate(study.steps, start=1):
        path = directory / "results" / f"{step.name}.json"
        needs = {need: results[need] for need in step.needs}
        done = _done(path, digests[step.name], _findings(needs))
        report(f"[{number}/{len(study.steps)}] {step.name}{f': done already, {path}' if done else ''}")
        if done is None:
            config = _with_what_was_found(step, _config(step, fallback=fallback), needs)
            unit = _digest({"step": units[step.name], "config": KINDS[step.kind].configuration(config)})
            work = Work(step.name, step.options, config, needs, directory, report, datasets, unit, step.source)
            done = _outcome(step, work, digests[step.name])
            write_json(path, done)
        if done["status"] == "failed":
            report(f"FAILED: {step.name}: {done['problem']} {done['remedy']}")
        results[step.name] = done
    return _close(study, directory, results, missing, report)


def _refuse_another(study: Study, directory: Path) -> None:
    """Refuse a directory that is a run's or another study's: its results would be replaced."""
    refuse_run(directory)
    try:
        name = read_json(directory / "study.json")["name"]
    except (DataError, KeyError, TypeError):  # none, or one that is written anew
        return
    if name != study.name:
        raise ConfigError(
            f"{directory} holds the study {name!r}, not {study.name!r}.",
            "Give another --directory; or, if the study has a new name, remove study.json there.",
        )


def _data(study: Study, directory: Path) -> tuple[bool, SourceUnreachable | None]:
    """Open the data of all steps that are to be done, before hours are spent; return whether to fall back, and why.

    What was begun on the real data is not mixed with results on other data, nor replaced by them.
    """
    digests = _digests(study, fallback=False)
    done = [_done(directory / "results" / f"{step.name}.json", digests[step.name]) is not None for step in study.steps]
    opened = set()
    for step, finished in zip(study.steps, done, strict=True):
        data = step.config.data if step.config else None
        if finished or data is None or data in opened or is_language(data.name):
            continue
        try:
            open_dataset(data)
            opened.add(data)
        except SourceUnreachable as error:
            if step.fallback is None or _begun_on_real_data(study, directory):
                raise
            return True, error
    return False, None


def _begun_on_real_data(study: Study, directory: Path) -> bool:
    """Whether any result is there of a step that has a fallback and was not on it, whatever its configuration."""
    try:
        on_fallback = read_json(directory / "study.json")["data_missing"] is not None
    except (DataError, KeyError, TypeError):
        on_fallback = False
    results = directory / "results"
    return not on_fallback and any(
        (results / f"{step.name}.json").exists() or any((results / step.name).glob("seed-*.json"))
        for step in study.steps
        if step.fallback is not None
    )


def _config(step: Step, *, fallback: bool) -> Any:
    return step.fallback if fallback and step.fallback is not None else step.config


def _with_what_was_found(step: Step, config: Any, needs: Results) -> Any:
    """Return the step's configuration; that of its source goes before it, of a search the best that it found."""
    source = needs.get(step.source)
    if source is None or source["status"] == "failed":
        return config
    found = tomllib.loads(source["figures"].get("chosen") or source["config"])
    tables = {section: table for section, table in found.items() if isinstance(table, dict)}
    here = {"loop": {"accelerator": config.loop.accelerator}}  # the source may have run on another device
    return config.with_tables(tables, step.source).with_tables(step.sections, step.name).with_tables(here, step.name)


def _digests(study: Study, *, fallback: bool, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of each step: of its configuration, and of the digests of what it needs.

    ``without`` names options of the step itself that are left out, beside those that are left out of every step.
    """
    whole: dict[str, str] = {}
    found: dict[str, str] = {}
    for step in study.steps:
        options = {name: value for name, value in asdict(step.options).items() if name not in HOW}
        content = {
            "format": FORMAT,
            "kind": step.kind,
            "options": options,
            "config": KINDS[step.kind].configuration(_config(step, fallback=fallback)),
            "needs": {need: whole[need] for need in step.needs},
            **_language_file(_config(step, fallback=fallback)),
        }
        whole[step.name] = _digest(content)
        fewer = {name: value for name, value in options.items() if name not in without}
        found[step.name] = _digest(content | {"options": fewer})
    return found


def _language_file(config: RunConfig | None) -> dict[str, str]:
    """Return the digest of a language's own file, whose name stays when its rules change; nothing of other data."""
    own = own_file(config.data.name if config else "")
    return {"language": sha256(own)} if own and own.is_file() else {}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _findings(needs: Results) -> dict[str, str]:
    """Return a digest of what each step found."""
    return {need: _digest(found.get("figures", {})) for need, found in needs.items()}


def _done(path: Path, digest: str, findings: dict[str, str] | None = None) -> dict[str, Any] | None:
    """Return a step's result, if it is there, was no failure, and is of that declaration and of those findings."""
    try:
        result: dict[str, Any] = read_json(path)
        as_declared = (result["digest"], result["status"]) == (digest, "done")
        return result if as_declared and findings in (None, result["needs"]) else None
    except (DataError, KeyError, TypeError):
        return None


def _outcome(step: Step, work: Work, digest: str) -> dict[str, Any]:
    """Do a step and return its result; a failure is a result too."""
    config = work.configuration
    result: dict[str, Any] = {
        "step": step.name,
        "kind": step.kind,
        "digest": digest,
        "options": asdict(step.options),
        "config": KINDS[step.kind].configuration(config),
        "needs": _findings(work.needs),
        "machine": machine(),
    }
    started = time.monotonic()
    try:
        for need, found in work.needs.items():
            if found["status"] == "failed":
                raise RunError(f"It needs {need}, which failed.", "Mend that first.")
        outcome = {"status": "done", "figures": measured(work, KINDS[step.kind].work)}
    except Interrupted as stop:
        raise Interrupted(stop.problem, CONTINUE) from stop
    except ElmanError as error:
        outcome = {"status": "failed", "problem": error.problem, "remedy": error.remedy}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        outcome = {"status": "failed", "problem": "There was not enough memory.", "remedy": "Take smaller batches."}
    took = time.monotonic() - started + sum(work.earlier)
    spent = {"seconds": took, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    return result | spent | outcome


def _declare(study: Study, directory: Path, digests: dict[str, str], missing: SourceUnreachable | None) -> None:
    """Write down what the study is, for the report and for a reader."""
    write_text(directory / "study.toml", study.text)
    for name in {step.config.data.name for step in study.steps if step.config}:
        keep_language(directory, name)
    questions = [
        {
            "title": question.title,
            "text": question.text,
            "steps": [{"name": step.name, "kind": step.kind, "digest": digests[step.name]} for step in question.steps],
        }
        for question in study.questions
    ]
    declared = {"format": FORMAT, "name": study.name, "title": study.title, "questions": questions}
    write_json(directory / "study.json", {**declared, "data_missing": missing.problem if missing else None})


def _close(study: Study, directory: Path, results: Results, missing: SourceUnreachable | None, report: Report) -> Path:
    write_json(directory / "results.json", main_figures(results))
    path = write_report(directory)
    spent = sum(result["seconds"] for result in results.values())
    report(f"{seconds(spent)} of work; the report is {path}")
    if missing:
        report(f"NOTE: this was on generated reviews, not on IMDb. {missing.problem}")
    failed = [name for name, result in results.items() if result["status"] == "failed"]
    if failed:
        raise RunError(
            f"{len(failed)} of {len(study.steps)} steps failed: {', '.join(failed)}. The report says so.",
            "Mend the cause and give the same command again: only these are repeated.",
        )
    return path


def main_figures(results: Results) -> dict[str, Any]:
    """Return the main figures: ``classification.STEP.val_accuracy_mean``, ``…_low``, ``…_high``, ``seeds``, and so on.

    The ends are those of the 95% interval: over seeds where there are several, over texts where there is one. What was
    tested stands beside its validation, under the name of the step that it was taken from: ``test_accuracy_mean`` and
    so on; ``seeds`` are then those of the test, and ``val_seeds`` those of validation.
    """
    groups = {"language-model": "language_models"} | dict.fromkeys(
        ("classifier", "yardstick", "final", "ensemble"), "classification"
    )
    found: dict[str, Any] = {group: {} for group in ("classification", "language_models")}
    for name, result in results.items():
        if result["status"] != "done" or result["kind"] not in groups:
            continue
        figures = result["figures"]
        entry = found[groups[result["kind"]]].setdefault(figures.get("source", name), {})
        if "seeds" in entry:
            entry["val_seeds"] = entry["seeds"]
        entry |= {
            f"{figure}_{part}": values[part]
            for figure, values in figures["summary"].items()
            for part in ("mean", "low", "high")
            if values[part] is not None
        } | {"seeds": result["options"].get("seeds", [0])}
    return found
