"""One visible loop: set up, then for every epoch fit and validate.

Whatever happens between two steps, the run can be continued to the same bits: the state is kept after every epoch,
every few minutes, and on Ctrl-C; all random choices follow from the seed and the step.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from elman.checkpoint import (
    EpochTotals,
    Position,
    State,
    drop_checkpoints,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.errors import Interrupted, NonFiniteLoss
from elman.extras import summary_writer
from elman.files import write_json
from elman.inference import build_model, make_fabric, name_of, precision_on
from elman.interrupts import interruptible
from elman.losses import Total
from elman.machine import machine
from elman.memory import kept_memory
from elman.optim import averaged, build_optimizers, catch_up, clip_gradients, learning_rate, set_learning_rate
from elman.pretraining import begin_from, in_turn, pretrained_path, pretraining_of
from elman.progress import Meter, Report, seconds
from elman.runs import Run
from elman.seeding import torch_seeded
from elman.tasks import Task, task_of
from elman.text.batching import Batch
from elman.text.vocab import UNKNOWN

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

THREADS_A_CORE = 4
"""More only wait for each other."""

SMALL = 64
"""A hidden state of fewer numbers is computed by one thread: several wait for each other longer than they work."""


@dataclass
class Session:
    """A training in progress: what is learnt, what changes, and where it is written."""

    run: Run
    fabric: Fabric
    forward: Callable[..., Any]
    state: State
    task: Task
    writer: "SummaryWriter | None"
    interrupted: threading.Event
    report: Report
    after_epoch: Callable[[dict[str, Any]], None]
    last_checkpoint: float = field(default_factory=time.monotonic)


def train(
    run: Run,
    dataset: Dataset,
    report: Report = print,
    after_epoch: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a run from where it is to its end.

    Parameters
    ----------
    run
        A run directory, new or interrupted.
    dataset
        Its data.
    report
        What to do with the line that each epoch ends with.
    after_epoch
        What to do with the figures of each epoch, when it is kept; what it raises ends the training there.

    Returns
    -------
    The summary that ``results/training.json`` holds.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; the state is kept.
    NonFiniteLoss
        The training diverged; the last good checkpoint is kept.
    RunError
        Another process trains this run, or it was made for other data.
    """
    run.check(dataset)
    if run.finished:
        result: dict[str, Any] = run.result("training")
        return result
    start = pretrain(run.config, dataset, report)
    if start is not None:
        report(f"begins from {start.path}")
    with run.locked(), _threads(run.config, report), kept_memory(), interruptible() as interrupted:
        session = set_up(run, dataset, interrupted, report, after_epoch, start)
        try:
            fit(session)
        finally:
            if session.writer is not None:
                session.writer.close()
        summary = summarise(session) | ({} if start is None else {"pretraining": _begun_from(start)})
        write_json(run.result_path("training"), summary)
        drop_checkpoints(run.checkpoints)
        if interrupted.is_set():  # behind the last batch: whoever trains several must not begin the next
            raise Interrupted(
                f"Stopped; the training of {run.path} had come to its end.", "Nothing of it is left to do."
            )
    return summary


def pretrain(config: RunConfig, dataset: Dataset, report: Report) -> Run | None:
    """Return the finished pretraining that a configuration begins with, or None where it begins at random.

    What is in the cache is not trained again, and nothing is said of it.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; the state is kept.
    """
    if config.loop.pretrain_epochs is None:
        return None
    wanted = pretraining_of(config)
    if "unlabelled" in dataset.splits:  # it reads these alone: what is held out of the labelled ones does not matter
        wanted = replace(wanted, data=replace(wanted.data, hold_out=None))
        dataset = replace(dataset, held_out="")
    path = pretrained_path(wanted, dataset)
    if path.exists() and (run := Run(path)).finished:  # several may read it at once
        return run
    with in_turn(path, report):
        run = Run(path) if path.exists() else Run.create(path, wanted, dataset)
        if run.finished:  # by the process waited for
            return run
        report(f"pretraining: {path}")
        try:
            train(run, dataset, report)
        except Interrupted as stop:
            raise Interrupted(
                "Stopped in the pretraining; its state is kept.", "Continue with the same command."
            ) from stop
    return run


def _begun_from(start: Run) -> dict[str, Any]:
    summary = start.result("training")
    return {"run": start.path.name, **{name: summary[name] for name in ("headline", "epochs", "seconds")}}


def set_up(
    run: Run,
    dataset: Dataset,
    interrupted: threading.Event,
    report: Report,
    after_epoch: Callable[[dict[str, Any]], None],
    start: Run | None,
) -> Session:
    """Build model and optimisers, from ``start`` where there is one, and put the last saved state into them."""
    config = run.config
    fabric = make_fabric(config)
    if precision_on(fabric.device, config.loop.precision) != config.loop.precision:
        report("NOTE: this processor has no bf16 products; it multiplies in float32.")
    with torch_seeded(config.loop.seed, "weights"):
        model = build_model(config, len(dataset.vocab), len(dataset.class_names))
    if start is not None:
        begin_from(model, start)
    forward = fabric.setup_module(model)
    decay = config.optim.ema_decay
    optimizers = build_optimizers(model, config.optim)
    average = averaged(model, optimizers, decay) if decay else None
    state = State(model, optimizers, average, Position())
    load_checkpoint(run.checkpoints, state)
    run.forget_after(state.position.step, state.position.epoch)
    return Session(
        run=run,
        fabric=fabric,
        forward=forward,
        state=state,
        task=task_of(config, dataset),
        writer=summary_writer(run.path / "tensorboard", state.position.step + 1),
        interrupted=interrupted,
        report=report,
        after_epoch=after_epoch,
    )


def fit(session: Session) -> None:
    """Train epoch by epoch, validating after each, until the last or until patience ends."""
    loop, position = session.run.config.loop, session.state.position
    while position.epoch < loop.epochs:
        if loop.patience is not None and position.epoch - position.best_epoch >= loop.patience:
            session.report(f"stopped: no better on validation for {loop.patience} epochs")
            return
        fit_epoch(session)
        validate(session)


def fit_epoch(session: Session) -> None:
    """Train on the batches of the current epoch that are still to come."""
    config, position = session.run.config, session.state.position
    loop, batches = config.loop, session.task.train
    plan = batches.epoch(position.epoch)
    ahead = plan[position.totals.batches :]
    tokens = sum(int(batches.sequences.lengths[indices].sum()) for indices in ahead)
    session.state.model.train()
    with Meter(f"epoch {position.epoch + 1}/{loop.epochs}", tokens, "tokens") as meter:
        started = time.monotonic()
        for batch in batches.read(ahead):
            rate = learning_rate(config.optim, position.epoch + position.totals.batches / len(plan), loop.epochs)
            set_learning_rate(session.state.optimizers, rate)
            made = [*updates(session, batch)]
            now = time.monotonic()
            measured = {"learning_rate": rate, "tokens_per_second": batch.tokens / (now - started)}
            for figures in made:
                if figures["step"] % loop.log_every == 0:
                    _log(session, "step", "train", figures | measured)
            position.totals.tokens += batch.tokens
            position.totals.batches += 1
            position.totals.seconds += now - started
            started = now
            meter.advance(batch.tokens, loss=position.totals.nats / position.totals.targets)
            _keep_if_due(session)


def updates(session: Session, batch: Batch) -> Iterator[dict[str, Any]]:
    """Make the updates of one batch, and yield the figures of each."""
    seed, position = session.run.config.loop.seed, session.state.position

    def forward(token_ids: Tensor, *others: Any) -> Any:
        read = F.pad(token_ids, (0, 1), value=UNKNOWN)  # which word dropout may put anywhere
        catch_up(session.state.optimizers, read)
        return session.forward(token_ids, *others)

    scores = session.task.scores(forward, batch.to(session.fabric.device))
    while True:
        with torch_seeded(seed, "step", position.step):
            found = next(scores, None)
            if found is None:
                return
            session.fabric.backward(found[0].mean)
        yield update(session, *found)


def update(session: Session, loss: Total, right: Total) -> dict[str, Any]:
    """Move the weights along the gradient that is there, count the update, and return its figures."""
    config, state, position = session.run.config, session.state, session.state.position
    grad_norm = float(clip_gradients(state.model, config.optim.grad_clip_norm))
    nats, correct = float(loss.sum.detach()), int(right.sum)
    _refuse_non_finite(session, nats, grad_norm)
    for optimizer in state.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    if state.average is not None:
        state.average.update_parameters(state.model)
    position.step += 1
    totals = position.totals
    totals.nats += nats
    totals.correct += correct
    totals.targets += loss.count
    totals.grad_norms += grad_norm
    totals.updates += 1
    return {
        "step": position.step,
        "loss_nats": nats / loss.count,
        "accuracy": correct / right.count,
        "grad_norm": grad_norm,
    }


def validate(session: Session) -> None:
    """Close the epoch: measure it on validation, keep its weights if they are to be kept, and the state."""
    state, position = session.state, session.state.position
    catch_up(state.optimizers)
    model = state.model if state.average is None else state.average.module
    measured = session.task.measure(session.fabric, model, position.epoch + 1, lambda: _keep_if_due(session))
    quality = session.task.quality(measured)
    _refuse_non_finite(session, measured["cross_entropy_nats"])
    position.epoch += 1
    position.seconds += position.totals.seconds
    last = session.run.config.loop.keep == "last"
    if last or position.best_quality is None or quality > tuple(position.best_quality):
        position.best_quality, position.best_epoch = list(quality), position.epoch
        save_weights(session.run.weights_path, model.state_dict())
    figures = {"epoch": position.epoch, **_training_figures(session)} | {f"val_{k}": v for k, v in measured.items()}
    _log(session, "epoch", "epoch", figures)
    line = _epoch_line(session, figures, session.task.headline(measured))
    position.totals = EpochTotals()
    _keep(session)
    for each in (line, *session.task.details(measured)):
        session.report(each)
    session.after_epoch(figures)


def _training_figures(session: Session) -> dict[str, float]:
    totals, train = session.state.position.totals, session.task.train
    return {
        "train_loss_nats": totals.nats / totals.targets,
        "train_accuracy": totals.correct / totals.targets,
        "grad_norm": totals.grad_norms / totals.updates,
        "seconds": totals.seconds,
        "tokens_per_second": totals.tokens / totals.seconds,
        "padding_share": train.padding_share(train.epoch(session.state.position.epoch - 1)),
    }


def _epoch_line(session: Session, figures: dict[str, Any], headline: str) -> str:
    return (
        f"epoch {figures['epoch']}/{session.run.config.loop.epochs}"
        f"  train loss {figures['train_loss_nats']:.4f}  {headline}"
        f"  grad norm {figures['grad_norm']:.2f}"
        f"  {figures['tokens_per_second']:,.0f} tokens/s"
        f"  {seconds(figures['seconds'])}"
    )


def summarise(session: Session) -> dict[str, Any]:
    """Return what a reader of the run asks first: how good, when, how long, on what."""
    position = session.state.position
    epochs = session.run.metrics("epoch")
    [best_epoch] = [entry for entry in epochs if entry["epoch"] == position.best_epoch]
    best = {name: value for name, value in best_epoch.items() if name.startswith("val_")}
    return {
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


def _log(session: Session, kind: str, prefix: str, figures: dict[str, Any]) -> None:
    figures = {"step": session.state.position.step, **figures}
    session.run.log(kind, figures)
    for name, value in figures.items():
        if session.writer is not None and name != "step" and isinstance(value, int | float):
            session.writer.add_scalar(f"{prefix}/{name}", value, figures["step"])


def _keep(session: Session) -> None:
    save_checkpoint(session.run.checkpoints, session.state)
    session.last_checkpoint = time.monotonic()


def _keep_if_due(session: Session) -> None:
    """Keep the state every few minutes, and when the user wants to stop."""
    minutes = (time.monotonic() - session.last_checkpoint) / 60
    if session.interrupted.is_set() or minutes >= session.run.config.loop.checkpoint_minutes:
        _keep(session)
    if session.interrupted.is_set():
        step = session.state.position.step
        raise Interrupted(
            f"Stopped after step {step:,}; the state is kept.",
            f"Continue with: elman train --resume {session.run.path}",
        )


def _refuse_non_finite(session: Session, nats: float, grad_norm: float = 0.0) -> None:
    if math.isfinite(nats) and math.isfinite(grad_norm):
        return
    position, run = session.state.position, session.run
    kept = f"; the last good checkpoint is kept in {run.path}" if run.checkpoints.exists() else ""
    raise NonFiniteLoss(
        f"In step {position.step + 1:,} (epoch {position.epoch + 1}) the loss became {nats} and the gradient's norm"
        f" {grad_norm}{kept}.",
        "Train anew with a lower --learning-rate or --grad-clip-norm.",
    )


@contextmanager
def _threads(config: RunConfig, report: Report) -> Iterator[None]:
    """Compute on as many threads within the block as are asked for, or suit the model, with numbers near zero as zero.

    They cost a hundred times others. The processor keeps this per thread, and torch's worker threads for ever what was
    said when they were born: those of a process that computed before its first training keep such numbers.
    """
    before = torch.get_num_threads()
    wanted = config.loop.threads or (1 if config.model.hidden_size < SMALL else before)
    most = THREADS_A_CORE * (os.cpu_count() or 1)
    if wanted > most:  # the run may have been begun on a larger machine
        report(f"NOTE: this machine computes with at most {most} threads, so not with {wanted}.")
    torch.set_num_threads(min(wanted, most))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
