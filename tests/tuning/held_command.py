"""Run the elman command, with every process held at chosen lines of its trials' reports until a signal arrives.

The environment variable ELMAN_TEST_HOLD_AT lists the beginnings of these lines, separated by commas. So a test can
interrupt or kill a process in the middle of a trial, however fast the machine is. SIGUSR1 only ends the hold.
"""

import os
import signal
from typing import Any

from elman.progress import Report
from elman.tuning import search


def hold_trials(beginnings: list[str]) -> None:
    run_trial = search.run_trial
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)  # so that a signal just before the wait ends it too
    signal.signal(signal.SIGUSR1, lambda *_: None)

    def run_held_trial(*arguments: Any) -> None:
        report: Report = arguments[-1]

        def report_and_hold(line: str) -> None:
            report(line)
            if line.startswith(tuple(beginnings)):
                os.read(reader, 1)
                beginnings.clear()  # hold a process only once

        run_trial(*arguments[:-1], report_and_hold)

    search.run_trial = run_held_trial


if __name__ in ("__main__", "__mp_main__") and os.environ["ELMAN_TEST_HOLD_AT"]:  # the latter in worker processes
    hold_trials(os.environ["ELMAN_TEST_HOLD_AT"].split(","))

if __name__ == "__main__":
    from elman.cli import main

    main()
