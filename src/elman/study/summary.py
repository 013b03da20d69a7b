"""Figures over several runs: means with their intervals, and learning curves reduced to few points."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from elman.runs import Run
from elman.statistics import over_seeds
from elman.study.work import Figures

CURVE_POINTS = 100
"""The number of points that a curve over steps is reduced to; each is the mean of neighboring steps."""

Interval = tuple[float, float]


def figure_over_seeds(
    values: Sequence[float],
    over_texts: Interval | None = None,
    bounds: Interval = (-np.inf, np.inf),
) -> Figures:
    """Return the mean over runs of different seeds, its 95% interval, and the range.

    Parameters
    ----------
    values
        One for each run.
    over_texts
        The 95% interval of a single run's figure over the texts that it was measured on. It is used if there is only
        one run; with several runs the interval is Student's t interval over seeds.
    bounds
        The smallest and the largest possible value; the interval ends there.

    Returns
    -------
    ``mean``, ``low``, ``high``, ``least``, ``most``, ``values``, and ``interval``: over "seeds" or over "texts". One
    run without ``over_texts`` has no interval: ``low``, ``high`` and ``interval`` are None.
    """
    spread: Figures = over_seeds(values, bounds)
    interval = "seeds" if len(values) > 1 else None
    if len(values) == 1 and over_texts:
        (spread["low"], spread["high"]), interval = over_texts, "texts"
    return spread | {"interval": interval, "values": list(values)}


def training(run: Run) -> Figures:
    """Return the duration, the speed and the curves of a training."""
    summary = run.result("training")
    history = [_numbers(entry) for entry in run.metrics("epoch")]
    for entry, seconds in zip(history, accumulate(entry["seconds"] for entry in history), strict=True):
        entry["seconds_so_far"] = seconds
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


def training_figures(trainings: Sequence[Figures]) -> Figures:
    """Return the duration, the speed and the curves of several trainings, and the means of these over seeds."""
    clipped = [entry["clipped_share"] for entry in trainings]
    return {
        "parameters": trainings[0]["parameters"],
        **{name: sorted({entry[name] for entry in trainings}) for name in ("device", "threads", "precision")},
        "best_epochs": [entry["best_epoch"] for entry in trainings],
        "epochs_trained": [entry["epochs_trained"] for entry in trainings],
        "pretraining": trainings[0].get("pretraining"),
        "seconds": figure_over_seeds([entry["seconds"] for entry in trainings]),
        "tokens_per_second": figure_over_seeds([entry["tokens_per_second"] for entry in trainings]),
        "grad_clip_norm": trainings[0]["grad_clip_norm"],
        "clipped_share": None if None in clipped else float(np.mean(clipped)),
        "epochs": _mean_history([entry["epochs"] for entry in trainings]),
        "curves": [{name: entry[name] for name in ("seed", "epochs", "steps")} for entry in trainings],
    }


def _numbers(entry: Figures) -> dict[str, float]:
    return {
        name: _rounded(value)
        for name, value in entry.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _mean_history(histories: Sequence[Sequence[dict[str, float]]]) -> list[Figures]:
    """Return for each epoch the mean, least and most of every figure, over the runs that reached that epoch."""
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
    """Return loss and gradient norm by step, in at most CURVE_POINTS means of neighboring steps."""
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
