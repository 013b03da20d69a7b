"""Commands without their optional packages: the error names the line that installs them, and training goes on."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from elman.errors import ConfigError
from elman.extras import require

Command = Callable[..., tuple[int, str, str]]


def test_an_installed_extra_is_accepted() -> None:
    require("report", "tune")


def test_the_error_names_only_the_missing_modules_and_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"not installed: optuna, psycopg\. .*'elman\[tune,postgres\]'"):
        require("report", "tune", "postgres")


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("optuna", "tune", ["tune", "negation", "--trials", 1]),
        ("optuna", "tune", ["study", "--profile", "smoke"]),
        ("pypandoc", "report", ["study", "--profile", "smoke"]),
        ("typst", "report", ["report", "runs/study-smoke"]),
        ("jinja2", "report", ["bundle", "runs/study-smoke", "--name", "abc123_2"]),
        ("networkx", "report", ["language", "draw", "ndfa"]),
        ("matplotlib", "report", ["generalise", "runs/brackets-lstm-1"]),
    ],
)
def test_a_command_without_its_extra_prints_the_line_that_installs_it(
    elman: Command, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = elman(*command)
    assert (code, out) == (2, "")
    assert module in err
    assert f"pip install 'elman[{extra}]'" in err


def test_training_without_tensorboard_writes_no_event_files(elman: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    small = ["--synthetic-size", 50, "--epochs", 1, "--embedding-size", 4, "--hidden-size", 4]
    assert elman("train", "synth-reviews", "--run", "run", *small)[0] == 0
    assert Path("run/metrics.jsonl").exists()
    assert not Path("run/tensorboard").exists()
