"""What the figures say of classifiers and of their yardsticks, on validation."""

from elman.report.steps import Steps, better_than_guessing
from elman.report.wording import count, listed, percent, plain, with_interval


def best_classifier(steps: Steps) -> str:
    """Name the classifier of the highest accuracy, with its interval."""
    return highest(steps, "val_accuracy", "validation")


def highest(steps: Steps, measure: str, split: str) -> str:
    best = max(steps, key=lambda name: steps[name]["summary"][measure]["mean"])
    accuracy = steps[best]["summary"][measure]
    highest = f", the highest of {listed(list(steps))}" if len(steps) > 1 else ""
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
    """Name the classifiers whose interval does not lie above the accuracy of guessing."""
    guessing = [
        name for name, found in steps.items() if not better_than_guessing(found["summary"]["val_accuracy"], found)
    ]
    return f"Of {listed(guessing)} it cannot be said that it does better than guessing a class." if guessing else ""


def calibrated(steps: Steps) -> str:
    """Say of the classifiers whether they are as sure as they are right."""
    by_direction: dict[str, list[str]] = {"surer": [], "less sure": []}
    for name, found in steps.items():
        bins = [part for seed in found["by_seed"] for part in seed["calibration"]["bins"]]
        gap = sum(part["sequences"] * (part["confidence"] - part["accuracy"]) for part in bins)
        error = found["summary"]["val_calibration_error"]["mean"]
        by_direction["surer" if gap > 0 else "less sure"].append(
            f"{name} (expected calibration error {percent(error)})"
        )
    said = [f"{listed(names)}: {way} than right" for way, names in by_direction.items() if names]
    return f"On average over the validation texts, {'; '.join(said)}."


def leaning(steps: Steps) -> str:
    """Say which class is taken for which more often; of two classes, by the first run."""
    said = []
    for name, found in steps.items():
        if len(found["class_names"]) != 2:
            continue
        first, second = found["class_names"]
        missed = {first: found["by_seed"][0]["confusion"][0][1], second: found["by_seed"][0]["confusion"][1][0]}
        more, less = (first, second) if missed[first] > missed[second] else (second, first)
        if missed[more] > missed[less]:
            said.append(
                f"{name} takes {count(missed[more])} {more} texts for {less} and {count(missed[less])} the other way"
                " around"
            )
    return f"{'; '.join(said)}." if said else ""
