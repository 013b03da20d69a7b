"""Adam, its schedule, and clipping, over weights of which a batch touches a twentieth.

A table of 99,430 words has 29.8 million numbers; a batch of reviews reads 4% of its rows. Dense Adam moves all of them
every step, and takes longer than the model. :class:`RowWiseAdam` moves the rows that the batch reads; the others keep
their weights and moments ("lazy" Adam). The difference to dense Adam: a rare word's moments do not decay between its
appearances, and it does not drift on its momentum while it is not seen. ``OptimConfig(row_wise_embedding=False)`` is
the dense form.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adam import adam

from elman.config import OptimConfig
from elman.models.embedding import Embedding


class RowWiseAdam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) on the rows of tables that their sparse gradients hold.

    The rows and their moments are copied out, torch's own Adam makes its step on them, and they are copied back. A
    row's correction for the moments' start counts the steps of the table, not its own.

    Parameters
    ----------
    tables
        (rows, features) each; their gradients are sparse.
    lr, betas, eps
        As for ``torch.optim.Adam``.
    """

    def __init__(
        self, tables: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        # "fused" makes load_state_dict bring the count of steps to the table's device, where the fused kernel wants it.
        super().__init__(tables, {"lr": lr, "betas": betas, "eps": eps, "fused": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the rows that the gradients hold."""
        assert closure is None  # the loss is not computed anew here
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    gradient = in_order(table.grad)
                    self._move(table, gradient.indices()[0], gradient.values(), group)

    def _move(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), device=table.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        whole = table, state["exp_avg"], state["exp_avg_sq"]
        weights, means, squares = (part.index_select(0, rows) for part in whole)
        beta1, beta2 = group["betas"]
        adam(
            [weights],
            [gradient],
            [means],
            [squares],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )
        for part, moved in zip(whole, (weights, means, squares), strict=True):
            part.index_copy_(0, rows, moved)


def in_order(gradient: Tensor) -> Tensor:
    """Return a sparse gradient whose rows are in order and occur once; looking costs less than sorting."""
    rows = gradient._indices()[0]
    return gradient._coalesced_(True) if bool((rows[1:] > rows[:-1]).all()) else gradient.coalesce()


def build_optimizers(model: nn.Module, config: OptimConfig) -> list[Optimizer]:
    """Return AdamW for the dense weights and RowWiseAdam for embeddings whose gradients are sparse."""
    embeddings = [part for part in model.modules() if isinstance(part, Embedding)]
    row_wise = [part.weight for part in embeddings if part.sparse]
    undecayed = [part.weight for part in embeddings if not part.sparse]
    tables = {id(part.weight) for part in embeddings}
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in model.parameters() if id(weight) not in tables]},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    betas = config.beta1, config.beta2
    dense = AdamW(groups, lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay, fused=True)
    return [dense, RowWiseAdam(row_wise, config.learning_rate, betas)] if row_wise else [dense]


def learning_rate(config: OptimConfig, epochs_done: float, epochs: int) -> float:
    """Return the rate of the schedule: a function of how far the training is, so that a resumed one needs no state.

    Parameters
    ----------
    config
        The highest rate, the schedule, the warm-up.
    epochs_done
        Epochs before this step, the fraction of the current one included.
    epochs
        Epochs in all.
    """
    if epochs_done < config.warmup_epochs:
        return config.learning_rate * epochs_done / config.warmup_epochs
    past = (epochs_done - config.warmup_epochs) / max(epochs - config.warmup_epochs, 1e-9)
    factor = {"constant": 1.0, "linear": 1 - past, "cosine": (1 + math.cos(math.pi * past)) / 2}[config.schedule]
    return config.learning_rate * factor


def set_learning_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Give every group of every optimiser that rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def clip_gradients(model: nn.Module, max_norm: float | None) -> Tensor:
    """Scale all gradients down together so that their norm is at most ``max_norm``; None or 0 leaves them.

    What ``torch.nn.utils.clip_grad_norm_`` does, for sparse gradients too, of which it looks at the rows in use.

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
    return norm
