"""A search step continues an interrupted search, and later steps train with its best settings."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from elman.study import engine, parse_study, run_study
from elman.tuning.log import best_after_seconds, best_after_trials

TEXT = """
[bases.reviews]
data = { name = "negation", synthetic_size = 200 }
batches = { tokens_per_batch = 400 }
model = { layer = "mlp", embedding_size = 8, hidden_size = 8 }
loop = { epochs = 2, threads = 1 }
[[questions]]
base = "reviews"
steps = [
  { name = "search", kind = "search", trials = TRIALS, space = { optim = { learning_rate = [0.001, 0.004, 0.02] } } },
  { name = "mlp", kind = "classifier", from = "search", model = { hidden_size = 9 } },
]
"""


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "write_report", lambda directory: directory / "report.html")


def run(directory: Path, trials: int) -> tuple[dict, dict]:
    run_study(parse_study(TEXT.replace("TRIALS", str(trials)), "study"), directory, lambda _: None)
    search, mlp = (json.loads((directory / "results" / f"{name}.json").read_text()) for name in ("search", "mlp"))
    return search["figures"], mlp


@pytest.mark.slow
def test_more_trials_continue_the_search_and_the_best_settings_are_trained(tmp_path: Path) -> None:
    first, _ = run(tmp_path, 2)
    search, mlp = run(tmp_path, 4)
    assert search["trials"][:2] == first["trials"]
    assert len(search["trials"]) == 4
    log = json.loads((tmp_path / "results" / "search" / "trials.json").read_text())
    best = max((trial for trial in log["trials"] if trial["state"] == "complete"), key=lambda trial: trial["value"])
    assert search["best"] == best
    trained = tomllib.loads(mlp["config"])
    assert trained["optim"]["learning_rate"] == best["params"]["optim.learning_rate"]
    assert (trained["model"]["hidden_size"], trained["model"]["layer"]) == (9, "mlp")
    for trials in range(1, 5):
        best_values = [point["value"] for point in search["best_so_far"] if point["trials"] <= trials]
        assert best_values[-1] == best_after_trials(log, trials)
    for seconds in (trial["seconds"] for trial in log["trials"]):
        best_values = [point["value"] for point in search["best_so_far"] if point["seconds"] <= seconds]
        assert (best_values[-1] if best_values else None) == best_after_seconds(log, seconds)


@pytest.mark.slow
def test_a_search_continues_without_its_runs_and_another_search_starts_anew(tmp_path: Path) -> None:
    first, _ = run(tmp_path, 2)
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "results" / "search.json").unlink()
    log = tmp_path / "results" / "search" / "trials.json"
    log.write_text(json.dumps({**json.loads(log.read_text()), "seconds": 1000.0}))
    search, _ = run(tmp_path, 4)
    assert search["trials"][:2] == first["trials"]
    assert len(search["trials"]) == 4
    duration = json.loads((tmp_path / "results" / "search.json").read_text())["seconds"]
    assert duration > 1000  # it includes the trials of the first call
    [folder] = tmp_path.glob("runs/search-*")
    assert sorted(path.name for path in folder.glob("trial-*")) == ["trial-0002", "trial-0003"]
    other = TEXT.replace("TRIALS", "2").replace("0.004,", "0.005,")
    run_study(parse_study(other, "study"), tmp_path, lambda _: None)
    figures = json.loads((tmp_path / "results" / "search.json").read_text())["figures"]
    assert len(figures["trials"]) == 2
    assert "0.005" in figures["space"]["optim.learning_rate"]


@pytest.mark.slow
def test_parallel_trials_use_one_thread_each_and_the_chosen_settings_set_none(tmp_path: Path) -> None:
    text = TEXT.replace("TRIALS", "2, processes = 2").replace(", threads = 1", "")
    run_study(parse_study(text, "study"), tmp_path, lambda _: None)
    trials = [tomllib.loads(path.read_text()) for path in tmp_path.glob("runs/search-*/**/config.toml")]
    assert [trial["loop"]["threads"] for trial in trials] == [1, 1]
    chosen = json.loads((tmp_path / "results" / "search.json").read_text())["figures"]["chosen"]
    assert "threads" not in tomllib.loads(chosen)["loop"]
