"""The content of a study file: questions, and the steps that answer each of them.

title = "…"
[bases.reviews.data]            # sections of a run that several steps share
name = "imdb"
[fallbacks.reviews.data]        # replaces the data of the base on a machine that does not have it
name = "synth-reviews"
[[questions]]
title = "…"
text = '''…'''                  # Markdown; {{ steps.NAME.figures.… }} inserts a figure
base = "reviews"                # the default of the question's steps; so with every other key of a step
[[questions.steps]]
name = "lstm"
kind = "classifier"             # see elman.study.kinds
seeds = [0, 1, 2]               # options of the kind
model = { layer = "lstm" }      # sections of a run
needs = []                      # earlier steps whose results it reads
from = "search-lstm"            # an earlier step whose configuration it takes; of a search, that of the best trial
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from elman.config import Accelerator, DataConfig, DataKind, RunConfig, Task, scopes
from elman.data.table import data_kind
from elman.errors import ConfigError, reason
from elman.presets import preset
from elman.report import former_names
from elman.report.question_text import filled, steps_in
from elman.study.kinds import KINDS, Kind
from elman.tables import build, check_tables, parse_toml

Profile = Literal["smoke", "quick", "full"]
FILES: dict[Profile, str] = {"smoke": "smoke.toml", "quick": "quick.toml", "full": "assignment.toml"}
Tables = dict[str, Any]
Configs = tuple[RunConfig | None, RunConfig | None]
"""A configuration, and the one that replaces it if its data is not available."""

SECTIONS = tuple(item.name for item in fields(RunConfig))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Step:
    """One step of a study.

    Attributes
    ----------
    name
        Its result is ``results/NAME.json``.
    kind
        A key of :data:`elman.study.kinds.KINDS`.
    options
        The options of its kind, a dataclass.
    config, fallback
        The configuration of its runs, and the one that replaces it if its data is not available; None without runs.
    needs
        The names of the earlier steps whose results it reads.
    source
        The needed step whose configuration it starts from; "" if there is none.
    sections
        Its changes to that configuration.
    """

    name: str
    kind: str
    options: Any
    config: RunConfig | None
    fallback: RunConfig | None
    needs: tuple[str, ...]
    source: str = ""
    sections: Tables = field(default_factory=dict)

    def with_accelerator(self, accelerator: Accelerator) -> "Step":
        """Return the same step with its runs on that device."""
        tables = {"loop": {"accelerator": accelerator}}
        config, fallback = _changed((self.config, self.fallback), tables, self.name)
        return replace(self, config=config, fallback=fallback)

    def with_processes(self, processes: int) -> "Step":
        """Return the same step with that number of runs at the same time, if its kind has several runs."""
        if not _has_processes(self.options):
            return self
        return replace(self, options=replace(self.options, processes=processes))


@dataclass(frozen=True)
class Question:
    """A question, and the steps that answer it."""

    title: str
    text: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Study:
    """The content of a study file; ``text`` is the file itself."""

    name: str
    title: str
    questions: tuple[Question, ...]
    text: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they are done."""
        return tuple(step for question in self.questions for step in question.steps)

    def with_accelerator(self, accelerator: Accelerator) -> "Study":
        """Return the same study with all its runs on that device."""
        return self._with_steps(lambda step: step.with_accelerator(accelerator))

    def with_processes(self, processes: int) -> "Study":
        """Return the same study with that number of runs of each step at the same time."""
        return self._with_steps(lambda step: step.with_processes(processes))

    def on_fallback(self) -> "Study":
        """Return the same study with the fallback configurations of its steps."""
        return self._with_steps(lambda step: replace(step, config=step.fallback or step.config))

    def _with_steps(self, change: Callable[[Step], Step]) -> "Study":
        questions = [replace(question, steps=tuple(map(change, question.steps))) for question in self.questions]
        return replace(self, questions=tuple(questions))


def read_study(profile: Profile) -> Study:
    """Read one of the studies that come with the package."""
    return parse_study(files("elman.studies").joinpath(FILES[profile]).read_text(encoding="utf-8"), profile)


def study_from_file(path: Path) -> Study:
    """Read a study file.

    Raises
    ------
    ConfigError
        The file does not exist, or is not a valid study.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read as a study ({reason(error)})."
        raise ConfigError(problem, "Use a TOML file in UTF-8.") from error
    return parse_study(text, path.stem)


def parse_study(text: str, name: str) -> Study:
    """Read a study from TOML.

    Raises
    ------
    ConfigError
        The text is not a valid study.
    """
    tables = parse_toml(text, name)
    _check_keys(tables, ("title", "processes", "bases", "fallbacks", "questions"), name)
    bases, fallbacks = tables.get("bases", {}), tables.get("fallbacks", {})
    _check_keys(fallbacks, bases, f"{name} [fallbacks]")
    for table in (tables, *_list_of_tables(tables, "questions", name)):
        for key in ("title", "text"):
            if not isinstance(table.get(key, ""), str):
                raise ConfigError(f"{name}: the {key} {table[key]!r} is not a string.", "Put it in quotes.")
    for kind, shared in (("bases", bases), ("fallbacks", fallbacks)):
        check_tables(shared, f"{name} {kind}")
        for base, sections in shared.items():
            check_tables(sections, f"{name} {kind}.{base}")
    steps: dict[str, Step] = {}
    questions: list[Question] = []
    for number, table in enumerate(tables["questions"], start=1):
        where = f"{name}, question {number}"
        defaults = {key: value for key, value in table.items() if key not in ("title", "text", "steps")}
        names = []
        for own in _list_of_tables(table, "steps", where):
            step = _step(defaults | own, bases, fallbacks, steps, where, tables.get("processes", 1))
            steps[step.name] = step
            names.append(step.name)
        filled(table.get("text", ""), {})  # reports a mistake in the text now, not after hours of work
        own_steps = tuple(steps[step_name] for step_name in names)
        questions.append(Question(table.get("title", f"Question {number}"), table.get("text", ""), own_steps))
    for question in questions:
        _check_keys(steps_in(question.text), steps, f"{name}, in the text of {question.title!r}")
    return Study(name, tables.get("title", name), tuple(questions), text)


def _step(
    table: Tables, bases: Tables, fallbacks: Tables, earlier: dict[str, Step], where: str, processes: int
) -> Step:
    name = table.get("name", "")
    where = f"{where}, step {name!r}"
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in earlier:
        raise ConfigError(
            f"{where}: the name is missing, is used twice, or cannot be part of a file name.",
            "Use a different name for every step, of letters, digits, - and _.",
        )
    kind_name: str = table.get("kind", "")
    kind_name = former_names.KINDS.get(kind_name, kind_name)
    kind = KINDS.get(kind_name)
    if kind is None:
        raise ConfigError(f"{where}: the kind {kind_name!r} is unknown.", f"Use one of {', '.join(KINDS)}.")
    if "base" in table and table["base"] not in bases:
        raise ConfigError(
            f"{where}: the base {table['base']!r} is unknown.", f"Use one of the bases: {', '.join(bases) or 'none'}."
        )
    source = table.get("from", "")
    needs = tuple(dict.fromkeys([*table.get("needs", []), *([source] if source else [])]))
    for need in needs:
        if need not in earlier:
            raise ConfigError(
                f"{where} needs {need!r}, which is not an earlier step.", f"Move {need!r} before it, or add it."
            )
    sections = {key: table[key] for key in SECTIONS if key in table}
    check_tables(sections, where)
    if source:
        configs = _source_configs(kind, earlier[source], sections, where)
    else:
        configs = _own_configs(table, kind, sections, bases, fallbacks, where)
    for config in configs:
        if config is not None and kind.reads not in ("any", "source", config.data.task):
            raise ConfigError(
                f"{where} is for {kind.reads}, but its data.task is {config.data.task}.",
                "Use another kind of step, or other data.",
            )
    own = {key: table[key] for key in table if key not in {"name", "kind", "base", "needs", "from", *SECTIONS}}
    if _has_processes(kind.options):
        own.setdefault("processes", processes)
    options = build(kind.options, own, where)
    if kind.reads == "source":
        _check_test_evaluation(earlier[source], sections, options, where)
    return Step(name, kind_name, options, *configs, needs, source, sections)


def _has_processes(options: Any) -> bool:
    """Return whether steps with these options have several runs, which can run at the same time."""
    return any(option.name == "processes" for option in fields(options))


def _own_configs(table: Tables, kind: Kind, sections: Tables, bases: Tables, fallbacks: Tables, where: str) -> Configs:
    """Return the configuration of the step's base and its own sections, and its fallback."""
    base = table.get("base")
    if kind.reads == "source":
        raise ConfigError(
            f"{where} does not name the model that it evaluates.",
            'Add from = "STEP", where STEP is the earlier step whose model it evaluates.',
        )
    if kind.reads is None:
        if sections:
            raise ConfigError(f"{where}: a {table['kind']} has no {next(iter(sections))}.", "Remove it.")
        return None, None
    task = None if kind.reads == "any" else kind.reads
    layers = [*([bases[base]] if base else []), sections]
    config = _config(layers, task, where)
    if base not in fallbacks:
        return config, None
    data = data_kind(fallbacks[base].get("data", {}).get("name", DataConfig.name))
    general = [layer | {"data": _applying(layer.get("data", {}), data)} for layer in layers]
    return config, _config([*general, fallbacks[base]], task, where)


def _applying(options: Tables, kind: DataKind) -> Tables:
    """Return the options without those that do not apply to this kind of data; a wrong level is an error later."""
    return {name: value for name, value in options.items() if name == "level" or kind in scopes(DataConfig)[name].data}


def _check_test_evaluation(source: Step, sections: Tables, options: Any, where: str) -> None:
    if sections:
        raise ConfigError(
            f"{where} evaluates {source.name} as it is, so it cannot change its {next(iter(sections))}.",
            f"Remove it, or change {source.name} before the test split is opened.",
        )
    if source.kind == "baseline" and len(options.seeds) > 1:
        raise ConfigError(f"{where}: a baseline gives the same result for every seed.", "Use one seed.")


def _source_configs(kind: Kind, source: Step, sections: Tables, where: str) -> Configs:
    """Return the configurations of an earlier step, changed by the step's own sections."""
    if kind.reads is None or source.config is None:
        raise ConfigError(f"{where} cannot take its configuration from {source.name!r}.", "Remove from.")
    return _changed((source.config, source.fallback), sections, where)


def _changed(configs: Configs, tables: Tables, where: str) -> Configs:
    config, fallback = (config and config.with_tables(tables, where) for config in configs)
    return config, fallback


def _config(layers: list[Tables], task: Task | None, where: str) -> RunConfig:
    """Return the preset of the data that the layers name, changed by each of them in turn."""
    data: Tables = {}
    for layer in layers:
        data |= layer.get("data", {})
    config = preset(data.get("name", "imdb"), task or data.get("task"), data.get("level"))
    for layer in layers:
        config = config.with_tables(layer, where)
    return config


def _list_of_tables(table: Tables, name: str, where: str) -> list[Tables]:
    tables = table.get(name)
    if not isinstance(tables, list) or not tables or not all(isinstance(item, dict) for item in tables):
        raise ConfigError(f"The study {where} has no [[{name}]].", "See docs/study.md for the format of a study file.")
    return tables


def _check_keys(keys: Iterable[str], allowed: Iterable[str], where: str) -> None:
    for key in keys:
        if key not in allowed:
            raise ConfigError(f"The study {where}: {key!r} is unknown.", f"Use one of {', '.join(allowed)}.")
