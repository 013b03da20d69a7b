"""Adam, its schedule, and clipping, over weights of which a batch touches a twentieth.

A table of 99,430 words has 29.8 million numbers; a batch of reviews reads 4% of its rows. Dense Adam moves all of them
every step, for a row drifts on its momentum while it is not seen, and takes longer than the model.
:class:`RowWiseAdam` comes to the same weights and moves the rows that are read: where a row would have drifted to is
known in closed form, so it is brought there when it is next looked at. ``OptimConfig(row_wise_embedding=False)`` is the
dense form.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.adam import adam
from torch.optim.swa_utils import AveragedModel

from elman.config import MOST_DRIFT, OptimConfig
from elman.models.embedding import Embedding, those_read

NEGLIGIBLE = 1e-9
"""A drift is followed until a step of it is so small a part of the first."""

BY_STEP = {"drift": 0.0, "average_drift": 0.0, "average_left": 1.0}
"""What is kept of a table for each step so far, and its value after that step."""

ROWS_AT_ONCE = 4_096
"""All rows are brought up to date in parts, so that no copy of the whole table is made."""


class RowWiseAdam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) at the cost of the rows in use, for tables whose gradients are sparse.

    A step copies out the rows of the gradient and their moments, lets torch's own Adam move them, and copies them back.
    The other rows are left behind; :meth:`catch_up` moves those that are to be read. With m and v a row's moments after
    step t, and no gradient in the steps s after it, dense Adam has

        m_s = β₁^(s−t) m,  v_s = β₂^(s−t) v,  and moves by  −η_s √(1 − β₂^s) / (1 − β₁^s) · m_s / √v_s

    in each, so all the moves together are −m / √v times a sum that depends on t alone:

        drift_t = Σ_s  η_s √(1 − β₂^s) / (1 − β₁^s) · (β₁ / √β₂)^(s−t)

    This is exact but for ε, which is added to √v instead of to each √v_s: with ε = 1e-8 and the betas of
    :class:`~elman.config.OptimConfig` the drift behind a gradient of 1e-5 is off by 0.3%, behind one of 1e-6 by 3%. The
    nearer β₁ / √β₂ is to 1, the longer the drift and the greater the part of ε; above 0.96 it is refused. An average of
    the weights, a_s = d_s a_(s−1) + (1 − d_s) w_s, is known as long as the weights are: with w_s and drift_t as they
    are after steps without a gradient,

        a_s = left_t a_t + (1 − left_t) (w_s + m / √v · drift_t) − m / √v · D_t,

    where every step makes left_t into d_s left_t, and D_t into d_s D_t + (1 − d_s) drift_t.

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
        if betas[0] > MOST_DRIFT * math.sqrt(betas[1]):
            raise ValueError(f"rows that are not read drift too far with betas of {betas} to be followed")
        # "fused" makes load_state_dict bring the count of steps to the table's device, where the fused kernel wants it.
        super().__init__(tables, {"lr": lr, "betas": betas, "eps": eps, "fused": True})
        self.averages: dict[Tensor, Tensor] = {}
        self.decay = 0.0

    @property
    def tables(self) -> list[Tensor]:
        """All that it moves."""
        return [table for group in self.param_groups for table in group["params"]]

    def keep_average(self, averages: dict[Tensor, Tensor], decay: float) -> None:
        """From now on keep an average of each table's weights up to date; :meth:`catch_up` of all makes it whole."""
        self.averages, self.decay = averages, decay

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch's may return a loss
        """Move the rows that the gradients hold."""
        assert closure is None  # the loss is not computed anew here
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    gradient = in_order(table.grad)
                    self._move(table, gradient.indices()[0], gradient.values(), group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state; ValueError where it is another optimiser's."""
        known = {"step", "moved_in", "drift", "drifted", "average_drift", "average_left", "exp_avg", "exp_avg_sq"}
        for state in state_dict["state"].values():
            if missing := known - state.keys():
                raise ValueError(
                    f"a table's moments come without {', '.join(sorted(missing))}, as from another version"
                )
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def catch_up(self, token_ids: Tensor | None = None) -> None:
        """Bring the rows of those tokens, or all (and their average), to where dense Adam has them by now."""
        for group in self.param_groups:
            for table in group["params"]:
                if self.state[table]:
                    if token_ids is None:
                        self._settle_all(table, group)
                    else:
                        self._follow_drift(table, those_read(token_ids, len(table)), group)

    def _follow_drift(self, table: Tensor, rows: Tensor, group: dict[str, Any]) -> None:
        """Move rows by what of their drift they have not made yet; their moments wait for the next gradient."""
        state = self.state[table]
        drift = state["drift"].index_select(0, state["moved_in"].index_select(0, rows).long())
        ahead = drift - state["drifted"].index_select(0, rows)
        behind = ahead.nonzero().squeeze(1)
        rows, drift, ahead = (part.index_select(0, behind) for part in (rows, drift, ahead))
        weights, means, squares = (part.index_select(0, rows) for part in self._parts(table)[:3])
        table.index_copy_(
            0, rows, weights.addcdiv_(means.mul_(ahead[:, None]), squares.sqrt_().add_(group["eps"]), value=-1)
        )
        state["drifted"].index_copy_(0, rows, drift)

    def _settled(self, table: Tensor, rows: Tensor, group: dict[str, Any]) -> list[Tensor]:
        """Return weights, moments and average of rows, as dense Adam has them after the steps so far."""
        state = self.state[table]
        since = state["moved_in"].index_select(0, rows)
        drift, average_drift, left = (state[name].index_select(0, since.long())[:, None] for name in BY_STEP)
        weights, means, squares, *averages = (part.index_select(0, rows) for part in self._parts(table))
        steps = (state["step"] - since)[:, None]
        ahead = drift - state["drifted"].index_select(0, rows)[:, None]
        if averages or bool(ahead.any()):
            direction = means / squares.sqrt().add_(group["eps"])
            weights.addcmul_(direction, ahead, value=-1)
        for average in averages:
            average.mul_(left).addcmul_(weights, 1 - left).addcmul_(direction, (1 - left) * drift - average_drift)
        for moment, beta in zip((means, squares), group["betas"], strict=True):
            moment.mul_(torch.pow(beta, steps))
        return [weights, means, squares, *averages]

    def _settle_all(self, table: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        moved = (state["moved_in"] > 0) & (state["moved_in"] < state["step"])
        for rows in moved.nonzero().squeeze(1).split(ROWS_AT_ONCE):
            self._put_back(table, rows, self._settled(table, rows, group))

    def _move(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), device=table.device)
            for by_row in ("moved_in", "drifted"):  # the former a step; numbers like the table's, as torch loads them
                state[by_row] = table.new_zeros(len(table))
            for by_step, begun in BY_STEP.items():
                state[by_step] = table.new_full((1,), begun)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        weights, means, squares, *averages = self._settled(table, rows, group)
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
        for average in averages:
            average.lerp_(weights, 1 - average_decay(self.decay, int(state["step"])))
        self._put_back(table, rows, [weights, means, squares, *averages])
        self._drift_on(state, group)

    def _parts(self, table: Tensor) -> list[Tensor]:
        averages = [self.averages[table]] if self.averages else []
        return [table, self.state[table]["exp_avg"], self.state[table]["exp_avg_sq"], *averages]

    def _put_back(self, table: Tensor, rows: Tensor, moved: list[Tensor]) -> None:
        state = self.state[table]
        for part, values in zip(self._parts(table), moved, strict=True):
            part.index_copy_(0, rows, values)
        state["moved_in"].index_fill_(0, rows, float(state["step"]))
        state["drifted"].index_fill_(0, rows, 0)

    def _drift_on(self, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Add the step that was made to the drift since every earlier one."""
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        ratio = beta1 / math.sqrt(beta2)
        first = max(1, step - _reach(ratio))  # what was never moved does not drift
        recent = state["drift"][first:]
        rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        ages = torch.arange(len(recent), 0, -1, dtype=recent.dtype, device=recent.device)
        recent += rate * torch.pow(ratio, ages)
        if self.averages:
            decay = average_decay(self.decay, step)
            state["average_drift"].lerp_(state["drift"], 1 - decay)
            state["average_left"].mul_(decay)
        for name, begun in BY_STEP.items():
            state[name] = torch.cat([state[name], state[name].new_full((1,), begun)])


def _reach(ratio: float) -> int:
    """Return after how many steps a drift, each of which is ``ratio`` times the one before, has come to rest."""
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


def averaged(model: nn.Module, optimizers: Iterable[Optimizer], decay: float) -> AveragedModel:
    """Return an average of the model's weights: a_1 = w_1, a_s = d_s a_(s−1) + (1 − d_s) w_s after every step.

    d_s is :func:`average_decay`. ``update_parameters`` is to be called after each step. Tables that are moved by rows
    are averaged by rows, by their optimiser; :func:`catch_up` of all makes that average whole, for it to be looked at.
    """
    row_wise = [optimizer for optimizer in optimizers if isinstance(optimizer, RowWiseAdam)]
    by_rows = {table.data_ptr() for optimizer in row_wise for table in optimizer.tables}

    def average_dense(averages: Iterable[Tensor], weights: Iterable[Tensor], steps_before: int | Tensor) -> None:
        dense = [
            (average, now) for average, now in zip(averages, weights, strict=True) if now.data_ptr() not in by_rows
        ]
        if dense:
            share = 1 - average_decay(decay, int(steps_before) + 1)
            torch._foreach_lerp_([average for average, _ in dense], [now for _, now in dense], share)

    average = AveragedModel(model, multi_avg_fn=average_dense)
    averages: dict[Tensor, Tensor] = dict(zip(model.parameters(), average.module.parameters(), strict=True))
    for part in average.module.modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()  # cuDNN reads a layer's weights in one piece, and copying took it apart
    for optimizer in row_wise:
        optimizer.keep_average({table: averages[table].detach() for table in optimizer.tables}, decay)
    return average


def average_decay(limit: float, step: int) -> float:
    """Return how much of the average a step leaves: less in the first steps, so that the first weights are forgotten.

    >>> [round(average_decay(0.9, step), 2) for step in (1, 2, 20, 80, 1000)]
    [0.18, 0.25, 0.7, 0.9, 0.9]
    """
    return min(limit, (1 + step) / (10 + step))


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


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scale all gradients down together so that their norm is at most ``max_norm``; 0 leaves them.

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
