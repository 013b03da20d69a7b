"""What the figures say of language models."""

from elman.formatting import count, excess, listed, nats, percent, plain, with_interval
from elman.report.steps import Steps

HELD = 0.99
"""The share of prefixes at which a model must tell what may follow, to be said to hold at that length."""

GOOD = 0.99
"""The share of grammatical samples from which on a model is said to have learnt its language."""


def distance_to_floor(steps: Steps) -> str:
    """Say how far each language model is from the best possible one."""
    said = []
    for name, found in steps.items():
        if "excess_nats_per_token" not in found["summary"]:
            bits = found["summary"]["val_bits_per_token"]
            unit = "character" if found["data"]["level"] == "char" else "word"
            said.append(f"{name} needs {with_interval(bits, nats)} bits a {unit} of validation")
            continue
        figure, floor = found["summary"]["excess_nats_per_token"], found["summary"]["floor_nats_per_token"]["mean"]
        distance = f"{with_interval(figure, excess)} nats a token above the floor of {nats(floor)}"
        within_chance = (figure["low"] is None or figure["low"] <= 0) and all(
            seed["grade"]["fresh"]["excess_low"] <= 0 for seed in found["by_seed"]
        )
        same = ", no more than chance explains: it cannot be told from the generator" if within_chance else ""
        said.append(f"{name} is {distance}{same}")
    return "; ".join(said) + "."


def learnt(steps: Steps) -> str:
    """Say which language models write grammatical strings, by many samples."""
    shares = {
        name: found["summary"]["grammatical_share"]
        for name, found in steps.items()
        if "grammatical_share" in found["summary"]
    }
    good = [f"{name} {with_interval(share)}" for name, share in shares.items() if share["mean"] >= GOOD]
    bad = [f"{name} {with_interval(share)}" for name, share in shares.items() if share["mean"] < GOOD]
    said = [f"{percent(GOOD)} of the samples or more are grammatical: {listed(good)}."] if good else []
    return " ".join(
        said + ([f"Fewer than {percent(GOOD)} of the samples are grammatical: {listed(bad)}."] if bad else [])
    )


def course_verdict(steps: Steps) -> str:
    """Hold the course's verdict, a majority of ten samples by its own check, to that of many samples."""
    said = []
    for name, found in steps.items():
        history = [entry for entry in found["samples_by_epoch"] if entry["first_ten"]]
        if not history or "grammatical_share" not in found["summary"]:
            continue
        first = next((entry["epoch"] for entry in history if _majority(entry["first_ten"])), None)
        last, share = history[-1], found["summary"]["grammatical_share"]["mean"]
        agrees = _majority(last["first_ten"]) == (share > 0.5)
        passes = f"passes after epoch {count(first)} for the first time" if first else "passes after no epoch"
        of_all = f"of all {count(found['samples_judged'])} samples {percent(share)} are grammatical"
        verdict = "agrees with its last verdict" if agrees else "contradicts its last verdict"
        said.append(f"{name} {passes} (of {count(last['epoch'])}); {of_all}, which {verdict}")
    return f"By the course's check, whether most of ten samples are right: {'; '.join(said)}." if said else ""


def _majority(ten: dict[str, int]) -> bool:
    return 2 * ten.get("equal_counts", ten["grammatical"]) > ten["samples"]


def temperature_matters(steps: Steps) -> str:
    """Say at which temperature most samples are grammatical, and what the highest does."""
    said = []
    for name, found in steps.items():
        rows = found.get("temperatures")
        if not rows:
            continue
        best = max(rows, key=lambda row: row["grammatical_share"]["mean"])
        hot = max(rows, key=lambda row: row["temperature"])
        share = percent(best["grammatical_share"]["mean"])
        text = f"{name} writes most grammatical strings at temperature {plain(best['temperature'])} ({share})"
        if hot is not best:
            text += f", and {percent(hot['grammatical_share']['mean'])} at {plain(hot['temperature'])}"
        said.append(text)
    return f"{'; '.join(said)}." if said else ""


def generalises(steps: Steps) -> str:
    """Say how far beyond the lengths of training each model tells what may follow from what may not."""
    said = []
    for name, found in steps.items():
        known = found.get("generalisation")
        for key, what in (("by_length", "long"), ("by_depth", "deep")):
            rows = known.get(key, []) if known else []
            broken = next((row for row in rows if row["accuracy"]["mean"] < HELD), None)
            if rows and broken is None:
                most = f"{count(rows[-1]['factor'])} times as {what} as in training, the most that was tried"
                said.append(f"{name} holds up to {most}")
            elif broken:
                where = f"{count(broken['factor'])} times as {what} as in training"
                said.append(f"{name} fails at {where} ({percent(broken['accuracy']['mean'])})")
    if not said:
        return ""
    return f"Telling what may follow from what may not at {percent(HELD)} of the prefixes or more: {'; '.join(said)}."


def prompts_continued(steps: Steps) -> str:
    """Say how many strings are grammatical that go on from a prompt."""
    said = [
        f"{name} {with_interval(row['grammatical_share'])} from a prompt of {count(row['symbols'])} symbols"
        for name, found in steps.items()
        for row in found.get("prompts", [])
    ]
    return f"Grammatical strings among those that go on from a prompt: {'; '.join(said)}." if said else ""
