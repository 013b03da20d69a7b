"""The sections of a configuration as options of the command, each of them absent until it is given; and back.

What is not given must not be mistaken for what is given and happens to be the default: a preset may say otherwise. So
every section has a twin here whose fields are all ABSENT at first; types and help come from the section itself.
"""

from dataclasses import field, fields, make_dataclass
from typing import Annotated, Any, get_origin, get_type_hints

import docstring_parser
from cyclopts import Parameter

from elman.config import BatchConfig, DataConfig, LoopConfig, ModelConfig, OptimConfig, RunConfig

ABSENT: Any = object()
"""Not given; None is a value that can be."""


def optional(section: type) -> Any:
    """Return a dataclass with the fields of ``section`` that the command line can set, each ABSENT by default."""
    helps = {item.arg_name: item.description for item in docstring_parser.parse_from_object(section).params}
    hints = get_type_hints(section, include_extras=True)
    made: list[tuple[str, Any, Any]] = []
    for item in fields(section):
        hint = hints[item.name]
        kind, *extras = (hint.__origin__, *hint.__metadata__) if get_origin(hint) is Annotated else (hint,)
        if any(extra.parse is False for extra in extras):
            continue
        default = "" if item.default is None else f" [default: {_shown(item.default)}]"
        described = Parameter(help=f"{helps[item.name]}{default}", show_default=False)
        made.append((item.name, Annotated[kind, *extras, described], field(default=ABSENT)))
    return _dataclass(section.__name__.replace("Config", "Options"), made)


def _dataclass(name: str, made: list[tuple[str, Any, Any]]) -> Any:
    return make_dataclass(name, made, frozen=True, kw_only=True, namespace={"__module__": __name__})


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


DataOptions = optional(DataConfig)
RunOptions = _dataclass(
    "RunOptions",
    [
        (name, Annotated[made, Parameter(name="*", group=group)], field(default_factory=made))
        for name, made, group in (
            ("data", DataOptions, "Data"),
            ("batches", optional(BatchConfig), "Batches"),
            ("model", optional(ModelConfig), "Model"),
            ("optim", optional(OptimConfig), "Optimiser"),
            ("loop", optional(LoopConfig), "Loop"),
        )
    ],
)


def given(options: Any) -> dict[str, Any]:
    """Return the fields of a section that were given, and their values."""
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in values.items() if value is not ABSENT}


def given_tables(options: Any) -> dict[str, dict[str, Any]]:
    """Return section → field → value of what was given."""
    return {section.name: given(getattr(options, section.name)) for section in fields(options)}


def command_line(config: RunConfig) -> list[str]:
    """Return the arguments of ``elman train`` that make ``config``: all in which it differs from its preset."""
    from elman.presets import preset  # takes the languages with it

    data = config.data
    plain = preset(data.name).data
    told = {name: getattr(data, name) for name in ("task", "level") if getattr(data, name) != getattr(plain, name)}
    start = preset(data.name, **told)
    arguments = [data.name, *(part for name, value in told.items() for part in (f"--{name}", value))]
    for section in fields(config):
        mine, usual = getattr(config, section.name), getattr(start, section.name)
        hints = get_type_hints(type(mine), include_extras=True)
        for item in fields(mine):
            value = getattr(mine, item.name)
            if item.name != "name" and value != getattr(usual, item.name):
                arguments += _option(item.name, hints[item.name], value)
    return arguments


def _option(name: str, hint: Any, value: Any) -> list[str]:
    renamed = [extra.name[0] for extra in getattr(hint, "__metadata__", ()) if extra.name]
    option = renamed[0] if renamed else f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    return [option, str(value)]
