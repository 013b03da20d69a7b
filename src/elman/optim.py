"""Adam, its schedule, and clipping, over weights of which a batch touches a twentieth.

A table of 99,430 words has 29.8 million numbers; a batch of reviews reads 4% of its rows. Dense Adam moves all of them
every step, for a row drifts on its momentum while it is not seen, and takes longer than the model.
:class:`RowWiseAdam` comes to the same weights and moves the rows that are read: where a row would have drifted to is
known in closed form, so it is brought there when it is next looked at. ``OptimConfig(row_wise_embedding=False)`` is the
dense form.
"""

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adam import adam

from elman.config import OptimConfig
from elman.models.embedding import Embedding, those_read

NEGLIGIBLE = 1e-9
"""A drift is followed until a step of it is so small a part of the first."""


class RowWiseAdam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) at the cost of the rows in use, for tables whose gradients are sparse.

    A step copies out the rows of the gradient and their moments, lets torch's own Adam move them, and copies them back.
    The other rows are left behind; :meth:`catch_up` moves those that are to be read. With m and v a row's moments after
    step t, and no gradient in the steps s after it, dense Adam has

        m_s = β₁^(s−t) m,  v_s = β₂^(s−t) v,  and moves by  −η_s √(1 − β₂^s) / (1 − β₁^s) · m_s / √v_s

    in each, so all the moves together are −m / √v times a sum that depends on t alone:

        drift_t = Σ_s  η_s √(1 − β₂^s) / (1 − β₁^s) · (β₁ / √β₂)^(s−t)

    This is exact but for ε, which is added to √v instead of to each √v_s. An average of the weights that is taken at
    every step (``ema_decay``) reads each row as it stands, so there a row that is behind counts as it was.

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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state; ValueError where it is another optimiser's."""
        for state in state_dict["state"].values():
            if missing := {"step", "moved_in", "drift", "exp_avg", "exp_avg_sq"} - state.keys():
                raise ValueError(f"a table's moments come without {', '.join(sorted(missing))}")
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def catch_up(self, token_ids: Tensor | None = None) -> None:
        """Bring the rows of those tokens, or all, to where dense Adam has them after the steps so far."""
        for group in self.param_groups:
            for table in group["params"]:
                if not self.state[table]:
                    continue
                if token_ids is None:
                    rows = torch.arange(len(table), device=table.device)
                else:
                    rows = those_read(token_ids, len(table))
                self._catch_up(table, rows, group)

    def _catch_up(self, table: Tensor, rows: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        since = state["moved_in"].index_select(0, rows)
        behind = since < state["step"]
        rows, since = rows[behind], since[behind]
        weights, means, squares = (part.index_select(0, rows) for part in self._parts(table))
        drift = state["drift"].index_select(0, since.long())
        weights.addcdiv_(means * drift[:, None], squares.sqrt() + group["eps"], value=-1)
        for moment, beta in zip((means, squares), group["betas"], strict=True):
            moment.mul_(torch.pow(beta, state["step"] - since)[:, None])
        self._put_back(table, rows, (weights, means, squares))

    def _move(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), device=table.device)
            state["moved_in"] = table.new_zeros(len(table))  # the step; numbers like the table's, as torch loads them
            state["drift"] = table.new_zeros(1)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        self._catch_up(table, rows, group)  # those that nobody announced
        weights, means, squares = (part.index_select(0, rows) for part in self._parts(table))
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
        self._put_back(table, rows, (weights, means, squares))
        self._drift_on(state, group)

    def _parts(self, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return table, self.state[table]["exp_avg"], self.state[table]["exp_avg_sq"]

    def _put_back(self, table: Tensor, rows: Tensor, moved: tuple[Tensor, Tensor, Tensor]) -> None:
        for part, values in zip(self._parts(table), moved, strict=True):
            part.index_copy_(0, rows, values)
        self.state[table]["moved_in"].index_fill_(0, rows, float(self.state[table]["step"]))

    def _drift_on(self, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Add the step that was made to the drift since every earlier one."""
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        ratio = beta1 / math.sqrt(beta2)
        recent = state["drift"][max(0, step - _reach(ratio)) :]
        rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        ages = torch.arange(len(recent), 0, -1, dtype=recent.dtype, device=recent.device)
        recent += rate * torch.pow(ratio, ages)
        state["drift"] = torch.cat([state["drift"], recent.new_zeros(1)])


def _reach(ratio: float) -> int:
    """Return after how many steps a drift, each of which is ``ratio`` times the one before, has come to rest."""
    if ratio >= 1:
        return sys.maxsize
    return math.ceil(math.log(NEGLIGIBLE) / math.log(ratio)) if ratio > 0 else 1


def catch_up(optimizers: Iterable[Optimizer], token_ids: Tensor | None = None) -> None:
    """Bring the rows of those tokens, or all, to where dense Adam has them: before they are read."""
    for optimizer in optimizers:
        if isinstance(optimizer, RowWiseAdam):
            optimizer.catch_up(token_ids)


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
