"""Sentences about hyperparameter searches."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

from elman.formatting import count, nats, percent, setting, spread, with_names
from elman.progress import seconds
from elman.report.results import Steps

QUALITIES: dict[str, Callable[[float], str]] = {"val_accuracy": percent, "val_cross_entropy_nats": nats}
"""The format of each metric that a search optimizes."""


def searched(steps: Steps) -> list[tuple[str, str, list[str]]]:
    """Return each option and its range, with the names of the searches that used it."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, figures in steps.items():
        for option, values in figures["space"].items():
            names.setdefault((option, values), []).append(name)
    return [(option, values, names[option, values]) for option, values in sorted(names)]


def best_trials(steps: Steps) -> str:
    """Give the value of the best trial of each search."""
    sentences = []
    for metric in dict.fromkeys(figures["metric"] for figures in steps.values()):
        best = {name: figures["best"]["value"] for name, figures in steps.items() if figures["metric"] == metric}
        label = metric.removeprefix("val_").removesuffix("_nats").replace("_", " ")
        sentences.append(
            f"The validation {label} of the best trial of each search is {spread(best, QUALITIES[metric])}."
        )
    return " ".join([*sentences, "The best of many trials is partly due to chance."])


def initial_settings_best(steps: Steps) -> str:
    """Name the searches whose best trial is the first one, which uses the initial settings."""
    names = [name for name, figures in steps.items() if figures["best"]["number"] == 0 and len(figures["trials"]) > 1]
    return with_names("No trial was better than the initial settings in {}.", names)


def budgets(steps: Steps) -> list[tuple[str, dict[str, float | None]]]:
    """Return the best value of each search after equal numbers of trials, and after equal time.

    Both are those of the shortest search; a search without a value by then has None. There is nothing to compare with
    one search, or between different metrics.
    """
    if len(steps) < 2 or len({figures["metric"] for figures in steps.values()}) > 1:
        return []
    trials = min(len(figures["trials"]) for figures in steps.values())
    time = min(figures["seconds"] for figures in steps.values())
    return [
        (label, {name: best_until(figures["best_so_far"], unit, limit) for name, figures in steps.items()})
        for label, unit, limit in ((f"{count(trials)} trials", "trials", trials), (seconds(time), "seconds", time))
    ]


def best_until(points: list[dict[str, Any]], unit: str, limit: float) -> float | None:
    """Return the best value of a search up to a number of "trials" or "seconds"; None if there is none."""
    values = [point["value"] for point in points if point[unit] <= limit]
    return values[-1] if values else None


def equal_budgets(steps: Steps) -> str:
    """Say which search is ahead after equal numbers of trials, and after equal time."""
    first = next(iter(steps.values()))
    pick = max if first["direction"] == "maximize" else min
    parts = []
    for label, best in budgets(steps):
        values = {name: value for name, value in best.items() if value is not None}
        if values:
            ahead = pick(values, key=lambda name: values[name])
            parts.append(f"{ahead} after {label} ({QUALITIES[first['metric']](values[ahead])})")
    return f"At equal cost the best search is {' and '.join(parts)}." if parts else ""


def best_in_last_quarter(steps: Steps) -> str:
    """Name the searches whose best trial is in the last quarter of their trials."""
    late = [name for name, figures in steps.items() if 4 * (figures["best"]["number"] + 1) > 3 * len(figures["trials"])]
    return with_names("The best trial was in the last quarter of {}, so more trials may improve it.", late)


def settled_choices(steps: Steps) -> str:
    """Name the choices where every complete trial with one value was better than every one with another."""
    parts = []
    for name, figures in steps.items():
        sign = 1 if figures["direction"] == "maximize" else -1
        values: dict[tuple[str, str | bool], list[float]] = {}
        for trial in figures["trials"]:
            for option, choice in trial["params"].items() if trial["state"] == "complete" else ():
                if isinstance(choice, str | bool):
                    values.setdefault((option, choice), []).append(sign * trial["value"])
        parts += [
            f"in {name} all {count(len(values[best]))} with `{best[0]}` {setting(best[1])} were better than all"
            f" {count(len(values[worse]))} with {setting(worse[1])}"
            for best, worse in permutations(values, 2)
            if best[0] == worse[0]
            and min(len(values[best]), len(values[worse])) > 1
            and min(values[best]) > max(values[worse])
        ]
    return f"Among the complete trials, {'; '.join(parts)}." if parts else ""


def most_important_options(steps: Steps) -> str:
    """Name the option that distinguishes the best trials of each search most."""
    parts = []
    for name, figures in steps.items():
        if figures["importance"]:
            option = max(figures["importance"], key=lambda key: figures["importance"][key])
            parts.append(f"`{option}` in {name} ({percent(figures['importance'][option])} of the importance)")
    return f"The option that distinguishes the best tenth of the trials most is {'; '.join(parts)}." if parts else ""
