"""A step that trains one language model on one or several seeds, grades it, and holds it to longer strings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from elman.config import LENGTH_FACTORS, SamplingConfig
from elman.data.dataset import Dataset
from elman.errors import LanguageError
from elman.evaluation import evaluate
from elman.generalization import generalize, rows_over_runs
from elman.grading import grade, write
from elman.languages import Language
from elman.languages.base import END
from elman.runs import Run
from elman.statistics import SHARE
from elman.study.summary import figure_over_seeds, training, training_figures
from elman.study.work import SeedOptions, Work, check_positive, check_some, identity

TOKENS_SHOWN = 45
"""Of a sample; of one that went wrong, this many before that, and a third after."""

FRESH = ("cross_entropy_nats", "floor_nats_per_token")
SHARES = ("grammatical", "in_support", "equal_counts", "cut_off", "novel", "words_trained_on")


@dataclass(frozen=True, kw_only=True)
class LanguageModelOptions(SeedOptions):
    """How often it is trained, and what is asked of it; all but the seeds and the samples for formal languages."""

    graded_samples: int = 10_000
    """Samples that are judged, at each temperature."""
    fresh_strings: int = 20_000
    """Strings that the excess is measured on."""
    by_temperature: bool = True
    """Judge samples at other temperatures than 1 too."""
    length_factors: list[int] = field(default_factory=lambda: [*LENGTH_FACTORS])
    """Hold it to strings so many times as long as those of training; none leaves this out."""
    prompts: list[str] = field(default_factory=list)
    """Judge as many samples that begin so."""
    shown_samples: int = 10
    """Samples that the report shows, at each of the temperatures below."""
    shown_temperatures: list[float] = field(default_factory=lambda: [0.5, 1.0, 1.5])
    """Temperatures of those."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("graded_samples", "fresh_strings", "shown_samples"):
            check_positive(name, [getattr(self, name)])
        check_positive("length_factors", self.length_factors)
        check_some("shown_temperatures", self.shown_temperatures)


def train_language_models(work: Work) -> dict[str, Any]:
    """Train a language model on each seed and measure it.

    Returns
    -------
    ``summary``: each main figure over the seeds. ``by_seed``: what the runs' grades were; ``temperatures`` and
    ``generalisation`` (rows of means over the seeds); ``samples`` and ``samples_by_epoch`` of the first run.
    """
    dataset = work.dataset()
    found = work.seed_by_seed(lambda seed: _measured(work.trained(seed), dataset, work.options))
    figures: dict[str, Any] = {
        "data": identity(dataset),
        **training_figures([each["training"] for each in found]),
        "samples_by_epoch": found[0]["samples_by_epoch"],
        "samples": found[0]["samples"],
    }
    if dataset.language is None:
        return figures | _likelihoods(found)
    graded = [each["grade"] for each in found]
    figures["prompts"] = [_prompted(rows) for rows in zip(*(each["prompts"] for each in found), strict=True)]
    further = [each["generalisation"] for each in found if each["generalisation"] is not None]
    figures["generalisation"] = rows_over_runs(further) if further else None
    if work.options.by_temperature:
        figures["temperatures"] = [
            {"temperature": rows[0]["temperature"], **_shares(rows)}
            for rows in zip(*(each["by_temperature"] for each in found), strict=True)
        ]
    figures["by_seed"] = [{name: each[name] for name in ("seed", "run", "grade")} for each in found]
    figures["samples_judged"] = sum(grade["samples"] for grade in graded)
    return figures | {"summary": _summary(graded)}


def _measured(run: Run, dataset: Dataset, options: LanguageModelOptions) -> dict[str, Any]:
    """Return all that is kept of one run."""
    figures: dict[str, Any] = {
        "seed": run.config.loop.seed,
        "run": run.path.name,
        "training": training(run),
        "samples_by_epoch": [_written(entry) for entry in run.metrics("epoch")],
        "samples": _samples(run, dataset, options),
    }
    if dataset.language is None:
        return figures | {"val": _without(evaluate(run, "val"), "run")}
    found = grade(run, options.graded_samples, strings=options.fresh_strings, by_temperature=options.by_temperature)
    return figures | {
        "grade": _without(found, "run", "by_temperature"),
        "by_temperature": found.get("by_temperature"),
        "prompts": [
            _without(grade(run, options.graded_samples, prompt=prompt, strings=1), "run") for prompt in options.prompts
        ],
        "generalisation": _generalised(run, options.length_factors),
    }


def _summary(graded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    fresh = [found["fresh"] for found in graded]
    summary = {name: figure_over_seeds([found[name] for found in fresh]) for name in FRESH}
    excesses = [found["excess_nats_per_token"] for found in fresh]
    least = min(0.0, *excesses)  # the mean over strings is never negative, a sample's may be by a little
    summary["excess_nats_per_token"] = figure_over_seeds(
        excesses, (fresh[0]["excess_low"], fresh[0]["excess_high"]), (least, math.inf)
    )
    summary |= _shares(graded)
    for name in ("total_variation", "total_variation_perfect"):
        summary[name] = figure_over_seeds([found["lengths"][name] for found in graded])
    return summary


def _shares(graded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for name in SHARES:
        if name in graded[0]["shares"]:
            shares = [each["shares"][name] for each in graded]
            chance = shares[0]["low"], shares[0]["high"]
            found[f"{name}_share"] = figure_over_seeds([share["value"] for share in shares], chance, SHARE)
    return found


def _likelihoods(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a language whose law nobody knows: cross-entropy on validation alone."""
    return {
        "summary": {
            f"val_{name}": figure_over_seeds([each["val"][name] for each in found])
            for name in ("cross_entropy_nats", "bits_per_token", "perplexity")
        },
        "by_seed": [{name: each[name] for name in ("seed", "run", "val")} for each in found],
    }


def _prompted(graded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    prompt = graded[0]["prompt"]
    return {"prompt": prompt, "symbols": len(prompt), "samples": graded[0]["samples"], **_shares(graded)}


def _generalised(run: Run, factors: Sequence[int]) -> dict[str, Any] | None:
    """Return the rows of :func:`generalize`; None where the language knows no such strings."""
    try:
        return _without(generalize(run, factors), "run") if factors else None
    except LanguageError:
        return None


def _written(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the ten samples of an epoch, as they were printed, and what became of them."""
    shown = [sample if len(sample) <= TOKENS_SHOWN else sample[:TOKENS_SHOWN] + " …" for sample in entry["val_shown"]]
    return {"epoch": entry["epoch"], "shown": shown, "first_ten": entry.get("val_first_ten")}


def _samples(run: Run, dataset: Dataset, options: LanguageModelOptions) -> list[dict[str, Any]]:
    shown = []
    for seed, temperature in enumerate(options.shown_temperatures):  # of one seed they would look alike
        how = SamplingConfig(temperature=temperature, max_new_tokens=run.config.loop.max_new_tokens, seed=seed)
        written = write(run, options.shown_samples, how)["samples"]
        strings = [_marked(sample, dataset.language) for sample in written]
        shown.append({"temperature": temperature, "strings": strings})
    return shown


def _marked(sample: dict[str, Any], law: Language | None) -> dict[str, Any]:
    """Return a sample in three parts: what is right, the first token that is not, and what comes after it."""
    if law is None:
        text = sample["text"]
        shown = text if len(text) <= 4 * TOKENS_SHOWN else text[: 4 * TOKENS_SHOWN] + " …"
        return {"right": shown, "wrong": "", "rest": "", "cut_off": sample["cut_off"]}
    tokens = [*law.from_text(sample["text"])]
    place = first_impossible(law, tokens)
    blank = "" if law.by_character else " "
    right, wrong, rest = tokens[:place], tokens[place : place + 1], tokens[place + 1 :]
    if place > TOKENS_SHOWN:
        right = ["…", *right[-TOKENS_SHOWN:]]
    if len(rest) > TOKENS_SHOWN // 3:
        rest = [*rest[: TOKENS_SHOWN // 3], "…"]
    ends_wrong = place == len(tokens) and not sample["cut_off"] and not law.in_support(tokens)
    return {
        "right": blank.join(right),
        "wrong": END if ends_wrong else blank.join(wrong),
        "rest": blank.join(rest),
        "cut_off": sample["cut_off"],
        "grammatical": sample["grammatical"],
    }


def first_impossible(law: Language, tokens: Sequence[str]) -> int:
    """Return the place of the first token that the generator could not have written; ``len(tokens)`` where all could.

    >>> from elman.languages import language
    >>> first_impossible(language("brackets"), "())(")
    2
    """
    reader = law.reader()
    for place, token in enumerate(tokens):
        following = reader.read(token) if reader.distribution().get(token, 0.0) > 0 else None
        if following is None:
            return place
        reader = following
    return len(tokens)


def _without(figures: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name not in names}
