"""Tables on narrow terminals: every figure stays whole, and no line is wider than the terminal."""

from typing import Any

import pytest

from elman.report import terminal

ESTIMATE = {"mean": 0.123456, "low": 0.1, "high": 0.2, "least": 0.111111, "most": 0.155555}
SHARE = {"value": 0.98765, "low": 0.98123, "high": 0.99321}


def imdb() -> dict[str, Any]:
    split = {
        "sequences": 25_000,
        "tokens": 5_921_792,
        "length_min": 11,
        "length_median": 178.0,
        "length_mean": 236.9,
        "length_max": 2_525,
        "classes": {"negative": 12_500, "positive": 12_500},
    }
    splits = {"train": split, "val": split, "test": split, "unlabelled": {**split, "classes": {}}}
    most_frequent = ["the", "and", "a", "of", "to", "is", "it", "in", "i", "this", "that"]
    return {
        "name": "imdb",
        "level": "word",
        "source": "aclImdb",
        "vocab_size": 88_584,
        "most_frequent": most_frequent,
        "splits": splits,
    }


def generalization() -> dict[str, Any]:
    row = {"factor": 100, "length": 5_000, "depth": 1_600, "strings": 20, "prefixes": 1_000_020}
    forced = {"to_length": 10_000, "wrong_at_length": None, "to_n": 5_000}
    figures = [{**row, "kl_nats": 0.006612, "accuracy": 0.99998}]
    return {
        "trained_to_length": 50,
        "by_length": figures,
        "trained_to_depth": 16,
        "by_depth": figures,
        "forced": forced,
        "run": "runs/anbn-lstm-with-a-long-name-1",
        "seed": 123,
        "val_cross_entropy_nats": 0.156616,
    }


def over_runs() -> dict[str, Any]:
    run = generalization()
    row = {"factor": 100, "length": 5_000, "kl_nats": ESTIMATE, "accuracy": ESTIMATE}
    return {"runs": [run, run], "over_runs": {"by_length": [row], "chosen": run["run"]}}


def grades() -> dict[str, Any]:
    counts = dict.fromkeys(("grammatical", "in_support", "cut_off", "novel", "distinct"), 123_456)
    shares = dict.fromkeys(("grammatical", "in_support", "cut_off", "novel"), SHARE)
    fresh = {"cross_entropy_nats": 0.54825, "bits_per_token": 0.79, "perplexity": 1.73, "tokens": 234_567}
    rows = [{"temperature": temperature, **counts, "shares": shares} for temperature in (0.25, 1.0)]
    return {
        "run": "runs/brackets-lstm-1",
        "prompt": "",
        "temperature": 1.0,
        "samples": 1_000_000,
        "fresh": {**fresh, "sequences": 20_000},
        **counts,
        "shares": shares,
        "by_temperature": rows,
    }


def search() -> dict[str, Any]:
    params = {"optim.learning_rate": 0.0125, "model.layer": "lstm"}
    trial = {"state": "complete", "value": 0.87654, "best_epoch": 12, "seconds": 3_661.0, "params": params}
    return {
        "direction": "maximize",
        "metric": "val_accuracy",
        "seconds": 7_322.0,
        "importance": {"optim.learning_rate": 0.93},
        "trials": [{"number": number, **trial} for number in range(120, 126)],
    }


def runs() -> dict[str, Any]:
    run = {"run": "runs/synth-reviews-lstm-12", "model": "lstm", "data": "synth-reviews", "task": "classification"}
    run |= {"epochs": 3, "epochs_planned": 12, "date": "2026-11-28T18:01:02+00:00", "val_accuracy": 0.87654}
    return {"folder": "runs", "runs": [{**run, "finished": True}, {**run, "finished": False}]}


TABLES = {
    terminal.print_description: (imdb(), ["5,921,792", "25,000", "2,525", "236.9", "12,500"]),
    terminal.print_generalization: (generalization(), ["1,000,020", "0.006612", "100.00%", "5,000", "1,600"]),
    terminal.print_generalization_over_runs: (over_runs(), ["0.123456", "0.111111", "12.35%", "0.156616", "10,000"]),
    terminal.print_grades: (grades(), ["123,456", "98.77%", "99.32%", "0.54825", "1,000,000"]),
    terminal.print_search: (search(), ["87.65%", "0.0125", "93%", "124"]),
    terminal.print_runs: (runs(), ["87.65%", "2026-11-28", "18:01", "synth-reviews-lstm-12", "unfinished"]),
}


@pytest.mark.parametrize("columns", [200, 80, 60, 40])
@pytest.mark.parametrize("show", TABLES, ids=lambda show: show.__name__)
def test_figures_stay_whole_on_any_width(
    show: Any, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    figures, wholes = TABLES[show]
    show(figures)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    words = {word.strip("();,") for line in lines for word in line.split()}
    assert set(wholes) <= words


def test_a_wide_terminal_has_one_line_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal.print_table(["name", "texts"], [["train", "25,000"], ["val", "5"]], title="counts", caption="of texts")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["counts", "name    texts", "─" * 13, "train  25,000", "val         5", "of texts", ""]
