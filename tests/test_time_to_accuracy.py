"""The clock stops at the goal or the limit, and each row says why a competitor has no time."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
GOOD, BAD = "a great film it moved me".split(), "a terrible film it bored me".split()


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("time_to_accuracy")
    reviews = module.Reviews([GOOD, BAD] * 20, [0, 1] * 20, [GOOD, BAD] * 5, [0, 1] * 5)
    monkeypatch.setattr(module, "load", lambda: reviews)
    return module


def test_ours_stops_at_the_first_epoch_that_reaches_the_goal(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    result = benchmark.compete("ours, mlp, 3 epochs", goal=0.5, limit=1200)
    assert 0 < result["seconds"] <= result["ended_after_seconds"]
    assert 0.5 <= result["best_accuracy"] <= 1
    assert capsys.readouterr().err.count("epoch 1/3  ") == 1
    assert benchmark.line(result) == f"ours, mlp, 3 epochs: {result['seconds']:.1f} s to {result['best_accuracy']:.2%}"


def test_a_goal_that_is_not_reached_is_reported(benchmark: ModuleType) -> None:
    result = benchmark.compete("ours, mlp, 3 epochs", goal=1.1, limit=1200)
    assert result["seconds"] is None
    assert benchmark.line(result).startswith("ours, mlp, 3 epochs: 110% not reached; best accuracy ")
    result = benchmark.compete("ours, mlp, 3 epochs", goal=0.1, limit=0)
    assert result["seconds"] is None
    unvalidated = benchmark.row("Keras LSTM", 0.88, 200, None, 0.0, 201.0)
    assert benchmark.line(unvalidated) == "Keras LSTM: 88% not reached in 200 s; no validation yet"


def test_a_missing_package_is_named(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    result = benchmark.compete("fastText, bigrams, 3 epochs", goal=0.5, limit=1200)
    assert (result["seconds"], result["best_accuracy"]) == (None, None)
    assert "a package is missing" in benchmark.line(result)
    assert "fasttext" in result["missing"]


def test_words_missing_from_training_become_unknown(benchmark: ModuleType) -> None:
    dataset = benchmark.as_dataset(benchmark.Reviews([GOOD], [0], [BAD], [1]))
    assert dataset.vocab.decode(dataset.split("val")[0].tolist()) == "a .unk film it .unk me".split()
    assert dataset.vocab.decode(dataset.split("train")[0].tolist()) == GOOD


@pytest.mark.slow
def test_a_competitor_runs_in_its_own_process(
    benchmark: ModuleType, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    result = benchmark.run_in_own_process("ours, mlp, 3 epochs", goal=0.1, limit=1200)
    assert result["seconds"] > 0
    assert result["missing"] is None
