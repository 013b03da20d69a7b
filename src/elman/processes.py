"""Run the same work in several processes of one machine; forward their lines, and raise their errors here.

Each process has a pipe of its own. With a shared one, a process that is killed could leave a lock that the others wait
for. If the parent process has ended, a child ends when it next reports a line.
"""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import NoReturn

from elman.errors import ElmanError, Interrupted
from elman.progress import Report


def run_in_processes(count: int, work: Callable[[Report], None], report: Report, remedy: str) -> None:
    """Call ``work`` in ``count`` new processes, and wait for them.

    Parameters
    ----------
    count
        Number of processes.
    work
        Function that each process calls, with a function to report lines with; it must be picklable.
    report
        Function that is called here with the lines of all processes.
    remedy
        What the user can do after an interruption, for the error message.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM, which is forwarded to the processes.
    Exception
        The error of one of the processes, with its traceback in a note.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    processes: list[BaseProcess] = []
    connections: list[Connection] = []
    try:
        for _ in range(count):
            receiver, sender = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(target=_call, args=(work, sender, remedy))
            process.start()
            sender.close()
            processes.append(process)
            connections.append(receiver)
        failures = _forward_lines(connections, report, remedy)
    except BaseException as error:
        for process in processes:
            process.terminate()  # sends SIGTERM, after which they save their state
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("Stopped; the state is kept.", remedy) from error
        raise
    finally:
        for process in processes:
            process.join()
        for connection in connections:
            connection.close()
    for failure in failures:
        raise failure


def _forward_lines(connections: list[Connection], report: Report, remedy: str) -> list[Exception]:
    """Report the lines of all processes until these have ended; return their errors."""
    failures: list[Exception] = []
    active = list(connections)
    while active:
        for connection in wait(active):
            assert isinstance(connection, Connection)  # only connections were passed
            try:
                line, failure = connection.recv()
            except EOFError:
                line, failure = None, ElmanError("One of the processes was killed.", remedy)
            if line is not None:
                report(line)
            else:
                active.remove(connection)
                failures += [failure] if failure else []
    return failures


def _call(work: Callable[[Report], None], to_parent: Connection, remedy: str) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    failure: Exception | None = None
    # Progress bars of several processes would overwrite each other.
    with Path(os.devnull).open("w", encoding="utf-8") as devnull, redirect_stderr(devnull):
        try:
            work(lambda line: to_parent.send((line, None)))
        except KeyboardInterrupt:
            failure = Interrupted("Interrupted.", remedy)
        except Exception as error:  # any error is raised in the parent
            failure = _picklable(error)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the process is ending already
        with suppress(OSError):  # the parent may have ended
            to_parent.send((None, failure))


def _picklable(error: Exception) -> Exception:
    """Return the error, or a RuntimeError if it cannot be pickled, with the traceback in a note."""
    note = f"In another process:\n{traceback.format_exc()}"
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # pickling can fail with any error
        copy = RuntimeError(str(error))
    copy.add_note(note)
    return copy


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (the signature of a signal handler)
    raise KeyboardInterrupt
