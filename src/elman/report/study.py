"""The report of a study: from its result files alone, through one Markdown source, to Markdown, HTML and PDF.

    DIRECTORY/study.json + results/ + ledger.json  →  figures/*.svg, report.md  →  report.html, report.pdf

Every number in it comes from a result file, and every sentence about them from :mod:`elman.report.reflections`.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import ChainableUndefined, Environment, PackageLoader, StrictUndefined, TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment

from elman.errors import ConfigError, DataError, RunError
from elman.files import read_json, write_text
from elman.formatting import FILTERS, excess, nats
from elman.report.pages import write_html, write_pdf
from elman.report.reflections import reflect
from elman.report.reflections.comparisons import WORDINGS, differences
from elman.report.reflections.limits import limits
from elman.report.reflections.searches import QUALITIES, searched
from elman.report.steps import Figures, Steps
from elman.report.study_figures import PICTURES

NOT_MEASURED = "(not measured)"

ARRAY = re.compile(r"\[\n((?:    [^\s\[\]{}]+,\n)+)\]")
"""A list as it is written over several lines, of values without blanks: short ones read better on one."""


def write_report(directory: Path) -> Path:
    """Write figures, ``report.md``, ``report.html`` and ``report.pdf`` into ``directory``; return the HTML's path.

    Raises
    ------
    RunError
        It is no study's directory.
    """
    study = read_study(directory)
    results = {step["name"]: read_result(directory, step) for step in _steps(study)}
    questions = [
        _question(directory, number, question, results) for number, question in enumerate(study["questions"], start=1)
    ]
    done = {name: result for name, result in results.items() if result["status"] == "done"}
    machines: list[dict[str, Any]] = []
    for result in done.values():
        if result["machine"] not in machines:
            machines.append(result["machine"])
    environment = Environment(
        loader=PackageLoader("elman.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    environment.globals |= {
        "excess_of": excess,
        "nats_of": nats,
        "measures": WORDINGS,
        "qualities": QUALITIES,
        "searched": searched,
    }
    source = environment.get_template("report.md.j2").render(
        study=study,
        questions=questions,
        results=results,
        done=done,
        machines=machines,
        configurations=shared_configurations(done),
        limits=limits(study, [*results.values()], opened=any(study_openings(directory))),
        seconds_in_all=sum(result["seconds"] for result in done.values()),
        pretrainings=pretrainings(done.values()),
    )
    write_text(directory / "report.md", source)
    write_pdf(directory, source)
    return write_html(directory, source)


def pretrainings(done: Iterable[Figures]) -> list[float]:
    """Return how long each pretraining took; several steps may begin from one."""
    begun = [result["figures"]["pretraining"] for result in done if result["figures"].get("pretraining")]
    return list({(each["run"], each["seconds"]): each["seconds"] for each in begun}.values())


def study_openings(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the openings of the test split that the study's own ledger holds, then those that tested seeds hold."""
    if (directory / "ledger.json").exists():
        yield from read_json(directory / "ledger.json")
    for path in sorted(directory.glob("results/*/seed-*.json")):
        figures = read_json(path).get("figures", {})
        if "opening" in figures:
            yield figures["opening"]


def shared_configurations(done: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each kind of step what all its configurations share, as TOML, and what each has of its own."""
    kinds: dict[str, dict[str, Any]] = {}
    for name, result in done.items():
        if result["config"]:
            kinds.setdefault(result["kind"], {})[name] = {**tomllib.loads(result["config"]), "step": result["options"]}
    found = []
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
        found.append(
            {"kind": kind, "shared": _toml(shared), "own": {name: _toml(tables) for name, tables in own.items()}}
        )
    return found


def _has(config: dict[str, Any], section: str, key: str, value: Any) -> bool:
    return key in config.get(section, {}) and config[section][key] == value


def _toml(tables: dict[str, Any]) -> str:
    given = {
        section: {key: value for key, value in table.items() if value is not None} for section, table in tables.items()
    }
    written = tomli_w.dumps({section: table for section, table in given.items() if table})
    return ARRAY.sub(lambda array: "[" + ", ".join(array[1].replace(",\n", "\n").split()) + "]", written)


def read_study(directory: Path) -> dict[str, Any]:
    """Read what a study declared.

    Raises
    ------
    RunError
        There is none, or none that this version can read.
    """
    try:
        declared: dict[str, Any] = read_json(directory / "study.json")
    except DataError as error:
        raise RunError(f"{directory} is no study's directory ({error.problem})", "Make one: elman study.") from error
    return declared


def read_result(directory: Path, step: dict[str, str]) -> dict[str, Any]:
    """Read a step's result; where it is missing, or another configuration's, say so in its place."""
    path = directory / "results" / f"{step['name']}.json"
    absent = {"step": step["name"], "kind": step["kind"], "options": {}}
    try:
        result: dict[str, Any] = read_json(path)
        stale = result["digest"] != step["digest"]
    except (DataError, KeyError, TypeError):
        return {**absent, "status": "missing", "problem": "There is no result file: not done yet, or lost."}
    if stale:
        return {**absent, "status": "missing", "problem": "The result file there is of another configuration."}
    return result


def _steps(study: dict[str, Any]) -> Iterable[dict[str, str]]:
    return (step for question in study["questions"] for step in question["steps"])


def filled(text: str, results: dict[str, Any]) -> str:
    """Put figures into a question's text; one that is not there is said not to be.

    Raises
    ------
    ConfigError
        The text asks for what cannot be.
    """

    class Absent(ChainableUndefined):
        def __str__(self) -> str:
            return NOT_MEASURED

    environment = SandboxedEnvironment(undefined=Absent)
    environment.filters |= {name: _or_absent(write, Absent) for name, write in {**FILTERS, "length": len}.items()}
    try:
        return environment.from_string(text).render(steps=results).strip()
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"The figures in {text.strip()!r} cannot be filled in ({error}).",
            "Write steps['NAME'] where a name has a dash; docs/study.md says what can stand there.",
        ) from error


def steps_in(text: str) -> set[str]:
    """Return the names of the steps whose figures a question's text asks for."""
    tree, steps = SandboxedEnvironment().parse(text), nodes.Name("steps", "load")
    dotted = {node.attr for node in tree.find_all(nodes.Getattr) if node.node == steps}
    keys = [node.arg for node in tree.find_all(nodes.Getitem) if node.node == steps]
    return dotted | {str(key.value) for key in keys if isinstance(key, nodes.Const)}


def _or_absent(write: Any, absent: type) -> Any:
    return lambda value, *arguments: value if isinstance(value, absent) else write(value, *arguments)


def _question(directory: Path, number: int, question: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Return a question with what answers it, and its findings: the first sentence of each kind of step."""
    groups = [*_groups(directory, number, question, results)]
    said = {group["kind"]: group["reflections"][0] for group in groups if group["reflections"]}
    findings = [finding for kind, finding in said.items() if kind != "data" or len(said) == 1]
    try:
        text = filled(question["text"], results)
    except ConfigError as error:
        text = f"({error.problem})"
    return {**question, "text": text, "groups": groups, "findings": findings}


def _groups(
    directory: Path, number: int, question: dict[str, Any], results: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    """Yield the steps of a question kind by kind, with their pictures and what they say; each comparison by itself."""
    kinds = dict.fromkeys(step["kind"] for step in question["steps"])
    for kind in kinds:
        named = {step["name"]: results[step["name"]] for step in question["steps"] if step["kind"] == kind}
        for part in [{name: result} for name, result in named.items()] if kind == "comparison" else [named]:
            done = {name: result["figures"] for name, result in part.items() if result["status"] == "done"}
            yield {
                "kind": kind,
                "steps": done,
                "absent": [result for result in part.values() if result["status"] != "done"],
                "pictures": [
                    *_pictures(directory, f"{number}-{'-'.join(part) if kind == 'comparison' else kind}", kind, done)
                ],
                "reflections": reflect(kind, done),
                **_differences(kind, done, results),
            }


def _differences(kind: str, steps: Steps, results: Steps) -> dict[str, Any]:
    """Return the steps that are configured and how they differ; of a comparison, those that are compared, if two."""
    if kind == "comparison":
        [compared] = list(steps.values()) or [{"order": []}]
        steps = {row["step"]: {} for row in compared["order"]} if len(compared["order"]) == 2 else {}
    configured = {
        name: results[name] for name in steps if results[name].get("config") and not _is_yardstick(results[name])
    }
    return {"configured": [*configured], "differences": differences(configured) if len(configured) > 1 else {}}


def _is_yardstick(result: Figures) -> bool:
    """Return whether a step has the configuration of a network and reads nothing of it but the data."""
    return "yardstick" in (result["kind"], result["figures"].get("method"))


def _pictures(directory: Path, prefix: str, kind: str, steps: dict[str, Any]) -> Iterable[dict[str, str]]:
    if not steps:
        return
    for picture in PICTURES[kind]:
        file = f"figures/{prefix}-{picture.name}.svg"
        if picture.draw(directory / file, steps):
            yield {"file": file, "caption": picture.caption}
