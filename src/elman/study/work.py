"""What a step is given to work with: its options, its data, what it needs of earlier steps, a place for its runs."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elman.config import DataConfig, RunConfig, with_seed
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError
from elman.files import read_json, write_json
from elman.machine import machine
from elman.pretraining import pretrain
from elman.progress import Report
from elman.runs import Run
from elman.training import train

Measure = Callable[["Work"], dict[str, Any]]
"""What a kind of step does: from the work to its figures."""


class Datasets:
    """Opens data, and keeps the last one open: steps beside each other mostly read the same."""

    def __init__(self) -> None:
        self._last: tuple[DataConfig, Dataset] | None = None

    def open(self, config: DataConfig) -> Dataset:
        """Open what ``config`` names."""
        if self._last is None or self._last[0] != config:
            self._last = config, open_dataset(config)
        return self._last[1]


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """What a step does follows from its configuration, or from the steps that it needs."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """How often a model is trained."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """A run for each."""
    processes: int = 1
    """That train beside each other, each on one thread unless the configuration says otherwise."""

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        check_positive("processes", [self.processes])


@dataclass(frozen=True)
class Work:
    """A step that is to be done.

    Attributes
    ----------
    name
        The step's.
    options
        Those of its kind.
    configuration
        Of its runs; None where its kind has none.
    needs
        The results of the steps that it needs, by name.
    directory
        The study's.
    report
        What to do with the lines that say how it goes.
    datasets
        Opens data.
    source
        The step among the needs whose configuration was taken; "" where none was.
    unit
        A digest of all that the figures of one seed follow from, but the seed.
    """

    name: str
    options: Any
    configuration: RunConfig | None
    needs: dict[str, dict[str, Any]]
    directory: Path
    report: Report
    datasets: Datasets = field(default_factory=Datasets)
    unit: str = ""
    source: str = ""
    earlier: list[float] = field(default_factory=list)
    """Seconds that seeds and trials took which were done in an earlier sitting."""

    @property
    def config(self) -> RunConfig:
        """The configuration of its runs."""
        assert self.configuration is not None  # asked by kinds that have one
        return self.configuration

    def dataset(self) -> Dataset:
        """Open the step's data."""
        return self.datasets.open(self.config.data)

    def seed_by_seed(self, measure: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the figures of each seed, ready for JSON.

        They are kept in ``results/STEP/seed-SEED.json`` as they come, with the time and the machine; what is there is
        not measured again, whichever other seeds there are. So whatever happens costs one seed at most.
        """
        return [self._seed(seed, measure) for seed in self.options.seeds]

    def seed_path(self, seed: int, ending: str = "json") -> Path:
        """Where what is kept of a seed is."""
        return self.directory / "results" / self.name / f"seed-{seed}.{ending}"

    def kept(self, seed: int) -> dict[str, Any] | None:
        """Return what is kept of a seed, if it is there, of this unit and data, and its probabilities lie beside it."""
        try:
            found: dict[str, Any] = read_json(self.seed_path(seed))
            figures, _ = found["figures"], found["seconds"]
            whole = "probabilities" not in figures or figures["probabilities"] == sha256(self.seed_path(seed, "npy"))
            same = (found["unit"], found["data"]) == (self.unit, self._checksum())
            return found if whole and same else None
        except (DataError, OSError, KeyError, TypeError):
            return None  # it is not there, or was torn

    def _seed(self, seed: int, measure: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        path, kept = self.seed_path(seed), self.kept(seed)
        if kept is not None:
            self.earlier.append(kept["seconds"])
            self.report(f"done already: seed {seed}, {path}")
            figures: dict[str, Any] = kept["figures"]
            return figures
        started = time.monotonic()
        figures = measure(seed)
        spent = time.monotonic() - started
        kept = {"unit": self.unit, "data": self._checksum(), "seconds": spent, "machine": machine(), "figures": figures}
        write_json(path, kept)
        return figures

    def _checksum(self) -> str:
        return self.dataset().fingerprint

    def trained(self, seed: int, config: RunConfig | None = None, dataset: Dataset | None = None) -> Run:
        """Return a finished run of that seed; what is trained already, and has its weights, is not trained again.

        ``config`` and ``dataset`` stand in for the step's own.
        """
        config, dataset = with_seed(config or self.config, seed), dataset or self.dataset()
        path = self.directory / "runs" / f"{self.name}-{_digest(config, dataset)}"
        if (path / "config.toml").exists() and not (path / "vocab.json").exists():
            shutil.rmtree(path)  # its weights were dropped
        run = Run(path) if (path / "config.toml").exists() else Run.create(path, config, dataset)
        several = f" (seed {seed})" if len(self.options.seeds) > 1 else ""
        self.report(f"{'trained already' if run.finished else 'training'}: {path}{several}")
        train(run, dataset, self.report, start=pretrain(run.config, dataset, self.report))
        return run


def sha256(path: Path) -> str:
    """Return the digest of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identity(dataset: Dataset) -> dict[str, Any]:
    """Return which data it was, and how many sequences each split has."""
    return {
        "name": dataset.name,
        "level": dataset.level,
        "checksum": dataset.checksum,
        "vocab_size": len(dataset.vocab),
        **({"held_out": dataset.held_out} if dataset.held_out else {}),
        "sequences": {name: len(part) for name, part in dataset.splits.items()},
    }


def texts_of(figures: dict[str, Any]) -> tuple[str, str, str | None]:
    """Return what two steps share that measured on the same texts in the same order (they lie by lengths in tokens).

    Parameters
    ----------
    figures
        With the :func:`identity` of their ``data``.
    """
    return figures["data"]["checksum"], figures["data"]["level"], figures["data"].get("held_out")


def check_seeds(seeds: list[int]) -> None:
    """Refuse seeds of which a mean over runs cannot be made.

    Raises
    ------
    ConfigError
        There is none, one is negative, or one stands twice.
    """
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"The seeds cannot be {seeds}.", "Give one or more, each once, such as [0, 1, 2].")


def check_some(name: str, values: Sequence[float]) -> None:
    """Refuse a list that is empty, or holds a number that is not above zero.

    Raises
    ------
    ConfigError
        It is, or does.
    """
    if not values:
        raise ConfigError(f"{name} cannot be empty.", "Give one number or more.")
    check_positive(name, values)


def check_positive(name: str, values: Sequence[float]) -> None:
    """Refuse a number that is not above zero.

    Raises
    ------
    ConfigError
        One is not.
    """
    if any(not value > 0 for value in values):
        raise ConfigError(f"{name} cannot be {list(values)}.", "Give numbers above zero.")


def _digest(config: RunConfig, dataset: Dataset) -> str:
    return hashlib.sha256(f"{config.to_toml()}{dataset.fingerprint}".encode()).hexdigest()[:8]
