"""A clock that stops at the goal or the limit, and rows that hide nothing."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
GOOD, BAD = "a great film it moved me".split(), "a terrible film it bored me".split()


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("time_to_accuracy")
    reviews = module.Reviews([GOOD, BAD] * 20, [0, 1] * 20, [GOOD, BAD] * 5, [0, 1] * 5)
    monkeypatch.setattr(module, "load", lambda: reviews)
    return module


def test_ours_stops_at_the_first_epoch_that_reaches_the_goal(
    race: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = race.compete("ours, mlp, 3 epochs", goal=0.5, limit=60)
    assert 0 < found["seconds"] <= found["ended_after_seconds"] < 60
    assert 0.5 <= found["best_accuracy"] <= 1
    assert capsys.readouterr().err.count("epoch 1/3  ") == 1
    assert race.line(found) == f"ours, mlp, 3 epochs: {found['seconds']:.1f} s to {found['best_accuracy']:.2%}"


def test_what_is_not_reached_is_said(race: ModuleType) -> None:
    found = race.compete("ours, mlp, 3 epochs", goal=1.1, limit=60)
    assert found["seconds"] is None
    assert race.line(found).startswith("ours, mlp, 3 epochs: 110% not reached, ")
    found = race.compete("ours, mlp, 3 epochs", goal=0.1, limit=0)
    assert found["seconds"] is None
    never = race.row("Keras LSTM", 0.88, 200, None, 0.0, 201.0)
    assert race.line(never) == "Keras LSTM: 88% not reached in 200 s, no validation yet"


def test_a_missing_package_is_said(race: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    found = race.compete("fastText, bigrams, 3 epochs", goal=0.5, limit=60)
    assert (found["seconds"], found["best_accuracy"]) == (None, None)
    assert "it is not installed" in race.line(found)
    assert "fasttext" in found["missing"]


def test_words_that_training_lacks_are_unknown(race: ModuleType) -> None:
    dataset = race.as_dataset(race.Reviews([GOOD], [0], [BAD], [1]))
    assert dataset.vocab.decode(dataset.split("val")[0].tolist()) == "a .unk film it .unk me".split()
    assert dataset.vocab.decode(dataset.split("train")[0].tolist()) == GOOD


def test_each_runs_in_a_process_of_its_own(race: ModuleType, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    found = race.in_own_process("ours, mlp, 3 epochs", goal=0.1, limit=60)
    assert 0 < found["seconds"] < 60
    assert found["missing"] is None
