"""The figures of a study's report: functions that draw the figures of steps into a file.

Each step has its own color and line style. With several seeds, a band shows the range over seeds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from elman.report.plotting import (
    COLORS,
    SIZE,
    error_bars,
    log_axis,
    new_figure,
    new_ranking,
    plot_band,
    save,
    save_svg,
    styled,
)
from elman.report.results import Steps, better_than_guessing

PANELS_PER_ROW = 4

MIN_SHARE = 1e-3
"""A calibration bin with a smaller share of the texts is not drawn: its accuracy is mostly chance."""


class Picture(NamedTuple):
    """A figure for one kind of step.

    Attributes
    ----------
    name
        Part of the file name, ``figures/QUESTION-NAME.svg``.
    caption
        Text below the figure.
    draw
        Function that draws the figure, or returns False if the steps have nothing to show.
    """

    name: str
    caption: str
    draw: Callable[[Path, Steps], bool]


def loss_curves(path: Path, steps: Steps) -> bool:
    """Draw the losses after every epoch, the training loss dashed."""
    figure, axes = new_figure("epoch", "cross-entropy (nats a text)")
    for name, figures, color, _ in styled(steps):
        epochs = figures["epochs"]
        x = [entry["epoch"] for entry in epochs]
        for key, split, line in (
            ("train_loss_nats", "training", ".--"),
            ("val_cross_entropy_nats", "validation", "o-"),
        ):
            losses = [entry[key] for entry in epochs]
            plot_band(axes, x, losses, line, color=color, label=f"{name}, {split}")
    axes.set_ylim(bottom=0)
    return save(figure, axes, path)


def excess_curves(path: Path, steps: Steps) -> bool:
    """Draw the excess of language models after every epoch; without a known floor, the bits per token."""
    formal = all("val_excess_nats_per_token" in figures["epochs"][0] for figures in steps.values())
    key = "val_excess_nats_per_token" if formal else "val_bits_per_token"
    ylabel = "excess over the floor (nats per token)" if formal else "bits per token, validation"
    figure, axes = new_figure("epoch", ylabel)
    for name, figures, color, line in styled(steps):
        epochs = figures["epochs"]
        x, distances = [entry["epoch"] for entry in epochs], [entry[key] for entry in epochs]
        plot_band(axes, x, distances, f"o{line}", color=color, label=name)
    if formal and all(entry[key]["least"] > 0 for figures in steps.values() for entry in figures["epochs"]):
        axes.set_yscale("log")
    return save(figure, axes, path)


def gradient_norms(path: Path, steps: Steps) -> bool:
    """Draw the gradient norm before clipping, with a line for each seed."""
    if not all(curve["steps"]["epoch"] for figures in steps.values() for curve in figures["curves"]):
        return False
    figure, axes = new_figure("epoch", "gradient norm before clipping")
    axes.set_yscale("log")
    for name, figures, color, line in styled(steps):
        for number, curve in enumerate(figures["curves"]):
            label = name if number == 0 else None
            x, y = curve["steps"]["epoch"], curve["steps"]["grad_norm"]
            axes.plot(x, y, line, color=color, linewidth=1, alpha=1 if number == 0 else 0.4, label=label)
    return save(figure, axes, path)


def accuracy_by_time(path: Path, steps: Steps) -> bool:
    """Draw validation accuracy against training time."""
    figure, axes = new_figure("training time (s)", "validation accuracy (%)")
    for name, figures, color, line in styled(steps):
        x = [entry["seconds_so_far"]["mean"] for entry in figures["epochs"]]
        accuracies = [entry["val_accuracy"] for entry in figures["epochs"]]
        plot_band(axes, x, accuracies, f"o{line}", color=color, label=name, scale=100)
    return save(figure, axes, path)


def calibration_curves(path: Path, steps: Steps) -> bool:
    """Draw the accuracy of each classifier against its confidence."""
    figure, axes = new_figure("mean confidence (%)", "accuracy (%)")
    axes.plot([50, 100], [50, 100], color="gray", linewidth=0.8, label="accuracy equals confidence")
    for name, figures, color, line in styled(steps):
        bins: dict[float, list[dict[str, float]]] = {}
        for part in (part for seed in figures["by_seed"] for part in seed["calibration"]["bins"]):
            bins.setdefault(part["from"], []).append(part)
        total = sum(part["sequences"] for parts in bins.values() for part in parts)
        enough = [
            parts for _, parts in sorted(bins.items()) if sum(part["sequences"] for part in parts) > MIN_SHARE * total
        ]
        pooled = np.array([_pooled(parts) for parts in enough])
        axes.plot(100 * pooled[:, 0], 100 * pooled[:, 1], f"o{line}", color=color, label=name)
    return save(figure, axes, path)


def _pooled(parts: list[dict[str, float]]) -> tuple[float, float]:
    weights = [part["sequences"] for part in parts]
    confidence, accuracy = ([part[key] for part in parts] for key in ("confidence", "accuracy"))
    return float(np.average(confidence, weights=weights)), float(np.average(accuracy, weights=weights))


def confusions(path: Path, steps: Steps) -> bool:
    """Draw the confusion matrix of each classifier, in shares of the true class, over all seeds."""
    columns = PANELS_PER_ROW
    rows = -(-len(steps) // columns)
    figure = Figure(figsize=(SIZE[0], 0.3 + 1.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (name, figures) in zip(panels, steps.items(), strict=False):
        counts = np.sum([seed["confusion"] for seed in figures["by_seed"]], axis=0)
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
        names = figures["class_names"]
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=100)  # imshow would draw pixels
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
    graded = {name: figures for name, figures in steps.items() if figures.get("temperatures")}
    if not graded:
        return False
    figure, axes = new_figure("temperature", "grammatical samples (%)")
    for name, figures, color, line in styled(graded):
        x = [row["temperature"] for row in figures["temperatures"]]
        mean, ends = error_bars([row["grammatical_share"] for row in figures["temperatures"]], 100)
        axes.errorbar(x, mean, yerr=ends, fmt=f"o{line}", color=color, capsize=3, markersize=4, label=name)
    return save(figure, axes, path)


def divergence_by_length(path: Path, steps: Steps) -> bool:
    """Draw the excess per symbol against the length and depth of strings, as multiples of those in training."""
    measured = {name: figures for name, figures in steps.items() if figures.get("generalisation")}
    if not measured:
        return False
    xlabel = "multiple of the longest (deepest) string of training"
    figure, axes = new_figure(xlabel, "excess (KL divergence, nats per symbol)")
    for name, figures, color, _ in styled(measured):
        for key, size, line in (("by_length", "length", "o-"), ("by_depth", "depth", "s--")):
            rows = figures["generalisation"].get(key, [])
            if rows:
                x, divergences = [row["factor"] for row in rows], [row["kl_nats"] for row in rows]
                plot_band(axes, x, divergences, line, color=color, label=f"{name}, by {size}")
    factors = {row["factor"] for figures in measured.values() for row in figures["generalisation"]["by_length"]}
    log_axis(axes, sorted(factors))
    axes.set_yscale("log")
    return save(figure, axes, path)


def length_distribution(path: Path, steps: Steps) -> bool:
    """Draw the cumulative distribution of the lengths in each split."""
    figure, axes = new_figure("length (tokens)", "texts of at most this length (%)")
    parts = {
        f"{name}, {split}" if len(steps) > 1 else split: lengths
        for name, figures in steps.items()
        for split, lengths in figures["length_quantiles"].items()
    }
    for name, lengths, color, line in styled(parts):
        axes.plot(lengths, np.linspace(0, 100, len(lengths)), line, color=color, label=name)
    if all(lengths[0] == lengths[-1] for lengths in parts.values()):
        return False
    log_axis(axes)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    return save(figure, axes, path)


def padding_by_batch_size(path: Path, steps: Steps) -> bool:
    """Draw the share of padding against the batch size, for random batches and for batches sorted by length."""
    figure, axes = new_figure("batch size (texts)", "padding (%)")
    for name, figures, color, _ in styled(steps):
        sizes = [row["batch_size"] for row in figures["rows"]]
        for key, order, line in (("random", "random batches", "o-"), ("sorted", "sorted by length", "s--")):
            label = f"{name}, {order}" if len(steps) > 1 else order
            axes.plot(sizes, [100 * row[key] for row in figures["rows"]], line, color=color, label=label)
        log_axis(axes, sizes)
    axes.set_ylim(bottom=0)
    return save(figure, axes, path)


def ranking_with_intervals(path: Path, steps: Steps) -> bool:
    """Draw the figure of each compared step with its 95% interval, the best on top."""
    [comparison] = steps.values()
    labels = {
        "val_accuracy": "validation accuracy (%)",
        "test_accuracy": "test accuracy (%)",
        "excess_nats_per_token": "excess over the floor (nats per token)",
    }
    order, measure = comparison["order"], comparison["measure"]
    figure, axes = new_ranking(labels.get(measure, "bits per token, validation"), [row["step"] for row in order])
    mean, ends = error_bars(order, 100 if measure.endswith("accuracy") else 1)
    axes.errorbar(mean, range(len(mean)), xerr=ends, fmt="o", color=COLORS[0], capsize=3, markersize=4)
    save_svg(figure, path)
    return True


def tested_and_expected(path: Path, steps: Steps) -> bool:
    """Draw the test accuracy of each model with its interval and its seeds, over the expected interval.

    A model that was expected to guess is left out: with it the differences of the others would be too small to see.
    """
    able = {name: figures for name, figures in steps.items() if better_than_guessing(figures["expected"], figures)}
    by_test = dict(sorted((able or steps).items(), key=lambda item: -item[1]["summary"]["test_accuracy"]["mean"]))
    figure, axes = new_ranking("test accuracy (%)", [*by_test])
    low, high = (100 * np.array([figures["expected"][end] for figures in by_test.values()]) for end in ("low", "high"))
    axes.barh(range(len(low)), high - low, left=low, height=0.5, color="#cccccc", label="expected (95%)")
    for place, figures in enumerate(by_test.values()):
        accuracies = [100 * seed["accuracy"] for seed in figures["by_seed"]]
        label = "each seed" if place == 0 else None
        axes.plot(accuracies, [place] * len(accuracies), "|", color=COLORS[1], markersize=9, label=label)
    mean, ends = error_bars([figures["summary"]["test_accuracy"] for figures in by_test.values()], 100)
    axes.errorbar(
        mean, range(len(mean)), xerr=ends, fmt="o", color=COLORS[0], capsize=3, markersize=4, label="measured (95%)"
    )
    axes.use_sticky_edges = False  # otherwise the axis ends where a bar ends
    return save(figure, axes, path)


def searches(path: Path, steps: Steps) -> bool:
    """Draw the best value so far on validation against the total time of the trials."""
    accuracy = all(figures["metric"] == "val_accuracy" for figures in steps.values())
    quality = "accuracy so far, validation (%)" if accuracy else "so far on validation"
    figure, axes = new_figure("total time of the trials (min)", f"best {quality}")
    for name, figures, color, line in styled(steps):
        points = figures["best_so_far"]
        x = [*(point["seconds"] for point in points), figures["seconds"]]  # the last trials may not have been better
        y = [*(point["value"] for point in points), points[-1]["value"]]
        scale = 100 if accuracy else 1
        axes.step(np.divide(x, 60), np.multiply(y, scale), line, where="post", color=color, label=name)
    return save(figure, axes, path)


PICTURES: dict[str, tuple[Picture, ...]] = {
    "data": (Picture("lengths", "The lengths of the texts", length_distribution),),
    "padding": (Picture("padding", "Padding by batch size", padding_by_batch_size),),
    "classifier": (
        Picture("loss", "Learning curves: the loss after every epoch", loss_curves),
        Picture("accuracy", "Validation accuracy against training time", accuracy_by_time),
        Picture("gradients", "Gradient norms before clipping", gradient_norms),
        Picture("calibration", "Calibration: accuracy by confidence", calibration_curves),
        Picture("confusion", "Confusion matrices, in shares of the true class", confusions),
    ),
    "preregistration": (),
    "recurrence": (),
    "test-evaluation": (
        Picture("tested", "Test accuracy and expectation of all models better than guessing", tested_and_expected),
        Picture("calibration", "Calibration on the test texts: accuracy by confidence", calibration_curves),
        Picture("confusion", "Confusion matrices on the test texts, in shares of the true class", confusions),
    ),
    "ensemble": (),
    "search": (Picture("searches", "Best value of the searches by time", searches),),
    "baseline": (Picture("calibration", "Calibration: accuracy by confidence", calibration_curves),),
    "language-model": (
        Picture("excess", "Learning curves: the excess after every epoch", excess_curves),
        Picture("gradients", "Gradient norms before clipping", gradient_norms),
        Picture("temperature", "Grammatical samples by temperature", grammaticality_by_temperature),
        Picture("lengths", "Excess on longer and deeper strings than in training", divergence_by_length),
    ),
    "comparison": (Picture("ranking", "Compared figures with their 95% intervals", ranking_with_intervals),),
}
