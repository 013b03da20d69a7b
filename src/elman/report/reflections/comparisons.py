"""What the figures say of steps that are held to each other."""

import tomllib
from collections.abc import Callable
from typing import Any

from elman.report.steps import Figures
from elman.report.wording import excess, interval, points

WORDINGS: dict[str, tuple[Callable[[float], str], str]] = {
    "test_accuracy": (points, "percentage points"),
    "val_accuracy": (points, "percentage points"),
    "excess_nats_per_token": (excess, "nats a token"),
    "val_bits_per_token": (excess, "bits a token"),
}
"""How a difference of each of `elman.study.comparing.MEASURES` is written, and its unit."""


def ranking(found: Figures) -> str:
    """Say of neighbours in the ranking (or of each and the one that all are held to) which can be told apart."""
    write, unit = WORDINGS[found["measure"]]
    order = [row["step"] for row in found["order"]]
    said = []
    for pair in found["pairs"]:
        if not found["against"] and order.index(pair["worse"]) - order.index(pair["better"]) > 1:
            continue
        if pair["apart"]:
            by = f"{write(pair['difference'])} {unit} (95%: {interval(pair, write)})"
            said.append(f"{pair['better']} is better than {pair['worse']} by {by}")
        else:
            said.append(f"{pair['better']} cannot be told from {pair['worse']}")
    return "; ".join(said) + "."


def gospel(found: Figures) -> str:
    """Say whether the order that the course expects, LSTM before Elman before MLP, is the order found."""
    order = [row["model"] for row in found["order"]]
    expected = [name for name in ("lstm", "elman", "mlp") if name in order]
    if found["measure"] not in ("val_accuracy", "test_accuracy") or len(expected) < 3:
        return ""
    mine = [name for name in order if name in expected]
    steps = {row["step"] for row in found["order"] if row["model"] in expected}
    compared = [pair for pair in found["pairs"] if {pair["better"], pair["worse"]} <= steps]
    doubt = "" if all(pair["apart"] for pair in compared) else ", though not all of them can be told apart"
    if mine == expected:
        return f"The order that is usually expected, lstm before elman before mlp, is the order found{doubt}."
    return f"The usual expectation, lstm before elman before mlp, is not what was found: {', then '.join(mine)}{doubt}."


def too_small_to_be_shown(found: Figures) -> str:
    """Say of those that cannot be told apart how large a difference would have had to be."""
    write, unit = WORDINGS[found["measure"]]
    said = [
        f"{pair['better']} and {pair['worse']} {write(pair['smallest'])}"
        for pair in found["pairs"]
        if not pair["apart"] and pair.get("smallest") is not None
    ]
    least = f"least difference ({unit}) that one seed of each would have shown in four of five cases"
    return f"That two cannot be told apart does not make them equal; the {least}: {'; '.join(said)}." if said else ""


def differences(configs: dict[str, str]) -> str:
    """Say in which options configurations (TOML) differ; of two or more."""
    flat = {name: _flat(tomllib.loads(text)) for name, text in configs.items()}
    keys = sorted(set().union(*(found.keys() for found in flat.values())))
    varied = [key for key in keys if len({str(found.get(key)) for found in flat.values()}) > 1]
    if len(configs) < 2 or not varied:
        return ""
    said = []
    for key in varied:
        values = {name: found.get(key, "none") for name, found in flat.items()}
        told_by_name = all(name == value for name, value in values.items())
        listing = ", ".join(f"{value} ({name})" for name, value in values.items())
        said.append(f"`{key}`" if told_by_name else f"`{key}`: {listing}")
    return f"They differ in {'; '.join(said)}; in nothing else."


def _flat(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, table in tables.items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
