"""A training in progress: what changes, and how it is written down so that nothing is lost."""

import math
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from elman.checkpoint import TrainingState, save_checkpoint
from elman.errors import Interrupted, NonFiniteLoss
from elman.losses import Total
from elman.progress import Report
from elman.runs import Run
from elman.tasks import Task

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

AfterEpoch = Callable[[dict[str, Any]], None]


@dataclass
class Session:
    """A training in progress: what is trained, what changes, and where it is written."""

    run: Run
    fabric: Fabric
    forward: Callable[..., Any]
    state: TrainingState
    task: Task
    writer: "SummaryWriter | None"
    interrupted: threading.Event
    report: Report
    after_epoch: AfterEpoch
    pending: list[tuple[int, float, Tensor]] = field(default_factory=list)
    tokens_per_second: float = 0.0
    last_checkpoint: float = field(default_factory=time.monotonic)


def note_step(session: Session, loss: Total, correct: Total, grad_norm: Tensor) -> None:
    """Keep the figures of a step until :func:`log_steps`; on a CPU refuse a non-finite loss before it moves a weight.

    On a GPU reading a number would make the host wait; there :func:`clip_gradients` has set the gradients to zero.
    """
    step = session.state.position.step + 1
    figures = torch.stack([loss.sum.detach(), loss.count, correct.sum, correct.count, grad_norm])
    session.pending.append((step, session.state.optimizers[0].param_groups[0]["lr"], figures))
    if figures.device.type == "cpu":
        refuse_non_finite(session, step, float(figures[0]), float(figures[4]))


def log_steps(session: Session) -> None:
    """Read the figures of the steps since the last call: add them to the epoch's, and log every n-th step."""
    totals = session.state.position.totals
    for step, rate, figures in session.pending:
        nats, targets, correct, answers, grad_norm = figures.tolist()
        refuse_non_finite(session, step, nats, grad_norm)
        totals.nats += nats
        totals.correct += int(correct)
        totals.targets += int(targets)
        totals.grad_norms += grad_norm
        totals.updates += 1
        if step % session.run.config.loop.log_every == 0:
            log(
                session,
                "step",
                {
                    "step": step,
                    "loss_nats": nats / targets,
                    "accuracy": correct / answers,
                    "grad_norm": grad_norm,
                    "learning_rate": rate,
                    "tokens_per_second": session.tokens_per_second,
                },
            )
    session.pending.clear()


def log(session: Session, kind: str, figures: dict[str, Any]) -> None:
    """Write the figures of a step or an epoch into metrics.jsonl and the curves."""
    session.run.log(kind, figures)
    prefix = "train" if kind == "step" else kind
    for name, value in figures.items():
        if session.writer is not None and name != "step" and isinstance(value, int | float):
            session.writer.add_scalar(f"{prefix}/{name}", value, figures["step"])


def save(session: Session) -> None:
    """Save the state to resume from."""
    log_steps(session)
    save_checkpoint(session.run.checkpoints, session.state)
    session.last_checkpoint = time.monotonic()


def save_if_due(session: Session) -> None:
    """Save the state every few minutes, and when the user wants to stop; then stop."""
    minutes = (time.monotonic() - session.last_checkpoint) / 60
    if session.interrupted.is_set() or minutes >= session.run.config.loop.checkpoint_minutes:
        save(session)
    if session.interrupted.is_set():
        raise Interrupted(
            f"Stopped after step {session.state.position.step:,}; the state is saved.",
            f"Continue with: elman train --resume {shlex.quote(str(session.run.path))}",
        )


def refuse_non_finite(session: Session, step: int, nats: float, grad_norm: float = 0.0) -> None:
    """Raise NonFiniteLoss if the training has diverged."""
    if math.isfinite(nats) and math.isfinite(grad_norm):
        return
    run = session.run
    saved = f"; the last good checkpoint is in {run.path}" if run.checkpoints.exists() else ""
    raise NonFiniteLoss(
        f"In step {step:,} (epoch {session.state.position.epoch + 1}) the loss became {nats} and the gradient norm"
        f" {grad_norm}{saved}.",
        "Use a lower --learning-rate or --grad-clip-norm.",
    )
