"""Models that are ready to be used: built by their configuration, with the weights of a run, on its device."""

import logging
from typing import Any

import torch
from lightning_fabric import Fabric

from elman.checkpoint import load_weights
from elman.config import RunConfig
from elman.models.classifier import Classifier
from elman.models.language_model import LanguageModel
from elman.runs import Run

Model = Classifier | LanguageModel

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision that was asked for


def make_fabric(config: RunConfig) -> Fabric:
    """Return the device and the precision that a run asks for; one process."""
    precision: Any = {"float32": "32-true", "bf16": "bf16-mixed"}[config.loop.precision]
    return Fabric(accelerator=config.loop.accelerator, devices=1, precision=precision)


def build_model(config: RunConfig, vocab_size: int, num_classes: int) -> Model:
    """Return the model of a configuration, its weights fresh; a language model has no classes."""
    sparse = config.optim.row_wise_embedding
    if config.data.task == "language-model":
        return LanguageModel(config.model, vocab_size, sparse=sparse)
    return Classifier(config.model, vocab_size, num_classes, sparse=sparse)


def trained_model(run: Run) -> Model:
    """Return the model of a run with the best weights so far, in evaluation mode.

    Raises
    ------
    RunError
        The run has no weights yet.
    """
    with torch.device("meta"):
        model = build_model(run.config, len(run.vocab()), len(run.class_names))
    model.load_state_dict(load_weights(run.weights_path), assign=True)
    return model.eval()
