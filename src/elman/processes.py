"""The same work in several processes of one machine: what they say is passed on, what they meet is raised.

Each has a pipe of its own, so that one which is killed leaves no lock behind that the others wait for. If the process
that began them is gone, the next line that one of them says ends it.
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


def beside_each_other(count: int, work: Callable[[Report], None], report: Report, remedy: str) -> None:
    """Do ``work`` in so many processes, and wait for them.

    Parameters
    ----------
    work
        What each does, given what to do with its lines; it must be picklable.
    report
        What to do here with the lines of all.
    remedy
        What to do after an interruption.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end, which the processes are told too.
    Exception
        What one of them met, its traceback there in a note.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process that has threads may hang
    processes: list[BaseProcess] = []
    heard: list[Connection] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe(duplex=False)
            made = context.Process(target=_work, args=(work, theirs, remedy))
            made.start()
            theirs.close()
            processes.append(made)
            heard.append(ours)
        failures = _listen(heard, report, remedy)
    except BaseException as stop:
        for process in processes:
            process.terminate()  # to them, a request to end in good order
        if isinstance(stop, KeyboardInterrupt):
            raise Interrupted("Stopped; the state is kept.", remedy) from stop
        raise
    finally:
        for process in processes:
            process.join()
        for connection in heard:
            connection.close()
    for failure in failures:
        raise failure


def _listen(heard: list[Connection], report: Report, remedy: str) -> list[Exception]:
    """Report what the processes say until all have ended; return what went wrong."""
    failures: list[Exception] = []
    left = list(heard)
    while left:
        for connection in wait(left):
            assert isinstance(connection, Connection)  # only such were waited for
            try:
                line, failure = connection.recv()
            except EOFError:
                line, failure = None, ElmanError("One of the processes was killed.", remedy)
            if line is not None:
                report(line)
            else:
                left.remove(connection)
                failures += [failure] if failure else []
    return failures


def _work(work: Callable[[Report], None], to_parent: Connection, remedy: str) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    failure: Exception | None = None
    # Bars of several processes would overwrite each other.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        try:
            work(lambda line: to_parent.send((line, None)))
        except KeyboardInterrupt:
            failure = Interrupted("Interrupted.", remedy)
        except Exception as error:  # whatever it is, the other process raises it
            failure = _to_be_sent(error)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it is ending
        with suppress(OSError):  # nobody listens any more
            to_parent.send((None, failure))


def _to_be_sent(error: Exception) -> Exception:
    """Return the error with its traceback in a note; in another's place, where it cannot be sent."""
    note = f"In a process of its own:\n{traceback.format_exc()}"
    try:
        sent: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # of any kind: what pickles badly fails in any way
        sent = RuntimeError(str(error))
    sent.add_note(note)
    return sent


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (what a handler is given)
    raise KeyboardInterrupt
