"""The optimizers of a training, the schedule of the learning rate, clipping, and an average of the weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from elman.config import OptimConfig
from elman.row_wise_adam import RowWiseAdam, in_order


def build_optimizers(model: nn.Module, config: OptimConfig) -> list[Optimizer]:
    """Return AdamW for the dense weights, and RowWiseAdam for embeddings with sparse gradients if there are any.

    No weight decay applies to embeddings.
    """
    embeddings = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    row_wise = [embedding for embedding in embeddings if embedding.sparse]
    tables = {id(embedding.weight) for embedding in embeddings}
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in model.parameters() if id(weight) not in tables]},
        {"params": [part.weight for part in embeddings if not part.sparse], "weight_decay": 0.0},
    ]
    betas = config.beta1, config.beta2
    dense = AdamW(groups, lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay, fused=True)
    return [dense, RowWiseAdam(row_wise, config.learning_rate, betas)] if row_wise else [dense]


def learning_rate(config: OptimConfig, epochs_done: float, epochs: int) -> float:
    """Return the learning rate: a function of the progress, so that a resumed training needs no state.

    Parameters
    ----------
    config
        The highest rate, the schedule, the warm-up.
    epochs_done
        Epochs before this step, including the fraction of the current one.
    epochs
        The total.
    """
    if epochs_done < config.warmup_epochs:
        return config.learning_rate * epochs_done / config.warmup_epochs
    past = (epochs_done - config.warmup_epochs) / max(epochs - config.warmup_epochs, 1e-9)
    factor = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + math.cos(math.pi * past)) / 2}[config.schedule]
    return config.learning_rate * factor


def set_learning_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Give every parameter group of every optimizer this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def clip_gradients(model: nn.Module, max_norm: float, loss: Tensor | None = None) -> Tensor:
    """Scale all gradients down together so that their norm is at most ``max_norm``; 0 leaves them as they are.

    As ``torch.nn.utils.clip_grad_norm_``, and for sparse gradients too. On a GPU, where the host does not wait for the
    numbers, gradients become zero if their norm or ``loss`` is not finite, so that such a step moves no weight to NaN.

    Returns
    -------
    The norm before clipping.
    """
    gradients = []
    for weight in model.parameters():
        if weight.grad is not None:
            if weight.grad.is_sparse:
                weight.grad = in_order(weight.grad)
            gradients.append(weight.grad.values() if weight.grad.is_sparse else weight.grad)
    if not gradients:
        return torch.zeros(())
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    if max_norm:
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    if norm.device.type != "cpu":
        finite = norm.isfinite() if loss is None else norm.isfinite() & loss.isfinite()
        for gradient in gradients:
            gradient.copy_(torch.where(finite, gradient, 0.0))
    return norm


def averaged(model: nn.Module, optimizers: Iterable[Optimizer], decay: float) -> AveragedModel:
    """Return an average of the model's weights: a_1 = w_1, a_s = d_s a_(s−1) + (1 − d_s) w_s after every step.

    d_s is :func:`average_decay`. Call ``update_parameters`` after each step. RowWiseAdam averages
    its own tables; they are up to date after one forward pass in evaluation mode.
    """
    row_wise = [optimizer for optimizer in optimizers if isinstance(optimizer, RowWiseAdam)]
    by_rows = {table.data_ptr() for optimizer in row_wise for table in optimizer.tables}

    def average_dense(averages: Iterable[Tensor], weights: Iterable[Tensor], steps_before: int | Tensor) -> None:
        dense = [
            (average, weight)
            for average, weight in zip(averages, weights, strict=True)
            if weight.data_ptr() not in by_rows
        ]
        if dense:
            share = 1 - average_decay(decay, int(steps_before) + 1)
            torch._foreach_lerp_([average for average, _ in dense], [weight for _, weight in dense], share)

    average = AveragedModel(model, multi_avg_fn=average_dense)
    copies = zip(model.modules(), average.module.modules(), strict=True)
    embeddings = {part.weight: copy for part, copy in copies if isinstance(copy, nn.Embedding)}
    for part in average.module.modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()  # cuDNN reads a layer's weights in one piece, and copying took it apart
    for optimizer in row_wise:
        averages = {table: embeddings[table] for table in optimizer.tables}
        optimizer.keep_average(averages, lambda step: average_decay(decay, step))
    return average


def average_decay(limit: float, step: int) -> float:
    """Return how much of the average a step keeps: less in the first steps, so that the first weights are forgotten.

    >>> [round(average_decay(0.9, step), 2) for step in (1, 2, 20, 80, 1000)]
    [0.18, 0.25, 0.7, 0.9, 0.9]
    """
    return min(limit, (1 + step) / (10 + step))
