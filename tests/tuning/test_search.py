"""A search draws, trains, stops what is poor, and goes on after any end to the very trials that it would have had."""

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

from elman import training
from elman.config import DataConfig, RunConfig
from elman.data.imdb import cache_root
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError, Interrupted, NonFiniteLoss, RunError
from elman.evaluation import evaluate
from elman.files import read_json, write_json
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.runs import Run
from elman.tuning import Choice, Range, Search, database, tune
from elman.tuning import search as searching
from elman.tuning import trial as one_trial
from elman.tuning.database import PRUNED_FROM_EPOCH, database_url, is_lost
from elman.tuning.log import best_so_far
from elman.tuning.space import flat
from elman.tuning.trial import trial_path

SPACE = {
    "model.top_dropout": Range(0.0, 0.5),
    "model.hidden_size": Choice((4, 8)),
    "optim.learning_rate": Range(1e-4, 1e-1, log=True),
}
EPOCHS = 3


@pytest.fixture
def search(tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A search of six trials, of which three are drawn at random, and which prunes after two complete ones."""
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
    """The log of the search without any interruption, run once for all tests that compare with it."""
    if not WHOLE:
        WHOLE.update(tune(replace(search, directory=tmp_path / "whole" / "search"), quiet))
    return deepcopy(WHOLE)


def quiet(_: str) -> None:
    pass


def timeless(log: dict[str, Any]) -> Any:
    """The log without its times and its name."""
    if isinstance(log, dict):
        return {key: timeless(value) for key, value in log.items() if key not in ("seconds", "study")}
    return [timeless(value) for value in log] if isinstance(log, list) else log


@contextmanager
def in_update(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Do something in the middle of an update, counted over all trials."""
    original, calls = training.note_step, 0

    def note_step(*arguments: Any) -> None:
        nonlocal calls
        original(*arguments)
        calls += 1
        if calls == number:
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "note_step", note_step)
        yield


def raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.slow
@pytest.mark.usefixtures("search_figure")
def test_a_search_finds_what_learns(search: Search) -> None:
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
        run = Run(trial_path(search.directory, trial["number"]))
        assert run.config.optim.learning_rate == trial["params"]["optim.learning_rate"]
        assert [entry["val_accuracy"] for entry in run.metrics("epoch")] == [e["value"] for e in trial["epochs"]]
        times = [epoch["seconds"] for epoch in trial["epochs"]]
        assert times == sorted(times)
        assert times[-1] <= trial["seconds"]
    assert read_json(search.directory / "results.json") == log
    assert (search.directory / "figures" / "search.svg").exists()


def test_what_was_drawn_follows_from_the_seed(search: Search, tmp_path: Path) -> None:
    one = tune(replace(search, trials=5), quiet)
    again = tune(replace(search, trials=5, directory=tmp_path / "again"), quiet)
    assert timeless(again) == timeless(one)
    seeded = search.config.with_tables({"loop": {"seed": 1}}, "test")
    other = tune(replace(search, trials=2, config=seeded, directory=tmp_path / "other"), quiet)
    assert other["trials"][1]["params"] != one["trials"][1]["params"]


def test_a_first_trial_that_was_lost_is_begun_again(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(one_trial, "train", raiser(RunError("The disk is broken.", "Mend it.")))
        with pytest.raises(RunError):
            tune(search, quiet)
    lost, *others = tune(replace(search, trials=2), quiet)["trials"]
    assert lost["state"] == "failed"
    assert others[0]["params"] == lost["params"]
    assert others[1]["params"] != lost["params"]


def test_the_first_trial_is_what_would_be_trained_without_a_search(search: Search) -> None:
    [trial] = tune(replace(search, trials=1), quiet)["trials"]
    own = flat(asdict(search.config))
    assert trial["params"].keys() == search.space.keys()
    inside = {name for name, domain in search.space.items() if own[name] in domain}
    assert inside
    assert {name for name, value in trial["params"].items() if value == own[name]} == inside


@pytest.mark.parametrize("step", [1, 41])
def test_interrupted_and_continued_to_the_same_trials(
    search: Search, whole: dict[str, Any], tmp_path: Path, step: int
) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with (
        in_update(step, lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(Interrupted, match="same elman tune"),
    ):
        tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_killed_and_continued_to_the_same_trials(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    """Without the chance to say or save anything."""
    stopped = replace(search, directory=tmp_path / "stopped")
    for step in (2, 30):
        with in_update(step, raiser(SystemExit())), pytest.raises(SystemExit):
            tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_killed_between_an_epoch_and_its_report(
    search: Search, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(one_trial._Notes, "epoch", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_more_trials_continue_a_search_that_has_ended(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    grown = replace(search, directory=tmp_path / "grown")
    tune(replace(grown, trials=3), quiet)
    assert timeless(tune(grown, quiet)) == timeless(whole)
    lines: list[str] = []
    assert timeless(tune(grown, lines.append)) == timeless(whole)
    assert not any("trial" in line for line in lines)


def test_a_trial_is_stopped_only_if_it_is_worse_than_the_median(search: Search) -> None:
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


def test_a_finished_trial_keeps_configuration_and_metrics_alone(search: Search) -> None:
    tune(replace(search, trials=2), quiet)
    for path in search.directory.glob("trial-*"):
        kept = {found.name for found in path.rglob("*") if not found.name.startswith(".")}
        assert kept == {"config.toml", "data.json", "metrics.jsonl", "results", "training.json"}
    with pytest.raises(RunError, match="only its configuration and its metrics"):
        evaluate(Run(trial_path(search.directory, 0)), "val")


def test_weights_that_a_killed_process_left_are_swept(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "keep_only_metrics", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(search, quiet)
    assert (trial_path(search.directory, 0) / "weights.safetensors").exists()
    log = tune(replace(search, trials=1), quiet)
    assert len(log["trials"]) == 1
    assert not (trial_path(search.directory, 0) / "weights.safetensors").exists()


def test_a_trial_that_diverges_is_ended_and_the_search_goes_on(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    original = one_trial.train

    def train(run: Run, *arguments: Any) -> Any:
        if run.path.name == "trial-0001":
            raise NonFiniteLoss("In step 3 the loss became nan.", "Lower the rate.")
        return original(run, *arguments)

    monkeypatch.setattr(one_trial, "train", train)
    log = tune(replace(search, trials=3), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["complete", "pruned", "complete"]
    assert log["trials"][1]["reason"] == "In step 3 the loss became nan."


def test_a_trial_that_fails_says_why_and_does_not_count(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(one_trial, "train", raiser(MemoryError("too much")))
        with pytest.raises(MemoryError):
            tune(search, quiet)
    log = tune(replace(search, trials=2), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete", "complete"]
    assert log["trials"][0]["reason"] == "too much"


def test_a_full_disk_loses_no_trial(search: Search, whole: dict[str, Any], tmp_path: Path) -> None:
    stopped = replace(search, directory=tmp_path / "stopped")
    with in_update(6, raiser(OSError(28, "No space left on device"))), pytest.raises(OSError, match="No space"):
        tune(stopped, quiet)
    assert timeless(tune(stopped, quiet)) == timeless(whole)


def test_a_trial_that_never_came_to_a_folder_is_given_up(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Run, "create", raiser(SystemExit()))
        with pytest.raises(SystemExit):
            tune(search, quiet)
    log = tune(replace(search, trials=1), quiet)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete"]


def test_a_trial_of_another_machine_is_lost_when_it_is_silent() -> None:
    def trial(started: datetime, **attributes: float) -> optuna.trial.FrozenTrial:
        made = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        made.datetime_start = started
        return made

    now = datetime.now()
    assert is_lost(trial(now - timedelta(hours=1)))
    assert not is_lost(trial(now - timedelta(hours=1), alive=time.time() - 60))
    assert is_lost(trial(now - timedelta(hours=1), alive=time.time() - 3600))
    assert not is_lost(trial(now))


def test_a_trial_that_another_machine_gave_up_is_dropped_and_the_search_goes_on(search: Search) -> None:
    """It was silent too long, asleep, and then woke."""

    def give_up() -> None:
        address = f"sqlite:///{search.directory}/trials.db"
        optuna.load_study(study_name="search", storage=address).tell(0, state=TrialState.FAIL)

    lines: list[str] = []
    with in_update(2, give_up), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the database opened above
        log = tune(replace(search, trials=2), lines.append)
    assert [trial["state"] for trial in log["trials"]] == ["failed", "complete", "complete"]
    assert "trial 0  stopped: another machine took it to be lost" in lines
    assert not (trial_path(search.directory, 0) / "weights.safetensors").exists()


@pytest.mark.parametrize("place", ["report", "set_user_attr"])
def test_killed_while_an_epoch_is_noted(
    search: Search, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Before and after the first of the places that it is noted in."""
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


def test_while_it_runs_a_trial_says_that_it_is_alive(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    study, threads = optuna.create_study(), set(threading.enumerate())
    monkeypatch.setattr(database, "BEAT_SECONDS", 0.01)
    with database.heartbeat(study.ask()):
        first = study.trials[0].user_attrs["alive"]
        while study.trials[0].user_attrs["alive"] == first:
            time.sleep(0.01)
    assert study.trials[0].user_attrs["alive"] > first
    assert set(threading.enumerate()) <= threads  # nothing is left that could write


def test_another_search_is_refused_with_the_difference(search: Search) -> None:
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


def test_trials_of_a_database_that_is_gone_are_not_mixed_in(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    for lost in ("trials.db", "results.json"):
        (search.directory / lost).unlink()
    with pytest.raises(ConfigError, match="trial-0000 belongs to no trial"):
        tune(search, quiet)


def test_from_its_log_alone_a_search_goes_on_to_the_very_trials_that_it_would_have_had(
    search: Search, whole: dict[str, Any], tmp_path: Path
) -> None:
    tune(replace(search, directory=tmp_path / "lost" / "search", trials=5), quiet)
    moved = replace(search, directory=tmp_path / "moved" / "search", log=tmp_path / "small" / "log.json")
    moved.log_path.parent.mkdir()
    (tmp_path / "lost" / "search" / "results.json").rename(moved.log_path)
    assert timeless(tune(moved, quiet)) == timeless(whole)
    assert [path.name for path in moved.directory.glob("trial-*")] == ["trial-0005"]


def test_what_ran_when_the_database_was_lost_counts_for_none_but_keeps_its_number(search: Search) -> None:
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
def test_the_log_of_another_search_in_the_same_place_is_refused(search: Search, other: str) -> None:
    log = tune(replace(search, trials=1), quiet)
    (search.directory / "trials.db").unlink()
    changed = {
        "epochs": replace(search, config=search.config.with_tables({"loop": {"epochs": 4}}, "test")),
        "narrower": replace(search, space={name: SPACE[name] for name in list(SPACE)[1:]}),
        "wider": replace(search, space={**SPACE, "model.top_dropout": Range(0.0, 0.9)}),
    }[other]
    for _ in range(2):
        with pytest.raises(ConfigError, match="was begun with other settings"):
            tune(changed, quiet)
    found = tune(replace(search, trials=2), quiet)
    assert found["trials"][0] == log["trials"][0]
    assert found["search"] == log["search"]


def test_a_damaged_database_is_named(search: Search) -> None:
    search.directory.mkdir()
    (search.directory / "trials.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"trials.db does not work \(.*not a database"):
        tune(search, quiet)


def test_where_the_weights_after_the_last_epoch_are_kept_these_are_what_is_searched_for(search: Search) -> None:
    last = search.config.with_tables({"loop": {"keep": "last"}, "optim": {"schedule": "constant"}}, "test")
    log = tune(replace(search, config=last, trials=5), quiet)
    at_end = [trial["epochs"][-1]["value"] for trial in log["trials"]]
    assert [trial["value"] for trial in log["trials"]] == at_end
    assert any(max(epoch["value"] for epoch in trial["epochs"]) > trial["value"] for trial in log["trials"])
    assert log["trials"][log["best"]]["value"] == max(at_end)
    assert [point.value for point in best_so_far(log)] == np.maximum.accumulate(at_end).tolist()


def test_a_search_goes_on_with_other_threads(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    other = replace(search, config=search.config.with_tables({"loop": {"threads": 2}}, "test"), trials=2)
    assert len(tune(other, quiet)["trials"]) == 2


def test_time_ends_a_search(search: Search) -> None:
    log = tune(replace(search, hours=1e-9), quiet)
    assert len(log["trials"]) == 1
    assert len(tune(replace(search, hours=1e-9), quiet)["trials"]) == 1
    assert len(tune(replace(search, hours=1.0, trials=2), quiet)["trials"]) == 2


def test_of_a_language_model_the_least_cross_entropy_is_the_best(search: Search) -> None:
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


def test_processes_share_a_search(search: Search) -> None:
    lines: list[str] = []
    log = tune(replace(search, trials=6, processes=2), lines.append)
    assert [trial["number"] for trial in log["trials"]] == list(range(6))
    for trial in log["trials"]:
        assert trial["state"] in ("complete", "pruned")
        assert [epoch["epoch"] for epoch in trial["epochs"]] == list(range(1, len(trial["epochs"]) + 1))
        begun = [line for line in lines if line.startswith(f"trial {trial['number']}:")]
        assert len(begun) == 1  # by one of them


def test_what_all_trials_begin_from_is_pretrained_before_any_of_them(search: Search) -> None:
    lines: list[str] = []
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    begun = replace(search, config=search.config.with_tables(tables, "test"), trials=2, processes=2)
    assert len(tune(begun, lines.append)["trials"]) == 2
    order = [line.partition(":")[0] for line in lines if line.startswith(("pretraining", "trial"))]
    assert order[0] == "pretraining"
    assert {"trial 0", "trial 1"} <= set(order[1:])


def test_no_trial_is_charged_with_the_pretraining_that_others_share(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = 0.0

    def slowly(*arguments: Any) -> Run | None:
        nonlocal late
        late += 1_000
        return pretrain(*arguments)

    monkeypatch.setattr(one_trial, "pretrain", slowly)
    monkeypatch.setattr(one_trial, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late))
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    log = tune(replace(search, config=search.config.with_tables(tables, "test"), trials=2), quiet)
    assert late == 2_000
    assert log["seconds"] < 1_000


def test_nothing_is_pretrained_where_no_trial_is_left(search: Search) -> None:
    tables = {"model": {"layer": "gru"}, "loop": {"pretrain_epochs": 1}}
    done = replace(search, config=search.config.with_tables(tables, "test"), trials=1)
    tune(done, quiet)
    shutil.rmtree(cache_root() / "pretrained")
    tune(done, quiet)
    assert not (cache_root() / "pretrained").exists()


def test_a_combination_that_cannot_be_leaves_no_trial_that_runs(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "configured", raiser(ConfigError("Together these cannot be.", "Search others.")))
    with pytest.raises(ConfigError, match="Together"):
        tune(search, quiet)
    monkeypatch.undo()
    assert [trial["state"] for trial in tune(replace(search, trials=1), quiet)["trials"]] == ["failed", "complete"]


def test_what_a_process_meets_is_said_by_the_one_that_began_it(search: Search) -> None:
    tune(replace(search, trials=1), quiet)
    longer = search.config.with_tables({"loop": {"epochs": 4}}, "test")
    with pytest.raises(ConfigError, match=r"loop.epochs: 3 there, 4 here"):
        run_in_processes(2, partial(searching._worker, replace(search, config=longer)), quiet, "")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("mysql://host/name", "not kept in mysql"),
        ("nonsense", "no address of a database"),
    ],
)
def test_another_kind_of_database_is_refused(search: Search, storage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(replace(search, storage=storage), quiet)


def test_without_the_driver_the_line_that_installs_it_is_said(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'elman\[postgres\]'"):
        tune(replace(search, storage="postgresql://host/name"), quiet)


def test_a_database_that_does_not_answer_is_named_without_its_password(search: Search) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(DataError, match=r"postgresql://me:.*localhost:1/name does not work") as caught:
        tune(replace(search, storage="postgresql://me:secret@localhost:1/name"), quiet)
    assert "secret" not in str(caught.value)


def test_the_address_of_the_database(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    assert database_url(tmp_path, None).render_as_string() == f"sqlite:///{tmp_path}/trials.db"
    found = database_url(tmp_path, "postgresql://me:secret@host/name")
    assert found.render_as_string(hide_password=False) == "postgresql+psycopg://me:secret@host/name"


@pytest.mark.postgres
def test_two_folders_share_a_search_by_postgresql(
    search: Search, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two machines do: one finds what the other has done, and leaves what is not in its own folder alone."""
    monkeypatch.setattr(database, "PRUNED_AFTER_TRIALS", 5)  # so that none of these is pruned
    name = f"test-{uuid4().hex}"
    here = replace(search, directory=tmp_path / "here" / name, storage=postgres)
    there = replace(search, directory=tmp_path / "there" / name, storage=postgres)
    tune(replace(here, trials=2), quiet)
    with in_update(2, lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(Interrupted):
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
def test_a_budget_that_cannot_be_is_refused(search: Search, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(search, **options)


def test_the_best_trial_is_trained_again_by_its_configuration(search: Search, tmp_path: Path) -> None:
    log = tune(replace(search, trials=3), quiet)
    best = log["trials"][log["best"]]
    config = Run(trial_path(search.directory, best["number"])).config
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    assert training.train(run, open_dataset(config.data), quiet)["val_accuracy"] == pytest.approx(best["value"], abs=0)
