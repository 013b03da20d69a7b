"""The command: parse, build the configuration, call one function, print what it returns."""

import errno
import io
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import cyclopts
from rich.console import Console
from rich.markup import escape

from elman.cli import data, language_models, languages, runs, studies, training
from elman.cli.apps import app
from elman.environment import set_openmp_defaults
from elman.errors import ElmanError, Interrupted, is_out_of_memory

__all__ = ["app", "data", "language_models", "languages", "main", "runs", "studies", "training"]

USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

SMALLER = "Take fewer --tokens-per-batch, or a smaller model."


def main() -> None:
    """Run the command; a failure is one sentence on what is wrong and one on what to do, without a traceback."""
    set_openmp_defaults()  # before anything imports torch
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)  # a request to end is met as Ctrl-C is
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no é
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _fail(f"{error}", "See elman --help.", USAGE_ERROR)
    except Interrupted as stop:
        _fail(stop.problem, stop.remedy, INTERRUPTED)
    except ElmanError as error:
        _fail(error.problem, error.remedy, USAGE_ERROR)
    except KeyboardInterrupt:
        _fail("Interrupted.", "Give the same command again.", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone; there is nobody to tell
        sys.exit(USAGE_ERROR)
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {error.strerror or error}.", _remedy(error), USAGE_ERROR)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail("There is not enough memory.", SMALLER, USAGE_ERROR)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (what a handler is given)
    raise KeyboardInterrupt


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room on the disk; nothing half-written was left, and a training continues with --resume."
    return "Check the path and its permissions."


def _fail(problem: str, remedy: str, code: int) -> NoReturn:
    with suppress(OSError):  # whoever read it may be gone
        Console(stderr=True).print(f"[bold red]elman:[/bold red] {escape(problem)}\n{escape(remedy)}", highlight=False)
    sys.exit(code)
