"""Ctrl-C as a wish that is met at the next good moment, not in the middle of a write."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ONE_PRESS_SECONDS = 1.0
"""A terminal and a wrapper may both pass one Ctrl-C on; signals so close together are one."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; a second one ends the process at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread may handle signals
        return

    first = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if interrupted.is_set():
            if time.monotonic() - first > ONE_PRESS_SECONDS:
                signal.default_int_handler(number, frame)
            return
        first = time.monotonic()
        interrupted.set()
        with suppress(OSError):  # standard error may be a pipe to a process that the same Ctrl-C has ended
            os.write(2, b"\nstopping after this batch; once more stops at once\n")  # print cannot be called in a print

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
