"""Figures of single commands: the generalization of a run, and a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from elman.report.plotting import COLORS, save_svg


def generalization_figure(path: Path, figures: dict[str, Any]) -> None:
    """Draw divergence and accuracy against the length and depth of strings, as multiples of those in training."""
    groups = [(key, name) for key, name in (("by_length", "length"), ("by_depth", "depth")) if key in figures]
    figure = Figure(figsize=(8, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for (key, name), color in zip(groups, COLORS, strict=False):
        rows = figures[key]
        factors = [row["factor"] for row in rows]
        label = f"{name}: up to {figures[f'trained_to_{name}']:,} in training"
        panels[0].plot(factors, [row["kl_nats"] for row in rows], "o-", color=color, label=label)
        panels[1].plot(factors, [100 * row["accuracy"] for row in rows], "o-", color=color, label=label)
    for axes, ylabel in zip(panels, ("divergence from the generator (nats per symbol)", "accuracy (%)"), strict=True):
        axes.set(xscale="log", xlabel="multiple of the longest (deepest) string of training", ylabel=ylabel)
        axes.set_xticks([row["factor"] for row in figures["by_length"]])
        axes.get_xaxis().set_major_formatter("{x:.0f}")
        axes.minorticks_off()
    panels[0].set_yscale("log")
    panels[1].set_ylim(-3, 103)
    panels[0].legend(fontsize="small")
    save_svg(figure, path)


def search_figure(path: Path, log: dict[str, Any], points: Sequence[tuple[int, float, float]]) -> None:
    """Draw the best value so far on validation against trials and against time, and a dot for each trial.

    Parameters
    ----------
    log
        The result of :func:`elman.tuning.log.read_log`.
    points
        Trials, seconds and best value so far, as :func:`elman.tuning.log.best_so_far` yields them.
    """
    accuracy = log["metric"] == "val_accuracy"
    scale, ylabel = (100, "validation accuracy (%)") if accuracy else (1, "validation cross-entropy (nats per token)")
    figure = Figure(figsize=(8, 4), layout="constrained")
    by_trials, by_time = figure.subplots(1, 2, sharey=True)
    trials, spent, best = (np.array(column) for column in zip(*points, strict=True))
    ends = np.flatnonzero(np.diff(trials, append=trials[-1] + 1))
    by_trials.step(trials[ends], scale * best[ends], where="post", color=COLORS[0], label="best so far")
    by_time.step(spent / 60, scale * best, where="post", color=COLORS[0])
    ended = [trial for trial in log["trials"] if trial["state"] != "running"]
    for state, marker, color in (("complete", "o", COLORS[1]), ("pruned", "x", COLORS[3])):
        dots = [(i, trial["value"]) for i, trial in enumerate(ended, start=1) if trial["state"] == state]
        dots = [(i, scale * value) for i, value in dots if value is not None]
        if dots:
            by_trials.plot(*zip(*dots, strict=True), marker, color=color, label=f"{state} trial", linestyle="none")
    by_trials.set(xlabel="trials", ylabel=ylabel)
    by_trials.xaxis.get_major_locator().set_params(integer=True)
    by_time.set(xlabel="total time of the trials (min)")
    by_trials.legend(fontsize="small")
    save_svg(figure, path)
