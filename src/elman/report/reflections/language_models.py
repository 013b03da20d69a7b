"""Sentences about language models."""

from elman.formatting import by_group, count, excess, listed, nats, percent, plain, spread, with_interval
from elman.report.results import Steps

HELD = 0.99
"""Share of prefixes from which a model counts as correct at a length."""

GOOD = 0.99
"""Share of grammatical samples that counts as a learned language."""


def distance_to_floor(steps: Steps) -> str:
    """Say how far each language model is from the best possible one."""
    sentences = []
    formal = {name: figures for name, figures in steps.items() if "excess_nats_per_token" in figures["summary"]}
    excesses = {name: figures["summary"]["excess_nats_per_token"] for name, figures in formal.items()}
    if len(formal) == 1:
        [(name, figures)] = formal.items()
        floor = excess(figures["summary"]["floor_nats_per_token"]["mean"])
        sentences.append(
            f"The excess of {name} over the floor of {floor} is {with_interval(excesses[name], excess)} nats per token."
        )
    elif formal:
        means = {name: figure["mean"] for name, figure in excesses.items()}
        sentences.append(f"The excess over the floor is {spread(means, excess)} nats per token.")
    within_chance = [
        name
        for name, figure in excesses.items()
        if (figure["low"] is None or figure["low"] <= 0)
        and all(seed["grade"]["fresh"]["excess_low"] <= 0 for seed in formal[name]["by_seed"])
    ]
    if within_chance:
        sentences.append(f"The excess of {listed(within_chance)} is not significant: chance alone may explain it.")
    for name, figures in steps.items():
        if name not in formal:
            unit = "character" if figures["data"]["level"] == "char" else "word"
            bits = with_interval(figures["summary"]["val_bits_per_token"], nats)
            sentences.append(f"{name} needs {bits} bits per {unit} on validation.")
    return " ".join(sentences)


def grammatical_share(steps: Steps) -> str:
    """Say which language models write grammatical strings."""
    groups: dict[str, list[str]] = {f"at least {percent(GOOD)}": [], f"below {percent(GOOD)}": []}
    good, bad = groups.values()
    for name, figures in steps.items():
        if "grammatical_share" in figures["summary"]:
            (good if figures["summary"]["grammatical_share"]["mean"] >= GOOD else bad).append(name)
    return f"The share of grammatical samples is {by_group(groups)}." if good or bad else ""


def course_check(steps: Steps) -> str:
    """Compare the course's check, a majority of ten samples, with the share in many samples."""
    passes: dict[str, list[str]] = {}
    agreement: dict[str, list[str]] = {}
    for name, figures in steps.items():
        history = [entry for entry in figures["samples_by_epoch"] if entry["first_ten"]]
        if not history or "grammatical_share" not in figures["summary"]:
            continue
        first = next((entry["epoch"] for entry in history if _majority(entry["first_ten"])), None)
        epochs = count(history[-1]["epoch"])
        passed = f"first after epoch {count(first)} of {epochs}" if first else f"never in {epochs} epochs"
        passes.setdefault(passed, []).append(name)
        share = figures["summary"]["grammatical_share"]["mean"]
        agrees = "agrees with" if _majority(history[-1]["first_ten"]) == (share > 0.5) else "contradicts"
        agreement.setdefault(f"{agrees} the share in {count(figures['samples_judged'])} samples", []).append(name)
    return (
        "The course's check passes if more than half of ten samples are correct. It passes"
        f" {by_group(passes)}. The last check {by_group(agreement)}."
        if passes
        else ""
    )


def _majority(ten: dict[str, int]) -> bool:
    return 2 * ten.get("equal_counts", ten["grammatical"]) > ten["samples"]


def best_temperature(steps: Steps) -> str:
    """Say at which temperature the share of grammatical samples is highest, and how high it is at the last one."""
    best: dict[str, list[str]] = {}
    hottest = {}
    for name, figures in steps.items():
        if rows := figures.get("temperatures"):
            highest = max(rows, key=lambda row: row["grammatical_share"]["mean"])
            best.setdefault(f"at temperature {plain(highest['temperature'])}", []).append(name)
            hottest[name] = max(rows, key=lambda row: row["temperature"])["grammatical_share"]["mean"]
    return (
        f"The share of grammatical samples is highest {by_group(best)}. At the highest temperature it is"
        f" {spread(hottest, percent)}."
        if best
        else ""
    )


def length_generalization(steps: Steps) -> str:
    """Say up to which length and depth each model separates possible from impossible next symbols."""
    groups: dict[str, list[str]] = {}
    for name, figures in steps.items():
        by_factor = figures.get("generalisation") or {}
        for key, size in (("by_length", "length"), ("by_depth", "depth")):
            rows = by_factor.get(key, [])
            failed = next((row for row in rows if row["accuracy"]["mean"] < HELD), None)
            if failed:
                share = percent(failed["accuracy"]["mean"])
                label = f"not at {count(failed['factor'])} times the {size} of training ({share})"
            elif rows:
                label = f"up to {count(rows[-1]['factor'])} times the {size} of training, the most that was tried,"
            if rows:
                groups.setdefault(label, []).append(name)
    return (
        f"Possible and impossible next symbols are separated at {percent(HELD)} of the prefixes or more:"
        f" {by_group(groups)}."
        if groups
        else ""
    )


def continued_prompts(steps: Steps) -> str:
    """Say how many samples that continue a prompt are grammatical."""
    parts = [
        f"{with_interval(row['grammatical_share'])} after a prompt of {count(row['symbols'])} symbols ({name})"
        for name, figures in steps.items()
        for row in figures.get("prompts", [])
    ]
    return f"The share of grammatical samples is {'; '.join(parts)}." if parts else ""
