"""A step that trains one language model on one or several seeds, grades its samples, and tests it on longer strings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

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
from elman.study.work import Figures, SeedOptions, Work, check_not_empty, check_positive, identity

TOKENS_SHOWN = 45
"""The number of tokens of a sample that are shown; at most this many before the first error, and a third after it."""

FRESH = ("cross_entropy_nats", "floor_nats_per_token")
SHARES = ("grammatical", "in_support", "equal_counts", "cut_off", "novel", "words_trained_on")


@dataclass(frozen=True, kw_only=True)
class LanguageModelOptions(SeedOptions):
    """How it is trained and measured; texts of no known language use only the seeds and the shown samples."""

    graded_samples: int = 10_000
    """The number of samples that are graded, at each temperature."""
    fresh_strings: int = 20_000
    """The number of new strings that the excess is measured on."""
    by_temperature: bool = True
    """Also grade samples at temperatures other than 1."""
    length_factors: list[int] = field(default_factory=lambda: [*LENGTH_FACTORS])
    """Measure it on strings that are longer than the training strings by these factors; an empty list skips this."""
    prompts: list[str] = field(default_factory=list)
    """For each of these, also grade samples that begin with it."""
    shown_samples: int = 10
    """The number of samples that the report shows, at each of the temperatures below."""
    shown_temperatures: list[float] = field(default_factory=lambda: [0.5, 1.0, 1.5])
    """The temperatures of those samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("graded_samples", "fresh_strings", "shown_samples"):
            check_positive(name, [getattr(self, name)])
        check_positive("length_factors", self.length_factors)
        check_not_empty("shown_temperatures", self.shown_temperatures)


def train_language_models(work: Work[LanguageModelOptions]) -> Figures:
    """Train a language model on each seed and measure it.

    Returns
    -------
    ``summary``: each main figure over the seeds. ``by_seed``: the grades of each run; ``temperatures`` and
    ``generalisation``: rows of means over the seeds; ``samples`` and ``samples_by_epoch``: those of the first run.
    """
    dataset = work.dataset()
    runs = work.seed_by_seed(lambda seed: _measured(work.trained(seed), dataset, work.options))
    figures: Figures = {
        "data": identity(dataset),
        **training_figures([run["training"] for run in runs]),
        "samples_by_epoch": runs[0]["samples_by_epoch"],
        "samples": runs[0]["samples"],
    }
    if dataset.language is None:
        return figures | _likelihoods(runs)
    grades = [run["grade"] for run in runs]
    figures["prompts"] = [_prompted(rows) for rows in zip(*(run["prompts"] for run in runs), strict=True)]
    generalisations = [run["generalisation"] for run in runs if run["generalisation"] is not None]
    figures["generalisation"] = rows_over_runs(generalisations) if generalisations else None
    if work.options.by_temperature:
        figures["temperatures"] = [
            {"temperature": rows[0]["temperature"], **_shares(rows)}
            for rows in zip(*(run["by_temperature"] for run in runs), strict=True)
        ]
    figures["by_seed"] = [{name: run[name] for name in ("seed", "run", "grade")} for run in runs]
    figures["samples_judged"] = sum(grade["samples"] for grade in grades)
    return figures | {"summary": _summary(grades)}


def _measured(run: Run, dataset: Dataset, options: LanguageModelOptions) -> Figures:
    """Return all figures of one run."""
    figures: Figures = {
        "seed": run.config.loop.seed,
        "run": run.path.name,
        "training": training(run),
        "samples_by_epoch": [_written(entry) for entry in run.metrics("epoch")],
        "samples": _samples(run, dataset, options),
    }
    if dataset.language is None:
        return figures | {"val": _without(evaluate(run, "val"), "run")}
    grades = grade(run, options.graded_samples, strings=options.fresh_strings, by_temperature=options.by_temperature)
    return figures | {
        "grade": _without(grades, "run", "by_temperature"),
        "by_temperature": grades.get("by_temperature"),
        "prompts": [
            _without(grade(run, options.graded_samples, prompt=prompt, strings=1), "run") for prompt in options.prompts
        ],
        "generalisation": _generalization(run, options.length_factors),
    }


def _summary(grades: Sequence[Figures]) -> Figures:
    fresh = [grade["fresh"] for grade in grades]
    summary = {name: figure_over_seeds([strings[name] for strings in fresh]) for name in FRESH}
    excesses = [strings["excess_nats_per_token"] for strings in fresh]
    least = min(0.0, *excesses)  # the expected excess is never negative, but that of a sample of strings can be
    summary["excess_nats_per_token"] = figure_over_seeds(
        excesses, (fresh[0]["excess_low"], fresh[0]["excess_high"]), (least, math.inf)
    )
    summary |= _shares(grades)
    for name in ("total_variation", "total_variation_perfect"):
        summary[name] = figure_over_seeds([grade["lengths"][name] for grade in grades])
    return summary


def _shares(grades: Sequence[Figures]) -> Figures:
    figures = {}
    for name in SHARES:
        if name in grades[0]["shares"]:
            shares = [grade["shares"][name] for grade in grades]
            over_samples = shares[0]["low"], shares[0]["high"]
            figures[f"{name}_share"] = figure_over_seeds([share["value"] for share in shares], over_samples, SHARE)
    return figures


def _likelihoods(runs: Sequence[Figures]) -> Figures:
    """Return the figures of texts that no known language generated: the cross-entropy on validation."""
    return {
        "summary": {
            f"val_{name}": figure_over_seeds([run["val"][name] for run in runs])
            for name in ("cross_entropy_nats", "bits_per_token", "perplexity")
        },
        "by_seed": [{name: run[name] for name in ("seed", "run", "val")} for run in runs],
    }


def _prompted(grades: Sequence[Figures]) -> Figures:
    prompt = grades[0]["prompt"]
    return {"prompt": prompt, "symbols": len(prompt), "samples": grades[0]["samples"], **_shares(grades)}


def _generalization(run: Run, factors: Sequence[int]) -> Figures | None:
    """Return the rows of :func:`generalize`; None if the language has no such strings."""
    try:
        return _without(generalize(run, factors), "run") if factors else None
    except LanguageError:
        return None


def _written(entry: Figures) -> Figures:
    """Return the ten samples that were printed after an epoch, and how many of them were correct."""
    shown = [sample if len(sample) <= TOKENS_SHOWN else sample[:TOKENS_SHOWN] + " …" for sample in entry["val_shown"]]
    return {"epoch": entry["epoch"], "shown": shown, "first_ten": entry.get("val_first_ten")}


def _samples(run: Run, dataset: Dataset, options: LanguageModelOptions) -> list[Figures]:
    groups = []
    for seed, temperature in enumerate(options.shown_temperatures):  # with the same seed they would be similar
        config = SamplingConfig(temperature=temperature, max_new_tokens=run.config.loop.max_new_tokens, seed=seed)
        samples = write(run, options.shown_samples, config)["samples"]
        strings = [_marked(sample, dataset.language) for sample in samples]
        groups.append({"temperature": temperature, "strings": strings})
    return groups


def _marked(sample: Figures, law: Language | None) -> Figures:
    """Return a sample in three parts: the possible tokens, the first impossible one, and the rest."""
    if law is None:
        text = sample["text"]
        shown = text if len(text) <= 4 * TOKENS_SHOWN else text[: 4 * TOKENS_SHOWN] + " …"
        return {"right": shown, "wrong": "", "rest": "", "cut_off": sample["cut_off"]}
    tokens = [*law.from_text(sample["text"])]
    position = first_impossible(law, tokens)
    separator = "" if law.by_character else " "
    right, wrong, rest = tokens[:position], tokens[position : position + 1], tokens[position + 1 :]
    if position > TOKENS_SHOWN:
        right = ["…", *right[-TOKENS_SHOWN:]]
    if len(rest) > TOKENS_SHOWN // 3:
        rest = [*rest[: TOKENS_SHOWN // 3], "…"]
    ends_wrong = position == len(tokens) and not sample["cut_off"] and not law.in_support(tokens)
    return {
        "right": separator.join(right),
        "wrong": END if ends_wrong else separator.join(wrong),
        "rest": separator.join(rest),
        "cut_off": sample["cut_off"],
        "grammatical": sample["grammatical"],
    }


def first_impossible(law: Language, tokens: Sequence[str]) -> int:
    """Return the position of the first token that the language cannot generate, or ``len(tokens)`` if there is none.

    >>> from elman.languages import language
    >>> first_impossible(language("brackets"), "())(")
    2
    """
    reader = law.reader()
    for position, token in enumerate(tokens):
        next_reader = reader.read(token) if reader.distribution().get(token, 0.0) > 0 else None
        if next_reader is None:
            return position
        reader = next_reader
    return len(tokens)


def _without(figures: Figures, *names: str) -> Figures:
    return {name: value for name, value in figures.items() if name not in names}
