"""Train a run: set up, then for each epoch fit and validate.

Whatever happens between two steps, the run can be resumed to the same bits: the state is saved after every epoch, every
few minutes, and on Ctrl-C, and all random choices follow from the seed and the step.
"""

import logging
import os
import threading
import time
from typing import Any

import torch
from lightning_fabric import Fabric

from elman.checkpoint import (
    EpochTotals,
    Position,
    TrainingState,
    drop_checkpoints,
    load_checkpoint,
    load_encoder,
    save_weights,
)
from elman.config import Precision, RunConfig
from elman.data.dataset import Dataset
from elman.errors import ConfigError, Interrupted
from elman.extras import summary_writer
from elman.files import write_json
from elman.inference import find_device, name_of, precision_on
from elman.interrupts import interruptible
from elman.machine import machine
from elman.memory import kept_memory
from elman.models import build_model
from elman.optim import averaged, build_optimizers, clip_gradients, learning_rate, set_learning_rate
from elman.progress import Meter, Report, seconds
from elman.runs import Run
from elman.seeding import torch_seeded
from elman.session import AfterEpoch, Session, log, log_steps, note_step, refuse_non_finite, save, save_if_due
from elman.tasks import build_task
from elman.tensors import States
from elman.threads import compute_threads, faster_thread_count


def train(
    run: Run,
    dataset: Dataset,
    report: Report = print,
    after_epoch: AfterEpoch = lambda _: None,
    start: Run | None = None,
) -> dict[str, Any]:
    """Train a run from where it is to its end.

    Parameters
    ----------
    run
        A run directory, new or interrupted.
    dataset
        Its data.
    report
        Takes the line that each epoch ends with.
    after_epoch
        Takes the figures of each epoch once it is saved; an exception that it raises ends the training there.
    start
        The run to take embedding and layer from: the result of :func:`elman.pretraining.pretrain`.

    Returns
    -------
    The summary that ``results/training.json`` holds.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; the state is saved.
    NonFiniteLoss
        The training diverged; the last good checkpoint is still there.
    RunError
        Another process trains this run, or it was made for other data.
    """
    run.check(dataset)
    if run.finished:
        result: dict[str, Any] = run.result("training")
        return result
    if (start is None) != (run.config.loop.pretrain_epochs is None):
        raise ConfigError(f"{run.path} starts from a pretraining.", "Pass start=pretrain(run.config, dataset).")
    with run.locked(), compute_threads(run.config, report), kept_memory(), interruptible() as interrupted:
        session = set_up(run, dataset, interrupted, report, after_epoch, start)
        try:
            fit(session)
        finally:
            if session.writer is not None:
                session.writer.close()
        summary = summarize(session, start)
        write_json(run.result_path("training"), summary)
        drop_checkpoints(run.checkpoints)
        if interrupted.is_set():  # after the last batch: this run is complete, but the caller must not begin another
            raise Interrupted(f"Stopped; the training of {run.path} is complete.", "Nothing of it is left to do.")
    return summary


def set_up(
    run: Run,
    dataset: Dataset,
    interrupted: threading.Event,
    report: Report,
    after_epoch: AfterEpoch,
    start: Run | None,
) -> Session:
    """Build model and optimizers, from ``start`` if there is one, and load the last saved state."""
    config = run.config
    fabric = make_fabric(config)
    if precision_on(fabric.device, config.loop.precision) != config.loop.precision:
        report("NOTE: this processor has no bf16 products; it multiplies in float32.")
    with torch_seeded(config.loop.seed, "weights"):
        model = build_model(config, len(dataset.vocab), len(dataset.class_names))
    if start is not None:
        report(f"starts from {start.path}")
        load_encoder(start.weights_path, model)
    forward = fabric.setup_module(model)
    optimizers = build_optimizers(model, config.optim)
    average = averaged(model, optimizers, config.optim.ema_decay) if config.optim.ema_decay else None
    state = TrainingState(model, optimizers, average, Position())
    load_checkpoint(run.checkpoints, state)
    run.forget_after(state.position.step, state.position.epoch)
    return Session(
        run=run,
        fabric=fabric,
        forward=forward,
        state=state,
        task=build_task(config, dataset),
        writer=summary_writer(run.path / "tensorboard", state.position.step + 1),
        interrupted=interrupted,
        report=report,
        after_epoch=after_epoch,
    )


def make_fabric(config: RunConfig) -> Fabric:
    """Return the device and the precision that a run asks for; one process. A CPU without bf16 uses float32."""
    names: dict[Precision, Any] = {"float32": "32-true", "bf16": "bf16-mixed"}
    device = find_device(config.loop.accelerator)
    precision = names[precision_on(device, config.loop.precision)]
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision
    return Fabric(accelerator=device.type, devices=1, precision=precision)


def fit(session: Session) -> None:
    """Train epoch by epoch, validating after each, until the last or until patience runs out."""
    loop, position = session.run.config.loop, session.state.position
    while position.epoch < loop.epochs:
        if loop.patience is not None and position.epoch - position.best_epoch >= loop.patience:
            session.report(f"stopped: no better on validation for {loop.patience} epochs")
            return
        fit_epoch(session)
        validate(session)


def fit_epoch(session: Session) -> None:
    """Train on the batches of the current epoch that are still to come."""
    config, state, task = session.run.config, session.state, session.task
    model, optimizers, position = state.model, state.optimizers, state.position
    plan = task.train.epoch(position.epoch)
    remaining = plan[position.totals.batches :]
    tokens = sum(int(task.train.sequences.lengths[indices].sum()) for indices in remaining)
    model.train()
    with Meter(f"epoch {position.epoch + 1}/{config.loop.epochs}", tokens, "tokens") as meter:
        started = time.monotonic()
        for batch in task.train.read(remaining):
            epochs_done = position.epoch + position.totals.batches / len(plan)
            set_learning_rate(optimizers, learning_rate(config.optim, epochs_done, config.loop.epochs))
            states: States = ()
            for piece in task.pieces(batch.to(session.fabric.device)):  # several with truncated back-propagation
                with torch_seeded(config.loop.seed, "step", position.step):
                    loss, correct, states = task.loss(session.forward, piece, states)
                    session.fabric.backward(loss.mean)
                grad_norm = clip_gradients(model, config.optim.grad_clip_norm, loss.sum)
                note_step(session, loss, correct, grad_norm)  # refuses a loss that is not finite
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
                if state.average is not None:
                    state.average.update_parameters(model)
                position.step += 1
            now = time.monotonic()
            position.totals.tokens += batch.tokens
            position.totals.batches += 1
            position.totals.seconds += now - started
            session.tokens_per_second = batch.tokens / (now - started)
            started = now
            if session.fabric.device.type == "cpu" or len(session.pending) >= config.loop.log_every:
                log_steps(session)
            meter.advance(batch.tokens, loss=position.totals.nats / max(position.totals.targets, 1))
            save_if_due(session)


def validate(session: Session) -> None:
    """Close the epoch: measure it on validation, save its weights if they are to be kept, and the state."""
    state, position, loop = session.state, session.state.position, session.run.config.loop
    log_steps(session)
    model = state.model if state.average is None else state.average.module
    # Evaluation mode makes RowWiseAdam apply its postponed updates, so the weights that are saved below are up to date.
    measured = session.task.measure(session.fabric, model, position.epoch + 1, lambda: save_if_due(session))
    refuse_non_finite(session, position.step, measured["cross_entropy_nats"])
    quality = session.task.quality(measured)
    position.epoch += 1
    position.seconds += position.totals.seconds
    if loop.keep == "last" or position.best_quality is None or quality > tuple(position.best_quality):
        position.best_quality, position.best_epoch = list(quality), position.epoch
        save_weights(session.run.weights_path, model.state_dict())
    figures = {
        "step": position.step,
        "epoch": position.epoch,
        **training_figures(session),
        **{f"val_{name}": value for name, value in measured.items()},
    }
    log(session, "epoch", figures)
    suggest_threads(session)
    position.totals = EpochTotals()
    save(session)
    for line in (epoch_line(session, figures, session.task.headline(measured)), *session.task.details(measured)):
        session.report(line)
    session.after_epoch(figures)


def training_figures(session: Session) -> dict[str, float]:
    """Return the means over the steps of the epoch that has ended."""
    totals, batches = session.state.position.totals, session.task.train
    return {
        "train_loss_nats": totals.nats / totals.targets,
        "train_accuracy": totals.correct / totals.targets,
        "grad_norm": totals.grad_norms / totals.updates,
        "seconds": totals.seconds,
        "tokens_per_second": totals.tokens / totals.seconds,
        "padding_share": batches.padding_share(batches.epoch(session.state.position.epoch - 1)),
    }


def epoch_line(session: Session, figures: dict[str, Any], headline: str) -> str:
    """Return the figures of an epoch on one line."""
    return (
        f"epoch {figures['epoch']}/{session.run.config.loop.epochs}"
        f"  train loss {figures['train_loss_nats']:.4f}  {headline}"
        f"  grad norm {figures['grad_norm']:.2f}"
        f"  {figures['tokens_per_second']:,.0f} tokens/s"
        f"  {seconds(figures['seconds'])}"
    )


def suggest_threads(session: Session) -> None:
    """After the first epoch, try one batch with another number of threads, and say so if it is clearly faster.

    No weight changes: the gradients are dropped, and no row of an embedding is waiting to be settled.
    """
    state, batches, loop = session.state, session.task.train, session.run.config.loop
    first_epoch_of_many = state.position.epoch == 1 and loop.epochs > 1
    if not first_epoch_of_many or loop.threads is not None or session.fabric.device.type != "cpu":
        return
    plan = batches.epoch(0)
    [batch] = batches.read([plan[len(plan) // 2]])
    piece = next(iter(session.task.pieces(batch)))

    def forward_and_backward() -> None:
        with torch_seeded(loop.seed, "threads"):
            session.fabric.backward(session.task.loss(session.forward, piece, ())[0].mean)
        state.model.zero_grad()

    if found := faster_thread_count(forward_and_backward, os.cpu_count() or 1):
        threads, ratio = found
        session.report(
            f"NOTE: one batch is {ratio:.1f} times as fast with --threads {threads}"
            f" as with the {torch.get_num_threads()} in use; another program may be running on this machine."
        )


def summarize(session: Session, start: Run | None) -> dict[str, Any]:
    """Return what a reader of the run asks first: how good, when, how long, on what."""
    position, epochs = session.state.position, session.run.metrics("epoch")
    [best_epoch] = [entry for entry in epochs if entry["epoch"] == position.best_epoch]
    best = {name: value for name, value in best_epoch.items() if name.startswith("val_")}
    summary = {
        "headline": session.task.headline({name.removeprefix("val_"): value for name, value in best.items()}),
        "epochs": position.epoch,
        "best_epoch": position.best_epoch,
        **best,
        "seconds": position.seconds,
        "tokens_per_second": sum(e["tokens_per_second"] * e["seconds"] for e in epochs) / position.seconds,
        "parameters": sum(weight.numel() for weight in session.state.model.parameters()),
        "machine": {
            **machine(),
            "device": name_of(session.fabric.device),
            "threads": torch.get_num_threads(),
            "precision": precision_on(session.fabric.device, session.run.config.loop.precision),
        },
    }
    if start is not None:
        pretraining = start.result("training")
        summary["pretraining"] = {
            "run": start.path.name,
            **{name: pretraining[name] for name in ("headline", "epochs", "seconds")},
        }
    return summary
