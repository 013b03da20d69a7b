"""Sentences about the test split: the accuracies, and whether they agree with the expectation."""

from itertools import combinations

from elman.formatting import by_group, points, spread
from elman.report.reflections.classifiers import highest
from elman.report.results import Steps, better_than_guessing, is_baseline


def expected_order(steps: Steps) -> str:
    """Say which order of accuracies was expected."""
    orders = [", ".join(row["step"] for row in figures["expected"]) for figures in steps.values()]
    return f"The expected order, written down before the test, is {'; '.join(orders)} (best first)."


def best_on_test(steps: Steps) -> str:
    """Name the model with the highest test accuracy."""
    return highest(steps, "test_accuracy", "test")


def agreement_with_expectation(steps: Steps) -> str:
    """Compare the test accuracies with the expected order and with the expected intervals."""
    accuracies = {name: figures["summary"]["test_accuracy"]["mean"] for name, figures in steps.items()}
    sentences = []
    if len(steps) > 1:
        swapped = []
        for first, second in combinations(sorted(steps, key=lambda name: -steps[name]["expected"]["accuracy"]), 2):
            expected = steps[first]["expected"]["accuracy"] - steps[second]["expected"]["accuracy"]
            if expected > 0 > (difference := accuracies[first] - accuracies[second]):
                swapped.append(
                    f"{second} is {points(-difference)} percentage points above {first} (expected: {points(expected)}"
                    " below)"
                )
        sentences.append(
            f"The order differs from the expected one: {'; '.join(swapped)}."
            if swapped
            else "The models are in the expected order."
        )
    groups: dict[str, list[str]] = {"within": [], "above": [], "below": []}
    for name, figures in steps.items():
        low, high = figures["expected"]["low"], figures["expected"]["high"]
        groups["below" if accuracies[name] < low else "above" if accuracies[name] > high else "within"].append(name)
    parts = {f"{place} the expected interval": names for place, names in groups.items()}
    return " ".join([*sentences, f"The test accuracy is {by_group(parts)}."])


def shift_from_validation(steps: Steps) -> str:
    """Say whether all models, or all networks, are better or worse on the test than on validation."""
    able = {name: figures for name, figures in steps.items() if better_than_guessing(figures["expected"], figures)}
    networks = {name: figures for name, figures in able.items() if not is_baseline(figures)}
    more = "" if len(able) == len(steps) else " that are better than guessing"
    return _shift(able, f"All models{more}") or _shift(networks, f"All networks{more}")


def _shift(steps: Steps, subject: str) -> str:
    """Say that all accuracies moved in one direction, if most of them left their expected interval."""
    gaps, outside = {}, 0
    for name, figures in steps.items():
        expected, mean = figures["expected"], figures["summary"]["test_accuracy"]["mean"]
        gaps[name] = mean - expected["accuracy"]
        outside += not expected["low"] <= mean <= expected["high"]
    lower = all(gap < 0 for gap in gaps.values())
    if len(gaps) < 2 or 2 * outside <= len(gaps) or not (lower or all(gap > 0 for gap in gaps.values())):
        return ""
    by = spread({name: abs(gap) for name, gap in gaps.items()}, points)
    return (
        f"{subject} have a {'lower' if lower else 'higher'} accuracy on the test than on validation, by {by} percentage"
        f" points. The validation accuracy was too {'high for the test, although' if lower else 'low for the test:'}"
        " the tested models were trained on more texts."
    )


def ensembles_against_single_seeds(steps: Steps) -> str:
    """Compare each ensemble with a single seed of its best member on the same texts."""
    groups: dict[str, list[str]] = {}
    for name, figures in steps.items():
        low, high = (figures["over_a_single"][end] for end in ("low", "high"))
        relation = (
            "significantly higher" if low > 0 else "significantly lower" if high < 0 else "not significantly different"
        )
        groups.setdefault(relation, []).append(name)
    return f"Compared with a single seed of the best member, the test accuracy is {by_group(groups)}."
