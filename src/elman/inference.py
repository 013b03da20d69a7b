"""Models that are ready to be used: built by their configuration, with the weights of a run, on its device."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from elman.checkpoint import load_weights
from elman.config import Precision, RunConfig
from elman.errors import ConfigError, RunError
from elman.models.classifier import Classifier
from elman.models.language_model import LanguageModel
from elman.models.word_predictor import WordPredictor
from elman.progress import Meter
from elman.runs import Run
from elman.text.batching import Batch, Batches

Model = Classifier | LanguageModel | WordPredictor

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision that was asked for


def make_fabric(config: RunConfig) -> Fabric:
    """Return the device and the precision that a run asks for; one process.

    bf16 products are for speed: a processor that has none multiplies in float32 (:func:`multiplies_bf16`). float32 is
    float32 on a GPU too, where torch would let cuDNN round what it multiplies to ten bits.

    Raises
    ------
    ConfigError
        This machine has no such device.
    """
    names: dict[Precision, Any] = {"float32": "32-true", "bf16": "bf16-mixed"}
    try:
        device = Fabric(accelerator=config.loop.accelerator, devices=1).device
        precision = names[precision_on(device, config.loop.precision)]
        torch.backends.cudnn.allow_tf32 = False
        return Fabric(accelerator=config.loop.accelerator, devices=1, precision=precision)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"There is no {config.loop.accelerator} device here ({error}).", "Give --accelerator cpu, or auto."
        ) from error


def name_of(device: torch.device) -> str:
    """Return a device as torch calls it, a GPU with its maker's name for it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def precision_on(device: torch.device, wanted: Precision) -> Precision:
    """Return in which precision a device multiplies."""
    return "float32" if wanted == "bf16" and device.type == "cpu" and not multiplies_bf16() else wanted


@cache
def multiplies_bf16() -> bool:
    """Return whether torch trains with bf16 products on this processor: its LSTM refuses where there are none."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.LSTM(1, 1)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            layer(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def device_of(run: Run) -> Fabric:
    """Return the device of a run that is to be read; the processor, where its own is not on this machine."""
    try:
        return make_fabric(run.config)
    except ConfigError:
        return make_fabric(replace(run.config, loop=replace(run.config.loop, accelerator="cpu")))


def on_its_device(run: Run) -> tuple[Fabric, Model]:
    """Return the device of a run, and its model there as :func:`trained_model` returns it."""
    fabric = device_of(run)
    return fabric, trained_model(run).to(fabric.device)


def language_model_of(run: Run) -> tuple[Fabric, LanguageModel]:
    """Return the device of a run, and its language model there.

    Raises
    ------
    ConfigError
        The run learnt another task.
    """
    if run.config.data.task != "language-model":
        raise ConfigError(f"{run.path} is no language model but a {run.config.data.task}.", "Name a run that is one.")
    fabric, model = on_its_device(run)
    assert isinstance(model, LanguageModel)  # that is its task
    return fabric, model


def build_model(config: RunConfig, vocab_size: int, num_classes: int) -> Model:
    """Return the model of a configuration, its weights fresh; only a classifier has classes."""
    sparse = config.optim.row_wise_embedding
    if config.data.task == "language-model":
        return LanguageModel(config.model, vocab_size, sparse=sparse)
    if config.data.task == "pretraining":
        return WordPredictor(config.model, vocab_size, sparse=sparse)
    return Classifier(config.model, vocab_size, num_classes, sparse=sparse)


def for_each_batch(
    fabric: Fabric,
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
        What to do behind each; the weights' owner may stop there.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), Meter(description, batches.sequences.total_tokens, "tokens") as meter:
            for batch in batches.read(batches.in_order()):
                with fabric.autocast():
                    read(batch.to(fabric.device))
                meter.advance(batch.tokens)
                after_batch()
    finally:
        model.train(was_training)


def trained_model(run: Run) -> Model:
    """Return the model of a run with the best weights so far, in evaluation mode.

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
            f"{run.weights_path} and the config.toml beside it are of two models.",
            "Put back the file that was changed.",
        ) from error
    return model.eval()
