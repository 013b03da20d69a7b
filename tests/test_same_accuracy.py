"""Resumed trainings give the same figures as uninterrupted ones, and differences are between pairs."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def same_accuracy(monkeypatch: pytest.MonkeyPatch, archive: Path) -> ModuleType:
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("same_accuracy")
    module.imdb.cache_clear()
    return module


def results(directory: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}


@pytest.mark.slow
def test_one_epoch_per_call_gives_the_same_results_as_one_call(
    same_accuracy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(name: str, *options: str) -> None:
        common = ["--models", "mlp", "--seeds", "0", "1", "--epochs", "2", "--directory", str(tmp_path / name)]
        monkeypatch.setattr("sys.argv", ["same_accuracy.py", *common, *options])
        same_accuracy.main()

    call("whole", "--json", str(tmp_path / "whole.json"))
    calls = 0
    while not (tmp_path / "steps.json").exists():
        call("steps", "--minutes", "0", "--json", str(tmp_path / "steps.json"))
        calls += 1
    assert calls == 9  # two sides, two seeds and two epochs take eight calls; the ninth only reads
    assert capsys.readouterr().out.count("The time is up") == 8
    whole = results(tmp_path / "whole")
    assert len(whole) == 4
    assert results(tmp_path / "steps") == whole
    assert all(len(result["accuracies"]) == 2 for result in whole.values())
    assert [path.name for path in (tmp_path / "steps").iterdir() if path.is_dir()] == []
    comparison = json.loads((tmp_path / "whole.json").read_text())["mlp"]["ours"]
    difference = np.mean(comparison["ours"]) - np.mean(comparison["plain"])
    assert comparison["over_seeds"]["value"] == pytest.approx(difference)


def test_accuracies_follow_from_the_saved_flags(same_accuracy: ModuleType) -> None:
    flags = np.arange(len(same_accuracy.imdb().split("val"))) % 3 == 0
    assert np.array_equal(same_accuracy.from_hex(same_accuracy.to_hex(flags)), flags)
    all_correct = {"accuracies": [0.5, 1.0], "right": same_accuracy.to_hex(np.ones_like(flags))}
    third = {"accuracies": [0.9, float(flags.mean())], "right": same_accuracy.to_hex(flags)}
    comparison = same_accuracy.compare([all_correct] * 2, [third] * 2)
    assert comparison["over_seeds"]["value"] == pytest.approx(1 - flags.mean())
    assert comparison["over_seeds_and_reviews"]["value"] == pytest.approx(1 - flags.mean())
    assert "over_seeds" not in same_accuracy.compare([all_correct], [third])


def test_both_sides_have_the_same_initial_weights(same_accuracy: ModuleType) -> None:
    config = same_accuracy.Job("gru", "plain", 7, 1).config
    one, other = (same_accuracy.plain_model(config) for _ in range(2))
    with same_accuracy.torch_seeded(7, "weights"):
        ours = same_accuracy.build_model(config, len(same_accuracy.imdb().vocab), 2)
    for weights in zip(ours.parameters(), one.parameters(), other.parameters(), strict=True):
        assert all(np.array_equal(weights[0].detach(), weight.detach()) for weight in weights[1:])
    assert float(one.embedding.weight.detach().std()) == pytest.approx(config.model.embedding_scale, rel=0.05)
