"""The help of a command for one data set: only the options that apply to it, with the defaults of its preset."""

from collections.abc import Callable
from types import FunctionType
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from elman.cli.apps import absolute_name, app, preset_of
from elman.config import DataConfig
from elman.options import DataOptions, RunOptions, run_options, section_options

HELP_FLAGS = {"--help", "-h"}


def show_help_of_data(arguments: list[str]) -> bool:
    """Print the help of ``elman train DATA --help`` (or tune, or data info) and return True; else return False.

    Without a data set, or with arguments that cannot be parsed, cyclopts prints the help with all options.
    """
    if not HELP_FLAGS & set(arguments):
        return False
    try:
        command, bound, *_ = app.parse_known_args([word for word in arguments if word not in HELP_FLAGS])
    except cyclopts.CycloptsError:
        return False
    data, options = bound.arguments.get("data"), bound.arguments.get("options")
    if data is None or "options" not in command.__annotations__:
        return False
    sections = getattr(options, "data", options)  # the data's options, alone or among those of a run
    start = preset_of(absolute_name(data), DataOptions() if sections is None else sections)
    is_run = command.__annotations__["options"].__origin__ is RunOptions
    applying = run_options(start) if is_run else section_options(DataConfig, start)
    words = " ".join(["elman", *app.parse_commands(arguments)[0], data])
    help_app = cyclopts.App(usage=f"Usage: {words} [OPTIONS]", help_flags=[], version_flags=[])
    help_app.default(_with_options(command, applying))
    help_app.help_print([])
    return True


def _with_options(command: Callable[..., Any], options: Any) -> Callable[..., Any]:
    """Return a copy of a command that takes other options."""
    assert isinstance(command, FunctionType)
    copy = FunctionType(command.__code__, command.__globals__, command.__name__, command.__defaults__)
    copy.__kwdefaults__, copy.__doc__ = command.__kwdefaults__, command.__doc__
    copy.__annotations__ = command.__annotations__ | {"options": Annotated[options, Parameter(name="*")]}
    return copy
