"""The run directory: the one bridge between what trains and what reads.

RUN/config.toml            every knob
    data.json              which data, by checksum
    vocab.json             token ↔ id
    language/NAME.toml     the file of a language of one's own, as it was
    weights.safetensors    the best weights so far; the model
    metrics.jsonl          a line for every logged step and every epoch
    tensorboard/           the same as curves
    checkpoints/           the state to resume from, while the run is not finished
    results/NAME.json      training.json once it is finished; evaluations
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from elman.config import DataConfig, Level, RunConfig, read_config
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, RunError
from elman.files import append_line, locked_directory, new_directory, read_json, write_json, write_text
from elman.languages import own_file
from elman.text.vocab import Vocab

LANGUAGE = "language"
"""The folder of a language's own file."""


class Run:
    """A run directory that exists.

    Parameters
    ----------
    path
        Its folder.

    Raises
    ------
    RunError
        It is not a run directory, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "config.toml").is_file():
            raise RunError(
                f"{path} is not a run directory: it has no config.toml.", "Name a folder made by elman train."
            )
        try:
            self.config = read_config(path / "config.toml")
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            raise RunError(
                f"{path} cannot be read as a run ({error})", "Use the version that wrote it, or train anew."
            ) from error
        self.path = path

    @classmethod
    def create(cls, path: Path, config: RunConfig, dataset: Dataset) -> "Run":
        """Make a run directory.

        Raises
        ------
        RunError
            There is something at ``path`` already.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            continued = f", or continue it: elman train --resume {path}" if (path / "config.toml").is_file() else ""
            raise RunError(f"{path} exists already.", f"Choose another --run{continued}.")
        if path.is_symlink() or path.is_mount():  # which nothing can be renamed to
            raise RunError(f"{path} is a link or the root of a disk.", f"Name a folder in it: --run {path / 'run'}")
        identity = {
            "name": dataset.name,
            "level": dataset.level,
            "checksum": dataset.fingerprint,
            "source": dataset.source,
        }
        with new_directory(path) as partial:
            write_json(partial / "data.json", identity | {"class_names": list(dataset.class_names)})
            dataset.vocab.save(partial / "vocab.json")
            write_text(partial / "config.toml", config.to_toml())
            keep_language(partial, config.data.name)
            made = partial.stat().st_ino
        if path.stat().st_ino != made:
            raise RunError(f"Another process has just made {path}.", "Choose another --run.")
        return cls(path)

    def drop_if_untrained(self) -> None:
        """Remove the directory if no training has left anything in it: what it was made for could not begin."""
        if not (self.weights_path.exists() or self.checkpoints.exists() or self.metrics()):
            shutil.rmtree(self.path)

    def keep_figures_alone(self) -> None:
        """Remove weights, states, vocabulary and curves: what is left is the configuration and the metrics."""
        for folder in (self.checkpoints, self.path / "tensorboard"):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (self.weights_path, self.path / "vocab.json"):
            path.unlink(missing_ok=True)

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return self.result_path("training").exists()

    @property
    def weights_path(self) -> Path:
        """The best weights so far."""
        return self.path / "weights.safetensors"

    @property
    def checkpoints(self) -> Path:
        """The folder of states to resume from."""
        return self.path / "checkpoints"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label."""
        return tuple(self._about_data("class_names"))

    @property
    def level(self) -> Level:
        """What a token is."""
        level: Level = self._about_data("level")
        return level

    @property
    def checksum(self) -> str:
        """The fingerprint of the data."""
        checksum: str = self._about_data("checksum")
        return checksum

    @property
    def data_config(self) -> DataConfig:
        """The configuration of the data, where they are now.

        A language's own file is the one that was kept when the run was made. IMDb whose archive has moved since is
        looked for as if none had been named; its checksum will tell whether it is the same.
        """
        data = self.config.data
        if kept := kept_language(self.path, data.name):
            return replace(data, name=str(kept))
        return replace(data, imdb=None) if data.imdb and not Path(data.imdb).exists() else data

    @property
    def language_file(self) -> str | None:
        """What stood in the file of a language of one's own; None for all other data."""
        own = own_file(self.data_config.name)
        return own.read_text(encoding="utf-8") if own and own.is_file() else None

    def _about_data(self, name: str) -> Any:
        path = self.path / "data.json"
        try:
            return read_json(path)[name]
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged: it holds no {name}.", "Train the run anew.") from error

    def vocab(self) -> Vocab:
        """The tokens that the model knows.

        Raises
        ------
        RunError
            They were dropped, as those of a finished trial are.
        """
        if not (self.path / "vocab.json").exists():
            if self.weights_path.exists():
                raise RunError(f"{self.path} has lost its vocab.json.", f"Put it back, or train anew: {self._anew}")
            raise RunError(
                f"{self.path} keeps its configuration and its metrics alone, as a finished trial does.",
                "Train that configuration anew: elman tune prints the command for the best one.",
            )
        return Vocab.load(self.path / "vocab.json")

    def open_dataset(self) -> Dataset:
        """Open the data that the run was trained on.

        Raises
        ------
        RunError
            What is found under its name now is other data.
        """
        dataset = open_dataset(self.data_config)
        self.check(dataset)
        return dataset

    def check(self, dataset: Dataset) -> None:
        """Refuse data that the run was not made for.

        Raises
        ------
        RunError
            It is other data.
        """
        if dataset.fingerprint != self.checksum or dataset.vocab.tokens != self.vocab().tokens:
            if dataset.language is not None:
                raise RunError(f"{self.path} was trained on other strings of {dataset.name}.", "Train anew.")
            raise RunError(
                f"{self.path} was trained on other data than {dataset.source} holds now.",
                "Name that data by --imdb or ELMAN_IMDB, or train anew.",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run within the block.

        Raises
        ------
        RunError
            One does already.
        """
        with locked_directory(self.path, "trained"):
            yield

    def log(self, kind: str, figures: dict[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``; ``figures`` has the ``step`` among it. An epoch's is on the disk then."""
        path, line = self.path / "metrics.jsonl", json.dumps({"kind": kind, **figures})
        if kind == "epoch":  # the state that is kept next counts on it
            append_line(path, line)
            return
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def metrics(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the logged lines, all or those of one kind; a last line that is torn is left out."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        try:
            entries = [json.loads(line) for line in lines]
            return [entry for entry in entries if kind in (None, entry["kind"])]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}).", "Take out the line that is no record of a step.") from error

    def forget_after(self, step: int, epoch: int) -> None:
        """Drop what was logged after ``step``, and epochs after ``epoch``: a run resumed there will log them again.

        Results go too: they are of weights that may change.
        """
        kept = [
            json.dumps(entry) + "\n"
            for entry in self.metrics()
            if entry["step"] <= step and not (entry["kind"] == "epoch" and entry["epoch"] > epoch)
        ]
        write_text(self.path / "metrics.jsonl", "".join(kept))
        for result in [*self.path.glob("results/*.json"), *self.path.glob("figures/*.svg")]:
            result.unlink()

    @property
    def _anew(self) -> str:
        return f"elman train --config {self.path / 'config.toml'}"

    def check_writable(self) -> None:
        """Refuse a directory that no result can be kept in, before any work is done for one.

        Raises
        ------
        RunError
            It is one.
        """
        results = self.path / "results"
        if not os.access(results if results.exists() else self.path, os.W_OK):
            raise RunError(f"{self.path} cannot be written to, so no result can be kept.", "Copy it to where it can.")

    def result_path(self, name: str) -> Path:
        """Where the result of that name is, or would be."""
        return self.path / "results" / f"{name}.json"

    def result(self, name: str) -> Any:
        """Read a result.

        Raises
        ------
        RunError
            There is none.
        """
        if not self.result_path(name).exists():
            raise RunError(f"{self.path} has no result {name!r}.", f"Finish it: elman train --resume {self.path}")
        return read_json(self.result_path(name))


def refuse_run(directory: Path) -> None:
    """Refuse a run's directory to what keeps results of its own, which would replace the run's.

    Raises
    ------
    ConfigError
        It is one.
    """
    if (directory / "config.toml").exists():
        raise ConfigError(f"{directory} is the directory of a run.", "Give another --directory.")


def keep_language(directory: Path, name: str) -> None:
    """Copy the file of a language of one's own into a directory; of other data there is none."""
    own = own_file(name)
    if own and own.is_file():
        write_text(directory / LANGUAGE / own.name, own.read_text(encoding="utf-8"))


def kept_language(directory: Path, name: str) -> Path | None:
    """Return the copy that :func:`keep_language` made there, or None where there is none."""
    kept = directory / LANGUAGE / Path(name).name
    return kept if kept.is_file() else None


def free_path(parent: Path, name: str) -> Path:
    """Return ``parent/name-1``, or the next number that is not taken."""
    taken = [
        int(path.name.rpartition("-")[2]) for path in parent.glob(f"{name}-*") if path.name.rpartition("-")[2].isdigit()
    ]
    return parent / f"{name}-{max(taken, default=0) + 1}"
