"""The sections of a configuration as options of the command, and a configuration as a command line.

An option that is not passed must differ from one that is passed with its default value, because a preset may have
another value. So each section has a twin here whose fields are all ABSENT at first. Types and help texts come from the
section itself.
"""

from dataclasses import field, fields, make_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import cyclopts
import docstring_parser
from cyclopts import Parameter

from elman.config import (
    Applies,
    BatchConfig,
    DataConfig,
    LoopConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    option_name,
    scopes,
)

ABSENT: Any = object()
"""The value of an option that was not passed. None is a value that can be passed."""

GROUPS = {
    "data": (DataConfig, "Data"),
    "model": (ModelConfig, "Model"),
    "loop": (LoopConfig, "Training"),
    "optim": (OptimConfig, "Optimizer"),
    "batches": (BatchConfig, "Batches"),
}


def section_options(section: type, start: RunConfig | None = None) -> Any:
    """Return a dataclass with the options of a section, each ABSENT by default.

    Parameters
    ----------
    section
        The dataclass of the section.
    start
        Keep only the options that apply to this configuration's data and task, and show its values as the defaults.
        Without it, the help of an option says what it applies to.
    """
    helps = {item.arg_name: item.description for item in docstring_parser.parse_from_object(section).params}
    hints = get_type_hints(section, include_extras=True)
    shown = section() if start is None else next(part for part in vars(start).values() if type(part) is section)
    options: list[tuple[str, Any, Any]] = []
    for item in fields(section):
        hint, applies = hints[item.name], scopes(section)[item.name]
        kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if any(extra.parse is False for extra in extras if isinstance(extra, Parameter)) or not _is_read(
            applies, start
        ):
            continue
        note = f" Only for {applies}." if start is None and str(applies) else ""
        default = getattr(shown, item.name)
        usual = "" if default is None else f" [default: {_shown(default)}]"
        described = Parameter(help=f"{helps[item.name]}{note}{usual}", show_default=False)
        options.append((item.name, Annotated[kind, *extras, described], field(default=ABSENT)))
    return _dataclass(section.__name__.replace("Config", "Options"), options)


def run_options(start: RunConfig | None = None) -> Any:
    """Return a dataclass with the options of all sections; ``start`` is as in :func:`section_options`."""
    groups: list[tuple[str, Any, Any]] = []
    for name, (section, title) in GROUPS.items():
        options = section_options(section, start)
        if fields(options):
            order = cyclopts.Group(title, sort_key=len(groups) + 1)
            groups.append((name, Annotated[options, Parameter(name="*", group=order)], field(default_factory=options)))
    return _dataclass("RunOptions", groups)


def _is_read(applies: Applies, start: RunConfig | None) -> bool:
    if start is None:
        return True
    from elman.data.table import data_kind  # imports the languages

    return data_kind(start.data.name) in applies.data and start.data.task in applies.tasks


def _dataclass(name: str, members: list[tuple[str, Any, Any]]) -> Any:
    return make_dataclass(name, members, frozen=True, kw_only=True, namespace={"__module__": __name__})


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


DataOptions = section_options(DataConfig)
RunOptions = run_options()


def passed_values(options: Any) -> dict[str, Any]:
    """Return the options of a section that were passed, by the name of their field."""
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in values.items() if value is not ABSENT}


def passed_tables(options: Any) -> dict[str, dict[str, Any]]:
    """Return the options that were passed as section → field → value."""
    return {section.name: passed_values(getattr(options, section.name)) for section in fields(options)}


def command_line(config: RunConfig) -> list[str]:
    """Return the arguments of ``elman train`` that make ``config``: all values that differ from its preset."""
    from elman.presets import preset  # imports the languages

    data, plain = config.data, preset(config.data.name).data
    choices = {name: getattr(data, name) for name in ("task", "level") if getattr(data, name) != getattr(plain, name)}
    start = preset(data.name, **choices)
    arguments = [data.name, *(part for name, value in choices.items() for part in (f"--{name}", value))]
    for name in (item.name for item in fields(config)):
        section, usual = getattr(config, name), getattr(start, name)
        for item in fields(section):
            value = getattr(section, item.name)
            if item.name != "name" and value != getattr(usual, item.name):
                option = option_name(type(section), item.name, value)
                arguments += [option] if isinstance(value, bool) else [option, str(value)]
    return arguments
