"""The report of a study, made from its result files alone: one Markdown source, converted to HTML and PDF.

    DIRECTORY/study.json + results/ + ledger.json  →  figures/*.svg, report.md  →  report.html, report.pdf

Every number comes from a result file, and every sentence about the numbers from :mod:`elman.report.reflections`.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, PackageLoader, StrictUndefined

from elman.errors import ConfigError
from elman.files import write_text
from elman.formatting import FILTERS, excess, nats, points
from elman.report.former_names import FORMER_KINDS
from elman.report.pages import write_html, write_pdf
from elman.report.question_text import filled
from elman.report.reflections import reflect
from elman.report.reflections.comparisons import DIFFERENCES, differences
from elman.report.reflections.limits import limits
from elman.report.reflections.searches import QUALITIES, budgets, searched
from elman.report.results import Figures, Steps, is_baseline, read_result, read_study, study_openings
from elman.report.study_figures import PICTURES

ARRAY = re.compile(r"\[\n((?:    [^\s\[\]{}]+,\n)+)\]")
"""A TOML list over several lines of values without blanks; the report writes it on one line."""


def write_report(directory: Path) -> Path:
    """Write figures, ``report.md``, ``report.html`` and ``report.pdf`` into ``directory``; return the HTML's path.

    Raises
    ------
    RunError
        The directory does not hold a study.
    """
    study = read_study(directory)
    results = {
        step["name"]: read_result(directory, step) for question in study["questions"] for step in question["steps"]
    }
    questions = [
        _question(directory, number, question, results) for number, question in enumerate(study["questions"], start=1)
    ]
    done = {name: result for name, result in results.items() if result["status"] == "done"}
    environment = Environment(
        loader=PackageLoader("elman.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    environment.globals |= {
        "excess_of": excess,
        "nats_of": nats,
        "points_of": points,
        "measures": DIFFERENCES,
        "qualities": QUALITIES,
        "searched": searched,
        "budgets": budgets,
    }
    source = environment.get_template("report.md.j2").render(
        study=study,
        questions=questions,
        results=results,
        done=done,
        machines=_distinct(result["machine"] for result in done.values()),
        configurations=shared_configurations(done),
        limits=limits(study, [*results.values()], opened=any(study_openings(directory))),
        total_seconds=sum(result["seconds"] for result in done.values()),
        pretrainings=pretrainings(done.values()),
    )
    write_text(directory / "report.md", source)
    write_pdf(directory, source)
    return write_html(directory, source)


def _distinct(values: Iterable[Any]) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def pretrainings(results: Iterable[Figures]) -> list[float]:
    """Return the seconds of each pretraining; several steps may share one."""
    records = [result["figures"]["pretraining"] for result in results if result["figures"].get("pretraining")]
    return [record["seconds"] for record in _distinct({key: r[key] for key in ("run", "seconds")} for r in records)]


def shared_configurations(done: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each kind of step, as TOML, the options that all its configurations share, and those of each step."""
    kinds: dict[str, dict[str, Any]] = {}
    for name, result in done.items():
        if result["config"]:
            kinds.setdefault(result["kind"], {})[name] = {**tomllib.loads(result["config"]), "step": result["options"]}
    configurations = []
    for kind, configs in kinds.items():
        first, *others = configs.values()
        shared = {
            section: {
                key: value for key, value in table.items() if all(_has(other, section, key, value) for other in others)
            }
            for section, table in first.items()
            if isinstance(table, dict)
        }
        own = {
            name: {
                section: {key: value for key, value in table.items() if not _has(shared, section, key, value)}
                for section, table in config.items()
                if isinstance(table, dict)
            }
            for name, config in configs.items()
        }
        configurations.append(
            {"kind": kind, "shared": _toml(shared), "own": {name: _toml(tables) for name, tables in own.items()}}
        )
    return configurations


def _has(config: dict[str, Any], section: str, key: str, value: Any) -> bool:
    return key in config.get(section, {}) and config[section][key] == value


def _toml(tables: dict[str, Any]) -> str:
    sections = {
        section: {key: value for key, value in table.items() if value is not None} for section, table in tables.items()
    }
    text = tomli_w.dumps({section: table for section, table in sections.items() if table})
    return ARRAY.sub(lambda array: "[" + ", ".join(array[1].replace(",\n", "\n").split()) + "]", text)


def _question(directory: Path, number: int, question: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Return a question with its groups of steps, and its findings: the first sentence on each kind of step."""
    groups = [*_groups(directory, number, question, results)]
    first = {group["kind"]: group["reflections"][0] for group in groups if group["reflections"]}
    findings = [finding for kind, finding in first.items() if kind != "data" or len(first) == 1]
    try:
        text = filled(question["text"], results)
    except ConfigError as error:
        text = f"({error.problem})"
    return {**question, "text": text, "groups": groups, "findings": findings}


def _groups(
    directory: Path, number: int, question: dict[str, Any], results: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    """Yield the steps of a question by kind, with their pictures and sentences; each comparison is its own group."""
    kinds = dict.fromkeys(step["kind"] for step in question["steps"])
    for kind in kinds:
        of_kind = {step["name"]: results[step["name"]] for step in question["steps"] if step["kind"] == kind}
        for part in [{name: result} for name, result in of_kind.items()] if kind == "comparison" else [of_kind]:
            done = {name: result["figures"] for name, result in part.items() if result["status"] == "done"}
            file_name = "-".join(part) if kind == "comparison" else FORMER_KINDS.get(kind, kind)
            yield {
                "kind": kind,
                "steps": done,
                "missing": [result for result in part.values() if result["status"] != "done"],
                "pictures": [*_pictures(directory, f"{number}-{file_name}", kind, done)],
                "reflections": reflect(kind, done),
                **_differences(kind, done, results),
            }


def _differences(kind: str, steps: Steps, results: Steps) -> dict[str, Any]:
    """Return the configured steps and the options in which they differ; a comparison has them for two steps only."""
    if kind == "comparison":
        [comparison] = list(steps.values()) or [{"order": []}]
        steps = {row["step"]: {} for row in comparison["order"]} if len(comparison["order"]) == 2 else {}
    configured = {  # a baseline has a configuration, but uses only its data
        name: result
        for name, result in results.items()
        if name in steps and result["status"] == "done" and result["config"] and not is_baseline(result["figures"])
    }
    return {"configured": [*configured], "differences": differences(configured) if len(configured) > 1 else {}}


def _pictures(directory: Path, prefix: str, kind: str, steps: dict[str, Any]) -> Iterable[dict[str, str]]:
    if not steps:
        return
    for picture in PICTURES[kind]:
        file = f"figures/{prefix}-{picture.name}.svg"
        if picture.draw(directory / file, steps):
            yield {"file": file, "caption": picture.caption}
