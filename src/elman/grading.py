"""Samples of a model before the judge: grammatical or not, in the generator's support, novel, distinct, how long.

A sample that was cut off is no string; it counts as wrong. The language knows every answer exactly. What perfect
samples would have shown stands beside each figure that depends on the number of samples: of one model's strings some
repeat, and a histogram of lengths is never quite the generator's, however good the model.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.config import Level, SamplingConfig
from elman.data.dataset import Dataset
from elman.data.languages import law_of
from elman.errors import ConfigError
from elman.files import write_json
from elman.inference import language_model_of
from elman.languages import Language, String, is_language
from elman.models.language_model import LanguageModel
from elman.progress import Meter
from elman.runs import Run
from elman.sampling import Sample, draw
from elman.scoring import distance, likelihood, model_nats, true_nats
from elman.seeding import derive
from elman.statistics import SHARE, over_seeds, ratio, wilson
from elman.text.batching import Batches
from elman.text.sequences import Sequences
from elman.text.tokenize import text_of, tokens_of
from elman.text.vocab import SPECIALS, Vocab

SYMBOLS_SHOWN = 40
TEMPERATURES = 0.25, 0.5, 0.75, 1.0, 1.25, 1.5
REFERENCE_STRINGS = 100_000
OF_NO_SAMPLE = {"samples", "distinct", "words", "words_trained_on"}
"""Counts that say nothing of a sample by itself, and so have no share with a binomial interval."""

PERFECT_SAMPLES = 20
"""How often as many strings are drawn from the generator itself, to see what perfect samples would show."""


class Judge:
    """Knows the language, and which strings were trained on.

    Parameters
    ----------
    dataset
        Of a formal language.

    Raises
    ------
    ConfigError
        Nobody knows the law of its strings.
    """

    def __init__(self, dataset: Dataset) -> None:
        if dataset.language is None:
            raise ConfigError(f"{dataset.name} is no formal language, so nobody can judge its samples.", "Read them.")
        self.law: Language = dataset.language
        self.vocab = dataset.vocab
        train = dataset.split("train")
        tokens = np.array(self.vocab.tokens, dtype=object)
        self.trained_on = {self.law.join(tokens[ids].tolist()) for ids in train}
        self.words = self._words()
        self.questions = tuple(self.law.judge(()))

    def _words(self) -> set[str]:
        """The words trained on, where strings are spelled in characters with blanks between words."""
        if not (self.law.by_character and " " in self.law.alphabet):
            return set()
        return set(chain.from_iterable(str(string).split(" ") for string in self.trained_on))

    def string(self, sample: Sample) -> String:
        """Return a sample as the language writes it; a special that was drawn stands in it by name."""
        return self.law.join(self.vocab.decode(sample.token_ids))

    def verdict(self, sample: Sample) -> dict[str, bool]:
        """Return the answer to every question that the language knows to ask; all are no where it was cut off."""
        if sample.cut_off:  # a grammar would parse it first, and parsing takes the cube of the length
            return dict.fromkeys(self.questions, False)
        return self.law.judge(self.vocab.decode(sample.token_ids))

    def counts(self, samples: Sequence[Sample]) -> dict[str, int]:
        """Return how many samples are what: see :func:`grade`."""
        found = Counter({"samples": len(samples), "cut_off": sum(sample.cut_off for sample in samples)})
        strings = set()
        for sample in samples:
            verdict = self.verdict(sample)
            string = self.string(sample)
            novel = not sample.cut_off and string not in self.trained_on
            found.update({question: int(answer) for question, answer in verdict.items()})
            found["novel"] += novel
            found["novel_and_grammatical"] += novel and verdict["grammatical"]
            if not sample.cut_off:
                strings.add(string)
        if self.words:
            known, words = self.words_trained_on(samples)
            found.update({"words": int(words.sum()), "words_trained_on": int(known.sum())})
        return {**found, "distinct": len(strings)}

    def words_trained_on(self, samples: Sequence[Sample]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (samples,) how many words of each stand in a training string, and (samples,) how many it has."""
        spelled = [str(self.string(sample)).split(" ") for sample in samples]
        known = [sum(word in self.words for word in words) for words in spelled]
        return np.array(known, np.int64), np.array([*map(len, spelled)], np.int64)


def lengths_of(strings: Sequence[Sequence[Any]]) -> Counter[int]:
    """Return how many strings have each length."""
    return Counter(map(len, strings))


def total_variation(counts: Counter[int], others: Counter[int]) -> float:
    """Return half the sum of the differences between two distributions, given by counts: between 0 and 1."""
    total, other_total = counts.total(), others.total()
    return sum(abs(counts[key] / total - others[key] / other_total) for key in counts | others) / 2


def compare_lengths(samples: Sequence[Sample], law: Language, seed: int) -> dict[str, Any]:
    """Return how far the lengths of samples are from the generator's, and how far perfect samples would be.

    Both are held to a hundred thousand strings of the generator; cut-off samples are a length of their own.
    """
    chance = random.Random(derive(seed, "reference strings"))
    reference = lengths_of(law.sample(REFERENCE_STRINGS, chance))
    mine = Counter(-1 if sample.cut_off else len(sample.token_ids) for sample in samples)
    distances, classes, distinct = [], [], []
    with Meter("perfect samples", PERFECT_SAMPLES, "draws") as meter:
        for _ in range(PERFECT_SAMPLES):
            perfect = law.sample(len(samples), chance)
            distances.append(total_variation(lengths_of(perfect), reference))
            classes.append(len(lengths_of(perfect)))
            distinct.append(len(set(perfect)))
            meter.advance(1)
    return {
        "total_variation": total_variation(mine, reference),
        "total_variation_perfect": float(np.mean(distances)),
        "total_variation_perfect_high": max(distances),
        "draws": PERFECT_SAMPLES,
        "lengths": len(mine),
        "lengths_perfect": float(np.mean(classes)),
        "distinct_perfect": float(np.mean(distinct)),
    }


def grade(
    run: Run,
    samples: int = 10_000,
    config: SamplingConfig | None = None,
    *,
    prompt: str = "",
    strings: int = 20_000,
    by_temperature: bool = False,
) -> dict[str, Any]:
    """Grade a run's samples, and measure its excess on fresh strings of the generator.

    Parameters
    ----------
    run
        Of a language model on a formal language.
    samples
        How many to draw.
    config
        How; the default is at temperature 1.
    prompt
        What every sample begins with.
    strings
        How many fresh strings the excess is measured on; they belong to another seed than those of the training.
    by_temperature
        Draw as many at each of a row of other temperatures too.

    Returns
    -------
    Ready for JSON. Counts: ``samples``, ``grammatical``, ``in_support``, ``cut_off`` (counted as wrong), ``novel`` (not
    in the training strings), ``novel_and_grammatical``, ``distinct``; for brackets ``equal_counts``; for languages of
    spelled words ``words`` and ``words_trained_on``. ``shares``: each count over the samples with its 95% interval,
    but for ``distinct``, which falls with their number.
    ``lengths``: :func:`compare_lengths`, without a prompt. ``fresh``: cross-entropy, floor and excess.

    Raises
    ------
    ConfigError
        The run is no language model of a formal language, or the prompt holds a symbol that is not in it.
    """
    config = config or SamplingConfig()
    if strings < 1:
        raise ConfigError(f"The excess cannot be measured on {strings} strings.", "Give --strings 1 or more.")
    run.check_writable()
    dataset = run.open_dataset()
    judge = Judge(dataset)
    fabric, model = language_model_of(run)
    prefix = prompt_ids(prompt, dataset.vocab, dataset.level, judge.law)
    figures: dict[str, Any] = {
        "run": str(run.path),
        "temperature": config.temperature,
        "prompt": prompt,
        "seed": run.config.loop.seed,
        "seconds": run.result("training")["seconds"] if run.finished else None,
        **_graded(judge, model, samples, config, prefix, with_lengths=not prompt),
    }
    if by_temperature:
        figures["by_temperature"] = [
            {"temperature": t, **_graded(judge, model, samples, replace(config, temperature=t), prefix)}
            for t in TEMPERATURES
        ]
    chance = random.Random(derive(config.seed, "fresh strings"))
    fresh = judge.law.sample(strings, chance)
    sequences = Sequences.from_lists([*map(judge.vocab.encode, fresh)]).framed()
    batches = Batches(sequences, run.config.batches, run.config.loop.seed)
    nats, tokens = model_nats(fabric, model, batches, "reading fresh strings"), sequences.lengths - 1
    figures["fresh"] = likelihood(nats, tokens) | distance(nats, true_nats(judge.law, fresh), tokens, judge.law)
    write_json(run.result_path("grade"), figures)
    return figures


def check_same_language(runs: Sequence[Run]) -> None:
    """Refuse runs of different languages: a mean of their figures would mean nothing.

    Raises
    ------
    ConfigError
        One is of another language than the first.
    """
    laws = [(run.config.data.name, run.config.data.max_symbols, run.language_file) for run in runs]
    for run, law in zip(runs, laws, strict=True):
        if law != laws[0]:
            raise ConfigError(
                f"{run.path} is of another language than {runs[0].path}, so there is no mean over them.",
                "Name runs that differ in their seed alone, or one at a time.",
            )


def over_runs(graded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over several runs of what :func:`grade` found, with Student's 95% interval, and the range.

    The runs should differ in their seed alone. With one run there is no interval, and ``low`` and ``high`` are None.
    """
    summary = {
        name: over_seeds([run["fresh"][name] for run in graded])
        for name in ("cross_entropy_nats", "excess_nats_per_token", "floor_nats_per_token")
    }
    for name in graded[0]["shares"]:
        summary[f"{name}_share"] = over_seeds([run["shares"][name]["value"] for run in graded], SHARE)
    summary["distinct"] = over_seeds([run["distinct"] for run in graded])
    if all("lengths" in run for run in graded):
        for name in ("total_variation", "total_variation_perfect", "lengths", "lengths_perfect", "distinct_perfect"):
            summary[name] = over_seeds([run["lengths"][name] for run in graded])
    if all(run["seconds"] is not None for run in graded):
        summary["seconds"] = over_seeds([run["seconds"] for run in graded])
    return summary


def write(run: Run, count: int, config: SamplingConfig, prompt: str = "") -> dict[str, Any]:
    """Return samples of a run's language model as text; those of a formal language with a verdict.

    Raises
    ------
    ConfigError
        The run is no language model, or the prompt holds a symbol that it does not know.
    """
    _, model = language_model_of(run)
    vocab, level = run.vocab(), run.level
    law = law_of(run.data_config) if is_language(run.config.data.name) else None
    shown = []
    for sample in draw(model, count, config, prompt_ids(prompt, vocab, level, law)):
        tokens = vocab.decode(sample.token_ids)
        entry: dict[str, Any] = {"text": text_of(tokens, level), "cut_off": sample.cut_off}
        if law is not None:
            entry["grammatical"] = not sample.cut_off and law.is_member(tokens)
        shown.append(entry)
    return {"run": str(run.path), "temperature": config.temperature, "prompt": prompt, "samples": shown}


def prompt_ids(prompt: str, vocab: Vocab, level: Level, law: Language | None) -> list[int]:
    """Return the ids of a prompt.

    Raises
    ------
    ConfigError
        It holds a symbol that no string holds.
    """
    tokens = tokens_of(prompt, level) if law is None else law.from_text(prompt)
    for token in tokens:
        if token not in vocab.ids or token in SPECIALS:
            symbols = vocab.tokens[len(SPECIALS) :]
            known = " ".join(map(repr, symbols[:SYMBOLS_SHOWN])) + (" …" if len(symbols) > SYMBOLS_SHOWN else "")
            raise ConfigError(f"The prompt holds {token!r}, which the model does not know.", f"It knows {known}")
    return vocab.encode(tokens)


def _graded(
    judge: Judge,
    model: LanguageModel,
    count: int,
    config: SamplingConfig,
    prompt: list[int],
    *,
    with_lengths: bool = False,
) -> dict[str, Any]:
    drawn = draw(model, count, config, prompt, f"sampling at temperature {config.temperature:g}")
    counts = judge.counts(drawn)
    shares = {name: wilson(found, count)._asdict() for name, found in counts.items() if name not in OF_NO_SAMPLE}
    if judge.words:  # the words of one sample are not independent of each other
        shares["words_trained_on"] = ratio(*judge.words_trained_on(drawn), SHARE)._asdict()
    lengths = {"lengths": compare_lengths(drawn, judge.law, config.seed)} if with_lengths else {}
    return {**counts, "shares": shares, **lengths}
