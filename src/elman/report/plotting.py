"""Shared parts of the figures: vector pictures in colors that the color-blind can distinguish (Okabe and Ito, 2008)."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from elman.files import new_file

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")

SIZE = (6.4, 3.8)
"""Inches: one column, so that the letters are readable on a phone."""


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "elman"}), new_file(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None})


def new_figure(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """Return a figure with one panel and a grid."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def new_ranking(xlabel: str, names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return a figure with a row for each name, the first on top."""
    figure = Figure(figsize=(SIZE[0], 1.0 + 0.35 * len(names)), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, axes: Axes, path: Path) -> bool:
    """Write a figure with a legend, if it has several entries, and with whole epochs; return True."""
    if axes.get_xlabel() == "epoch":
        low, high = axes.get_xlim()
        if low > 0 and high - low < 1:  # a single epoch
            axes.set_xlim(0.5, 1.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    save_svg(figure, path)
    return True


def log_axis(axes: Axes, ticks: Sequence[float] | None = None) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at the ticks."""
    axes.set_xscale("log")
    if ticks is not None:
        axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


def styled(items: dict[str, Any]) -> Iterator[tuple[str, Any, str, str]]:
    """Yield each name and item with its own color and line style; after seven colors the line style changes."""
    styles = ((color, line) for line in cycle(("-", "--", ":")) for color in COLORS)
    for (name, item), (color, line) in zip(items.items(), styles, strict=False):
        yield name, item, color, line


def plot_band(
    axes: Axes,
    x: Sequence[float],
    figures: Sequence[dict[str, float]],
    line: str,
    *,
    color: str,
    label: str,
    scale: float = 1,
) -> None:
    """Draw the means of figures, and a band from the least to the most over seeds."""
    mean, least, most = (scale * np.array([figure[part] for figure in figures]) for part in ("mean", "least", "most"))
    axes.plot(x, mean, line, color=color, label=label, markersize=4)
    if (most > least).any():
        axes.fill_between(x, least, most, color=color, alpha=0.2, linewidth=0)


def error_bars(figures: Sequence[dict[str, Any]], scale: float) -> tuple[Any, list[Any]]:
    """Return the means, and the distances to the ends of their 95% intervals; zero without an interval."""
    mean = scale * np.array([figure["mean"] for figure in figures])
    low, high = (
        scale * np.array([figure["mean"] if figure[end] is None else figure[end] for figure in figures])
        for end in ("low", "high")
    )
    return mean, [mean - low, high - mean]
