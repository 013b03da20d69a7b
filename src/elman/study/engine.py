"""Runs the steps of a study in order, skips finished steps, and continues after a step that fails."""

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
from elman.errors import (
    ConfigError,
    DataError,
    ElmanError,
    Interrupted,
    RunError,
    SourceUnreachable,
    StepFailed,
    is_out_of_memory,
)
from elman.files import locked_directory, read_json, write_json, write_text
from elman.languages import is_language, own_file
from elman.machine import machine
from elman.progress import Report, seconds
from elman.report.former_names import FORMER_KINDS, with_current_names
from elman.report.study import write_report
from elman.runs import keep_language, refuse_run
from elman.study.declaration import Step, Study
from elman.study.kinds import KINDS
from elman.study.seeds import CONTINUE, measured
from elman.study.work import Datasets, Figures, Work, sha256

Results = dict[str, Figures]

FORMAT = 2
"""The version of the result files; another version repeats every step."""

WITHOUT_EFFECT = ("processes",)
"""Options that do not affect the figures; changing them repeats nothing."""

AMOUNTS = ("seeds", "trials", "seconds")
"""Options that add to the finished seeds and trials and do not repeat them."""


def run_study(study: Study, directory: Path, report: Report = print) -> Path:
    """Run the steps that are not finished, write the report, and return its path.

    Parameters
    ----------
    study
        The study.
    directory
        The directory of its results and its report.
    report
        Called with each line of progress.

    Raises
    ------
    Interrupted
        After Ctrl-C or a termination signal; the same call continues the study.
    DataError
        The data is not available; nothing was started.
    StepFailed
        A step failed; the others are finished, and the report says so.
    RunError
        Another process runs this study.
    """
    _refuse_other_study(study, directory)
    missing = _missing_data(study, directory)
    with locked_directory(directory, "worked on"):
        return _run(study if missing is None else study.on_fallback(), directory, report, missing)


def _run(study: Study, directory: Path, report: Report, missing: SourceUnreachable | None) -> Path:
    if missing is not None:
        report(f"NOTE: {missing.problem} The study runs on generated reviews instead. {missing.remedy}")
    digests, units = _digests(study), _digests(study, without=AMOUNTS)
    _write_declaration(study, directory, digests, missing)
    datasets = Datasets()
    results: Results = {}
    figures_digests: dict[str, str] = {}
    for number, step in enumerate(study.steps, start=1):
        path = directory / "results" / f"{step.name}.json"
        needs = {need: figures_digests[need] for need in step.needs}
        result = _finished(path, digests[step.name], needs)
        report(f"[{number}/{len(study.steps)}] {step.name}{f': done already, {path}' if result else ''}")
        if result is None:
            needed = {need: results[need] for need in step.needs}
            config = _with_source(step, needed)
            unit = _digest({"step": units[step.name], "config": KINDS[step.kind].configuration(config)})
            work = Work(step.name, step.options, config, needed, directory, report, datasets, unit, step.source)
            result = _result(step, work, digests[step.name], needs)
            write_json(path, result)
        if result["status"] == "failed":
            report(f"FAILED: {step.name}: {result['problem']} {result['remedy']}")
        figures_digests[step.name] = _digest(result.get("figures", {}))
        results[step.name] = with_current_names(result)
    return _finish(study, directory, results, missing, report)


def _refuse_other_study(study: Study, directory: Path) -> None:
    """Refuse the directory of a run or of another study: its results would be replaced."""
    refuse_run(directory)
    try:
        name = read_json(directory / "study.json")["name"]
    except (DataError, KeyError, TypeError):  # the file is missing or damaged, and will be written again
        return
    if name != study.name:
        raise ConfigError(
            f"{directory} holds the study {name!r}, not {study.name!r}.",
            "Use another --directory; or, if the study has a new name, remove study.json there.",
        )


def _missing_data(study: Study, directory: Path) -> SourceUnreachable | None:
    """Open the data of all unfinished steps, before hours are spent; return why to use the fallback, if it is needed.

    Results on the real data are not mixed with results on the fallback, nor replaced by them.
    """
    digests = _digests(study)
    opened = set()
    for step in study.steps:
        data = step.config.data if step.config else None
        if data is None or data in opened or is_language(data.name):
            continue
        if _finished(directory / "results" / f"{step.name}.json", digests[step.name]) is not None:
            continue
        try:
            open_dataset(data)
            opened.add(data)
        except SourceUnreachable as error:
            if step.fallback is None or _has_results_on_real_data(study, directory):
                raise
            return error
    return None


def _has_results_on_real_data(study: Study, directory: Path) -> bool:
    """Return whether a step that has a fallback has a result on its real data, of any configuration."""
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


def _with_source(step: Step, needs: Results) -> RunConfig | None:
    """Return the step's configuration, based on that of its source; of a search, that of the best trial."""
    config, source = step.config, needs.get(step.source)
    if source is None or source["status"] == "failed" or config is None:
        return config
    content = tomllib.loads(source["figures"].get("chosen") or source["config"])
    tables = {section: table for section, table in content.items() if isinstance(table, dict)}
    device = {"loop": {"accelerator": config.loop.accelerator}}  # the source may have run on another one
    return config.with_tables(tables, step.source).with_tables(step.sections, step.name).with_tables(device, step.name)


def _digests(study: Study, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the digest of each step: of its configuration, and of the digests of the steps that it needs.

    ``without`` names options that are left out of a step's own digest, but not of the digests of its needs.
    """
    whole: dict[str, str] = {}
    partial: dict[str, str] = {}
    for step in study.steps:
        options = {name: value for name, value in asdict(step.options).items() if name not in WITHOUT_EFFECT}
        content = {
            "format": FORMAT,
            "kind": FORMER_KINDS.get(step.kind, step.kind),
            "options": options,
            "config": KINDS[step.kind].configuration(step.config),
            "needs": {need: whole[need] for need in step.needs},
            **_language_file(step.config),
        }
        whole[step.name] = _digest(content)
        fewer = {name: value for name, value in options.items() if name not in without}
        partial[step.name] = _digest(content | {"options": fewer})
    return partial


def _language_file(config: RunConfig | None) -> dict[str, str]:
    """Return the digest of a language's file, whose rules may change under the same name; nothing for other data."""
    own = own_file(config.data.name if config else "")
    return {"language": sha256(own)} if own and own.is_file() else {}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _finished(path: Path, digest: str, needs: dict[str, str] | None = None) -> Figures | None:
    """Return a step's result, if it did not fail and has that digest and those digests of the needed figures."""
    try:
        result: Figures = read_json(path)
        same = (result["digest"], result["status"]) == (digest, "done")
        return result if same and needs in (None, result["needs"]) else None
    except (DataError, KeyError, TypeError):
        return None


def _result(step: Step, work: Work[Any], digest: str, needs: dict[str, str]) -> Figures:
    """Run a step and return its result; a failure is a result too."""
    result = {
        "step": step.name,
        "kind": step.kind,
        "digest": digest,
        "options": asdict(step.options),
        "config": KINDS[step.kind].configuration(work.configuration),
        "needs": needs,
        "machine": machine(),
    }
    started = time.monotonic()
    try:
        for need, needed in work.needs.items():
            if needed["status"] == "failed":
                raise RunError(f"It needs {need}, which failed.", f"Fix {need} first.")
        outcome = {"status": "done", "figures": measured(work, KINDS[step.kind].work)}
    except Interrupted as stop:
        raise Interrupted(stop.problem, CONTINUE) from stop
    except ElmanError as error:
        outcome = {"status": "failed", "problem": error.problem, "remedy": error.remedy}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        outcome = {"status": "failed", "problem": "There was not enough memory.", "remedy": "Use smaller batches."}
    duration = time.monotonic() - started + sum(work.earlier_seconds)
    return {**result, "seconds": duration, "time": datetime.now(UTC).isoformat(timespec="seconds"), **outcome}


def _write_declaration(
    study: Study, directory: Path, digests: dict[str, str], missing: SourceUnreachable | None
) -> None:
    """Write ``study.toml``, ``study.json`` and the files of user-defined languages."""
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


def _finish(study: Study, directory: Path, results: Results, missing: SourceUnreachable | None, report: Report) -> Path:
    write_json(directory / "results.json", main_figures(results))
    path = write_report(directory)
    duration = sum(result["seconds"] for result in results.values())
    report(f"{seconds(duration)} of work; the report is {path}")
    if missing:
        report(f"NOTE: this was on generated reviews, not on IMDb. {missing.problem}")
    failed = [name for name, result in results.items() if result["status"] == "failed"]
    if failed:
        raise StepFailed(
            f"{len(failed)} of {len(study.steps)} steps failed: {', '.join(failed)}. The report gives each reason.",
            "Fix the cause and use the same command again: it repeats only these steps.",
        )
    return path


def main_figures(results: Results) -> Figures:
    """Return the main figures: ``classification.STEP.val_accuracy_mean``, ``…_low``, ``…_high``, ``seeds``, and so on.

    ``…_low`` and ``…_high`` are the ends of the 95% interval, over seeds if there are several, else over texts. The
    figures of a test evaluation (``test_accuracy_mean`` and so on) have the name of the step that was evaluated. Then
    ``seeds`` are those of the test evaluation, and ``val_seeds`` those of validation.
    """
    groups: Figures = {group: {} for group in ("classification", "language_models")}
    for name, result in results.items():
        group = KINDS[result["kind"]].group
        if result["status"] != "done" or group is None:
            continue
        figures = result["figures"]
        entry = groups[group].setdefault(figures.get("source", name), {})
        if "seeds" in entry:
            entry["val_seeds"] = entry["seeds"]
        entry |= {
            f"{figure}_{part}": values[part]
            for figure, values in figures["summary"].items()
            for part in ("mean", "low", "high")
            if values[part] is not None
        } | {"seeds": result["options"].get("seeds", [0])}
    return groups
