"""What a model is trained to do. A new task is a class with the members of :class:`Task`, and a line in ``TASKS``."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from torch import nn

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.inference import Device
from elman.losses import Total
from elman.tasks.classification import Classification
from elman.tasks.language_modeling import LanguageModeling
from elman.tasks.word_prediction import WordPrediction
from elman.tensors import States
from elman.text.batching import Batch, Batches


class Task(Protocol):
    """What the training loop asks of a task.

    Attributes
    ----------
    train, val
        The batches.
    """

    train: Batches
    val: Batches

    def pieces(self, batch: Batch) -> Iterable[Any]:
        """Return what ``loss`` takes, one after the other: a piece for each update that the batch makes."""

    def loss(self, forward: Callable[..., Any], piece: Any, states: States) -> tuple[Total, Total, States]:
        """Return the loss of a piece in nats, its correct predictions, and the states for the batch's next piece."""

    def measure(self, device: Device, model: nn.Module, epoch: int, after_batch: Callable[[], None]) -> dict[str, Any]:
        """Return the figures of ``model`` on validation after that epoch."""

    def quality(self, measured: dict[str, Any]) -> tuple[float, ...]:
        """Return what decides which epoch is the best, the first figure before the second: more is better."""

    def headline(self, measured: dict[str, Any]) -> str:
        """Return the figures on one line, for a person."""

    def details(self, measured: dict[str, Any]) -> list[str]:
        """Return the lines below it."""


TASKS: dict[str, Callable[[RunConfig, Dataset], Task]] = {
    "classification": Classification,
    "language-model": LanguageModeling,
    "pretraining": WordPrediction,
}


def build_task(config: RunConfig, dataset: Dataset) -> Task:
    """Return the task of a configuration.

    Raises
    ------
    ConfigError
        The data does not fit it.
    """
    return TASKS[config.data.task](config, dataset)
