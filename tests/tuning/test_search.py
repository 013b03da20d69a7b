"""A search draws, trains and prunes trials, and continues after an interruption with the same trials as without it."""

import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import optuna
import pytest
from optuna.trial import Trial, TrialState
from torch.optim.optimizer import register_optimizer_step_post_hook

from elman.config import DataConfig, RunConfig
from elman.data.imdb import cache_root
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError, Interrupted, NonFiniteLoss, RunError
from elman.evaluation import evaluate
from elman.files import read_json, write_json
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.runs import Run
from elman.training import train
from elman.tuning import Choice, Range, Search, database, tune
from elman.tuning import search as searching
from elman.tuning import trial as one_trial
from elman.tuning.database import PRUNED_FROM_EPOCH, database_url, is_lost
from elman.tuning.log import best_so_far
from elman.tuning.space import flatten

SPACE = {
    "model.top_dropout": Range(0.0, 0.5),
    "model.hidden_size": Choice((4, 8)),
    "optim.learning_rate": Range(1e-4, 1e-1, log=True),
}
EPOCHS = 3


@pytest.fixture
def search(tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Return a search of six trials, of which three are drawn at random, that prunes after two complete ones."""
    monkeypatch.setattr(database, "RANDOM_TRIALS", 3)
    monkeypatch.setattr(database, "PRUNED_AFTER_TRIALS", 2)
    tables = {
        "data": {"synthetic_size": 120, "synthetic_sentences": 1},
        "model": {"layer": "mlp", "embedding_scale": 1.0},
        "loop": {"epochs": EPOCHS, "threads": 1},
    }
    return Search(config=config.with_tables(tables, "test"), space=SPACE, directory=tmp_path / "search", trials=6)


WHOLE: dict[str, Any] = {}


@pytest.fixture
def whole(search: Search, tmp_path: Path) -> dict[str, Any]:
    """Return the log of the search without any interruption; all tests that compare with it share one run."""
    if not WHOLE:
        WHOLE.update(tune(replace(search, directory=tmp_path / "whole" / "search"), quiet))
    return deepcopy(WHOLE)


def quiet(_: str) -> None:
    pass


def timeless(log: Any) -> Any:
    """Return the log without its times and its name."""
    if isinstance(log, dict):
        return {key: timeless(value) for key, value in log.items() if key not in ("seconds", "study")}
    return [timeless(value) for value in log] if isinstance(log, list) else log


@contextmanager
def at_update(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` during an update, counted over all trials."""
    updates = 0

    def hook(*_: object) -> None:
        nonlocal updates
        updates += 1
        if updates == number:
            act()

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.slow
@pytest.mark.usefixtures("search_figure")
def test_search_logs_every_trial_and_finds_the_best(search: Search) -> None:
    log = tune(search, quiet)
    trials = log["trials"]
    assert [trial["number"] for trial in trials] == list(range(6))
    assert {trial["state"] for trial in trials} <= {"complete", "pruned"}
    values = [max(epoch["value"] for epoch in trial["epochs"]) for trial in trials]
    assert [trial["value"] for trial in trials] == values
    assert trials[log["best"]]["value"] == max(t["value"] for t in trials if t["state"] == "complete")
    assert trials[log["best"]]["value"] > min(values)
    for trial in trials:
        assert 0 <= trial["params"]["model.top_dropout"] <= 0.5
        run = Run(search.trial_path(trial["number"]))
        assert run.config.optim.learning_rate == trial["params"]["optim.learning_rate"]
        assert [entry["val_accuracy"] for entry in run.metrics("epoch")] == [e["value"] for e in trial["epochs"]]
        times = [epoch["seconds"] for epoch in trial["epochs"]]
        assert times == sorted(times)
        assert times[-1] <= trial["seconds"]
    assert read_json(search.directory / "results.json") == log
    assert (search.directory / "figures" / "search.svg").exists()


@pytest.mark.slow
def test_draws_follow_from_the_seed(search: Search, tmp_path: Path) -> None:
    one = tune(replace(search, trials=5), quiet)
    again = tune(replace(search, trials=5, directory=tmp_path / "again"), quiet)
    assert timeless(again) == timeless(one)
    seeded = search.config.with_tables({"loop": {"seed": 1}}, "test")
    other = tune(replace(search, trials=2, config=seeded, directory=tmp_path / "other"), quiet)
    assert other["trials"][1]["params"] != one["trials"][1]["params"]


@pytest.mark.slow
def test_failed_first_trial_is_repeated(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(one_trial, "train", raiser(RunError("The disk is broken.", "Replace it.")))
        with pytest.raises(RunError):
            tune(search, quiet)
    failed, repeated, other = tune(replace(search, trials=2), quiet)["trials"]
    assert failed["state"] == "failed"
    assert repeated["params"] == failed["params"]
    assert other["params"] != failed["params"]


def test_first_trial_has_the_settings_of_a_training_without_a_search(search: Search) -> None:
    [trial] = tune(replace(search, trials=1), quiet)["trials"]
    own = flatten(asdict(search.config))
    assert trial["params"].keys() == search.space.keys()
    inside = {name for name, domain in search.space.items() if own[name] in domain}
    assert inside
    assert {name for name, value in trial["params"].items() if value == own[name]} == inside


@pytest.mark.parametrize("step", [1, 41])
def test_interrupted_search_continues_with_the_same_trials(
    search: Search, whole: dict[str, Any], tmp_path: Path, step: int
) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with (
        at_update(step, lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(Interrupted, match="same elman tune"),
    ):
        tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_killed_search_continues_with_the_same_trials(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    """SystemExit inside an update skips every handler that saves something."""
    stopped = replace(search, directory=tmp_path / "stopped")
    for step in (2, 30):
        with at_update(step, raiser(SystemExit())), pytest.raises(SystemExit):
            tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_epoch_lost_before_its_record_is_recorded_later(
    search: Search, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(one_trial._Record, "add_epoch", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_more_trials_continue_a_complete_search(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    grown = replace(search, directory=tmp_path / "grown")
    tune(replace(grown, trials=3), quiet)
    assert timeless(tune(grown, quiet)) == timeless(whole)
    lines: list[str] = []
    assert timeless(tune(grown, lines.append)) == timeless(whole)
    assert not any("trial" in line for line in lines)


@pytest.mark.slow
def test_only_trials_worse_than_the_median_are_pruned(search: Search) -> None:
    log = tune(replace(search, trials=12), quiet)
    pruned = [trial for trial in log["trials"] if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        epochs = len(trial["epochs"])
        assert PRUNED_FROM_EPOCH <= epochs < EPOCHS
        complete = [other for other in log["trials"][: trial["number"]] if other["state"] == "complete"]
        assert len(complete) >= database.PRUNED_AFTER_TRIALS
        others = [other["epochs"][epochs - 1]["value"] for other in complete]
        assert trial["value"] < np.median(others)
    assert all(len(trial["epochs"]) == EPOCHS for trial in log["trials"] if trial["state"] == "complete")


@pytest.mark.slow
def test_finished_trial_keeps_only_configuration_and_metrics(search: Search) -> None:
    tune(replace(search, trials=2), quiet)
    for path in search.directory.glob("trial-*"):
        names = {file.name for file in path.rglob("*") if not file.name.startswith(".")}
        assert names == {"config.toml", "data.json", "metrics.jsonl", "results", "training.json"}
    with pytest.raises(RunError, match="only its configuration and its metrics"):
        evaluate(Run(search.trial_path(0)), "val")


def test_weights_left_by_a_killed_process_are_removed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "keep_only_metrics", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(search, quiet)
    assert (search.trial_path(0) / "weights.safetensors").exists()
    log = tune(replace(search, trials=1), quiet)
    assert len(log["trials"]) == 1
    assert not (search.trial_path(0) / "weights.safetensors").exists()


@pytest.mark.slow
def test_diverging_trial_counts_as_pruned(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    original = one_trial.train

    def train(run: Run, *arguments: Any) -> Any:
        if run.path.name == "trial-0001":
            raise NonFiniteLoss("In step 3 the loss became nan.", "Use a lower rate.")
        return original(run, *arguments)

    monkeypatch.setattr(one_trial, "train", train)
    log = tune(replace(search, trials=3), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["complete", "pruned", "complete"]
    assert log["trials"][1]["reason"] == "In step 3 the loss became nan."


@pytest.mark.slow
def test_failed_trial_has_a_reason_and_does_not_count(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(one_trial, "train", raiser(MemoryError("too much")))
        with pytest.raises(MemoryError):
            tune(search, quiet)
    log = tune(replace(search, trials=2), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete", "complete"]
    assert log["trials"][0]["reason"] == "too much"


def test_search_continues_after_a_full_disk(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with at_update(6, raiser(OSError(28, "No space left on device"))), pytest.raises(OSError, match="No space"):
        tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_trial_without_a_folder_counts_as_failed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "create", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(search, quiet)
    log = tune(replace(search, trials=1), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete"]


def test_trial_without_a_recent_heartbeat_is_lost() -> None:
    def trial(started: datetime, **attributes: float) -> optuna.trial.FrozenTrial:
        running = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        running.datetime_start = started
        return running

    now = datetime.now()
    assert is_lost(trial(now - timedelta(hours=1)))
    assert not is_lost(trial(now - timedelta(hours=1), alive=time.time() - 60))
    assert is_lost(trial(now - timedelta(hours=1), alive=time.time() - 3600))
    assert not is_lost(trial(now))


@pytest.mark.slow
def test_trial_declared_lost_by_another_machine_is_stopped(search: Search) -> None:
    """This happens to a machine that was asleep."""

    def give_up() -> None:
        address = f"sqlite:///{search.directory}/trials.db"
        optuna.load_study(study_name="search", storage=address).tell(0, state=TrialState.FAIL)

    lines: list[str] = []
    with at_update(2, give_up), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # from the database opened above
        log = tune(replace(search, trials=2), lines.append)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete", "complete"]
    assert "trial 0  stopped: another machine counted it as lost" in lines
    assert not (search.trial_path(0) / "weights.safetensors").exists()


@pytest.mark.parametrize("place", ["report", "set_user_attr"])
def test_process_killed_while_it_records_an_epoch_loses_nothing(
    search: Search, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The record has several parts, and the process ends after the first or the second."""
    stopped = replace(search, directory=tmp_path / "stopped")
    original = getattr(Trial, place)

    def note_and_die(trial: Trial, *arguments: Any) -> None:
        original(trial, *arguments)
        if arguments[0] != "alive":
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Trial, place, note_and_die)
        with pytest.raises(SystemExit):
            tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_heartbeat_continues_until_the_trial_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna_study, threads = optuna.create_study(), set(threading.enumerate())
    trial, second_beat = optuna_study.ask(), threading.Event()
    monkeypatch.setattr(database, "BEAT_SECONDS", 0.01)

    def record(name: str, seconds: float) -> None:
        if name in trial.user_attrs:
            second_beat.set()
        Trial.set_user_attr(trial, name, seconds)

    monkeypatch.setattr(trial, "set_user_attr", record)
    with database.heartbeat(trial):
        second_beat.wait()
    assert set(threading.enumerate()) <= threads  # no thread is left that could write


def test_other_settings_are_refused_and_named(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    other_space = replace(search, space={**SPACE, "optim.learning_rate": Range(1e-3, 1e-1, log=True)})
    with pytest.raises(
        ConfigError, match=r"learning_rate \(searched\): 0.0001 to 0.1, .* there, 0.001 to 0.1, .* here"
    ):
        tune(other_space, quiet)
    narrower = {name: domain for name, domain in SPACE.items() if name != "model.hidden_size"}
    with pytest.raises(
        ConfigError, match=r"model.hidden_size: absent there, 8 here; model.hidden_size \(searched\): 4 or 8"
    ):
        tune(replace(search, space=narrower), quiet)
    longer = replace(search, config=search.config.with_tables({"loop": {"epochs": 4}}, "test"))
    with pytest.raises(ConfigError, match=r"loop.epochs: 3 there, 4 here"):
        tune(longer, quiet)
    assert len(read_json(search.directory / "results.json")["trials"]) == 1


def test_other_data_is_refused(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    tune(replace(search, trials=1), quiet)
    original = searching.open_dataset
    monkeypatch.setattr(searching, "open_dataset", lambda config: replace(original(config), checksum="other"))
    with pytest.raises(ConfigError, match=r"checksum of the data: .* there, other here"):
        tune(search, quiet)


@pytest.mark.slow
def test_folders_of_a_lost_database_are_refused(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    for name in ("trials.db", "results.json"):
        (search.directory / name).unlink()
    with pytest.raises(ConfigError, match="trial-0000 is not a trial"):
        tune(search, quiet)


def test_search_restored_from_its_log_continues_with_the_same_trials(
    search: Search, whole: dict[str, Any], tmp_path: Path
) -> None:
    tune(replace(search, directory=tmp_path / "lost" / "search", trials=5), quiet)
    moved = replace(search, directory=tmp_path / "moved" / "search", log=tmp_path / "small" / "log.json")
    moved.log_path.parent.mkdir()
    (tmp_path / "lost" / "search" / "results.json").rename(moved.log_path)
    assert timeless(tune(moved, quiet)) == timeless(whole)
    assert [path.name for path in moved.directory.glob("trial-*")] == ["trial-0005"]


@pytest.mark.slow
def test_trial_running_when_the_database_was_lost_counts_as_failed(search: Search) -> None:
    log = tune(replace(search, trials=3), quiet)
    (search.directory / "trials.db").unlink()
    log["trials"][1] |= {"state": "running", "value": None}
    write_json(search.log_path, log)
    trials = tune(search, quiet)["trials"]
    assert [trial["number"] for trial in trials] == list(range(7))
    assert [trial["state"] for trial in trials].count("failed") == 1
    assert trials[1]["state"] == "failed"
    assert (trials[0], trials[2]) == (log["trials"][0], log["trials"][2])


@pytest.mark.slow
@pytest.mark.parametrize("other", ["epochs", "narrower", "wider"])
def test_log_of_another_search_is_refused(search: Search, other: str) -> None:
    log = tune(replace(search, trials=1), quiet)
    (search.directory / "trials.db").unlink()
    changed = {
        "epochs": replace(search, config=search.config.with_tables({"loop": {"epochs": 4}}, "test")),
        "narrower": replace(search, space={name: SPACE[name] for name in list(SPACE)[1:]}),
        "wider": replace(search, space={**SPACE, "model.top_dropout": Range(0.0, 0.9)}),
    }[other]
    for _ in range(2):
        with pytest.raises(ConfigError, match="began with other settings"):
            tune(changed, quiet)
    continued = tune(replace(search, trials=2), quiet)
    assert continued["trials"][0] == log["trials"][0]
    assert continued["search"] == log["search"]


def test_damaged_database_is_named(search: Search) -> None:
    search.directory.mkdir()
    (search.directory / "trials.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"trials.db does not work \(.*not a database"):
        tune(search, quiet)


@pytest.mark.slow
def test_keep_last_compares_the_last_epochs(search: Search) -> None:
    last = search.config.with_tables({"loop": {"keep": "last"}, "optim": {"schedule": "constant"}}, "test")
    log = tune(replace(search, config=last, trials=5), quiet)
    at_end = [trial["epochs"][-1]["value"] for trial in log["trials"]]
    assert [trial["value"] for trial in log["trials"]] == at_end
    assert any(max(epoch["value"] for epoch in trial["epochs"]) > trial["value"] for trial in log["trials"])
    assert log["trials"][log["best"]]["value"] == max(at_end)
    assert [point.value for point in best_so_far(log)] == np.maximum.accumulate(at_end).tolist()


@pytest.mark.slow
def test_search_continues_with_another_number_of_threads(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    other = replace(search, config=search.config.with_tables({"loop": {"threads": 2}}, "test"), trials=2)
    assert len(tune(other, quiet)["trials"]) == 2


@pytest.mark.slow
def test_search_ends_when_the_time_is_spent(search: Search) -> None:
    log = tune(replace(search, hours=1e-9), quiet)
    assert len(log["trials"]) == 1
    assert len(tune(replace(search, hours=1e-9), quiet)["trials"]) == 1
    assert len(tune(replace(search, hours=1.0, trials=2), quiet)["trials"]) == 2


@pytest.mark.slow
def test_language_models_are_compared_by_the_least_cross_entropy(search: Search) -> None:
    tables = {
        "data": {
            "name": "brackets",
            "task": "language-model",
            "level": "char",
            "strings": 300,
            "held_out_strings": 100,
            "synthetic_size": DataConfig.synthetic_size,
            "synthetic_sentences": DataConfig.synthetic_sentences,
        },
        "model": {"layer": "rnn", "embedding_dropout": 0.0, "word_dropout": 0.0},
        "loop": {"samples": 5, "max_new_tokens": 20, "epochs": 2},
    }
    log = tune(replace(search, config=search.config.with_tables(tables, "test"), trials=4), quiet)
    assert (log["metric"], log["direction"]) == ("val_cross_entropy_nats", "minimize")
    assert log["trials"][log["best"]]["value"] == min(trial["value"] for trial in log["trials"])


@pytest.mark.slow
def test_processes_share_a_search(search: Search) -> None:
    lines: list[str] = []
    log = tune(replace(search, trials=6, processes=2), lines.append)
    assert [trial["number"] for trial in log["trials"]] == list(range(6))
    for trial in log["trials"]:
        assert trial["state"] in ("complete", "pruned")
        assert [epoch["epoch"] for epoch in trial["epochs"]] == list(range(1, len(trial["epochs"]) + 1))
        first_lines = [line for line in lines if line.startswith(f"trial {trial['number']}:")]
        assert len(first_lines) == 1  # by only one of the processes


@pytest.mark.slow
def test_pretraining_comes_before_all_trials(search: Search) -> None:
    lines: list[str] = []
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    pretrained = replace(search, config=search.config.with_tables(tables, "test"), trials=2, processes=2)
    assert len(tune(pretrained, lines.append)["trials"]) == 2
    order = [line.partition(":")[0] for line in lines if line.startswith(("pretraining", "trial"))]
    assert order[0] == "pretraining"
    assert {"trial 0", "trial 1"} <= set(order[1:])


def test_pretraining_does_not_count_as_time_of_a_trial(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    pretraining_seconds = 0.0

    def pretrain_slowly(*arguments: Any) -> Run | None:
        nonlocal pretraining_seconds
        pretraining_seconds += 1e6
        return pretrain(*arguments)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + pretraining_seconds)
    monkeypatch.setattr("elman.pretraining.pretrain", pretrain_slowly)
    monkeypatch.setattr(one_trial, "time", clock)
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    log = tune(replace(search, config=search.config.with_tables(tables, "test"), trials=2), quiet)
    assert pretraining_seconds == 2e6
    assert log["seconds"] < 1e6


@pytest.mark.slow
def test_complete_search_does_not_pretrain(search: Search) -> None:
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    done = replace(search, config=search.config.with_tables(tables, "test"), trials=1)
    tune(done, quiet)
    shutil.rmtree(cache_root() / "pretrained")
    tune(done, quiet)
    assert not (cache_root() / "pretrained").exists()


@pytest.mark.slow
def test_trial_with_an_invalid_combination_counts_as_failed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "configured", raiser(ConfigError("Together these are invalid.", "Use others.")))
    with pytest.raises(ConfigError, match="Together"):
        tune(search, quiet)
    monkeypatch.undo()
    assert [trial["state"] for trial in tune(replace(search, trials=1), quiet)["trials"]] == ["failed", "complete"]


@pytest.mark.slow
def test_error_of_a_worker_is_raised_in_the_parent(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    longer = search.config.with_tables({"loop": {"epochs": 4}}, "test")
    with pytest.raises(ConfigError, match=r"loop.epochs: 3 there, 4 here"):
        run_in_processes(2, partial(searching._run_worker, replace(search, config=longer)), quiet, "")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("mysql://host/name", "cannot be kept in mysql"),
        ("nonsense", "not the address of a database"),
    ],
)
def test_unsupported_database_is_refused(search: Search, storage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(replace(search, storage=storage), quiet)


def test_missing_driver_is_named_with_its_extra(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'elman\[postgres\]'"):
        tune(replace(search, storage="postgresql://host/name"), quiet)


def test_unreachable_database_is_named_without_its_password(search: Search) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(DataError, match=r"postgresql://me:.*localhost:1/name does not work") as caught:
        tune(replace(search, storage="postgresql://me:secret@localhost:1/name"), quiet)
    assert "secret" not in str(caught.value)


def test_database_address(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    assert database_url(tmp_path, None).render_as_string() == f"sqlite:///{tmp_path}/trials.db"
    url = database_url(tmp_path, "postgresql://me:secret@host/name")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://me:secret@host/name"


@pytest.mark.slow
@pytest.mark.postgres
def test_two_folders_share_a_search_by_postgresql(
    search: Search, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two machines do: each sees the trials of the other, and continues only those in its own folder."""
    monkeypatch.setattr(database, "PRUNED_AFTER_TRIALS", 5)  # so that none of these is pruned
    name = f"test-{uuid4().hex}"
    here = replace(search, directory=tmp_path / "here" / name, storage=postgres)
    there = replace(search, directory=tmp_path / "there" / name, storage=postgres)
    tune(replace(here, trials=2), quiet)
    with at_update(2, lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(Interrupted):
        tune(replace(here, trials=3), quiet)
    log = tune(replace(there, trials=5), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["complete", "complete", "running", "complete", "complete"]
    assert sorted(path.name for path in there.directory.glob("trial-*")) == ["trial-0003", "trial-0004"]
    log = tune(replace(here, trials=5), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["complete"] * 5
    with pytest.raises(ConfigError, match=r"loop.epochs"):
        tune(replace(there, config=search.config.with_tables({"loop": {"epochs": 4}}, "test")), quiet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials must be 1 or more, not 0"),
        ({"processes": 0}, "--processes must be 1 or more"),
        ({"hours": 0.0}, "--hours must be positive"),
        ({"hours": float("nan")}, "--hours must be positive"),
    ],
)
def test_invalid_budget_is_refused(search: Search, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(search, **options)


@pytest.mark.slow
def test_configuration_of_the_best_trial_reproduces_its_value(search: Search, tmp_path: Path) -> None:
    log = tune(replace(search, trials=3), quiet)
    best = log["trials"][log["best"]]
    config = Run(search.trial_path(best["number"])).config
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    assert train(run, open_dataset(config.data), quiet)["val_accuracy"] == pytest.approx(best["value"], abs=0)
