"""Figures of several runs as one: means with their intervals, and curves small enough to be kept."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from elman.runs import Run
from elman.statistics import mean_over_seeds

CURVE_POINTS = 100
"""Points that a curve over steps is kept with, each the mean of as many neighbours."""

SHARE = (0.0, 1.0)
"""The ends of what a share can be."""

Interval = tuple[float, float]


def over_seeds(
    values: Sequence[float],
    chance: Interval | None = None,
    bounds: Interval = (-np.inf, np.inf),
) -> dict[str, Any]:
    """Return the mean over runs of different seeds, its 95% interval, and the range.

    Parameters
    ----------
    values
        One for each run.
    chance
        The 95% interval of a single run's figure over the texts that it was measured on. It stands in where there is
        one run; of several, the interval is Student's over their seeds.
    bounds
        The least and the greatest that the figure can be; no interval goes beyond.

    Returns
    -------
    ``mean``, ``low``, ``high``, ``least``, ``most``, and ``interval``: over "seeds" or over "texts"; one run of which
    no ``chance`` is known has no interval, and its ends are None.
    """
    mean = mean_over_seeds(values)
    low: float | None
    high: float | None
    interval: str | None
    if len(values) > 1:
        low, high, interval = max(mean.low, bounds[0]), min(mean.high, bounds[1]), "seeds"
    else:
        low, high, interval = (*chance, "texts") if chance else (None, None, None)
    return {
        "mean": mean.value,
        "low": low,
        "high": high,
        "least": min(values),
        "most": max(values),
        "interval": interval,
    }


def training_figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what every training has: how long, how fast, its curves and their means over seeds."""
    summaries = [run.result("training") for run in runs]
    histories = [[_numbers(entry) for entry in run.metrics("epoch")] for run in runs]
    for history in histories:
        for entry, spent in zip(history, accumulate(entry["seconds"] for entry in history), strict=True):
            entry["seconds_so_far"] = spent
    return {
        "parameters": summaries[0]["parameters"],
        "device": summaries[0]["machine"]["device"],
        "threads": summaries[0]["machine"]["threads"],
        "best_epochs": [summary["best_epoch"] for summary in summaries],
        "epochs_trained": [summary["epochs"] for summary in summaries],
        "seconds": over_seeds([summary["seconds"] for summary in summaries]),
        "tokens_per_second": over_seeds([summary["tokens_per_second"] for summary in summaries]),
        "clipped_share": _clipped(runs),
        "epochs": _mean_history(histories),
        "curves": [
            {"seed": run.config.loop.seed, "epochs": history, "steps": _steps(run)}
            for run, history in zip(runs, histories, strict=True)
        ],
    }


def _numbers(entry: dict[str, Any]) -> dict[str, float]:
    return {
        name: _rounded(value)
        for name, value in entry.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _mean_history(histories: Sequence[Sequence[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return for each epoch the mean, least and most of every figure; of the runs that came so far."""
    means = []
    for epoch in range(max(map(len, histories))):
        entries = [history[epoch] for history in histories if len(history) > epoch]
        means.append(
            {"epoch": epoch + 1, "runs": len(entries)}
            | {
                name: {"mean": float(np.mean(values)), "least": min(values), "most": max(values)}
                for name in entries[0]
                if name not in {"epoch", "step"}
                for values in [[entry[name] for entry in entries]]
            }
        )
    return means


def _steps(run: Run) -> dict[str, list[float]]:
    """Return loss and gradient norm by step, in at most CURVE_POINTS means of neighbours."""
    entries, epochs = run.metrics("step"), run.metrics("epoch")
    ends = [0, *(entry["step"] for entry in epochs)]
    columns = {
        "epoch": list(np.interp([entry["step"] for entry in entries], ends, range(len(ends)))),
        "loss_nats": [entry["loss_nats"] for entry in entries],
        "grad_norm": [entry["grad_norm"] for entry in entries],
    }
    return {name: _thinned(values) for name, values in columns.items()}


def _thinned(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    return [_rounded(float(part.mean())) for part in np.array_split(values, min(CURVE_POINTS, len(values)))]


def _clipped(runs: Sequence[Run]) -> float | None:
    """Return the share of logged steps whose gradient was scaled down; None where none is clipped."""
    limit = runs[0].config.optim.grad_clip_norm
    norms = [entry["grad_norm"] for run in runs for entry in run.metrics("step")]
    return sum(norm > limit for norm in norms) / len(norms) if limit and norms else None


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")
