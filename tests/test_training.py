"""A training learns, can be stopped anywhere and goes on to the same bits, and leaves nothing half done."""

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from elman import inference, training
from elman.checkpoint import load_weights
from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, Interrupted, NonFiniteLoss, RunError
from elman.evaluation import evaluate
from elman.losses import Total
from elman.optim import average_decay
from elman.runs import Run
from elman.tasks import classification
from elman.text import batching
from elman.text.batching import Batches
from elman.text.vocab import Vocab
from elman.training import train

STEPS = 24
"""Steps in the two epochs of ``config``; a test fails if that changes."""


def trained(path: Path, config: RunConfig, dataset: Dataset) -> Run:
    run = Run.create(path, config, dataset)
    train(run, dataset, report=lambda _: None)
    return run


@contextmanager
def replaced(module: object, name: str, function: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, function)
        yield


@contextmanager
def interrupting(step: int, error: BaseException | None = None) -> Iterator[None]:
    """Press Ctrl-C (or raise ``error``) after the given step."""
    original = training.save_if_due

    def interrupt_and_save(session: training.Session) -> None:
        if session.state.position.step == step:
            if error is not None:
                raise error
            signal.raise_signal(signal.SIGINT)
        original(session)

    with replaced(training, "save_if_due", interrupt_and_save):
        yield


def raiser(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def weights_and_log(run: Run) -> tuple[dict[str, torch.Tensor], list[dict[str, object]]]:
    timeless = [
        {k: v for k, v in entry.items() if k not in ("seconds", "tokens_per_second")} for entry in run.metrics()
    ]
    return load_weights(run.weights_path), timeless


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["mlp", "elman", "rnn", "gru", "lstm"])
def test_it_learns(layer: str, tmp_path: Path, config: RunConfig) -> None:
    tables = {
        "data": {"synthetic_size": 400, "synthetic_sentences": 1},
        "model": {
            "layer": layer,
            "hidden_size": 16,
            "embedding_scale": 1.0,
            "embedding_dropout": 0.0,
            "top_dropout": 0.0,
        },
        "optim": {"learning_rate": 0.02},
        "loop": {"epochs": 20, "threads": 1},
    }
    config = config.with_tables(tables, "test")
    run = trained(tmp_path / "run", config, open_dataset(config.data))
    assert run.result("training")["val_accuracy"] > 0.95


def test_threads_of_a_larger_machine_are_limited_to_four_per_core(
    tmp_path: Path, config: RunConfig, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    lines: list[str] = []
    many = replace(config, loop=replace(config.loop, threads=64))
    run = Run.create(tmp_path / "run", many, dataset)
    train(Run(run.path), dataset, lines.append)  # read anew: its configuration holds 64
    assert run.result("training")["machine"]["threads"] == 4
    assert "NOTE: this machine computes with at most 4 threads, not with 64." in lines


@pytest.mark.slow
def test_interrupted_at_ten_random_steps_and_resumed_to_the_same_bits(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    expected, log = weights_and_log(trained(tmp_path / "whole", config, dataset))
    assert [entry["step"] for entry in log if entry["kind"] == "step"] == list(range(1, STEPS + 1))
    for n, step in enumerate(random.Random(0).sample(range(1, STEPS + 1), k=10)):
        with interrupting(step), pytest.raises(Interrupted, match=f"after step {step};.*--resume"):
            trained(tmp_path / str(n), config, dataset)
        run = Run(tmp_path / str(n))
        assert not run.finished
        train(run, dataset, report=lambda _: None)
        found, resumed_log = weights_and_log(run)
        assert all(torch.equal(found[name], weight) for name, weight in expected.items())
        assert resumed_log == log


@pytest.mark.slow
def test_killed_at_random_steps_and_resumed_to_the_same_bits(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    """Without the chance to save: it goes on from the last epoch's checkpoint, or from the start."""
    expected, log = weights_and_log(trained(tmp_path / "whole", config, dataset))
    for step in (3, STEPS // 2 + 2):
        with interrupting(step, MemoryError()), pytest.raises(MemoryError):
            trained(tmp_path / str(step), config, dataset)
        run = Run(tmp_path / str(step))
        train(run, dataset, report=lambda _: None)
        found, resumed_log = weights_and_log(run)
        assert all(torch.equal(found[name], weight) for name, weight in expected.items())
        assert resumed_log == log


def test_interrupted_in_validation_and_resumed_to_the_same_bits(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    expected, log = weights_and_log(trained(tmp_path / "whole", config, dataset))
    original = classification.predict

    def predict(*arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    with replaced(classification, "predict", predict), pytest.raises(Interrupted):
        trained(tmp_path / "run", config, dataset)
    run = Run(tmp_path / "run")
    train(run, dataset, report=lambda _: None)
    found, resumed_log = weights_and_log(run)
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert resumed_log == log


def test_the_seed_decides(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    def weights(name: str, seed: int) -> torch.Tensor:
        seeded = replace(config, loop=replace(config.loop, seed=seed, epochs=1))
        return load_weights(trained(tmp_path / name, seeded, dataset).weights_path)["head.weight"]

    first, again, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_finished_run_keeps_one_weights_file_and_no_optimiser(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    run = trained(tmp_path / "run", config, dataset)
    kept = {path.name for path in run.path.rglob("*") if path.stat().st_size > 0 and "tfevents" not in path.name}
    kept -= {"results", "tensorboard", "checkpoints"}
    assert kept == {"config.toml", "data.json", "vocab.json", "weights.safetensors", "metrics.jsonl", "training.json"}
    before = run.weights_path.stat().st_mtime_ns
    assert train(run, dataset)["best_epoch"] == run.result("training")["best_epoch"]
    assert run.weights_path.stat().st_mtime_ns == before


def test_curves_are_in_tensorboard(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = trained(tmp_path / "run", config, dataset)
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    names = {"loss_nats", "accuracy", "grad_norm", "learning_rate", "tokens_per_second"}
    assert {f"train/{name}" for name in names} <= set(events.Tags()["scalars"])
    assert {"epoch/val_accuracy", "epoch/val_cross_entropy_nats"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("train/loss_nats")] == list(range(1, STEPS + 1))
    logged = [entry["loss_nats"] for entry in run.metrics("step")]
    assert [event.value for event in events.Scalars("train/loss_nats")] == pytest.approx(logged, rel=1e-6)


def test_epoch_figures_are_token_and_text_weighted_means(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = trained(tmp_path / "run", config, dataset)
    first = run.metrics("epoch")[0]
    steps = run.metrics("step")[: STEPS // 2]
    sizes = [len(indices) for indices in Batches(dataset.split("train"), config.batches, 0).epoch(0)]
    mean = sum(step["loss_nats"] * size for step, size in zip(steps, sizes, strict=True)) / sum(sizes)
    assert first["train_loss_nats"] == pytest.approx(mean)
    assert 0 < first["padding_share"] < 0.3
    assert first["val_accuracy_low"] < first["val_accuracy"] < first["val_accuracy_high"]


def test_every_step_clips_and_logs_the_norm_before(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    norms = []
    original = training.clip_gradients

    def watching(model: torch.nn.Module, max_norm: float, loss: torch.Tensor) -> torch.Tensor:
        before = original(model, max_norm, loss)
        norms.append((float(before), float(original(model, 0.0))))
        return before

    config = config.with_tables({"optim": {"grad_clip_norm": 0.1}, "loop": {"epochs": 1}}, "test")
    with replaced(training, "clip_gradients", watching):
        run = trained(tmp_path / "run", config, dataset)
    assert all(after <= 0.1001 for _, after in norms)
    assert [entry["grad_norm"] for entry in run.metrics("step")] == [before for before, _ in norms]
    assert max(before for before, _ in norms) > 0.1


def test_every_step_draws_new_random_numbers(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    draws: list[float] = []
    original = classification.cross_entropy_nats

    def watching(logits: torch.Tensor, labels: torch.Tensor) -> Total:
        draws.append(float(torch.rand(())))
        return original(logits, labels)

    with replaced(classification, "cross_entropy_nats", watching):
        trained(tmp_path / "run", config.with_tables({"loop": {"epochs": 1}}, "test"), dataset)
    assert len(set(draws)) == len(draws) == STEPS // 2


def test_a_diverging_loss_names_the_step_and_keeps_the_checkpoint(
    tmp_path: Path, config: RunConfig, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = classification.cross_entropy_nats

    def diverging(logits: torch.Tensor, labels: torch.Tensor) -> object:
        diverging.calls += 1
        return original(logits * torch.inf if diverging.calls == STEPS // 2 + 3 else logits, labels)

    diverging.calls = 0
    monkeypatch.setattr(classification, "cross_entropy_nats", diverging)
    run = Run.create(tmp_path / "run", config, dataset)
    with pytest.raises(NonFiniteLoss, match=rf"In step {STEPS // 2 + 3} \(epoch 2\).*nan"):
        train(run, dataset, report=lambda _: None)
    assert [path.name for path in run.checkpoints.iterdir()] == [f"step-{STEPS // 2:08d}-epoch-0001"]
    assert all(weight.isfinite().all() for weight in load_weights(run.weights_path).values())


def test_patience_stops_a_training_that_gets_no_better(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    config = config.with_tables({"loop": {"epochs": 9, "patience": 2}, "optim": {"learning_rate": 1e-12}}, "test")
    lines: list[str] = []
    run = Run.create(tmp_path / "run", config, dataset)
    summary = train(run, dataset, report=lines.append)
    assert (summary["epochs"], summary["best_epoch"]) == (3, 1)
    assert lines[-1].startswith("stopped")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_weights_of_the_best_or_the_last_epoch_are_kept(
    keep: str, tmp_path: Path, config: RunConfig, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three epochs is the best on validation."""
    liked = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr("elman.tasks.classification.Classification.quality", lambda *_: (next(liked),))
    run = Run.create(tmp_path / "run", config.with_tables({"loop": {"epochs": 3, "keep": keep}}, "test"), dataset)
    weights = []
    summary = train(run, dataset, report=lambda _: weights.append(run.weights_path.read_bytes()))
    assert summary["best_epoch"] == {"best": 2, "last": 3}[keep]
    assert (weights[-1] == weights[1]) == (keep == "best")
    assert summary["val_accuracy"] == run.metrics("epoch")[summary["best_epoch"] - 1]["val_accuracy"]


def test_patience_needs_the_best_weights_to_be_kept(config: RunConfig) -> None:
    with pytest.raises(ConfigError, match="--patience"):
        config.with_tables({"loop": {"keep": "last", "patience": 2}}, "test")


def test_the_average_is_what_is_kept(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    """Against the definition: a ← d·a + (1−d)·w after every step, d being less in the first."""
    config = config.with_tables({"loop": {"epochs": 1}, "optim": {"ema_decay": 0.9}}, "test")
    seen: list[torch.Tensor] = []
    original = training.save_if_due

    def watching(session: training.Session) -> None:
        if len(seen) < session.state.position.step:  # also called in validation
            seen.append(session.state.model.head.weight.detach().clone())
        original(session)

    with replaced(training, "save_if_due", watching):
        run = trained(tmp_path / "run", config, dataset)
    average = seen[0]
    for step, weight in enumerate(seen[1:], start=2):
        average = average.lerp(weight, 1 - average_decay(0.9, step))
    torch.testing.assert_close(load_weights(run.weights_path)["head.weight"], average)


def test_float32_is_float32_on_a_gpu_too(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's default
    training.make_fabric(config)
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.slow
def test_without_bf16_instructions_a_run_uses_float32_and_says_so(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "multiplies_bf16", lambda: False)
    monkeypatch.setattr(batching, "BF16_ROWS", 1)  # so that both runs have the same batches
    lines: dict[str, list[str]] = {"bf16": [], "float32": []}
    for precision, said in lines.items():
        changed = config.with_tables({"loop": {"precision": precision}, "model": {"layer": "lstm"}}, "test")
        dataset = open_dataset(changed.data)
        train(Run.create(tmp_path / precision, changed, dataset), dataset, said.append)
    runs = [Run(tmp_path / precision) for precision in lines]
    assert [run.result("training")["machine"]["precision"] for run in runs] == ["float32", "float32"]
    weights = [load_weights(run.weights_path) for run in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [line for line in lines["bf16"] if line.startswith("NOTE")] == [
        "NOTE: this processor has no bf16 products; it multiplies in float32."
    ]
    assert not [line for line in lines["float32"] if line.startswith("NOTE")]


@pytest.mark.slow
def test_bf16_products_train_too(tmp_path: Path, config: RunConfig) -> None:
    for layer in ("mlp", "elman", "rnn", "gru", "lstm"):
        changed = config.with_tables(
            {
                "loop": {"precision": "bf16", "epochs": 4, "threads": 1},
                "model": {"layer": layer, "embedding_scale": 1.0},
            },
            "test",
        )
        run = trained(tmp_path / layer, changed, open_dataset(changed.data))
        weights = load_weights(run.weights_path)
        assert all(weight.dtype == torch.float32 for weight in weights.values())
        losses = [entry["train_loss_nats"] for entry in run.metrics("epoch")]
        assert losses[-1] < losses[0]


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = Run.create(tmp_path / "run", config, dataset)
    with run.locked(), pytest.raises(RunError, match="another process"):
        train(Run(run.path), dataset)


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    expected, _ = weights_and_log(trained(tmp_path / "whole", config, dataset))
    run = Run.create(tmp_path / "run", config, dataset)
    original = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if f"step-{STEPS:08d}" in str(path) and path.name == "optimizers.pt":
            original(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return original(path, content)

    with replaced(Path, "write_bytes", full), pytest.raises(OSError, match="No space"):
        train(run, dataset, report=lambda _: None)
    assert [path.name for path in run.checkpoints.iterdir()] == [f"step-{STEPS // 2:08d}-epoch-0001"]
    train(run, dataset, report=lambda _: None)
    found, _ = weights_and_log(run)
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_ctrl_c_after_the_last_batch_is_obeyed(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    """A study or a search, which trains several runs, must not begin the next."""
    run = Run.create(tmp_path / "run", config, dataset)

    def drop(directory: Path) -> None:
        signal.raise_signal(signal.SIGINT)

    with replaced(training, "drop_checkpoints", drop), pytest.raises(Interrupted, match="is complete"):
        train(run, dataset)
    assert run.finished
    assert train(run, dataset) == run.result("training")


def test_ctrl_c_is_obeyed_without_standard_error(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    """As in ``elman train 2>&1 | tee log``: the same Ctrl-C ends tee."""

    def gone(descriptor: int, content: bytes) -> int:
        raise BrokenPipeError

    run = Run.create(tmp_path / "run", config, dataset)
    with replaced(os, "write", gone), interrupting(2), pytest.raises(Interrupted, match="after step 2"):
        train(run, dataset)
    assert run.checkpoints.exists()


def test_an_epoch_s_figures_are_on_the_disk_before_the_state_that_counts_on_them(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    run, synced = Run.create(tmp_path / "run", config, dataset), []
    with replaced(os, "fsync", synced.append):
        run.log("step", {"step": 1})
        assert not synced
        run.log("epoch", {"step": 1})
    assert synced


def test_a_damaged_checkpoint_is_named(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    for name in ("model.safetensors", "optimizers.pt", "position.json"):
        with interrupting(2), pytest.raises(Interrupted):
            trained(tmp_path / name, config, dataset)
        run = Run(tmp_path / name)
        (damaged,) = run.checkpoints.glob(f"*/{name}")
        whole = damaged.read_bytes()
        damaged.write_bytes(b"")
        with pytest.raises(RunError, match=r"checkpoint .* is damaged"):
            train(run, dataset)
        damaged.write_bytes(whole[:-20])
        with pytest.raises(RunError, match=r"checkpoint .* is damaged"):
            train(run, dataset, report=lambda _: None)


@pytest.mark.slow
def test_a_run_that_dies_while_it_reports_logs_each_epoch_once(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    """A closed pipe, in the moment after an epoch was logged."""
    whole = trained(tmp_path / "whole", config, dataset)
    run = Run.create(tmp_path / "run", config, dataset)
    for _ in range(config.loop.epochs):
        with pytest.raises(BrokenPipeError):
            train(run, dataset, report=raiser(BrokenPipeError()))
    train(run, dataset, report=lambda _: None)
    assert weights_and_log(run)[1] == weights_and_log(whole)[1]
    assert [entry["epoch"] for entry in run.metrics("epoch")] == [1, 2]
    assert run.result("training")["val_accuracy"] == whole.result("training")["val_accuracy"]


@pytest.mark.slow
def test_an_epoch_that_was_logged_but_not_kept_is_logged_once(
    tmp_path: Path, config: RunConfig, dataset: Dataset
) -> None:
    """Killed between the two: the last checkpoint is of the epoch's last step, so its number does not help."""
    config = config.with_tables({"loop": {"checkpoint_minutes": 0}}, "test")
    whole = trained(tmp_path / "whole", config, dataset)
    run = Run.create(tmp_path / "run", config, dataset)
    original = training.log

    def log_and_die(session: training.Session, kind: str, *arguments: object) -> None:
        original(session, kind, *arguments)
        if kind == "epoch":
            raise KeyboardInterrupt

    with replaced(training, "log", log_and_die), pytest.raises(KeyboardInterrupt):
        train(run, dataset, report=lambda _: None)
    train(run, dataset, report=lambda _: None)
    assert weights_and_log(run)[1] == weights_and_log(whole)[1]


def test_a_run_is_not_trained_on_other_data(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    other = open_dataset(config.with_tables({"data": {"synthetic_noise": 0.3}}, "test").data)
    run = Run.create(tmp_path / "run", config, dataset)
    with pytest.raises(RunError, match="other data"):
        train(run, other, report=lambda _: None)
    trained_run = trained(tmp_path / "trained", config, dataset)
    with pytest.raises(RunError, match="other data"):
        train(trained_run, other, report=lambda _: None)


def test_results_of_weights_that_will_change_are_dropped(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = Run.create(tmp_path / "run", config, dataset)
    with pytest.raises(BrokenPipeError):
        train(run, dataset, report=raiser(BrokenPipeError()))
    evaluate(run, "val")
    train(run, dataset, report=lambda _: None)
    assert not run.result_path("val").exists()


def test_patience_is_remembered_over_an_interruption(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    tables = {"loop": {"epochs": 9, "patience": 1}, "optim": {"learning_rate": 1e-12, "ema_decay": 0.0}}
    run = Run.create(tmp_path / "run", config.with_tables(tables, "test"), dataset)
    with replaced(training, "summarize", raiser(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
        train(run, dataset, report=lambda _: None)
    assert train(run, dataset, report=lambda _: None)["epochs"] == 2


def test_weights_with_a_nan_validation_loss_are_not_kept(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = Run.create(tmp_path / "run", config, dataset)
    nowhere = {"accuracy": 0.5, "cross_entropy_nats": float("nan")}
    with replaced(classification, "accuracy_and_loss", lambda *_: nowhere), pytest.raises(NonFiniteLoss):
        train(run, dataset, report=lambda _: None)
    assert not run.weights_path.exists()


def test_a_run_directory_appears_whole_or_not_at_all(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    with replaced(Vocab, "save", raiser(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
        Run.create(tmp_path / "run", config, dataset)
    assert list(tmp_path.iterdir()) == []
    Run.create(tmp_path / "run", config, dataset)
    with pytest.raises(RunError, match="exists"):
        Run.create(tmp_path / "run", config, dataset)


def test_a_run_directory_is_made_by_one_process_only(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    original, path = Vocab.save, tmp_path / "run"

    def save_and_be_overtaken(vocab: Vocab, target: Path) -> None:
        original(vocab, target)
        if not path.exists():
            path.mkdir()
            (path / "config.toml").write_text("of another process")

    with replaced(Vocab, "save", save_and_be_overtaken), pytest.raises(RunError, match="Another process"):
        Run.create(path, config, dataset)
    assert (path / "config.toml").read_text() == "of another process"


def test_metrics_with_a_torn_last_line_are_read(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    run = Run.create(tmp_path / "run", config, dataset)
    run.log("step", {"step": 1})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "step", "step": 2})[:9])
    assert run.metrics() == [{"kind": "step", "step": 1}]
