"""A study trains what is not trained, repeats nothing, says what its data was, and concludes what its figures say."""

import json
import socket
from pathlib import Path

import pytest

from elman.errors import ConfigError, DataError
from elman.report.study import ranking
from elman.study import parse_study, read_study, run_study

TINY = """
title = "Two"
[base.data]
name = "imdb"
[base.batches]
tokens_per_batch = 400
[base.model]
embedding_size = 8
hidden_size = 8
[base.loop]
epochs = 1
[fallback.data]
name = "negation"
synthetic_size = 200
[[runs]]
name = "one"
model = { layer = "mlp" }
[[runs]]
name = "two"
model = { layer = "elman" }
"""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_without_imdb_it_says_so_at_the_start_in_the_report_and_in_the_last_line(tmp_path: Path) -> None:
    lines: list[str] = []
    path = run_study(parse_study(TINY, "tiny"), tmp_path / "study", lines.append)
    assert lines[0].startswith("NOTE: IMDb is not in the cache")
    assert "generated reviews" in lines[-1]
    report = path.read_text()
    assert "**Not on IMDb.**" in report
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    assert results["data"]["name"] == "negation"
    assert set(results["runs"]) == {"one", "two"}
    for name, figures in results["runs"].items():
        assert f"| {name} | {figures['val_accuracy']:.2%} | {figures['val_accuracy_low']:.2%} to" in report
    for figure in ("loss", "gradients", "accuracy"):
        assert (tmp_path / "study" / "figures" / f"{figure}.svg").read_text().startswith("<?xml")
        assert f"(figures/{figure}.svg)" in report


@pytest.mark.usefixtures("no_network")
def test_nothing_is_repeated_and_a_changed_run_alone_is_trained_again(tmp_path: Path) -> None:
    run_study(parse_study(TINY, "tiny"), tmp_path, lambda _: None)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/weights.safetensors")}
    lines: list[str] = []
    run_study(parse_study(TINY, "tiny"), tmp_path, lines.append)
    assert sum(line.startswith("trained already") for line in lines) == 2
    changed = TINY.replace('layer = "elman"', 'layer = "elman", hidden_size = 9')
    run_study(parse_study(changed, "tiny"), tmp_path, lambda _: None)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/weights.safetensors")}
    assert len(after) == 3
    assert all(after[path] == time for path, time in before.items())


def test_a_wrong_path_to_imdb_is_an_error_and_no_reason_to_fall_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELMAN_IMDB", "nowhere.tar.gz")
    with pytest.raises(DataError, match="no IMDb archive at nowhere"):
        run_study(parse_study(TINY, "tiny"), tmp_path, lambda _: None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 'x'", r"no \[\[runs\]\]"),
        ("runz = 1", "'runz' is unknown"),
        ("title = ", "not TOML"),
        ("[[runs]]\nmodel = { layers = 3 }", "unknown field 'layers'"),
        ("[[runs]]\nmodel = { layer = 'cnn' }", "cannot be 'cnn'"),
        ("[base.loop]\nepochs = 0\n[[runs]]\nname = 'a'", "--epochs must be 1 or more"),
        ("[base.loop]\nepochs = 1.5\n[[runs]]\nname = 'a'", "epochs cannot be 1.5"),
    ],
)
def test_a_study_file_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_study(text, "bad")


def test_the_conclusion_follows_the_figures() -> None:
    def figures(accuracy: float, half: float = 0.01) -> dict[str, float]:
        return {"val_accuracy": accuracy, "val_accuracy_low": accuracy - half, "val_accuracy_high": accuracy + half}

    assert ranking({"mlp": figures(0.8), "lstm": figures(0.9)}) == "lstm is better than mlp."
    assert ranking({"mlp": figures(0.9), "lstm": figures(0.8)}) == "mlp is better than lstm."
    assert ranking({"mlp": figures(0.9), "lstm": figures(0.895)}) == "mlp cannot be told from lstm."


def test_the_smoke_study_runs_and_its_models_are_what_they_are(tmp_path: Path) -> None:
    """No bag of words solves these reviews; what carries a state does."""
    run_study(read_study("smoke"), tmp_path, lambda _: None)
    results = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert results["mlp"]["val_accuracy"] < 0.6
    assert min(results[name]["val_accuracy"] for name in ("elman", "rnn", "lstm")) > 0.99


def test_the_quick_study_can_be_read() -> None:
    study = read_study("quick")
    assert list(study.runs) == ["mlp", "elman", "rnn", "lstm"]
    assert {config.data.name for config in study.runs.values()} == {"imdb"}
    assert {config.data.name for config in study.fallback.values()} == {"synth-reviews"}
