"""What the figures say of searches."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

from elman.formatting import count, listed, nats, percent, setting
from elman.progress import seconds
from elman.report.steps import Steps

QUALITIES: dict[str, Callable[[float], str]] = {"val_accuracy": percent, "val_cross_entropy_nats": nats}
"""How what a search goes by is written."""


def searched(steps: Steps) -> list[tuple[str, str, list[str]]]:
    """Return each option with where it was searched, and the searches that did so there."""
    who: dict[tuple[str, str], list[str]] = {}
    for name, found in steps.items():
        for option, where in found["space"].items():
            who.setdefault((option, where), []).append(name)
    return [(option, where, names) for (option, where), names in sorted(who.items())]


def found_best(steps: Steps) -> str:
    """Say how good the best trial of each search is, on validation."""
    said = [f"{name} {QUALITIES[found['metric']](found['best']['value'])}" for name, found in steps.items()]
    metric = next(iter(steps.values()))["metric"].removeprefix("val_").replace("_", " ")
    return f"Best on validation ({metric}): {listed(said)}. The best of many trials may owe some of that to luck."


def nothing_better(steps: Steps) -> str:
    """Name the searches whose best trial is the first, which tries the settings that a search begins with."""
    first = [name for name, found in steps.items() if found["best"]["number"] == 0 and len(found["trials"]) > 1]
    return f"Nothing better than the settings it began with was found by {listed(first)}." if first else ""


def searched_equally(steps: Steps) -> str:
    """Cut several searches at the trials and at the time of the shortest, and say which was ahead there."""
    if len(steps) < 2 or len({found["metric"] for found in steps.values()}) > 1:
        return ""
    first = next(iter(steps.values()))
    pick, write = max if first["direction"] == "maximize" else min, QUALITIES[first["metric"]]
    said = []
    for unit, how in (("trials", count), ("seconds", seconds)):
        least = min(len(found["trials"]) if unit == "trials" else found["seconds"] for found in steps.values())
        cut = {name: best_until(found["best_so_far"], unit, least) for name, found in steps.items()}
        known = {name: value for name, value in cut.items() if value is not None}
        if not known:
            continue
        ahead = pick(known, key=lambda name: known[name])
        rest = listed([f"{name} {write(value)}" for name, value in known.items()])
        amount = f"{how(least)} trials each" if unit == "trials" else f"{how(least)} each"
        said.append(f"after {amount} {ahead} has the best trial ({rest})")
    return f"Cut where the shortest search ends, {'; '.join(said)}." if said else ""


def best_until(points: list[dict[str, Any]], unit: str, most: float) -> float | None:
    """Return the best value that a search had come to after so many "trials" or "seconds"; None where to none."""
    values = [point["value"] for point in points if point[unit] <= most]
    return values[-1] if values else None


def still_rising(steps: Steps) -> str:
    """Say which searches found their best in the last quarter of their trials."""
    late = [name for name, found in steps.items() if 4 * (found["best"]["number"] + 1) > 3 * len(found["trials"])]
    return f"{listed(late)}: the best came in the last quarter of the trials, so more might be found." if late else ""


def choices_settled(steps: Steps) -> str:
    """Name the choices where every complete trial with the one was better than every one with the other."""
    said = []
    for name, found in steps.items():
        sign = 1 if found["direction"] == "maximize" else -1
        values: dict[tuple[str, str | bool], list[float]] = {}
        for trial in found["trials"]:
            for knob, choice in trial["params"].items() if trial["state"] == "complete" else ():
                if isinstance(choice, str | bool):
                    values.setdefault((knob, choice), []).append(sign * trial["value"])
        said += [
            f"in {name} each of {count(len(values[best]))} trials with `{best[0]}` {setting(best[1])} was better than"
            f" each of {count(len(values[worse]))} with {setting(worse[1])}"
            for best, worse in permutations(values, 2)
            if best[0] == worse[0]
            and min(len(values[best]), len(values[worse])) > 1
            and min(values[best]) > max(values[worse])
        ]
    return f"Of the trials that came to their end: {'; '.join(said)}." if said else ""


def what_mattered(steps: Steps) -> str:
    """Name the knob that sets the best trials of each search apart."""
    said = []
    for name, found in steps.items():
        if found["importance"]:
            knob = max(found["importance"], key=lambda key: found["importance"][key])
            said.append(f"`{knob}` in {name} ({percent(found['importance'][knob])} of what all of them do)")
    return f"What sets the best tenth of the trials apart most: {'; '.join(said)}." if said else ""
