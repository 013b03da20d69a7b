"""Handle Ctrl-C at the next suitable moment, instead of in the middle of a write."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ONE_PRESS_SECONDS = 1.0
"""Signals closer together than this count as one: a terminal and a wrapper may both forward the same Ctrl-C."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; a second Ctrl-C ends the process at once.

    SIGTERM counts as Ctrl-C. Outside the main thread, signals cannot be handled, and the event is never set.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    first_time = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first_time
        if interrupted.is_set():
            if time.monotonic() - first_time > ONE_PRESS_SECONDS:
                signal.default_int_handler(number, frame)
            return
        first_time = time.monotonic()
        interrupted.set()
        with suppress(OSError):  # standard error may be a pipe to a process that Ctrl-C has ended
            os.write(2, b"\nStopping after this batch. Press Ctrl-C again to stop at once.\n")  # print is not reentrant

    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
