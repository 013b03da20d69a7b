"""What the figures say of the test, and of what was expected of it."""

from elman.report.reflections.classifiers import highest
from elman.report.steps import Steps, better_than_guessing
from elman.report.wording import interval, listed, percent, points, with_interval


def expectation(steps: Steps) -> str:
    """Say which order was expected."""
    said = [
        ", then ".join(f"{row['step']} {percent(row['accuracy'])}" for row in found["expected"])
        for found in steps.values()
    ]
    return f"Expected before the test: {'; '.join(said)}."


def best_on_test(steps: Steps) -> str:
    """Name the model of the highest accuracy on the test texts."""
    return highest(steps, "test_accuracy", "test")


def as_expected(steps: Steps) -> str:
    """Hold the test to what was expected: the order, and each interval."""
    tested = {name: found["summary"]["test_accuracy"]["mean"] for name, found in steps.items()}
    by_test = sorted(steps, key=lambda name: -tested[name])
    by_expectation = sorted(steps, key=lambda name: -steps[name]["expected"]["accuracy"])
    said = []
    if len(steps) > 1:
        found_order = "was found" if by_test == by_expectation else f"was not found, but {', then '.join(by_test)}"
        said.append(f"The order that was expected, {', then '.join(by_expectation)}, {found_order}.")
    where: dict[str, list[str]] = {"within": [], "above": [], "below": []}
    for name, found in steps.items():
        low, high = found["expected"]["low"], found["expected"]["high"]
        where["below" if tested[name] < low else "above" if tested[name] > high else "within"].append(name)
    places = [f"{listed(names)} {place}" for place, names in where.items() if names]
    said.append(f"Of the expected intervals: {'; '.join(places)}.")
    return " ".join(said)


def shifted(steps: Steps) -> str:
    """Say whether the test came out on one side of validation for all, and beyond the expectation for most."""
    gaps = {}
    outside = 0
    for name, found in steps.items():
        expected, mean = found["expected"], found["summary"]["test_accuracy"]["mean"]
        if better_than_guessing(expected, found):
            gaps[name] = mean - expected["accuracy"]
            outside += not expected["low"] <= mean <= expected["high"]
    below = all(gap < 0 for gap in gaps.values())
    if len(gaps) < 2 or 2 * outside <= len(gaps) or not (below or all(gap > 0 for gap in gaps.values())):
        return ""
    least, most = (pick(gaps, key=lambda name: abs(gaps[name])) for pick in (min, max))
    by = f"by {points(abs(gaps[least]))} ({least}) to {points(abs(gaps[most]))} ({most})"
    rest = "" if len(gaps) == len(steps) else " that do more than guess"
    promised = (
        "too much, though they learnt from more texts since" if below else "too little; they have learnt from more"
    )
    return (
        f"All{rest} came {'below' if below else 'above'} what they had on validation, {by} percentage points. It had"
        f" promised {promised}."
    )


def together_better(steps: Steps) -> str:
    """Say whether judging together helps: against a single seed of the best member, on the same texts."""
    said = []
    for name, found in steps.items():
        gap = found["over_a_single"]
        how = "better than" if gap["low"] > 0 else "worse than" if gap["high"] < 0 else "not to be told from"
        said.append(
            f"{name} with {with_interval(found['summary']['test_accuracy'])} is {how} a single {gap['step']}"
            f" (difference in percentage points, 95%: {interval(gap, points)})"
        )
    return f"{'; '.join(said)}."
