"""The run directory, the only link between the commands that train and those that use a trained model.

RUN/config.toml            every option
    data.json              name and checksum of the data
    vocab.json             tokens in the order of their ids
    language/NAME.toml     copy of a language file
    weights.safetensors    the best weights so far
    metrics.jsonl          a line for every logged step and every epoch
    tensorboard/           the same metrics as curves
    checkpoints/           the state to resume from, while the run is not finished
    results/NAME.json      training.json when the training has finished; evaluations
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
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
"""The folder for the copy of a language file."""


class Run:
    """An existing run directory.

    Parameters
    ----------
    path
        Its folder.

    Raises
    ------
    RunError
        The folder is not a run directory, or was written by another version.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "config.toml").is_file():
            problem = "it has no config.toml" if path.exists() else "it does not exist"
            raise RunError(f"{path} is not a run directory: {problem}.", "Pass a folder made by elman train.")
        try:
            self.config = read_config(path / "config.toml")
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
        except (ConfigError, UnicodeDecodeError) as error:
            raise RunError(
                f"{path} cannot be read as a run ({error})", "Use the version that wrote it, or train it again."
            ) from error
        self.path = path

    @classmethod
    def create(cls, path: Path, config: RunConfig, dataset: Dataset) -> "Run":
        """Create a run directory.

        Raises
        ------
        RunError
            ``path`` exists already and is not an empty folder.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            resume = f", or continue it: elman train --resume {path}" if (path / "config.toml").is_file() else ""
            raise RunError(f"{path} exists already.", f"Choose another --run{resume}.")
        if path.is_symlink() or path.is_mount():  # no folder can be renamed to it
            raise RunError(f"{path} is a link or the root of a disk.", f"Use a folder in it: --run {path / 'run'}")
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
            inode = partial.stat().st_ino
        if path.stat().st_ino != inode:
            raise RunError(f"Another process has just created {path}.", "Choose another --run.")
        return cls(path)

    def drop_if_untrained(self) -> None:
        """Remove the directory if it holds no result of a training, because the training could not start."""
        if not (self.weights_path.exists() or self.checkpoints.exists() or self.metrics()):
            shutil.rmtree(self.path)

    def keep_only_metrics(self) -> None:
        """Remove weights, checkpoints, vocabulary and curves, but not the configuration and the metrics."""
        for folder in (self.checkpoints, self.path / "tensorboard"):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (self.weights_path, self.path / "vocab.json"):
            path.unlink(missing_ok=True)

    @property
    def finished(self) -> bool:
        """Whether the training has finished."""
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
        """Whether a token is a word or a character."""
        level: Level = self._about_data("level")
        return level

    @property
    def checksum(self) -> str:
        """The fingerprint of the data."""
        checksum: str = self._about_data("checksum")
        return checksum

    @property
    def data_config(self) -> DataConfig:
        """The configuration of the data, with the files where they are now.

        A language file is the copy in the run directory. If the IMDb archive has moved, it is searched in the usual
        places; its checksum tells whether it is the same.
        """
        data = self.config.data
        if language_copy := kept_language(self.path, data.name):
            return replace(data, name=str(language_copy))
        return replace(data, imdb=None) if data.imdb and not Path(data.imdb).exists() else data

    @property
    def language_file(self) -> str | None:
        """The content of a language file; None for all other data."""
        own = own_file(self.data_config.name)
        return own.read_text(encoding="utf-8") if own and own.is_file() else None

    def _about_data(self, name: str) -> Any:
        path = self.path / "data.json"
        if not path.exists():
            raise RunError(f"{self.path} has no data.json.", f"Restore the file, or train again: {self._train_again}")
        try:
            return read_json(path)[name]
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged: it has no {name}.", f"Train again: {self._train_again}") from error

    def vocab(self) -> Vocab:
        """Load the tokens that the model knows.

        Raises
        ------
        RunError
            The file is missing; that of a finished trial was removed.
        """
        if not (self.path / "vocab.json").exists():
            if self.weights_path.exists():
                raise RunError(
                    f"{self.path} has no vocab.json.", f"Restore the file, or train again: {self._train_again}"
                )
            raise RunError(
                f"{self.path} is a finished trial, which keeps only its configuration and its metrics.",
                f"Train that configuration again: {self._train_again}",
            )
        return Vocab.load(self.path / "vocab.json")

    def open_dataset(self) -> Dataset:
        """Open the data that the run was trained on.

        Raises
        ------
        RunError
            The data under that name has changed since.
        """
        dataset = open_dataset(self.data_config)
        self.check(dataset)
        return dataset

    def check(self, dataset: Dataset) -> None:
        """Refuse other data than the run was trained on.

        Raises
        ------
        RunError
            The checksum or the vocabulary differs.
        """
        if dataset.fingerprint != self.checksum or dataset.vocab.tokens != self.vocab().tokens:
            if dataset.language is not None:
                raise RunError(f"{self.path} was trained on other strings of {dataset.name}.", "Train it again.")
            raise RunError(
                f"{self.path} was trained on other data than {dataset.source} now contains.",
                "Restore the data that it was trained on (of IMDb, set ELMAN_IMDB to the path), or train again.",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run while the block runs.

        Raises
        ------
        RunError
            Another process is training it.
        """
        with locked_directory(self.path, "trained"):
            yield

    def log(self, kind: str, figures: dict[str, Any]) -> None:
        """Append a line to ``metrics.jsonl``; ``figures`` includes the ``step``. Wait for the disk after an epoch."""
        path, line = self.path / "metrics.jsonl", json.dumps({"kind": kind, **figures})
        if kind == "epoch":  # the next checkpoint relies on it
            append_line(path, line)
            return
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def metrics(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return all logged lines, or those of one kind; an incomplete last line is ignored."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        try:
            entries = [json.loads(line) for line in lines]
            return [entry for entry in entries if kind in (None, entry["kind"])]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}).", "Remove the damaged line.") from error

    def forget_after(self, step: int, epoch: int) -> None:
        """Remove the lines after ``step``, and the epochs after ``epoch``, which a resumed run will log again.

        The results are removed too, because the weights may change.
        """
        lines = [
            json.dumps(entry) + "\n"
            for entry in self.metrics()
            if entry["step"] <= step and not (entry["kind"] == "epoch" and entry["epoch"] > epoch)
        ]
        write_text(self.path / "metrics.jsonl", "".join(lines))
        for result in [*self.path.glob("results/*.json"), *self.path.glob("figures/*.svg")]:
            result.unlink()

    @property
    def _train_again(self) -> str:
        return f"elman train --config {self.path / 'config.toml'}"

    def check_writable(self) -> None:
        """Refuse a directory that results cannot be written to, before they are computed.

        Raises
        ------
        RunError
            The directory is read-only.
        """
        results = self.path / "results"
        if not os.access(results if results.exists() else self.path, os.W_OK):
            raise RunError(
                f"{self.path} cannot be written to, so results cannot be saved.", "Copy it to a writable folder."
            )

    def result_path(self, name: str) -> Path:
        """Return the path of the result of that name, whether it exists or not."""
        return self.path / "results" / f"{name}.json"

    def result(self, name: str) -> Any:
        """Read a result.

        Raises
        ------
        RunError
            The result does not exist.
        """
        if not self.result_path(name).exists():
            raise RunError(f"{self.path} has no result {name!r}.", f"Finish it: elman train --resume {self.path}")
        return read_json(self.result_path(name))

    def summary(self) -> dict[str, Any]:
        """Return a description of the run, ready for JSON; if unfinished, with the figures of the last epoch."""
        epochs = self.metrics("epoch")
        last = epochs[-1] if epochs else {}
        figures = self.result("training") if self.finished else last
        log = self.path / "metrics.jsonl"
        written = (log if log.exists() else self.path / "config.toml").stat().st_mtime
        return {
            "run": str(self.path),
            "task": self.config.data.task,
            "data": self.config.data.name,
            "model": self.config.model.layer,
            "seed": self.config.loop.seed,
            "epochs": last.get("epoch", 0),
            "epochs_planned": self.config.loop.epochs,
            "finished": self.finished,
            "date": datetime.fromtimestamp(written).astimezone().isoformat(timespec="seconds"),
            "headline": figures.get("headline"),
            **{name: value for name, value in figures.items() if name.startswith("val_") and isinstance(value, float)},
        }


def run_paths(folder: Path) -> list[Path]:
    """Return the run directories in a folder in the order of their names, where run-10 follows run-9."""

    def parts(path: Path) -> list[str | int]:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", path.name))]

    return sorted((path.parent for path in folder.glob("*/config.toml")), key=parts)


def refuse_run(directory: Path) -> None:
    """Refuse to write the results of a search or a study into a run directory.

    Raises
    ------
    ConfigError
        ``directory`` is a run directory.
    """
    if (directory / "config.toml").exists():
        raise ConfigError(f"{directory} is a run directory.", "Pass another --directory.")


def keep_language(directory: Path, name: str) -> None:
    """Copy a language file into a directory; for other data there is nothing to copy."""
    own = own_file(name)
    if own and own.is_file():
        write_text(directory / LANGUAGE / own.name, own.read_text(encoding="utf-8"))


def kept_language(directory: Path, name: str) -> Path | None:
    """Return the path of the copy that :func:`keep_language` made, or None if there is none."""
    path = directory / LANGUAGE / Path(name).name
    return path if path.is_file() else None


def free_path(parent: Path, name: str) -> Path:
    """Return ``parent/name-1``, or the path with the number after the highest that exists."""
    numbers = (path.name.rpartition("-")[2] for path in parent.glob(f"{name}-*"))
    return parent / f"{name}-{max((int(n) for n in numbers if n.isdigit()), default=0) + 1}"
