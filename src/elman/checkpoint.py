"""The state of a training, to be resumed to the same bits; and the weights that are the model.

No random generator's state is kept: every draw follows from the seed and the step (see :mod:`elman.seeding`).
"""

import io
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from elman.errors import DataError, RunError
from elman.files import new_directory, new_file, read_json, write_json

DAMAGED = OSError, EOFError, DataError, SafetensorError, UnpicklingError, RuntimeError, ValueError, KeyError, TypeError
"""What reading a file that was torn or changed may raise."""


@dataclass
class EpochTotals:
    """Sums over the current epoch, of which ``batches`` are read.

    Attributes
    ----------
    nats, correct, targets
        Loss, right answers, and how many answers there were: a text each, or a token each.
    grad_norms, updates
        The sum of the gradient's norms, and of how many.
    tokens, seconds
        Read, those of equal strings each time that they are drawn; and spent on it.
    """

    nats: float = 0.0
    correct: int = 0
    targets: int = 0
    grad_norms: float = 0.0
    updates: int = 0
    tokens: int = 0
    batches: int = 0
    seconds: float = 0.0


@dataclass
class Position:
    """How far a training is.

    Attributes
    ----------
    step
        Updates made.
    epoch
        Epochs completed, their validation included.
    best_quality, best_epoch
        On validation, more being better; the epoch counts from 1.
    seconds
        Spent training in completed epochs, over all sittings, validation apart.
    totals
        Of the current epoch; its ``batches`` say how far that is.
    """

    step: int = 0
    epoch: int = 0
    best_quality: list[float] | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    totals: EpochTotals = field(default_factory=EpochTotals)


@dataclass
class TrainingState:
    """All that changes during a training."""

    model: nn.Module
    optimizers: list[Optimizer]
    average: AveragedModel | None
    position: Position


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write weights as safetensors, whole or not at all."""
    with new_file(path) as partial:
        _save_file(weights, partial)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights.

    Raises
    ------
    RunError
        The file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"There are no weights to read at {path} ({error}).",
            f"Continue the training (elman train --resume {path.parent}); if it was finished, train anew (elman train"
            f" --config {path.parent / 'config.toml'}).",
        ) from error


def load_encoder(path: Path, model: nn.Module) -> None:
    """Give a model the embedding and the layer of another one of the same sizes."""
    parts = ("embedding.", "layer.")
    weights = {name: weight for name, weight in load_weights(path).items() if name.startswith(parts)}
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert not any(name.startswith(parts) for name in missing)  # the digest of a pretraining includes all sizes


def save_checkpoint(directory: Path, state: TrainingState) -> Path:
    """Write the state into a folder of its own in ``directory``, then drop the older ones."""
    path = directory / f"step-{state.position.step:08d}-epoch-{state.position.epoch:04d}"
    if path.exists():
        return path
    with new_directory(path) as partial:
        _save_file(state.model.state_dict(), partial / "model.safetensors")
        if state.average is not None:
            _save_file(state.average.state_dict(), partial / "average.safetensors")
        buffer = io.BytesIO()
        torch.save([optimizer.state_dict() for optimizer in state.optimizers], buffer)
        (partial / "optimizers.pt").write_bytes(buffer.getbuffer())
        write_json(partial / "position.json", asdict(state.position))
    for older in _checkpoints(directory):
        if older != path:
            shutil.rmtree(older)
    return path


def load_checkpoint(directory: Path, state: TrainingState) -> bool:
    """Put the newest saved state into ``state``; return whether there was one.

    Raises
    ------
    RunError
        It is damaged.
    """
    saved = _checkpoints(directory)
    if not saved:
        return False
    try:
        state.model.load_state_dict(load_file(saved[-1] / "model.safetensors"))
        if state.average is not None:
            state.average.load_state_dict(load_file(saved[-1] / "average.safetensors"))
        stored = torch.load(saved[-1] / "optimizers.pt", map_location="cpu", weights_only=True)
        for optimizer, moments in zip(state.optimizers, stored, strict=True):
            optimizer.load_state_dict(moments)
        position: dict[str, Any] = read_json(saved[-1] / "position.json")
        state.position = Position(**{**position, "totals": EpochTotals(**position["totals"])})
    except DAMAGED as error:
        raise RunError(f"The checkpoint {saved[-1]} is damaged ({error}).", "Remove it and start anew.") from error
    return True


def drop_checkpoints(directory: Path) -> None:
    """Remove all states: a finished run needs none."""
    shutil.rmtree(directory, ignore_errors=True)


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*"))


def _save_file(tensors: dict[str, Tensor], path: Path) -> None:
    # By way of bytes: so it is Python that meets a full disk, and says so.
    path.write_bytes(save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}))
