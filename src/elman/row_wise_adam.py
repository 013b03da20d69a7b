"""Adam for a table of embeddings of which a batch reads a small part.

A table of 99,430 words has 29.8 million numbers; a batch of reviews reads 4% of its rows. Dense Adam moves all of them
at every step, since a row that is not read still drifts on its momentum, and takes longer than the model.
:class:`RowWiseAdam` computes the same weights and touches only the rows that are read: where a row has drifted to is
known in closed form, so it is moved there just before it is read again. ``OptimConfig(row_wise_embedding=False)`` is
the dense form.
"""

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adam import adam

from elman.config import MOST_DRIFT

NEGLIGIBLE = 1e-9
"""A drift is followed until one step of it is this small a part of its first step."""

PER_STEP = {"drift": 0.0, "average_drift": 0.0, "average_kept": 1.0}
"""What is stored of a table for each step so far, and its value right after that step."""

FORMER_NAMES = {"moved_in": "last_update", "drifted": "drift_applied", "average_left": "average_kept"}
"""How checkpoints of version 0.1 call parts of the state."""

ROWS_AT_ONCE = 4_096
"""All rows are settled in parts of this size, so that no copy of the whole table is made."""


class RowWiseAdam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) at the cost of the rows in use, for embeddings with sparse gradients.

    A step copies out the rows of the gradient and their moments, lets torch's own Adam move them, and copies them back.
    The other rows wait. The optimizer hooks itself onto the embeddings: rows are settled, that is moved to where dense
    Adam has them, just before a training model reads them, and all rows before a model in evaluation mode reads any.
    A copy or an export of a model in the middle of a training needs :meth:`settle` first.

    With m and v a row's moments after step t, and no gradient in the steps s after it, dense Adam has

        m_s = β₁^(s−t) m,  v_s = β₂^(s−t) v,  and moves by  −η_s √(1 − β₂^s) / (1 − β₁^s) · m_s / √v_s

    in each, so all these moves together are −m / √v times a sum that depends on t alone:

        drift_t = Σ_s  η_s √(1 − β₂^s) / (1 − β₁^s) · (β₁ / √β₂)^(s−t)

    This is exact except for ε, which is added to √v instead of to each √v_s: with ε = 1e-8 and the betas of
    :class:`~elman.config.OptimConfig` the drift after a gradient of 1e-5 is off by 0.3%, after one of 1e-6 by 3%. The
    nearer β₁ / √β₂ is to 1, the longer the drift and the larger the effect of ε; above 0.96 it is refused. An average
    of the weights, a_s = d_s a_(s−1) + (1 − d_s) w_s, is known as long as the weights are: with w_s and drift_t as they
    are after steps without a gradient,

        a_s = kept_t a_t + (1 − kept_t) (w_s + m / √v · drift_t) − m / √v · D_t,

    where every step multiplies kept_t by d_s, and replaces D_t by d_s D_t + (1 − d_s) drift_t.

    Parameters
    ----------
    embeddings
        Their gradients are sparse.
    lr, betas, eps
        As for ``torch.optim.Adam``.
    """

    def __init__(
        self,
        embeddings: Iterable[nn.Embedding],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if betas[0] > MOST_DRIFT * math.sqrt(betas[1]):
            raise ValueError(f"Rows drift too far with betas of {betas}. Use a lower first or a higher second one.")
        embeddings = list(embeddings)
        # "fused" makes load_state_dict move the count of steps to the table's device, where the fused kernel needs it.
        super().__init__(
            [embedding.weight for embedding in embeddings], {"lr": lr, "betas": betas, "eps": eps, "fused": True}
        )
        self.averages: dict[Tensor, Tensor] = {}
        self.decay_at: Callable[[int], float] = lambda step: 0.0  # noqa: ARG005 (no average)
        self._attach(embeddings)

    @property
    def tables(self) -> list[Tensor]:
        """All weights that it moves."""
        return [table for group in self.param_groups for table in group["params"]]

    def keep_average(self, averages: dict[Tensor, nn.Embedding], decay_at: Callable[[int], float]) -> None:
        """Keep an average of each table from now on, in the embedding that is given for it.

        ``decay_at`` returns how much of the average a step keeps. The averages are complete after :meth:`settle`.
        """
        self.averages = {table: embedding.weight.detach() for table, embedding in averages.items()}
        self.decay_at = decay_at
        self._attach(averages.values())

    def _attach(self, embeddings: Iterable[nn.Embedding]) -> None:
        hook = _Hook(self)
        for embedding in embeddings:
            embedding.register_forward_pre_hook(hook.before_reading)
            embedding.register_load_state_dict_pre_hook(hook.before_loading)  # type: ignore[no-untyped-call]  # torch's

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch's may return a loss
        """Move the rows that the gradients hold."""
        assert closure is None  # the loss is not computed again here
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    gradient = in_order(table.grad)
                    self._move(table, gradient.indices()[0], gradient.values(), group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state; ValueError if it is another optimizer's."""
        needed = {"step", "last_update", "drift_applied", "exp_avg", "exp_avg_sq", *PER_STEP}
        states = {
            table: {FORMER_NAMES.get(name, name): value for name, value in state.items()}
            for table, state in state_dict["state"].items()
        }
        for state in states.values():
            if missing := needed - state.keys():
                raise ValueError(f"The state of a table lacks {', '.join(sorted(missing))}.")
        super().load_state_dict({**state_dict, "state": states})

    @torch.no_grad()
    def settle(self) -> None:
        """Move all rows, and their averages, to where dense Adam has them by now."""
        for group in self.param_groups:
            for table in group["params"]:
                if self.state.get(table):  # it has made a step
                    self._settle_all(table, group)

    @torch.no_grad()
    def settle_rows(self, table: Tensor, rows: Tensor) -> None:
        """Move some rows of a table there; their moments and averages wait for the next gradient."""
        for group in self.param_groups:
            if self.state.get(table) and any(one is table for one in group["params"]):
                self._apply_drift(table, rows, group)

    def _apply_drift(self, table: Tensor, rows: Tensor, group: dict[str, Any]) -> None:
        """Move rows by the part of their drift that is not in them yet."""
        state = self.state[table]
        drift = state["drift"].index_select(0, state["last_update"].index_select(0, rows).long())
        missing = drift - state["drift_applied"].index_select(0, rows)
        waiting = missing.nonzero().squeeze(1)
        rows, drift, missing = (part.index_select(0, waiting) for part in (rows, drift, missing))
        weights, means, squares = (part.index_select(0, rows) for part in self._parts(table)[:3])
        table.index_copy_(
            0, rows, weights.addcdiv_(means.mul_(missing[:, None]), squares.sqrt_().add_(group["eps"]), value=-1)
        )
        state["drift_applied"].index_copy_(0, rows, drift)

    def _settled(self, table: Tensor, rows: Tensor, group: dict[str, Any]) -> list[Tensor]:
        """Return weights, moments and average of rows, as dense Adam has them after the steps so far."""
        state = self.state[table]
        since = state["last_update"].index_select(0, rows)
        drift, average_drift, share = (state[name].index_select(0, since.long())[:, None] for name in PER_STEP)
        weights, means, squares, *averages = (part.index_select(0, rows) for part in self._parts(table))
        steps = (state["step"] - since)[:, None]
        missing = drift - state["drift_applied"].index_select(0, rows)[:, None]
        if averages or bool(missing.any()):
            direction = means / squares.sqrt().add_(group["eps"])
            weights.addcmul_(direction, missing, value=-1)
        for average in averages:
            average.mul_(share).addcmul_(weights, 1 - share).addcmul_(direction, (1 - share) * drift - average_drift)
        for moment, beta in zip((means, squares), group["betas"], strict=True):
            moment.mul_(torch.pow(beta, steps))
        return [weights, means, squares, *averages]

    def _settle_all(self, table: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        waiting = (state["last_update"] > 0) & (state["last_update"] < state["step"])
        for rows in waiting.nonzero().squeeze(1).split(ROWS_AT_ONCE):
            self._put_back(table, rows, self._settled(table, rows, group))

    def _move(self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Make one Adam step on the rows of a gradient."""
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), device=table.device)
            for by_row in ("last_update", "drift_applied"):  # step numbers are floats, as load_state_dict makes them
                state[by_row] = table.new_zeros(len(table))
            for name, first in PER_STEP.items():
                state[name] = table.new_full((1,), first)
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
            average.lerp_(weights, 1 - self.decay_at(int(state["step"])))
        self._put_back(table, rows, [weights, means, squares, *averages])
        self._extend_drift(state, group)

    def _parts(self, table: Tensor) -> list[Tensor]:
        averages = [self.averages[table]] if self.averages else []
        return [table, self.state[table]["exp_avg"], self.state[table]["exp_avg_sq"], *averages]

    def _put_back(self, table: Tensor, rows: Tensor, settled: list[Tensor]) -> None:
        state = self.state[table]
        for part, values in zip(self._parts(table), settled, strict=True):
            part.index_copy_(0, rows, values)
        state["last_update"].index_fill_(0, rows, float(state["step"]))
        state["drift_applied"].index_fill_(0, rows, 0)

    def _extend_drift(self, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Add the step that was made to the drift since every earlier step."""
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        ratio = beta1 / math.sqrt(beta2)
        first = max(1, step - _drift_length(ratio))  # rows that were never moved do not drift
        recent = state["drift"][first:]
        rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        ages = torch.arange(len(recent), 0, -1, dtype=recent.dtype, device=recent.device)
        recent += rate * torch.pow(ratio, ages)
        if self.averages:
            decay = self.decay_at(step)
            state["average_drift"].lerp_(state["drift"], 1 - decay)
            state["average_kept"].mul_(decay)
        for name, start in PER_STEP.items():
            state[name] = torch.cat([state[name], state[name].new_full((1,), start)])


class _Hook:
    """What the optimizer attaches to an embedding; in a copy or a pickle of the embedding it does nothing."""

    def __init__(self, optimizer: RowWiseAdam | None = None) -> None:
        self._optimizer: Callable[[], RowWiseAdam | None] = weakref.ref(optimizer) if optimizer else _nobody

    def __reduce__(self) -> tuple[type["_Hook"], tuple[()]]:
        return _Hook, ()

    def before_reading(self, embedding: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Settle the rows that a training model is about to read; in evaluation mode all rows."""
        optimizer = self._optimizer()
        if optimizer is not None and embedding.training:
            assert isinstance(embedding.weight, Tensor)
            optimizer.settle_rows(embedding.weight, inputs[0].flatten())
        elif optimizer is not None:
            optimizer.settle()

    def before_loading(self, *_: Any) -> None:
        """Settle all rows before other weights replace them, so that nothing is added to these later."""
        optimizer = self._optimizer()
        if optimizer is not None:
            optimizer.settle()


def _nobody() -> None:
    """Return no optimizer."""


def _drift_length(ratio: float) -> int:
    """Return after how many steps a drift, each step ``ratio`` times the one before, is negligible."""
    return math.ceil(math.log(NEGLIGIBLE) / math.log(ratio)) if ratio > 0 else 1


def in_order(gradient: Tensor) -> Tensor:
    """Return a sparse gradient whose rows are in order and occur once; checking is cheaper than sorting."""
    rows = gradient._indices()[0]
    return gradient._coalesced_(True) if bool((rows[1:] > rows[:-1]).all()) else gradient.coalesce()
