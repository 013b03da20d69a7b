"""Figures of several runs as one: means with their intervals, and curves small enough to be kept."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from elman.runs import Run
from elman.statistics import over_seeds

CURVE_POINTS = 100
"""Points that a curve over steps is kept with, each the mean of as many neighbours."""

Interval = tuple[float, float]


def figure_over_seeds(
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
    ``mean``, ``low``, ``high``, ``least``, ``most``, the ``values`` themselves, and ``interval``: over "seeds" or over
    "texts"; one run of which no ``chance`` is known has no interval, and its ends are None.
    """
    spread: dict[str, Any] = over_seeds(values, bounds)
    interval = "seeds" if len(values) > 1 else None
    if len(values) == 1 and chance:
        (spread["low"], spread["high"]), interval = chance, "texts"
    return spread | {"interval": interval, "values": list(values)}


def training(run: Run) -> dict[str, Any]:
    """Return what is kept of a training: how long, how fast, its curves."""
    summary = run.result("training")
    history = [_numbers(entry) for entry in run.metrics("epoch")]
    for entry, spent in zip(history, accumulate(entry["seconds"] for entry in history), strict=True):
        entry["seconds_so_far"] = spent
    limit = run.config.optim.grad_clip_norm
    norms = [entry["grad_norm"] for entry in run.metrics("step")]
    return {
        "seed": run.config.loop.seed,
        **{name: summary[name] for name in ("parameters", "best_epoch", "seconds", "tokens_per_second")},
        **{name: summary["machine"][name] for name in ("device", "threads", "precision")},
        "epochs_trained": summary["epochs"],
        "pretraining": summary.get("pretraining"),
        "grad_clip_norm": limit or None,
        "clipped_share": sum(norm > limit for norm in norms) / len(norms) if limit and norms else None,
        "epochs": history,
        "steps": _steps(run),
    }


def training_figures(trainings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what trainings have together: how long, how fast, their curves and the means of these over seeds."""
    clipped = [found["clipped_share"] for found in trainings]
    return {
        "parameters": trainings[0]["parameters"],
        **{name: sorted({found[name] for found in trainings}) for name in ("device", "threads", "precision")},
        "best_epochs": [found["best_epoch"] for found in trainings],
        "epochs_trained": [found["epochs_trained"] for found in trainings],
        "pretraining": trainings[0].get("pretraining"),
        "seconds": figure_over_seeds([found["seconds"] for found in trainings]),
        "tokens_per_second": figure_over_seeds([found["tokens_per_second"] for found in trainings]),
        "grad_clip_norm": trainings[0]["grad_clip_norm"],
        "clipped_share": None if None in clipped else float(np.mean(clipped)),
        "epochs": _mean_history([found["epochs"] for found in trainings]),
        "curves": [{name: found[name] for name in ("seed", "epochs", "steps")} for found in trainings],
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


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")
