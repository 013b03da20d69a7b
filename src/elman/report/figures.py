"""Curves as vector pictures, in colours that the colour-blind can tell apart (Okabe and Ito, 2008)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from elman.files import new_file

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")


def generalisation_figure(path: Path, figures: dict[str, Any]) -> None:
    """Draw divergence and accuracy against the length (and depth) of strings, in times of training's."""
    groups = [(key, name) for key, name in (("by_length", "length"), ("by_depth", "depth")) if key in figures]
    figure = Figure(figsize=(8, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for (key, name), colour in zip(groups, COLOURS, strict=False):
        rows = figures[key]
        factors = [row["factor"] for row in rows]
        label = f"{name}: training reached {figures[f'trained_to_{name}']:,}"
        panels[0].plot(factors, [row["kl_nats"] for row in rows], "o-", color=colour, label=label)
        panels[1].plot(factors, [100 * row["accuracy"] for row in rows], "o-", color=colour, label=label)
    for axes, what in zip(panels, ("divergence from the generator (nats a symbol)", "accuracy (%)"), strict=True):
        axes.set(xscale="log", xlabel="times the longest (deepest) of training", ylabel=what)
        axes.set_xticks([row["factor"] for row in figures["by_length"]])
        axes.get_xaxis().set_major_formatter("{x:.0f}")
        axes.minorticks_off()
    panels[0].set_yscale("log")
    panels[1].set_ylim(-3, 103)
    panels[0].legend(fontsize="small")
    save_svg(figure, path)


def search_figure(path: Path, log: dict[str, Any], points: Sequence[tuple[int, float, float]]) -> None:
    """Draw the best value on validation so far against trials and against time, and each trial's own best as a dot.

    Parameters
    ----------
    log
        As :func:`elman.tuning.log.read_log` returns it.
    points
        Trials, seconds and best so far, as :func:`elman.tuning.log.best_so_far` yields them.
    """
    accuracy = log["metric"] == "val_accuracy"
    scale, what = (100, "validation accuracy (%)") if accuracy else (1, "validation cross-entropy (nats a token)")
    figure = Figure(figsize=(8, 4), layout="constrained")
    by_trials, by_time = figure.subplots(1, 2, sharey=True)
    trials, spent, best = (np.array(column) for column in zip(*points, strict=True))
    ends = np.flatnonzero(np.diff(trials, append=trials[-1] + 1))
    by_trials.step(trials[ends], scale * best[ends], where="post", color=COLOURS[0], label="best so far")
    by_time.step(spent / 60, scale * best, where="post", color=COLOURS[0])
    ended = [trial for trial in log["trials"] if trial["state"] != "running"]
    for state, marker, colour in (("complete", "o", COLOURS[1]), ("pruned", "x", COLOURS[3])):
        dots = [(i, trial["value"]) for i, trial in enumerate(ended, start=1) if trial["state"] == state]
        dots = [(i, scale * value) for i, value in dots if value is not None]
        if dots:
            by_trials.plot(*zip(*dots, strict=True), marker, color=colour, label=f"{state} trial", linestyle="none")
    by_trials.set(xlabel="trials", ylabel=what)
    by_trials.xaxis.get_major_locator().set_params(integer=True)
    by_time.set(xlabel="time of the trials, one after another (min)")
    by_trials.legend(fontsize="small")
    save_svg(figure, path)


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure, the same bytes for the same figure."""
    with mpl.rc_context({"svg.hashsalt": "elman"}), new_file(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None})
