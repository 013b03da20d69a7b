"""The command that lists runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.files import write_json
from elman.runs import Run, run_paths

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runs(elman: Command, config: RunConfig, dataset: Dataset) -> Path:
    """Create a finished run, an unfinished one and a damaged one."""
    for name in ("run-9", "run-10", "run-2"):
        run = Run.create(Path("runs") / name, config, dataset)
        run.log("epoch", {"step": 5, "epoch": 1, "val_accuracy": 0.75, "val_cross_entropy_nats": 0.5})
    headline = {"headline": "val accuracy 87.50%", "val_accuracy": 0.875, "val_cross_entropy_nats": 0.4}
    write_json(Path("runs/run-9/results/training.json"), headline)
    Path("runs/run-2/config.toml").write_text("format = 99\n")
    return Path("runs")


def test_runs_are_listed_with_figure_epochs_and_date(elman: Command, runs: Path) -> None:
    code, out, err = elman("runs")
    assert (code, err) == (0, "")
    finished, unfinished, damaged = (line for line in out.splitlines() if line.startswith("run-"))
    assert "format 99" in damaged
    assert "accuracy 87.50%" in finished
    assert "unfinished" not in finished
    assert "1 of 2, unfinished" in unfinished
    assert "accuracy 75.00%" in unfinished
    assert "lstm, synth-reviews, classification" in finished


def test_runs_are_listed_as_json(elman: Command, runs: Path) -> None:
    _, out, _ = elman("runs", runs, "--json")
    damaged, finished, unfinished = json.loads(out)["runs"]
    assert "problem" in damaged
    assert (finished["headline"], finished["val_accuracy"], finished["finished"]) == (
        "val accuracy 87.50%",
        0.875,
        True,
    )
    assert (unfinished["epochs"], unfinished["epochs_planned"], unfinished["headline"]) == (1, 2, None)


def test_run_numbers_are_sorted_as_numbers(runs: Path) -> None:
    assert [path.name for path in run_paths(runs)] == ["run-2", "run-9", "run-10"]


def test_a_folder_without_runs_and_a_missing_folder(elman: Command, tmp_path: Path) -> None:
    assert elman("runs", tmp_path)[:2] == (0, f"{tmp_path} contains no runs.\n")
    code, out, err = elman("runs")
    assert (code, out) == (2, "")
    assert "The folder runs does not exist" in err
