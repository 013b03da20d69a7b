"""Progress of long work: how much is done, how fast, and how long the rest will take.

On a terminal it is a moving bar; elsewhere (a log file, CI) a line after two seconds and then every half minute. It is
written to standard error, so that standard output holds only results. ``ELMAN_PROGRESS=off`` switches it off.
"""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

Report = Callable[[str], None]
"""A function that takes a line on how the work is going."""

SWITCH = "ELMAN_PROGRESS"
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BEFORE_FIRST_LINE = 2.0
SECONDS_BEFORE_ESTIMATE = 5.0
SHARE_BEFORE_ESTIMATE = 0.02
"""Below this share of the work, and before these seconds, the speed is too uncertain to estimate the remaining time."""


def switch_off() -> None:
    """Show no progress in this process and in those that it starts."""
    os.environ[SWITCH] = "off"


class Meter:
    """Progress towards a known total.

    Parameters
    ----------
    description
        The work: "epoch 2/4".
    total
        The number of units.
    unit
        The name of a unit, in the plural: "tokens". The speed is shown in units per second.
    """

    def __init__(self, description: str, total: int, unit: str) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = 0
        self.figures = ""
        self._is_on = os.environ.get(SWITCH) != "off"
        self._started = time.monotonic()
        self._next_line = self._started + SECONDS_BEFORE_FIRST_LINE
        self._bar = _bar() if self._is_on and sys.stderr.isatty() else None

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
        """Count ``units`` as done, and show ``figures`` (a name and a number each)."""
        self.done += units
        if not self._is_on:
            return
        named = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()]
        self.figures = "  ".join([*named, f"{self.speed:,.0f} {self.unit}/s", *self._remaining()])
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, figures=self.figures)
        elif time.monotonic() >= self._next_line and self.done < self.total:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            print(f"{self.description}  {self.done / self.total:4.0%}  {self.figures}", file=sys.stderr, flush=True)

    @property
    def speed(self) -> float:
        """Units per second since the start."""
        return self.done / self._elapsed

    @property
    def _elapsed(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)

    def _remaining(self) -> list[str]:
        is_early = self._elapsed < SECONDS_BEFORE_ESTIMATE and self.done < SHARE_BEFORE_ESTIMATE * self.total
        if is_early or not self.done or self.done >= self.total:
            return []
        return [f"{seconds((self.total - self.done) / self.speed)} left"]


def seconds(duration: float) -> str:
    """Return a duration in seconds as a person writes it: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
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
        console=Console(stderr=True),
        transient=True,
    )
