"""A classifier that was pretrained begins where the pretraining ended, which is done once and can be stopped too."""

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import training
from elman.checkpoint import load_weights
from elman.config import RunConfig, SamplingConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError, Interrupted, RunError
from elman.evaluation import evaluate
from elman.files import try_lock
from elman.generalization import generalize
from elman.grading import grade, write
from elman.presets import preset
from elman.pretraining import in_turn, pretrain, pretrained_path, pretraining_config
from elman.runs import Run
from elman.tasks.word_prediction import WordPrediction
from elman.text.sequences import Sequences
from elman.training import train

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pretrained(config: RunConfig) -> RunConfig:
    return config.with_tables({"model": {"bidirectional": True}, "loop": {"pretrain_epochs": 2}}, "test")


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Press Ctrl-C after the step of that number, once."""

    def press(step: int) -> None:
        original = training.save_if_due

        def interrupt_and_save(session: training.Session) -> None:
            if session.state.position.step == step:
                monkeypatch.setattr(training, "save_if_due", original)
                signal.raise_signal(signal.SIGINT)
            original(session)

        monkeypatch.setattr(training, "save_if_due", interrupt_and_save)

    return press


def same_weights(run: Run, other: Run) -> bool:
    found, expected = load_weights(run.weights_path), load_weights(other.weights_path)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def pretrained_and_trained(path: Path, config: RunConfig, dataset: Dataset) -> tuple[Run, list[str]]:
    run, lines = Run.create(path, config, dataset), list[str]()
    train(run, dataset, lines.append, start=pretrain(config, dataset, lines.append))
    return run, lines


@pytest.mark.slow
def test_a_classifier_begins_where_the_pretraining_ended(
    tmp_path: Path, pretrained: RunConfig, dataset: Dataset
) -> None:
    still = pretrained.with_tables({"optim": {"learning_rate": 1e-12}, "loop": {"keep": "last"}}, "test")
    run, lines = pretrained_and_trained(tmp_path / "run", still, dataset)
    start = Run(pretrained_path(pretraining_config(still), dataset))
    begun, found = load_weights(start.weights_path), load_weights(run.weights_path)
    shared = [name for name in found if name.startswith(("embedding.", "layer."))]
    assert len(shared) == 1 + 2 * 4
    for name in shared:
        torch.testing.assert_close(found[name], begun[name], rtol=0, atol=1e-7)
    assert lines[0] == f"pretraining: {start.path}"
    assert run.result("training")["pretraining"]["seconds"] == start.result("training")["seconds"] > 0


@pytest.mark.slow
def test_the_pretraining_learns(pretrained: RunConfig, dataset: Dataset) -> None:
    epochs = pretrain(pretrained, dataset, lambda _: None).metrics("epoch")
    assert epochs[1]["val_cross_entropy_nats"] < epochs[0]["val_cross_entropy_nats"] < np.log(len(dataset.vocab))
    assert epochs[1]["val_accuracy"] > 2 / len(dataset.vocab)


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"loop": {"seed": 7, "epochs": 1, "threads": 2}}, True),
        ({"optim": {"learning_rate": 0.1}, "model": {"pooling": "mean", "word_dropout": 0.0}}, True),
        ({"model": {"hidden_size": 9}}, False),
        ({"model": {"bidirectional": False}}, False),
        ({"loop": {"pretrain_epochs": 3}}, False),
        ({"data": {"vocab_size": 20}}, False),
        ({"data": {"synthetic_size": 300}}, False),
    ],
    ids=str,
)
def test_only_what_changes_its_weights_asks_for_another(
    pretrained: RunConfig, dataset: Dataset, change: dict[str, dict[str, object]], shared: bool
) -> None:
    other = pretrained.with_tables(change, "test")
    paths = [
        pretrained_path(pretraining_config(each), data)
        for each, data in ((pretrained, dataset), (other, open_dataset(other.data)))
    ]
    assert (paths[0] == paths[1]) is shared


@pytest.mark.slow
def test_it_is_done_once_for_all_seeds(tmp_path: Path, pretrained: RunConfig, dataset: Dataset) -> None:
    pretrained_and_trained(tmp_path / "one", pretrained, dataset)
    other = replace(pretrained, loop=replace(pretrained.loop, seed=1))
    run, lines = pretrained_and_trained(tmp_path / "other", other, dataset)
    assert lines[0].startswith("starts from ")
    assert run.finished


@pytest.mark.slow
def test_a_pretraining_that_is_stopped_goes_on_to_the_same_bits(
    tmp_path: Path,
    pretrained: RunConfig,
    dataset: Dataset,
    stopped_after: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "other-cache"))
    whole, _ = pretrained_and_trained(tmp_path / "whole", pretrained, dataset)
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))
    stopped_after(5)
    with pytest.raises(Interrupted, match=r"Stopped in the pretraining.*same command"):
        pretrained_and_trained(tmp_path / "run", pretrained, dataset)
    run = Run(tmp_path / "run")
    assert not run.metrics()
    train(run, dataset, lambda _: None, start=pretrain(run.config, dataset, lambda _: None))
    assert same_weights(run, whole)


@pytest.mark.slow
def test_a_classifier_that_is_stopped_goes_on_from_its_own_state(
    tmp_path: Path, pretrained: RunConfig, dataset: Dataset, stopped_after: Callable[[int], None]
) -> None:
    whole, _ = pretrained_and_trained(tmp_path / "whole", pretrained, dataset)
    stopped_after(5)
    with pytest.raises(Interrupted, match="after step 5"):
        pretrained_and_trained(tmp_path / "run", pretrained, dataset)
    run = Run(tmp_path / "run")
    train(run, dataset, lambda _: None, start=pretrain(run.config, dataset, lambda _: None))
    assert same_weights(run, whole)


def test_the_unlabelled_texts_are_read_where_there_are_any(pretrained: RunConfig, dataset: Dataset) -> None:
    of = pretraining_config(pretrained)
    assert WordPrediction(of, dataset).train.sequences.tokens is dataset.split("train").tokens
    unlabelled = Sequences.from_lists([[5, 6, 7], [8, 9]])
    with_more = replace(dataset, splits={**dataset.splits, "unlabelled": unlabelled})
    assert WordPrediction(of, with_more).train.sequences.tokens is unlabelled.tokens
    assert pretrained_path(of, with_more) != pretrained_path(of, dataset)


def test_texts_of_one_word_hold_nothing_to_predict(pretrained: RunConfig, dataset: Dataset) -> None:
    splits = {**dataset.splits, "train": Sequences.from_lists([[5], [6]], [0, 1])}
    with pytest.raises(DataError, match="No text has two words"):
        pretrain(pretrained, replace(dataset, splits=splits), lambda _: None)


@pytest.mark.slow
def test_what_is_held_out_of_the_labelled_texts_changes_nothing_that_unlabelled_ones_teach(
    pretrained: RunConfig, dataset: Dataset
) -> None:
    by_films = pretrained.with_tables({"data": {"hold_out": "films"}}, "test")
    other_split = replace(dataset, held_out="films-0123")
    assert pretrain(by_films, other_split, lambda _: None).path != pretrain(pretrained, dataset, lambda _: None).path
    unlabelled = Sequences.from_lists([[5, 6, 7], [8, 9, 10]])
    more, other_more = (
        replace(each, splits={**each.splits, "unlabelled": unlabelled}) for each in (dataset, other_split)
    )
    assert pretrain(by_films, other_more, lambda _: None).path == pretrain(pretrained, more, lambda _: None).path


def test_texts_of_one_word_are_passed_over(pretrained: RunConfig, dataset: Dataset) -> None:
    single = pretrained.with_tables({"batches": {"batch_size": 1}, "loop": {"pretrain_epochs": 1}}, "test")
    train_split = Sequences.from_lists([[5], [6, 7], [8, 9, 10]], [0, 1, 0])
    few = replace(dataset, splits={**dataset.splits, "train": train_split})
    assert pretrain(single, few, lambda _: None).metrics("epoch")[0]["step"] == 2


def test_who_comes_second_waits(tmp_path: Path) -> None:
    path, lines, done = tmp_path / "pretrained", list[str](), threading.Event()
    first = try_lock(tmp_path / ".pretrained.lock")
    assert first is not None

    def wait() -> None:
        with in_turn(path, lines.append):
            done.set()

    second = threading.Thread(target=wait)
    second.start()
    assert not done.wait(0.2)
    assert lines == [f"waiting for another process, which pretrains {path}"]
    first.release()
    assert done.wait(10)
    second.join()


@pytest.mark.slow
def test_nobody_waits_for_what_is_finished(pretrained: RunConfig, dataset: Dataset) -> None:
    run, lines = pretrain(pretrained, dataset, lambda _: None), list[str]()
    assert run is not None
    with in_turn(run.path, lines.append):
        again = pretrain(pretrained, dataset, lines.append)
    assert again is not None
    assert (again.path, lines) == (run.path, [])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"model": {"layer": "mlp"}, "loop": {"pretrain_epochs": 1}}, "An mlp cannot be pretrained"),
        ({"model": {"layer": "mlp"}, "data": {"task": "pretraining"}}, "An mlp cannot be pretrained"),
        (
            {"model": {"bidirectional": True, "num_layers": 2}, "loop": {"pretrain_epochs": 1}},
            "Several bidirectional layers cannot",
        ),
        (
            {"data": {"task": "language-model"}, "loop": {"pretrain_epochs": 1}},
            "--pretrain-epochs applies only to classifiers",
        ),
        (
            {"data": {"task": "pretraining"}, "loop": {"pretrain_epochs": 1}},
            "--pretrain-epochs applies only to classifiers",
        ),
        ({"data": {"task": "pretraining"}, "model": {"word_dropout": 0.1}}, "--word-dropout applies only to"),
        ({"data": {"task": "pretraining"}, "model": {"pooling": "mean"}}, "--pooling applies only to classifiers"),
        ({"loop": {"pretrain_epochs": 0}}, "--pretrain-epochs must be 1 or more"),
    ],
    ids=str,
)
def test_what_cannot_be_pretrained_is_refused(tables: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_tables(tables, "test")


def test_a_pretraining_is_no_classifier(pretrained: RunConfig, dataset: Dataset) -> None:
    run = pretrain(pretrained, dataset, lambda _: None)
    with pytest.raises(RunError, match="is a pretraining"):
        evaluate(run, "val")


def test_a_pretraining_on_strings_is_no_language_model(tmp_path: Path) -> None:
    config = preset("ndfa", "pretraining").with_tables({"data": {"strings": 100, "held_out_strings": 10}}, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    for ask in (grade, generalize, lambda run: write(run, 1, SamplingConfig())):
        with pytest.raises(ConfigError, match="its task is pretraining"):
            ask(run)


def test_the_command_pretrains_and_says_so(elman: Command) -> None:
    small = "--model rnn --hidden-size 8 --embedding-size 8 --epochs 1 --synthetic-size 100".split()
    code, out, _ = elman("train", "synth-reviews", *small, "--pretrain-epochs", 1)
    assert code == 0
    assert "pretraining: " in out
    assert "per word  accuracy" in out
    code, out, err = elman("tune", "synth-reviews", "--task", "pretraining", "--trials", 1)
    assert code == 2
    assert "cannot compare pretrainings" in err
