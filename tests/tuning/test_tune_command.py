"""The command elman tune: what it prints, what it refuses, and that it goes on after Ctrl-C and after a kill."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, str, str]]

SMALL = ["--synthetic-size", "200", "--tokens-per-batch", "400", "--embedding-size", "8", "--epochs", "3"]
COMMAND = [sys.executable, "-m", "elman"]
SLOW = ["--synthetic-size", "500", "--tokens-per-batch", "200", "--epochs", "4", "--directory", "search"]
"""Trials that last long enough to be stopped in their middle."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def results(directory: str = "search") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(directory, "results.json").read_text())
    return found


def begin(*options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "tune", "negation", "--model", "mlp", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_until(process: "subprocess.Popen[str]", *wanted: str) -> None:
    """Read its lines until each of these was in one."""
    assert process.stdout is not None
    left = set(wanted)
    while left:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        left = {text for text in left if text not in line}


def test_it_prints_the_space_the_trials_and_the_command_for_the_best(elman: Command) -> None:
    code, out, err = elman("tune", "synth-reviews", "--model", "rnn", "--trials", 3, *SMALL)
    assert (code, err) == (0, "")
    assert "search optim.learning_rate: 0.0002 to 0.005, by orders of magnitude" in out
    assert "search model.embedding_size" not in out
    assert "3 of 3 trials  best val accuracy" in out
    assert "0.0 s left" in out
    found = results("runs/tune-synth-reviews-rnn")
    best = found["trials"][found["best"]]
    assert f"{best['value']:.2%}" in out
    command = next(line.strip() for line in out.splitlines() if line.startswith("  elman train "))
    code, out, _ = elman(*shlex.split(command)[1:], "--threads", 1)
    assert code == 0
    trained = json.loads(Path("runs/synth-reviews-rnn-1/results/training.json").read_text())
    assert trained["val_accuracy"] == best["value"]


def test_for_a_program_it_prints_the_log_alone(elman: Command) -> None:
    code, out, err = elman("tune", "synth-reviews", "--model", "mlp", "--trials", 2, "--json", *SMALL)
    printed = json.loads(out)
    assert code == 0
    assert "2 of 2 trials" in err
    assert printed.pop("command").startswith("elman train synth-reviews --synthetic-size 200")
    assert printed == results("runs/tune-synth-reviews-mlp")


def test_of_ten_complete_trials_it_says_what_mattered(elman: Command) -> None:
    Path("mine.toml").write_text("[optim]\nlearning_rate = [1e-9, 0.05]\nbeta2 = [0.98, 0.99]\n")
    options = ["--model", "mlp", "--trials", 12, "--space", "mine.toml", "--embedding-dropout", 0, "--top-dropout", 0]
    small = ["--synthetic-size", 600, "--tokens-per-batch", 200, "--embedding-size", 8, "--embedding-scale", 1]
    options += [*small, "--epochs", 1]  # in one epoch nothing is pruned
    code, out, err = elman("tune", "synth-reviews", *options, "--directory", "search")
    assert (code, err) == (0, "")
    found = results()["importance"]
    assert found["optim.learning_rate"] > found["optim.beta2"]
    assert "importance" in out
    assert f"{found['optim.learning_rate']:.0%}" in out


def test_a_space_of_one_s_own(elman: Command) -> None:
    Path("mine.toml").write_text("[optim]\nlearning_rate = [0.01, 0.02]\n")
    options = ["--trials", 2, "--space", "mine.toml", "--directory", "search", *SMALL]
    assert elman("tune", "synth-reviews", *options)[0] == 0
    assert {value for trial in results()["trials"] for value in trial["params"].values()} <= {0.01, 0.02}
    Path("mine.toml").write_text("[optim]\nlearning_rate = [0.01, 0.03]\n")
    code, _, err = elman("tune", "synth-reviews", *options)
    assert code == 2
    assert "learning_rate (searched): 0.01 or 0.02 there, 0.01 or 0.03 here" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune"], "DATA"),
        (["tune", "imbd"], "no data set 'imbd'"),
        (["tune", "negation", "--trials", "0"], "--trials must be 1 or more"),
        (["tune", "negation", "--space", "nowhere.toml"], "nowhere.toml"),
        (["tune", "negation", "--storage", "mysql://host/name"], "not kept in mysql"),
        (["tune", "brackets", "--model", "mlp"], "cannot be a language model"),
        (["tune", "imdb", "--imdb", "nowhere.tar.gz"], "nowhere.tar.gz"),
    ],
)
def test_what_cannot_be_is_refused(elman: Command, arguments: list[str], message: str) -> None:
    code, out, err = elman(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not any(Path("runs").glob("*/trial-*"))


def test_the_help_teaches(elman: Command) -> None:
    code, out, _ = elman("tune", "--help")
    assert code == 0
    for text in ("--trials", "--hours", "--processes", "--storage", "--space", "same command again", "low = 5e-4"):
        assert text in out


def test_after_ctrl_c_and_after_a_kill_the_same_command_goes_on() -> None:
    process = begin(*SLOW, "--trials", "3")
    read_until(process, "trial 0  epoch 2/4")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "same elman tune" in " ".join(err.split())
    assert "Traceback" not in err
    process = begin(*SLOW, "--trials", "3")
    read_until(process, "trial 1  epoch 2/4")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    whole = begin(*SLOW[:-1], "whole", "--trials", "3")
    whole.communicate()
    assert whole.returncode == 0
    process = begin(*SLOW, "--trials", "3")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "trial 0  epoch" not in out
    expected, found = results("whole"), results()
    for trial, other in zip(expected["trials"], found["trials"], strict=True):
        assert (trial["number"], trial["state"], trial["params"]) == (other["number"], other["state"], other["params"])
        assert [epoch["value"] for epoch in trial["epochs"]] == [epoch["value"] for epoch in other["epochs"]]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_ctrl_c_stops_all_processes_of_a_search_and_it_goes_on() -> None:
    options = [*SLOW, "--trials", "4", "--processes", "2"]
    process = begin(*options)
    read_until(process, "trial 0  epoch 1/4", "trial 1  epoch 1/4")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    while _at_work(process.pid):
        time.sleep(0.1)
    process = begin(*options)
    process.communicate()
    assert process.returncode == 0
    assert sorted(trial["state"] for trial in results()["trials"] if trial["state"] != "pruned") == ["complete"] * 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_process_that_is_killed_is_said_and_its_trial_is_taken_up() -> None:
    """Of two: the other one finishes the search, or the same command does."""
    options = [*SLOW, "--trials", "3", "--processes", "2"]
    process = begin(*options)
    read_until(process, "trial 0  epoch 1/4", "trial 1  epoch 1/4")
    workers = [pid for pid in _at_work(process.pid) if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 2
    assert "was killed" in err
    process = begin(*options)
    process.communicate()
    assert process.returncode == 0
    assert [trial["state"] for trial in results()["trials"]] == ["complete"] * 3


def _at_work(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, member_of = path.read_text().rpartition(")")[2].split()[:3]
            if int(member_of) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def test_two_commands_at_once_share_a_search() -> None:
    both = [begin(*SLOW, "--trials", "5") for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [trial["state"] for trial in results()["trials"]].count("complete") >= 3
    assert [trial["number"] for trial in results()["trials"]] == list(range(5))
    for number in range(5):
        assert sum(f"trial {number}:" in out for out, _ in outputs) == 1
    assert all("Traceback" not in err for _, err in outputs)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_processes_end_when_the_one_that_began_them_is_killed() -> None:
    process = begin(*SLOW, "--trials", "40", "--processes", "2")
    read_until(process, "trial 0  epoch 1/4", "trial 1  epoch 1/4")
    process.kill()
    process.communicate()
    while _at_work(process.pid):
        time.sleep(0.1)
    process = begin(*SLOW, "--trials", "2")
    process.communicate()
    assert process.returncode == 0
