"""Models that are ready to be used: built by their configuration, with the weights of a run, on its device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from elman.checkpoint import load_weights
from elman.config import Accelerator, Precision
from elman.errors import ConfigError, RunError
from elman.models import LanguageModel, Model, build_model
from elman.progress import Meter
from elman.runs import Run
from elman.text.batching import Batch, Batches


class Device(Protocol):
    """Where a model computes, and in which precision: a training's Fabric, or a :class:`ReadingDevice`."""

    @property
    def device(self) -> torch.device:
        """The device of weights and batches."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context that a forward pass runs in."""


@dataclass(frozen=True)
class ReadingDevice:
    """A device to read with; unlike Fabric it costs no start-up time."""

    device: torch.device
    precision: Precision

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context that a forward pass runs in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def find_device(accelerator: Accelerator) -> torch.device:
    """Return the device of that name; "auto" is a GPU if there is one.

    float32 stays float32 on a GPU too, where torch would let cuDNN round what it multiplies to ten bits.

    Raises
    ------
    ConfigError
        This machine has no such device.
    """
    torch.backends.cudnn.allow_tf32 = False
    available: dict[Accelerator, bool] = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if accelerator == "auto":
        accelerator = next((name for name, there in available.items() if there), "cpu")
    if not available.get(accelerator, True):
        raise ConfigError(f"This machine has no {accelerator} device.", "Use --accelerator cpu, or auto.")
    return torch.device(accelerator, 0) if accelerator == "cuda" else torch.device(accelerator)


def name_of(device: torch.device) -> str:
    """Return a device as torch calls it, a GPU with its maker's name for it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def precision_on(device: torch.device, wanted: Precision) -> Precision:
    """Return the precision that a device multiplies in."""
    return "float32" if wanted == "bf16" and device.type == "cpu" and not multiplies_bf16() else wanted


def multiplies_bf16() -> bool:
    """Return whether this processor has instructions for bf16 products; without them torch's are slow, or refused."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def device_of(run: Run) -> ReadingDevice:
    """Return the device of a run that is to be read; the CPU where this machine does not have its own."""
    loop = run.config.loop
    try:
        device = find_device(loop.accelerator)
    except ConfigError:
        device = torch.device("cpu")
    return ReadingDevice(device, precision_on(device, loop.precision))


def on_its_device(run: Run) -> tuple[ReadingDevice, Model]:
    """Return the device of a run, and its model there as :func:`trained_model` returns it."""
    device = device_of(run)
    return device, trained_model(run).to(device.device)


def language_model_of(run: Run) -> tuple[ReadingDevice, LanguageModel]:
    """Return the device of a run, and its language model there.

    Raises
    ------
    ConfigError
        The run has another task.
    """
    if run.config.data.task != "language-model":
        raise ConfigError(
            f"{run.path} is not a language model; its task is {run.config.data.task}.",
            "Use the run of a language model.",
        )
    device, model = on_its_device(run)
    assert isinstance(model, LanguageModel)  # that is its task
    return device, model


def for_each_batch(
    device: Device,
    model: nn.Module,
    batches: Batches,
    description: str,
    read: Callable[[Batch], None],
    after_batch: Callable[[], None] = lambda: None,
) -> None:
    """Call ``read`` on every batch, on the device: the model evaluates, no gradient is kept, progress is shown.

    Parameters
    ----------
    description
        What the progress is called.
    after_batch
        Called after each batch; it may raise an exception to stop.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), Meter(description, batches.sequences.total_tokens, "tokens") as meter:
            for batch in batches.read(batches.in_order()):
                with device.autocast():
                    read(batch.to(device.device))
                meter.advance(batch.tokens)
                after_batch()
    finally:
        model.train(was_training)


def trained_model(run: Run) -> Model:
    """Return the model of a run with its best weights so far, in evaluation mode.

    Raises
    ------
    RunError
        The run has no weights yet, or they are another model's.
    """
    with torch.device("meta"):
        model = build_model(run.config, len(run.vocab()), len(run.class_names))
    weights = load_weights(run.weights_path)
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise RunError(
            f"{run.weights_path} and the config.toml in its folder belong to different models.",
            "Restore the file that was changed.",
        ) from error
    return model.eval()
