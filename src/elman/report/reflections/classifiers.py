"""What the figures say of classifiers and of their yardsticks, on validation."""

from elman.formatting import count, listed, percent, plain, with_interval
from elman.report.steps import Figures, Steps, better_than_guessing

MOST_NAMED = 5
"""More names in one sentence are no longer read."""

ALPHA = 0.05
"""More than chance is what chance does in fewer cases than this."""


def best_classifier(steps: Steps) -> str:
    """Name the classifier of the highest accuracy, with its interval."""
    return highest(steps, "val_accuracy", "validation")


def highest(steps: Steps, measure: str, split: str) -> str:
    best = max(steps, key=lambda name: steps[name]["summary"][measure]["mean"])
    accuracy = steps[best]["summary"][measure]
    others = listed(list(steps)) if len(steps) <= MOST_NAMED else f"all {count(len(steps))}"
    highest = f", the highest of {others}" if len(steps) > 1 else ""
    return f"{best} classifies {with_interval(accuracy)} of the {split} texts rightly{highest}."


def best_yardstick(steps: Steps) -> str:
    """Name the yardstick of the highest accuracy: what a network has to beat."""
    best = max(steps, key=lambda name: steps[name]["summary"]["val_accuracy"]["mean"])
    accuracy = steps[best]["summary"]["val_accuracy"]
    return f"The yardstick to beat is {best}: {with_interval(accuracy)} of the validation texts."


def strength_at_the_edge(steps: Steps) -> str:
    """Say where the strength that was chosen is the least or the greatest that was tried."""
    said = []
    for name, found in steps.items():
        strengths = [row["strength"] for row in found["tried"]]
        if len(strengths) > 1 and found["strength"] in (min(strengths), max(strengths)):
            which = "least" if found["strength"] == min(strengths) else "greatest"
            said.append(f"the C of {name}, {plain(found['strength'])}, is the {which} that was tried")
    return f"A better value may lie beyond: {'; '.join(said)}." if said else ""


def no_better_than_guessing(steps: Steps) -> str:
    """Name the classifiers whose interval does not lie above the accuracy of guessing, but the one that is a guess."""
    guessing = [
        name
        for name, found in steps.items()
        if not better_than_guessing(found["summary"]["val_accuracy"], found) and not _is_a_guess(found)
    ]
    return f"Of {listed(guessing)} it cannot be said that it does better than guessing a class." if guessing else ""


def _is_a_guess(found: Figures) -> bool:
    """Return whether it is a yardstick that says one class of every text."""
    return "tried" in found and sum(map(any, zip(*found["by_seed"][0]["confusion"], strict=True))) == 1


def calibrated(steps: Steps) -> str:
    """Say of the classifiers whether they are as sure as they are right."""
    by_direction: dict[str, list[str]] = {"surer than they are right": [], "less sure than they are right": []}
    over, under = by_direction.values()
    for name, found in steps.items():
        bins = [part for seed in found["by_seed"] for part in seed["calibration"]["bins"]]
        gap = sum(part["sequences"] * (part["confidence"] - part["accuracy"]) for part in bins)
        error = found["summary"]["val_calibration_error"]["mean"]
        (over if gap > 0 else under).append(f"{name} {percent(error)}")
    said = [
        f"on average {way} (expected calibration error: {listed(names)})"
        for way, names in by_direction.items()
        if names
    ]
    return f"The models are {'; '.join(said)}."


def leaning(steps: Steps) -> str:
    """Say which of two classes is taken for the other more often, where that is more than chance in every run."""
    from scipy.stats import binomtest  # takes half a second

    said = []
    for name, found in steps.items():
        if len(found["class_names"]) != 2:
            continue
        missed = [(seed["confusion"][0][1], seed["confusion"][1][0]) for seed in found["by_seed"]]
        for more, less in ((0, 1), (1, 0)):
            if all(run[more] > run[less] and binomtest(run[more], sum(run)).pvalue <= ALPHA for run in missed):
                names, times = found["class_names"], [count(sum(run[way] for run in missed)) for way in (more, less)]
                said.append(
                    f"{name} takes {names[more]} texts for {names[less]} more often ({times[0]} ×) than the other way"
                    f" around ({times[1]} ×)"
                )
    return f"More than by chance, in every run, {'; '.join(said)}." if said else ""
