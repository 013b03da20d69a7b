"""Declare a search: what is fixed, what is searched, where it is kept, and how much may be spent on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from elman.config import RunConfig
from elman.errors import ConfigError
from elman.tuning.space import Space, check, fixed_values

Direction = Literal["maximize", "minimize"]
METRICS: dict[str, tuple[str, Direction]] = {
    "classification": ("val_accuracy", "maximize"),
    "language-model": ("val_cross_entropy_nats", "minimize"),
}
CONTINUE = "Use the same elman tune to continue."

MAY_DIFFER = {"data.imdb", "loop.threads", "loop.accelerator"}
"""Fields that may differ between the machines of a search: the path of the data, whose checksum is compared, and the
device. A trial that is continued keeps its own values.
"""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search and its budget.

    Attributes
    ----------
    config
        The configuration of all trials, apart from the fields in ``space``.
    space
        The domain of each field that is searched.
    directory
        The folder of the trials.
    trials
        Total number of trials, including those of earlier calls and of other processes.
    hours
        Stop beginning trials when all together have taken this long, summed over processes and calls; None sets no
        limit.
    storage
        ``postgresql://…`` if several machines share the search; None for SQLite in ``directory``.
    processes
        Number of processes on this machine.
    log
        The path of the log; None for ``results.json`` in ``directory``.
    """

    config: RunConfig
    space: Space
    directory: Path
    trials: int = 20
    hours: float | None = None
    storage: str | None = None
    processes: int = 1
    log: Path | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} must be 1 or more, not {getattr(self, name)}.", "Use another value.")
        if self.hours is not None and not 0 < self.hours < float("inf"):
            raise ConfigError(f"--hours must be positive, not {self.hours}.", "Use another value.")
        if self.config.data.task not in METRICS:
            raise ConfigError(
                "A search cannot compare pretrainings; only the classifiers that start from them can be compared.",
                "Use --pretrain-epochs instead of --task pretraining.",
            )
        check(self.space, self.config)

    @property
    def metric(self) -> str:
        """The validation metric that trials are compared by."""
        return METRICS[self.config.data.task][0]

    @property
    def direction(self) -> Direction:
        """Whether a larger or a smaller metric is better."""
        return METRICS[self.config.data.task][1]

    @property
    def log_path(self) -> Path:
        """The path of the log."""
        return self.log or self.directory / "results.json"

    def trial_path(self, number: int) -> Path:
        """Return the run directory of a trial."""
        return self.directory / f"trial-{number:04d}"

    def lock(self) -> FileLock:
        """Return the lock under which processes of this machine claim trials and write the log."""
        return FileLock(self.directory / ".turn.lock")

    def identity(self, fingerprint: str) -> dict[str, Any]:
        """Return the settings that must be equal to continue the search, for data with this fingerprint."""
        fixed = {name: value for name, value in fixed_values(self.config, self.space).items() if name not in MAY_DIFFER}
        searched = {f"{name} (searched)": str(domain) for name, domain in self.space.items()}
        return {"checksum of the data": fingerprint, **fixed, **searched}
