"""Sentences about comparisons of steps."""

import tomllib
from collections.abc import Callable
from typing import Any

from elman.formatting import count, excess, interval, listed, points, setting
from elman.report.results import Figures, Steps

DIFFERENCES: dict[str, tuple[Callable[[float], str], str]] = {
    "test_accuracy": (points, "percentage points"),
    "val_accuracy": (points, "percentage points"),
    "excess_nats_per_token": (excess, "nats per token"),
    "val_bits_per_token": (excess, "bits per token"),
}
"""The format and the unit of a difference in each of `elman.study.comparing.MEASURES`."""


def course_order(figures: Figures) -> str:
    """Compare the result with the order that the course expects: LSTM before Elman before MLP."""
    names = {row["model"]: row["step"] for row in figures["order"]}
    if figures["measure"] not in ("val_accuracy", "test_accuracy") or not {"lstm", "elman", "mlp"} <= names.keys():
        return ""
    sentences, confirmed = [], []
    for better, worse in ((names["lstm"], names["elman"]), (names["elman"], names["mlp"])):
        for pair in figures["pairs"]:
            if {pair["better"], pair["worse"]} == {better, worse}:
                sentences.append(_pair(figures, pair))
                confirmed.append(pair["significant"] and pair["better"] == better)
    if len(sentences) < 2:
        return ""
    verdict = "is confirmed" if all(confirmed) else "is confirmed in part" if any(confirmed) else "is not confirmed"
    return f"The usual expectation, lstm before elman before mlp, {verdict}: {'; '.join(sentences)}."


def ranking(figures: Figures) -> str:
    """Say which pairs are significantly different, and in which direction."""
    pairs, order = figures["pairs"], [row["step"] for row in figures["order"]]
    if figures["against"] or len(pairs) == 1:
        return "; ".join(_pair(figures, pair) for pair in pairs) + "."
    worse: dict[str, list[str]] = {}
    for pair in pairs:
        if pair["significant"]:
            worse.setdefault(pair["better"], []).append(pair["worse"])
    significant = sum(map(len, worse.values()))
    if not significant:
        return f"No two of {listed(order)} are significantly different."
    best_first = f"From best to worst: {', '.join(order)}."
    if significant == len(pairs):
        return f"All pairs are significantly different. {best_first}"
    sentence = f"Significantly different pairs: {count(significant)} of {count(len(pairs))}."
    if 2 * significant > len(pairs):
        others = "; ".join(_pair(figures, pair) for pair in pairs if not pair["significant"])
        return f"{sentence} {best_first} But {others}."
    return f"{sentence} {'; '.join(f'{better} is better than {listed(names)}' for better, names in worse.items())}."


def _pair(figures: Figures, pair: Figures) -> str:
    write, unit = DIFFERENCES[figures["measure"]]
    if not pair["significant"]:
        return f"{pair['better']} and {pair['worse']} are not significantly different"
    difference = f"{write(pair['difference'])} {unit} (95%: {interval(pair, write)})"
    return f"{pair['better']} is better than {pair['worse']} by {difference}"


def smallest_detectable(figures: Figures) -> str:
    """Say how large a difference the test would have found in the pairs without a significant one."""
    write, unit = DIFFERENCES[figures["measure"]]
    smallest = [
        pair["smallest"] for pair in figures["pairs"] if not pair["significant"] and pair.get("smallest") is not None
    ]
    if not smallest:
        return ""
    least, most = write(min(smallest)), write(max(smallest))
    by_pair = least if least == most else f"between {least} and {most}"
    return (
        "Models without a significant difference need not be equal: the smallest difference that the test finds with a"
        f" probability of 80% is {by_pair} {unit}."
    )


def differences(steps: Steps) -> dict[str, list[str]]:
    """Return the options in which whole results differ, each with its value in every step, as it was trained."""
    flat = {name: _flat(tomllib.loads(result["config"])) for name, result in steps.items() if result["config"]}
    for name, options in flat.items():
        precision = steps[name]["figures"].get("precision")  # a processor may lack the precision of the configuration
        if precision:
            options["loop.precision"] = listed(precision)
    keys = sorted(set().union(*(options.keys() for options in flat.values())))
    table = {key: [setting(options.get(key)) for options in flat.values()] for key in keys}
    return {key: values for key, values in table.items() if len(set(values)) > 1}


def _flat(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, table in tables.items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
