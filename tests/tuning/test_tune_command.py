"""The command elman tune: its output, its errors, and how it continues after Ctrl-C and after a kill."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, str, str]]
Begin = Callable[..., "subprocess.Popen[str]"]

SMALL = ["--synthetic-size", "200", "--tokens-per-batch", "400", "--embedding-size", "8", "--epochs", "3"]
HELD_COMMAND = Path(__file__).with_name("held_command.py")
SHORT = ["--synthetic-size", "200", "--tokens-per-batch", "200", "--epochs", "4", "--directory", "search"]
IN_BOTH_TRIALS = ("trial 0  epoch 1/4", "trial 1  epoch 1/4")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a search in a process group of its own, held at the lines ``hold_at``; kill what is left after the test."""
    processes = []

    def start(*options: str, hold_at: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(HELD_COMMAND), "tune", "negation", "--model", "mlp", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "ELMAN_TEST_HOLD_AT": ",".join(hold_at)},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def results(directory: str = "search") -> dict[str, Any]:
    log: dict[str, Any] = json.loads(Path(directory, "results.json").read_text())
    return log


def read_until(process: "subprocess.Popen[str]", *texts: str) -> None:
    """Read lines of standard output until each of the texts was in one."""
    assert process.stdout is not None
    missing = set(texts)
    while missing:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        missing = {text for text in missing if text not in line}


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Wait for a process that must succeed, and return its output."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def process_group(group: int) -> list[int]:
    """Return the running processes of a group."""
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group_of = path.read_text().rpartition(")")[2].split()[:3]
            if int(group_of) == group and state != "Z":
                members.append(int(path.parent.name))
    return members


def wait_for_end(group: int) -> None:
    while process_group(group):
        time.sleep(0.1)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks up processes in /proc")


@pytest.mark.slow
def test_prints_space_trials_and_the_command_for_the_best_trial(elman: Command) -> None:
    code, out, err = elman("tune", "synth-reviews", "--model", "rnn", "--trials", 3, *SMALL)
    assert (code, err) == (0, "")
    assert "search optim.learning_rate: 0.0002 to 0.005, by orders of magnitude" in out
    assert "search model.embedding_size" not in out
    assert "3 of 3 trials  best val accuracy" in out
    assert "0.0 s left" in out
    log = results("runs/tune-synth-reviews-rnn")
    best = log["trials"][log["best"]]
    assert f"{best['value']:.2%}" in out
    command = next(line.strip() for line in out.splitlines() if line.startswith("  elman train "))
    code, out, _ = elman(*shlex.split(command)[1:], "--threads", 1)
    assert code == 0
    trained = json.loads(Path("runs/synth-reviews-rnn-1/results/training.json").read_text())
    assert trained["val_accuracy"] == best["value"]


@pytest.mark.slow
def test_json_prints_only_the_log(elman: Command) -> None:
    code, out, err = elman("tune", "synth-reviews", "--model", "mlp", "--trials", 2, "--json", *SMALL)
    printed = json.loads(out)
    assert code == 0
    assert "2 of 2 trials" in err
    assert printed.pop("command").startswith("elman train synth-reviews --synthetic-size 200")
    assert printed == results("runs/tune-synth-reviews-mlp")


@pytest.mark.slow
def test_importance_is_printed_from_ten_trials_on(elman: Command) -> None:
    Path("mine.toml").write_text("[optim]\nlearning_rate = [1e-9, 0.05]\nbeta2 = [0.98, 0.99]\n")
    options = ["--model", "mlp", "--trials", 12, "--space", "mine.toml", "--embedding-dropout", 0, "--top-dropout", 0]
    small = ["--synthetic-size", 600, "--tokens-per-batch", 200, "--embedding-size", 8, "--embedding-scale", 1]
    options += [*small, "--epochs", 1]  # with one epoch, no trial is pruned
    code, out, err = elman("tune", "synth-reviews", *options, "--directory", "search")
    assert (code, err) == (0, "")
    importance = results()["importance"]
    assert importance["optim.learning_rate"] > importance["optim.beta2"]
    assert "importance" in out
    assert f"{importance['optim.learning_rate']:.0%}" in out


@pytest.mark.slow
def test_space_from_a_file(elman: Command) -> None:
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
        (["tune", "negation", "--storage", "mysql://host/name"], "cannot be kept in mysql"),
        (["tune", "brackets", "--model", "mlp"], "cannot be a language model"),
        (["tune", "imdb", "--imdb", "nowhere.tar.gz"], "nowhere.tar.gz"),
    ],
)
def test_invalid_arguments_are_refused(elman: Command, arguments: list[str], message: str) -> None:
    code, out, err = elman(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not any(Path("runs").glob("*/trial-*"))


def test_help_describes_the_options(elman: Command) -> None:
    code, out, _ = elman("tune", "--help")
    assert code == 0
    for text in ("--trials", "--hours", "--processes", "--storage", "--space", "same command again", "low = 5e-4"):
        assert text in out


@pytest.mark.slow
def test_after_ctrl_c_and_after_a_kill_the_same_command_continues(begin: Begin) -> None:
    process = begin(*SHORT, "--trials", "3", hold_at=("trial 0  epoch 2/4",))
    read_until(process, "trial 0  epoch 2/4")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "same elman tune" in " ".join(err.split())
    assert "Traceback" not in err
    process = begin(*SHORT, "--trials", "3", hold_at=("trial 1  epoch 2/4",))
    read_until(process, "trial 1  epoch 2/4")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finish(begin(*SHORT[:-1], "whole", "--trials", "3"))
    out, _ = finish(begin(*SHORT, "--trials", "3"))
    assert "trial 0  epoch" not in out
    for trial, other in zip(results("whole")["trials"], results()["trials"], strict=True):
        assert (trial["number"], trial["state"], trial["params"]) == (other["number"], other["state"], other["params"])
        assert [epoch["value"] for epoch in trial["epochs"]] == [epoch["value"] for epoch in other["epochs"]]


@pytest.mark.slow
@needs_proc
def test_ctrl_c_stops_all_processes_of_a_search(begin: Begin) -> None:
    options = [*SHORT, "--trials", "4", "--processes", "2"]
    process = begin(*options, hold_at=IN_BOTH_TRIALS)
    read_until(process, *IN_BOTH_TRIALS)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    wait_for_end(process.pid)
    finish(begin(*options))
    assert sorted(trial["state"] for trial in results()["trials"] if trial["state"] != "pruned") == ["complete"] * 4


@pytest.mark.slow
@needs_proc
def test_trial_of_a_killed_process_is_continued(begin: Begin) -> None:
    """The other process finishes the search, or the same command does."""
    options = [*SHORT, "--trials", "3", "--processes", "2"]
    process = begin(*options, hold_at=IN_BOTH_TRIALS)
    read_until(process, *IN_BOTH_TRIALS)
    workers = [pid for pid in process_group(process.pid) if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    os.kill(workers[1], signal.SIGUSR1)
    _, err = process.communicate()
    assert process.returncode == 2
    assert "was killed" in err
    finish(begin(*options))
    assert [trial["state"] for trial in results()["trials"]] == ["complete"] * 3


@pytest.mark.slow
def test_two_commands_at_once_share_a_search(begin: Begin) -> None:
    outputs = [finish(process) for process in [begin(*SHORT, "--trials", "5") for _ in range(2)]]
    assert [trial["state"] for trial in results()["trials"]].count("complete") >= 3
    assert [trial["number"] for trial in results()["trials"]] == list(range(5))
    for number in range(5):
        assert sum(f"trial {number}:" in out for out, _ in outputs) == 1
    assert all("Traceback" not in err for _, err in outputs)


@pytest.mark.slow
@needs_proc
def test_processes_end_when_their_parent_is_killed(begin: Begin) -> None:
    process = begin(*SHORT, "--trials", "1000", "--processes", "2")
    read_until(process, *IN_BOTH_TRIALS)
    process.kill()
    process.communicate()
    wait_for_end(process.pid)
    assert len(results()["trials"]) < 1000
    finish(begin(*SHORT, "--trials", "2"))
