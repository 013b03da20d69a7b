"""The figures of a study's report: functions from a path and the figures of steps to a picture there.

Each step has a colour and a kind of line of its own. Where there are several seeds, a band runs from the least of them
to the most.
"""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from elman.report.figures import COLOURS, save_svg
from elman.report.steps import Steps, better_than_guessing

SIZE = (6.4, 3.8)
"""Inches: as wide as a column, so that its letters can still be read on a phone."""

PANELS_A_ROW = 4

FEW = 1e-3
"""Of how sure a classifier is, a bin with a smaller share of the texts shows chance alone and is not drawn."""


class Picture(NamedTuple):
    """A figure of one kind of step.

    Attributes
    ----------
    name
        Its file is ``figures/QUESTION-NAME.svg``.
    caption
        Beneath it.
    draw
        Draws it, or returns False where the steps have nothing to show.
    """

    name: str
    caption: str
    draw: Callable[[Path, Steps], bool]


def loss_curves(path: Path, steps: Steps) -> bool:
    """Draw the losses after every epoch: of training dashed, of validation with dots."""
    figure, axes = _figure("epoch", "cross-entropy (nats a text)")
    for name, found, colour, _ in _styled(steps):
        _band(axes, found["epochs"], "train_loss_nats", colour, ".--", label=f"{name}, training")
        _band(axes, found["epochs"], "val_cross_entropy_nats", colour, "o-", label=f"{name}, validation")
    axes.set_ylim(bottom=0)
    return _save(figure, axes, path)


def excess_curves(path: Path, steps: Steps) -> bool:
    """Draw after every epoch how far each language model is from the best possible one; or its bits a token."""
    known = all("val_excess_nats_per_token" in found["epochs"][0] for found in steps.values())
    key = "val_excess_nats_per_token" if known else "val_bits_per_token"
    figure, axes = _figure("epoch", "excess over the floor (nats a token)" if known else "bits a token, validation")
    for name, found, colour, line in _styled(steps):
        _band(axes, found["epochs"], key, colour, f"o{line}", label=name)
    if known and all(entry[key]["least"] > 0 for found in steps.values() for entry in found["epochs"]):
        axes.set_yscale("log")
    return _save(figure, axes, path)


def gradient_norms(path: Path, steps: Steps) -> bool:
    """Draw the gradient's norm before clipping; a line for each seed."""
    if not all(curve["steps"]["epoch"] for found in steps.values() for curve in found["curves"]):
        return False
    figure, axes = _figure("epoch", "gradient norm before clipping")
    axes.set_yscale("log")
    for name, found, colour, line in _styled(steps):
        for number, curve in enumerate(found["curves"]):
            label = name if number == 0 else None
            x, y = curve["steps"]["epoch"], curve["steps"]["grad_norm"]
            axes.plot(x, y, line, color=colour, linewidth=1, alpha=1 if number == 0 else 0.4, label=label)
    return _save(figure, axes, path)


def accuracy_by_time(path: Path, steps: Steps) -> bool:
    """Draw validation accuracy against the time spent on training."""
    figure, axes = _figure("training time (s)", "validation accuracy (%)")
    for name, found, colour, line in _styled(steps):
        x = [entry["seconds_so_far"]["mean"] for entry in found["epochs"]]
        _band(axes, found["epochs"], "val_accuracy", colour, f"o{line}", label=name, x=x, scale=100)
    return _save(figure, axes, path)


def calibration_curves(path: Path, steps: Steps) -> bool:
    """Draw how often each classifier is right against how sure it is."""
    figure, axes = _figure("mean sureness (%)", "accuracy (%)")
    axes.plot([50, 100], [50, 100], color="gray", linewidth=0.8, label="as sure as right")
    for name, found, colour, line in _styled(steps):
        bins: dict[float, list[dict[str, float]]] = {}
        for part in (part for seed in found["by_seed"] for part in seed["calibration"]["bins"]):
            bins.setdefault(part["from"], []).append(part)
        read = sum(part["sequences"] for parts in bins.values() for part in parts)
        enough = [parts for _, parts in sorted(bins.items()) if sum(part["sequences"] for part in parts) > FEW * read]
        pooled = np.array([_pooled(parts) for parts in enough])
        axes.plot(100 * pooled[:, 0], 100 * pooled[:, 1], f"o{line}", color=colour, label=name)
    return _save(figure, axes, path)


def _pooled(parts: list[dict[str, float]]) -> tuple[float, float]:
    weights = np.array([part["sequences"] for part in parts])
    sureness, right = (np.array([part[key] for part in parts]) for key in ("confidence", "accuracy"))
    return float((weights * sureness).sum() / weights.sum()), float((weights * right).sum() / weights.sum())


def confusions(path: Path, steps: Steps) -> bool:
    """Draw for each classifier which share of a class it takes for which, over all seeds."""
    columns = PANELS_A_ROW
    rows = -(-len(steps) // columns)
    figure = Figure(figsize=(SIZE[0], 0.3 + 1.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (name, found) in zip(panels, steps.items(), strict=False):
        counts = np.sum([seed["confusion"] for seed in found["by_seed"]], axis=0)
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
        names = found["class_names"]
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=100)  # not imshow, which draws no vectors
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8, rotation=90, va="center")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("predicted", fontsize=8)
        for (row, column), share in np.ndenumerate(shares):
            shade = "#fefefe" if share > 50 else "#111111"
            axes.text(column, row, f"{share:.1f}%", ha="center", va="center", color=shade, fontsize=8)
    for axes in panels[len(steps) :]:
        axes.set_axis_off()
    panels[0].set_ylabel("true", fontsize=8)
    save_svg(figure, path)
    return True


def grammaticality_by_temperature(path: Path, steps: Steps) -> bool:
    """Draw the share of grammatical samples against the temperature, with 95% intervals."""
    graded = {name: found for name, found in steps.items() if found.get("temperatures")}
    if not graded:
        return False
    figure, axes = _figure("temperature", "grammatical samples (%)")
    for name, found, colour, line in _styled(graded):
        x = [row["temperature"] for row in found["temperatures"]]
        mean, ends = _ends([row["grammatical_share"] for row in found["temperatures"]], 100)
        axes.errorbar(x, mean, yerr=ends, fmt=f"o{line}", color=colour, capsize=3, markersize=4, label=name)
    return _save(figure, axes, path)


def divergence_by_length(path: Path, steps: Steps) -> bool:
    """Draw how much is lost a symbol on strings of a given length, and depth, in times of training's."""
    held = {name: found for name, found in steps.items() if found.get("generalisation")}
    if not held:
        return False
    figure, axes = _figure("times the longest (deepest) string of training", "excess (KL divergence, nats a symbol)")
    for name, found, colour, _ in _styled(held):
        for key, what, line in (("by_length", "length", "o-"), ("by_depth", "depth", "s--")):
            rows = found["generalisation"].get(key, [])
            if rows:
                x, kl = [row["factor"] for row in rows], [row["kl_nats"] for row in rows]
                axes.plot(x, [each["mean"] for each in kl], line, color=colour, label=f"{name}, by {what}")
                axes.fill_between(
                    x,
                    [each["least"] for each in kl],
                    [each["most"] for each in kl],
                    color=colour,
                    alpha=0.2,
                    linewidth=0,
                )
    axes.set(xscale="log", yscale="log")
    factors = sorted({row["factor"] for found in held.values() for row in found["generalisation"]["by_length"]})
    axes.set_xticks(factors)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return _save(figure, axes, path)


def length_distribution(path: Path, steps: Steps) -> bool:
    """Draw which share of each split's texts has at most so many tokens."""
    figure, axes = _figure("length (tokens)", "texts of at most that length (%)")
    parts = {
        f"{name}, {split}" if len(steps) > 1 else split: lengths
        for name, found in steps.items()
        for split, lengths in found["length_quantiles"].items()
    }
    for name, lengths, colour, line in _styled(parts):
        axes.plot(lengths, np.linspace(0, 100, len(lengths)), line, color=colour, label=name)
    if all(lengths[0] == lengths[-1] for lengths in parts.values()):
        return False
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return _save(figure, axes, path)


def padding_by_batch_size(path: Path, steps: Steps) -> bool:
    """Draw the share of padding against the batch size: drawn at random, and sorted by length."""
    figure, axes = _figure("batch size (texts)", "padding (%)")
    for name, found, colour, _ in _styled(steps):
        sizes = [row["batch_size"] for row in found["rows"]]
        for key, what, line in (("random", "drawn at random", "o-"), ("sorted", "sorted by length", "s--")):
            label = f"{name}, {what}" if len(steps) > 1 else what
            axes.plot(sizes, [100 * row[key] for row in found["rows"]], line, color=colour, label=label)
        axes.set_xscale("log")
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    return _save(figure, axes, path)


def ranking_with_intervals(path: Path, steps: Steps) -> bool:
    """Draw each compared step's figure with its 95% interval, the best on top."""
    [found] = steps.values()
    names = {
        "val_accuracy": "validation accuracy (%)",
        "test_accuracy": "test accuracy (%)",
        "excess_nats_per_token": "excess over the floor (nats a token)",
    }
    label = names.get(found["measure"], "bits a token, validation")
    figure = Figure(figsize=(SIZE[0], 0.9 + 0.35 * len(found["order"])), layout="constrained")
    axes = figure.add_subplot(xlabel=label)
    mean, ends = _ends(found["order"], 100 if found["measure"].endswith("accuracy") else 1)
    axes.errorbar(mean, range(len(mean)), xerr=ends, fmt="o", color=COLOURS[0], capsize=3, markersize=4)
    axes.set_yticks(range(len(found["order"])), [row["step"] for row in found["order"]])
    axes.set_ylim(len(found["order"]) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save_svg(figure, path)
    return True


def tested_and_expected(path: Path, steps: Steps) -> bool:
    """Draw each model's test accuracy with its interval and its seeds, over the interval that was expected.

    One that was expected to guess is left out: beside it the others could not be told apart.
    """
    steps = {name: found for name, found in steps.items() if better_than_guessing(found["expected"], found)} or steps
    figure = Figure(figsize=(SIZE[0], 1.1 + 0.35 * len(steps)), layout="constrained")
    axes = figure.add_subplot(xlabel="test accuracy (%)")
    by_test = dict(sorted(steps.items(), key=lambda item: -item[1]["summary"]["test_accuracy"]["mean"]))
    low, high = (100 * np.array([found["expected"][end] for found in by_test.values()]) for end in ("low", "high"))
    axes.barh(range(len(low)), high - low, left=low, height=0.5, color="#cccccc", label="expected (95%)")
    for place, found in enumerate(by_test.values()):
        each = [100 * seed["accuracy"] for seed in found["by_seed"]]
        label = "each seed" if place == 0 else None
        axes.plot(each, [place] * len(each), "|", color=COLOURS[1], markersize=9, label=label)
    mean, ends = _ends([found["summary"]["test_accuracy"] for found in by_test.values()], 100)
    axes.errorbar(
        mean, range(len(mean)), xerr=ends, fmt="o", color=COLOURS[0], capsize=3, markersize=4, label="found (95%)"
    )
    axes.use_sticky_edges = False  # else a bar's end is the end of the axis, and what lies there is cut
    axes.set_yticks(range(len(by_test)), [*by_test])
    axes.set_ylim(len(by_test) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, axes, path)


def searches(path: Path, steps: Steps) -> bool:
    """Draw the best so far on validation against the time that the trials took."""
    accuracy = all(found["metric"] == "val_accuracy" for found in steps.values())
    quality = "accuracy so far, validation (%)" if accuracy else "so far on validation"
    figure, axes = _figure("time in trials (min)", f"best {quality}")
    for name, found, colour, line in _styled(steps):
        points = found["best_so_far"]
        x = [*(point["seconds"] for point in points), found["seconds"]]  # what was tried last may have been no better
        y = [*(point["value"] for point in points), points[-1]["value"]]
        scale = 100 if accuracy else 1
        axes.step(np.divide(x, 60), np.multiply(y, scale), line, where="post", color=colour, label=name)
    return _save(figure, axes, path)


PICTURES: dict[str, tuple[Picture, ...]] = {
    "data": (Picture("lengths", "The lengths of the texts", length_distribution),),
    "padding": (Picture("padding", "Padding by batch size", padding_by_batch_size),),
    "classifier": (
        Picture("loss", "Learning curves: the loss after every epoch", loss_curves),
        Picture("accuracy", "Validation accuracy against training time", accuracy_by_time),
        Picture("gradients", "Gradient norms before clipping", gradient_norms),
        Picture("calibration", "Calibration: how often right, by how sure", calibration_curves),
        Picture("confusion", "Confusion: the share of each class that is taken for which", confusions),
    ),
    "hypothesis": (),
    "recurrence": (),
    "final": (
        Picture(
            "tested", "Test accuracy, and what was expected of it, of all that do more than guess", tested_and_expected
        ),
        Picture("calibration", "Calibration on the test texts: how often right, by how sure", calibration_curves),
        Picture("confusion", "Confusion on the test texts: the share of each class taken for which", confusions),
    ),
    "ensemble": (),
    "search": (Picture("searches", "What the searches had found, by the time they took", searches),),
    "yardstick": (Picture("calibration", "Calibration: how often right, by how sure", calibration_curves),),
    "language-model": (
        Picture("excess", "Learning curves: the distance after every epoch", excess_curves),
        Picture("gradients", "Gradient norms before clipping", gradient_norms),
        Picture("temperature", "Grammatical samples by temperature", grammaticality_by_temperature),
        Picture("lengths", "Excess by length and depth, beyond those of training", divergence_by_length),
    ),
    "comparison": (Picture("ranking", "The compared figures with their intervals", ranking_with_intervals),),
}


def _figure(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, axes: Axes, path: Path) -> bool:
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


def _styled(steps: dict[str, Any]) -> Iterator[tuple[str, Any, str, str]]:
    """Yield each name with its figures, a colour and a line; after seven colours the lines change."""
    styles = ((colour, line) for line in cycle(("-", "--", ":")) for colour in COLOURS)
    for (name, found), (colour, line) in zip(steps.items(), styles, strict=False):
        yield name, found, colour, line


def _band(
    axes: Axes,
    entries: list[dict[str, Any]],
    key: str,
    colour: str,
    line: str,
    *,
    label: str,
    x: list[float] | None = None,
    scale: float = 1,
) -> None:
    """Draw the means of a figure by epoch, and where there are several seeds a band from the least to the most."""
    x = x or [entry["epoch"] for entry in entries]
    mean, least, most = (
        scale * np.array([entry[key][part] for entry in entries]) for part in ("mean", "least", "most")
    )
    axes.plot(x, mean, line, color=colour, label=label, markersize=4)
    if entries[0]["runs"] > 1:
        axes.fill_between(x, least, most, color=colour, alpha=0.2, linewidth=0)


def _ends(figures: list[dict[str, Any]], scale: float) -> tuple[Any, list[Any]]:
    """Return means, and how far the 95% intervals go below and above; not at all where there is none."""
    mean = scale * np.array([figure["mean"] for figure in figures])
    low, high = (
        scale * np.array([figure["mean"] if figure[end] is None else figure[end] for figure in figures])
        for end in ("low", "high")
    )
    return mean, [mean - low, high - mean]
