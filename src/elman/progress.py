"""How far, how fast, how long still: shown for anything that takes more than two seconds.

On a terminal a bar that moves; elsewhere (a log file, CI) a line now and then. It writes to standard error, so that
standard output holds results alone.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Report = Callable[[str], None]
"""What to do with a line that says how it goes."""

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BEFORE_FIRST_LINE = 2.0


class Meter:
    """Progress towards a known total.

    Parameters
    ----------
    description
        What is being done: "epoch 2/4".
    total
        How many units there are in all.
    unit
        What is counted, in the plural: "tokens". The speed is shown in these a second.
    """

    def __init__(self, description: str, total: int, unit: str) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = 0
        self.figures = ""
        self._started = time.monotonic()
        self._next_line = self._started + SECONDS_BEFORE_FIRST_LINE
        self._bar = _bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.description, total=self.total, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, units: int, **figures: float) -> None:
        """Count ``units`` as done; show ``figures`` (a name and a number each) beside them."""
        self.done += units
        shown = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()]
        self.figures = "  ".join([*shown, f"{self.speed:,.0f} {self.unit}/s"])
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, figures=self.figures)
        elif time.monotonic() >= self._next_line and self.done < self.total:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            print(self._line(), file=sys.stderr, flush=True)

    @property
    def speed(self) -> float:
        """Units a second since the start."""
        return self.done / max(time.monotonic() - self._started, 1e-9)

    def _line(self) -> str:
        left = f"{seconds((self.total - self.done) / self.speed)} left" if self.done else "no end in sight yet"
        return f"{self.description}  {self.done / self.total:4.0%}  {self.figures}  {left}"


def seconds(duration: float) -> str:
    """Write a duration in seconds as a person would: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if duration < 9.95:
        return f"{duration:.1f} s"
    whole = round(duration)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
