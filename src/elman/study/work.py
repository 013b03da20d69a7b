"""What a kind of step works with: its options, its data, the results that it needs, and a place for its runs."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from elman.config import DataConfig, RunConfig, with_seed
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError
from elman.files import read_json, write_json
from elman.machine import machine
from elman.pretraining import start_of
from elman.progress import Report
from elman.runs import Run
from elman.training import train

Figures = dict[str, Any]
"""What a step measured, ready for JSON."""

OptionsT_co = TypeVar("OptionsT_co", covariant=True)


class Datasets:
    """Opens data and keeps the last dataset open, because consecutive steps mostly read the same one."""

    def __init__(self) -> None:
        self._last: tuple[DataConfig, Dataset] | None = None

    def open(self, config: DataConfig) -> Dataset:
        """Open the data that ``config`` names."""
        if self._last is None or self._last[0] != config:
            self._last = config, open_dataset(config)
        return self._last[1]


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a step that follows from its configuration, or from the steps that it needs."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """How often a model is trained."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """One run for each seed."""
    processes: int = 1
    """Runs that train at the same time, each on one thread unless the configuration sets ``threads``."""

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        check_positive("processes", [self.processes])


@dataclass(frozen=True)
class Work(Generic[OptionsT_co]):
    """A step that is to be done.

    Attributes
    ----------
    name
        The name of the step.
    options
        The options of its kind.
    configuration
        The configuration of its runs; None if its kind has none.
    needs
        The results of the steps that it needs, by name.
    directory
        The directory of the study.
    report
        Called with each line of progress.
    datasets
        Opens data.
    unit
        A digest of everything that the figures of one seed depend on, except the seed.
    source
        The needed step whose configuration this step takes; "" if there is none.
    """

    name: str
    options: OptionsT_co
    configuration: RunConfig | None
    needs: dict[str, Figures]
    directory: Path
    report: Report
    datasets: Datasets = field(default_factory=Datasets)
    unit: str = ""
    source: str = ""
    earlier_seconds: list[float] = field(default_factory=list)
    """The durations of seeds and trials that an earlier call finished."""

    @property
    def config(self) -> RunConfig:
        """The configuration of its runs."""
        assert self.configuration is not None  # only kinds with a configuration ask for it
        return self.configuration

    def dataset(self) -> Dataset:
        """Open the data of the step."""
        return self.datasets.open(self.config.data)

    def seed_by_seed(self: "Work[SeedOptions]", measure: Callable[[int], Figures]) -> list[Figures]:
        """Return the figures of each seed, ready for JSON.

        Each seed is saved in ``results/STEP/seed-SEED.json`` as soon as it is measured, with its duration and the
        machine. A saved seed is not measured again, so an interruption costs at most one seed.
        """
        return [self._seed(seed, measure) for seed in self.options.seeds]

    def seed_path(self, seed: int, ending: str = "json") -> Path:
        """Return the path of a file that holds results of one seed."""
        return self.directory / "results" / self.name / f"seed-{seed}.{ending}"

    def saved_seed(self, seed: int) -> Figures | None:
        """Return the saved result of a seed, if it is complete and of this configuration and this data."""
        try:
            saved: Figures = read_json(self.seed_path(seed))
            figures, _ = saved["figures"], saved["seconds"]
            complete = "probabilities" not in figures or figures["probabilities"] == sha256(self.seed_path(seed, "npy"))
            same = (saved["unit"], saved["data"]) == (self.unit, self.dataset().fingerprint)
            return saved if complete and same else None
        except (DataError, OSError, KeyError, TypeError):
            return None  # the file is missing or damaged

    def _seed(self, seed: int, measure: Callable[[int], Figures]) -> Figures:
        path, saved = self.seed_path(seed), self.saved_seed(seed)
        if saved is not None:
            self.earlier_seconds.append(saved["seconds"])
            self.report(f"done already: seed {seed}, {path}")
            figures: Figures = saved["figures"]
            return figures
        started = time.monotonic()
        figures = measure(seed)
        result = {"unit": self.unit, "data": self.dataset().fingerprint, "seconds": time.monotonic() - started}
        write_json(path, {**result, "machine": machine(), "figures": figures})
        return figures

    def trained(
        self: "Work[SeedOptions]", seed: int, config: RunConfig | None = None, dataset: Dataset | None = None
    ) -> Run:
        """Return a finished run of that seed; a finished run that still has its weights is not trained again.

        ``config`` and ``dataset`` replace those of the step.
        """
        config, dataset = with_seed(config or self.config, seed), dataset or self.dataset()
        path = self.directory / "runs" / f"{self.name}-{_digest(config, dataset)}"
        if (path / "config.toml").exists() and not (path / "vocab.json").exists():
            shutil.rmtree(path)  # its weights were dropped
        run = Run(path) if (path / "config.toml").exists() else Run.create(path, config, dataset)
        seed_of_several = f" (seed {seed})" if len(self.options.seeds) > 1 else ""
        self.report(f"{'trained already' if run.finished else 'training'}: {path}{seed_of_several}")
        train(run, dataset, self.report, start=start_of(run, dataset, self.report))
        return run


Measure = Callable[[Work[Any]], Figures]
"""The function of a kind of step: it does the work and returns the figures."""


def sha256(path: Path) -> str:
    """Return the digest of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identity(dataset: Dataset) -> Figures:
    """Return what identifies the data, and the number of sequences in each split."""
    return {
        "name": dataset.name,
        "level": dataset.level,
        "checksum": dataset.checksum,
        "vocab_size": len(dataset.vocab),
        **({"held_out": dataset.held_out} if dataset.held_out else {}),
        "sequences": {name: len(part) for name, part in dataset.splits.items()},
    }


def texts_of(figures: Figures) -> tuple[str, str, str | None]:
    """Return a value that is equal for two steps if they measured the same texts in the same order.

    The level is part of it, because texts are ordered by their length in tokens.

    Parameters
    ----------
    figures
        With the :func:`identity` of their ``data``.
    """
    return figures["data"]["checksum"], figures["data"]["level"], figures["data"].get("held_out")


def check_seeds(seeds: list[int]) -> None:
    """Refuse seeds that no mean over runs can be taken of.

    Raises
    ------
    ConfigError
        The list is empty, or holds a negative or a repeated seed.
    """
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"The seeds cannot be {seeds}.", "Use one or more different seeds, such as [0, 1, 2].")


def check_not_empty(name: str, values: Sequence[float]) -> None:
    """Refuse an empty list, and a number in it that is not above zero.

    Raises
    ------
    ConfigError
        The list is refused.
    """
    if not values:
        raise ConfigError(f"{name} cannot be empty.", "Use one or more numbers.")
    check_positive(name, values)


def check_positive(name: str, values: Sequence[float]) -> None:
    """Refuse a number that is not above zero.

    Raises
    ------
    ConfigError
        One of them is not above zero.
    """
    if any(not value > 0 for value in values):
        raise ConfigError(f"{name} cannot be {list(values)}.", "Use numbers above zero.")


def _digest(config: RunConfig, dataset: Dataset) -> str:
    return hashlib.sha256(f"{config.to_toml()}{dataset.fingerprint}".encode()).hexdigest()[:8]
