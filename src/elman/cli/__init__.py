"""The command: parse the arguments, build the configuration, call one function, print what it returns."""

import errno
import io
import signal
import sys
import threading
from contextlib import suppress
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

import cyclopts
from rich.console import Console
from rich.markup import escape

from elman.cli import data, evaluate, language_models, languages, runs, studies, train, tune
from elman.cli.apps import app
from elman.cli.help import show_help_of_data
from elman.environment import set_openmp_defaults
from elman.errors import ElmanError, Interrupted, is_out_of_memory, reason

__all__ = ["app", "data", "evaluate", "language_models", "languages", "main", "runs", "studies", "train", "tune"]

SMALLER = "Use a lower --tokens-per-batch, or a smaller model."


def main() -> None:
    """Run the command. A failure prints one sentence on what is wrong and one on what to do, without a traceback."""
    set_openmp_defaults()  # before anything imports torch
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)  # a request to end is treated like Ctrl-C
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals without Unicode
    arguments = sys.argv[1:]
    try:
        if not show_help_of_data(arguments):
            app(arguments, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        command = " ".join(["elman", *(error.command_chain or ())])
        _fail(_usage_problem(error), f"See: {command} --help", ElmanError.exit_code)
    except ElmanError as error:
        _fail(error.problem, error.remedy, error.exit_code)
    except KeyboardInterrupt:
        _fail("Interrupted.", "Give the same command again.", Interrupted.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the program that read the output has ended, so no message would be read
        sys.exit(ElmanError.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {reason(error)}.", _remedy(error), ElmanError.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail("There is not enough memory.", SMALLER, ElmanError.exit_code)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (the signature of a handler)
    raise KeyboardInterrupt


def _usage_problem(error: cyclopts.CycloptsError) -> str:
    """Return what is wrong with the arguments, in plain English."""
    error.verbose = False
    match error:
        case cyclopts.UnknownCommandError(app=cyclopts.App() as group, unused_tokens=[name, *_]):
            commands = sorted(command for command in group if not command.startswith("-"))
            nearest = get_close_matches(name, commands, n=1)
            suggestion = f" Did you mean {nearest[0]}?" if nearest else ""
            return f"There is no command {name!r}.{suggestion} The commands are: {', '.join(commands)}."
        case cyclopts.CoercionError(token=cyclopts.Token() as token, target_type=kind) if kind in VALUES:
            return f"{_option(error)} takes {VALUES[kind]}, not {token.value!r}."
        case cyclopts.MissingArgumentError():
            return f"{error.keyword} needs a value." if error.keyword else f"{_option(error)} is missing."
        case cyclopts.UnusedCliTokensError(unused_tokens=[*words]):
            return f"There are too many arguments: {' '.join(words)}."
    return str(error)


VALUES: dict[Any, str] = {
    int: "a whole number",
    int | None: "a whole number",
    float: "a number",
    float | None: "a number",
    bool: "true or false",
}
"""What an option of each type takes."""


def _option(error: cyclopts.CycloptsError) -> str:
    """Return the option that an error is about, as it was written, or the name of the argument."""
    token = getattr(error, "token", None)
    if token is not None and token.keyword:
        return str(token.keyword)
    return error.argument.name.lstrip("-").upper() if error.argument is not None else "The argument"


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some disk space. No half-written file was left; --resume continues an interrupted training."
    return "Check the path and its permissions."


def _fail(problem: str, remedy: str, code: int) -> NoReturn:
    """Print an error and exit. Lines are not wrapped, so that a command in them can be copied."""
    with suppress(OSError):  # standard error may be closed
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[bold red]elman:[/bold red] {escape(problem)}\n{escape(remedy)}", highlight=False)
    sys.exit(code)
