"""What the figures say of the test, and of what was expected of it."""

from itertools import combinations

from elman.formatting import interval, listed, percent, points, with_interval
from elman.report.reflections.classifiers import highest
from elman.report.steps import Steps, better_than_guessing


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
    """Hold the test to what was expected: the order, and each interval. Chance may turn an order around."""
    tested = {name: found["summary"]["test_accuracy"]["mean"] for name, found in steps.items()}
    by_expectation = sorted(steps, key=lambda name: -steps[name]["expected"]["accuracy"])
    said = []
    if len(steps) > 1:
        turned = []
        for first, second in combinations(by_expectation, 2):
            expected = steps[first]["expected"]["accuracy"] - steps[second]["expected"]["accuracy"]
            if expected > 0 > (found := tested[first] - tested[second]):
                turned.append(
                    f"{second} before {first} (by {points(-found)} percentage points, not {points(expected)} behind)"
                )
        said.append(
            f"Not all came in the order that was expected: {listed(turned)}."
            if turned
            else "They came in the order that was expected."
        )
    where: dict[str, list[str]] = {"within": [], "above": [], "below": []}
    for name, found in steps.items():
        low, high = found["expected"]["low"], found["expected"]["high"]
        where["below" if tested[name] < low else "above" if tested[name] > high else "within"].append(name)
    places = [f"{listed(names)} {place}" for place, names in where.items() if names]
    said.append(f"Of the expected intervals: {'; '.join(places)}.")
    return " ".join(said)


def shifted(steps: Steps) -> str:
    """Say whether the test came out on one side of validation for all or all networks, and by more than expected."""
    able = {name: found for name, found in steps.items() if better_than_guessing(found["expected"], found)}
    networks = {name: found for name, found in able.items() if found.get("method") != "yardstick"}
    more = "" if len(able) == len(steps) else " that do more than guess"
    return _shifted(able, f"All{more}") or _shifted(networks, f"All networks{more}")


def _shifted(steps: Steps, all_of_them: str) -> str:
    """Say that the test came out on one side of validation for all, and beyond the expectation for most."""
    gaps, outside = {}, 0
    for name, found in steps.items():
        expected, mean = found["expected"], found["summary"]["test_accuracy"]["mean"]
        gaps[name] = mean - expected["accuracy"]
        outside += not expected["low"] <= mean <= expected["high"]
    below = all(gap < 0 for gap in gaps.values())
    if len(gaps) < 2 or 2 * outside <= len(gaps) or not (below or all(gap > 0 for gap in gaps.values())):
        return ""
    least, most = (pick(gaps, key=lambda name: abs(gaps[name])) for pick in (min, max))
    by = f"by {points(abs(gaps[least]))} ({least}) to {points(abs(gaps[most]))} ({most})"
    promised = (
        "too much, though they learnt from more texts since" if below else "too little; they have learnt from more"
    )
    return (
        f"{all_of_them} came {'below' if below else 'above'} what they had on validation, {by} percentage points. It"
        f" had promised {promised}."
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
