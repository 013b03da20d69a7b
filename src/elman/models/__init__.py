"""The networks: :mod:`~elman.models.plain` to read, :mod:`~elman.models.fast` to run, one function to choose."""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from elman.config import RunConfig
from elman.models import plain
from elman.models.fast import models as fast
from elman.models.word_predictor import WordPredictor
from elman.tensors import States

Classifier = plain.Classifier | fast.Classifier
LanguageModel = plain.LanguageModel | fast.LanguageModel
Model = Classifier | LanguageModel | WordPredictor


def build_model(config: RunConfig, vocab_size: int, num_classes: int) -> Model:
    """Return the model of a configuration with fresh weights; the plain and the fast form draw the same ones.

    ``num_classes`` is read for a classifier only.
    """
    task, model, sparse = config.data.task, config.model, config.optim.row_wise_embedding
    if task == "pretraining":
        return WordPredictor(model, vocab_size, sparse=sparse)
    if task == "language-model":
        if model.fast:
            return fast.LanguageModel(model, vocab_size, sparse=sparse)
        return plain.LanguageModel(model, vocab_size)
    if model.fast:
        return fast.Classifier(model, vocab_size, num_classes, sparse=sparse)
    return plain.Classifier(model, vocab_size, num_classes)


def stepper(model: nn.Module) -> Callable[[Tensor, States], tuple[Tensor, States]]:
    """Return a function that reads one token of each sequence: tokens (batch,) and states to logits and states."""
    if not isinstance(model, plain.LanguageModel):
        return cast(fast.LanguageModel, model).stepper()

    def read(tokens: Tensor, states: States) -> tuple[Tensor, States]:
        logits, states = model(tokens[:, None], states)
        return logits[:, 0], states

    return read
