"""What the figures say of steps that are held to each other."""

import tomllib
from collections.abc import Callable
from typing import Any

from elman.formatting import count, excess, interval, listed, points, setting
from elman.report.steps import Figures, Steps

WORDINGS: dict[str, tuple[Callable[[float], str], str]] = {
    "test_accuracy": (points, "percentage points"),
    "val_accuracy": (points, "percentage points"),
    "excess_nats_per_token": (excess, "nats a token"),
    "val_bits_per_token": (excess, "bits a token"),
}
"""How a difference of each of `elman.study.comparing.MEASURES` is written, and its unit."""


def gospel(found: Figures) -> str:
    """Say of the order that the course expects, LSTM before Elman before MLP, which part was found."""
    named = {row["model"]: row["step"] for row in found["order"]}
    if found["measure"] not in ("val_accuracy", "test_accuracy") or not {"lstm", "elman", "mlp"} <= named.keys():
        return ""
    said, held = [], []
    for better, worse in ((named["lstm"], named["elman"]), (named["elman"], named["mlp"])):
        for pair in found["pairs"]:
            if {pair["better"], pair["worse"]} == {better, worse}:
                said.append(_of_pair(found, pair))
                held.append(pair["apart"] and pair["better"] == better)
    if len(said) < 2:
        return ""
    verdict = "was found" if all(held) else "was found in part" if any(held) else "was not found"
    return f"The usual expectation, lstm before elman before mlp, {verdict}: {'; '.join(said)}."


def ranking(found: Figures) -> str:
    """Say which can be told apart: of two, or of each and the one that all are held to, by how much."""
    pairs, order = found["pairs"], [row["step"] for row in found["order"]]
    if found["against"] or len(pairs) == 1:
        return "; ".join(_of_pair(found, pair) for pair in pairs) + "."
    beaten: dict[str, list[str]] = {}
    for pair in pairs:
        if pair["apart"]:
            beaten.setdefault(pair["better"], []).append(pair["worse"])
    apart = sum(map(len, beaten.values()))
    if not apart:
        return f"No two of {listed(order)} can be told apart."
    if apart == len(pairs):
        return f"All can be told apart: the best first, {', '.join(order)}."
    if 2 * apart > len(pairs):
        equal = [_of_pair(found, pair) for pair in pairs if not pair["apart"]]
        how = f"the best first, {', '.join(order)}; but {'; '.join(equal)}"
    else:
        how = "; ".join(f"{better} is better than {listed(worse)}" for better, worse in beaten.items())
    return f"Of {count(len(pairs))} pairs {count(apart)} can be told apart: {how}."


def _of_pair(found: Figures, pair: Figures) -> str:
    write, unit = WORDINGS[found["measure"]]
    if not pair["apart"]:
        return f"{pair['better']} cannot be told from {pair['worse']}"
    by = f"{write(pair['difference'])} {unit} (95%: {interval(pair, write)})"
    return f"{pair['better']} is better than {pair['worse']} by {by}"


def too_small_to_be_shown(found: Figures) -> str:
    """Say of those that cannot be told apart how large a difference would have had to be."""
    write, unit = WORDINGS[found["measure"]]
    smallest = [pair["smallest"] for pair in found["pairs"] if not pair["apart"] and pair.get("smallest") is not None]
    if not smallest:
        return ""
    least, most = write(min(smallest)), write(max(smallest))
    lies = f"is {least} {unit}" if least == most else f"lies between {least} and {most} {unit}, pair by pair"
    return (
        "That two cannot be told apart does not make them equal: the least difference that such a test finds in four of"
        f" five cases {lies}."
    )


def differences(steps: Steps) -> dict[str, list[str]]:
    """Return the options in which whole results differ, each with its value in every step, as it was trained."""
    flat = {name: _flat(tomllib.loads(result["config"])) for name, result in steps.items() if result["config"]}
    for name, options in flat.items():
        multiplied = steps[name]["figures"].get("precision")  # a processor may lack what was asked for
        if multiplied:
            options["loop.precision"] = listed(multiplied)
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
