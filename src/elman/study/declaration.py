"""What a study file declares: questions, and the steps that answer each.

title = "…"
[bases.reviews.data]            # sections of a run that several steps share
name = "imdb"
[fallbacks.reviews.data]        # the same on data that every machine has
name = "synth-reviews"
[[questions]]
title = "…"
text = '''…'''                  # Markdown; {{ steps.NAME.figures.… }} names a figure
base = "reviews"                # of its steps, where they do not say otherwise
[[questions.steps]]
name = "lstm"
kind = "classifier"             # see elman.study.kinds
seeds = [0, 1, 2]               # options of the kind
model = { layer = "lstm" }      # sections of a run
needs = []                      # steps before it whose results it reads
from = "search-lstm"            # a step before it whose configuration is taken; of a search, the best that it found
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from elman.config import Accelerator, RunConfig
from elman.data.table import READ_FROM
from elman.errors import ConfigError
from elman.presets import preset
from elman.report.question_text import filled, steps_in
from elman.study.kinds import KINDS, Kind
from elman.tables import build, check_tables, parse_toml

Profile = Literal["smoke", "quick", "full"]
FILES: dict[Profile, str] = {"smoke": "smoke.toml", "quick": "quick.toml", "full": "assignment.toml"}
Tables = dict[str, Any]

SECTIONS = tuple(item.name for item in fields(RunConfig))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Step:
    """One thing to be done.

    Attributes
    ----------
    name
        Its result is ``results/NAME.json``.
    kind
        One of :data:`elman.study.kinds.KINDS`.
    options
        Those of its kind, a dataclass.
    config, fallback
        Of its runs, and the same on data that every machine has; None where there is none.
    needs
        Names of earlier steps whose results it reads.
    source
        The one among them whose configuration it starts from; "" where its own is whole.
    sections
        What it changes in that configuration.
    """

    name: str
    kind: str
    options: Any
    config: RunConfig | None
    fallback: RunConfig | None
    needs: tuple[str, ...]
    source: str = ""
    sections: Tables = field(default_factory=dict)

    def on(self, accelerator: Accelerator) -> "Step":
        """Return the same step with its runs on that device."""
        tables = {"loop": {"accelerator": accelerator}}
        config, fallback = (each and each.with_tables(tables, self.name) for each in (self.config, self.fallback))
        return replace(self, config=config, fallback=fallback)

    def beside(self, processes: int) -> "Step":
        """Return the same step with so many of its runs beside each other, where it has several."""
        return replace(self, options=replace(self.options, processes=processes)) if _several(self.options) else self


@dataclass(frozen=True)
class Question:
    """What is asked, and the steps that answer it."""

    title: str
    text: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Study:
    """What a study file declares; ``text`` is the file itself."""

    name: str
    title: str
    questions: tuple[Question, ...]
    text: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they are done."""
        return tuple(step for question in self.questions for step in question.steps)

    def on(self, accelerator: Accelerator) -> "Study":
        """Return the same study with all its runs on that device."""
        return self._with_steps(lambda step: step.on(accelerator))

    def beside(self, processes: int) -> "Study":
        """Return the same study with so many runs of each step beside each other."""
        return self._with_steps(lambda step: step.beside(processes))

    def _with_steps(self, change: Callable[[Step], Step]) -> "Study":
        questions = [replace(question, steps=tuple(map(change, question.steps))) for question in self.questions]
        return replace(self, questions=tuple(questions))


def read_study(profile: Profile) -> Study:
    """Read one of the studies that come with the package."""
    return parse_study(files("elman.studies").joinpath(FILES[profile]).read_text(encoding="utf-8"), profile)


def study_from_file(path: Path) -> Study:
    """Read a study of one's own.

    Raises
    ------
    ConfigError
        There is no such file, or it declares no study.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a study ({error}).", "Name a TOML file in UTF-8.") from error
    return parse_study(text, path.stem)


def parse_study(text: str, name: str) -> Study:
    """Read a study from TOML.

    Raises
    ------
    ConfigError
        Something in it is unknown, or cannot be.
    """
    tables = parse_toml(text, name)
    _known(tables, ("title", "processes", "bases", "fallbacks", "questions"), name)
    bases, fallbacks = tables.get("bases", {}), tables.get("fallbacks", {})
    _known(fallbacks, bases, f"{name} [fallbacks]")
    processes = tables.get("processes", 1)
    questions: list[Question] = []
    for table in (tables, *_tables(tables, "questions", name)):
        for key in ("title", "text"):
            if not isinstance(table.get(key, ""), str):
                raise ConfigError(f"{name}: the {key} {table[key]!r} is no text.", "Put it into quotes.")
    earlier: dict[str, Step] = {}
    for kind, declared in (("bases", bases), ("fallbacks", fallbacks)):
        check_tables(declared, f"{name} {kind}")
        for base, sections in declared.items():
            check_tables(sections, f"{name} {kind}.{base}")
    for number, table in enumerate(_tables(tables, "questions", name), start=1):
        where = f"{name}, question {number}"
        shared = {key: value for key, value in table.items() if key not in ("title", "text", "steps")}
        steps = []
        for found in _tables(table, "steps", where):
            steps.append(_step(shared | found, bases, fallbacks, earlier, where, processes))
            earlier[steps[-1].name] = steps[-1]
        filled(table.get("text", ""), {})  # so that a slip is met before hours of work, not behind them
        questions.append(Question(table.get("title", f"Question {number}"), table.get("text", ""), tuple(steps)))
    for question in questions:
        for step in steps_in(question.text):
            if step not in earlier:
                raise ConfigError(
                    f"{name}: the text of {question.title!r} speaks of {step!r}, which is no step.",
                    f"There are: {', '.join(earlier)}.",
                )
    return Study(name, tables.get("title", name), tuple(questions), text)


def _step(
    table: Tables, bases: Tables, fallbacks: Tables, earlier: dict[str, Step], where: str, processes: int
) -> Step:
    name = table.get("name", "")
    where = f"{where}, step {name!r}"
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in earlier:
        raise ConfigError(
            f"{where}: the name is missing, taken, or no part of a file's name.",
            "Give every step a name of its own: letters, digits, - and _.",
        )
    kind = KINDS.get(table.get("kind", ""))
    if kind is None:
        raise ConfigError(f"{where}: there is no kind {table.get('kind')!r}.", f"There are: {', '.join(KINDS)}.")
    if "base" in table and table["base"] not in bases:
        raise ConfigError(f"{where}: there is no base {table['base']!r}.", f"There are: {', '.join(bases) or 'none'}.")
    source = table.get("from", "")
    needs = _needs(table, source, earlier, where)
    sections = {key: table[key] for key in SECTIONS if key in table}
    check_tables(sections, where)
    if source:
        config, fallback = _taken(kind, earlier[source], sections, where)
    else:
        config, fallback = _configured(table, kind, sections, bases, fallbacks, where)
    for made in (config, fallback):
        _check_task(made, kind, where)
    own = {key: table[key] for key in table if key not in {"name", "kind", "base", "needs", "from", *SECTIONS}}
    if _several(kind.options):
        own.setdefault("processes", processes)
    options = build(kind.options, own, where)
    if kind.reads == "source":
        _check_final(earlier[source], sections, options, where)
    return Step(name, table["kind"], options, config, fallback, needs, source, sections)


def _several(options: Any) -> bool:
    """Whether steps with these options have several runs, which can be made beside each other."""
    return any(option.name == "processes" for option in fields(options))


def _needs(table: Tables, source: str, earlier: dict[str, Step], where: str) -> tuple[str, ...]:
    needs = tuple(dict.fromkeys([*table.get("needs", []), *([source] if source else [])]))
    for need in needs:
        if need not in earlier:
            raise ConfigError(f"{where} needs {need!r}, which is no step before it.", "Declare it earlier.")
    return needs


def _configured(
    table: Tables, kind: Kind, sections: Tables, bases: Tables, fallbacks: Tables, where: str
) -> tuple[RunConfig | None, RunConfig | None]:
    """Return the configuration of the step's base and its own sections, and what replaces it where there is no data."""
    base = table.get("base")
    if kind.reads == "source":
        raise ConfigError(f"{where}: it is not said which model it is of.", 'Add from = "STEP".')
    if kind.reads is None:
        if sections:
            raise ConfigError(f"{where}: a {table['kind']} has no {next(iter(sections))}.", "Leave it out.")
        return None, None
    task = None if kind.reads == "any" else kind.reads
    layers = [*([bases[base]] if base else []), sections]
    config = _config(layers, task, where)
    fallback = None
    if base in fallbacks:
        plain = [layer | {"data": _of_any_data(layer.get("data", {}))} for layer in layers]
        fallback = _config([*plain, fallbacks[base]], task, where)
    return config, fallback


def _of_any_data(options: Tables) -> Tables:
    """Leave out what one kind of data alone reads: what replaces it may be another."""
    return {name: value for name, value in options.items() if not any(name in names for names in READ_FROM.values())}


def _check_final(source: Step, sections: Tables, options: Any, where: str) -> None:
    if sections:
        raise ConfigError(
            f"{where}: what is tested is what {source.name} is, and nothing else ({next(iter(sections))}).",
            f"Leave it out, or change {source.name} before the test split is opened.",
        )
    if source.kind == "yardstick" and len(options.seeds) > 1:
        raise ConfigError(f"{where}: a yardstick comes out the same whatever the seed.", "Give it one seed.")


def _taken(kind: Kind, source: Step, sections: Tables, where: str) -> tuple[RunConfig | None, RunConfig | None]:
    """Return the configurations of an earlier step, changed by the step's own sections."""
    if kind.reads is None or source.config is None:
        raise ConfigError(f"{where} cannot take its configuration from {source.name!r}.", "Leave out from.")
    found = [config and config.with_tables(sections, where) for config in (source.config, source.fallback)]
    return found[0], found[1]


def _check_task(config: RunConfig | None, kind: Kind, where: str) -> None:
    if config is not None and kind.reads not in ("any", "source", config.data.task):
        raise ConfigError(f"{where} is for {kind.reads}, and its data.task is {config.data.task}.", "Change either.")


def _config(layers: list[Tables], task: Any, where: str) -> RunConfig:
    """Return the preset of the data that the layers name, changed by one after the other."""
    data: Tables = {}
    for layer in layers:
        data |= layer.get("data", {})
    config = preset(data.get("name", "imdb"), task or data.get("task"), data.get("level"))
    for layer in layers:
        config = config.with_tables(layer, where)
    return config


def _tables(table: Tables, name: str, where: str) -> list[Tables]:
    found = table.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        raise ConfigError(f"The study {where} has no [[{name}]].", "See docs/study.md for what a study file holds.")
    return found


def _known(given: Any, known: Any, where: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"The study {where} cannot be read: {name!r} is unknown.", f"Known: {', '.join(known)}.")
