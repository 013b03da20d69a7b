"""Grades of a language model's samples: grammatical or not, in the generator's support, novel, distinct, their lengths.

The language answers every question exactly. A sample that was cut off is not a whole string, and counts as wrong.
Figures that depend on the number of samples come with the same figure for perfect samples, drawn from the generator:
even those repeat, and even their lengths differ by chance from the generator's distribution.
"""

import random
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
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
from elman.models import LanguageModel
from elman.progress import Meter
from elman.runs import Run
from elman.sampling import Sample, draw
from elman.scoring import Scorer
from elman.seeding import derive
from elman.statistics import SHARE, over_seeds, ratio, wilson
from elman.text.batching import Batches
from elman.text.sequences import Sequences
from elman.text.tokenize import text_of, tokens_of
from elman.text.vocab import SPECIALS, Vocab

SYMBOLS_SHOWN = 40
TEMPERATURES = 0.25, 0.5, 0.75, 1.0, 1.25, 1.5
REFERENCE_STRINGS = 100_000
NOT_SHARES = {"samples", "distinct", "words", "words_trained_on"}
"""Counts that are not sums over independent samples, so that a binomial interval does not apply."""

PERFECT_SAMPLES = 20
"""How often as many strings are drawn from the generator, to see what perfect samples would show."""


class Judge:
    """Judges samples by their language and the training strings.

    Parameters
    ----------
    dataset
        Strings of a formal language.

    Raises
    ------
    ConfigError
        The data set is not a formal language.
    """

    def __init__(self, dataset: Dataset) -> None:
        if dataset.language is None:
            raise ConfigError(
                f"{dataset.name} is not a formal language, so its samples cannot be graded.",
                "Use elman sample to read them.",
            )
        self.law: Language = dataset.language
        self.vocab = dataset.vocab
        train = dataset.split("train")
        tokens = np.array(self.vocab.tokens, dtype=object)
        self.trained_on = {self.law.join(tokens[ids].tolist()) for ids in train}
        self.words = self._words()
        self.questions = tuple(self.law.judge(()))

    def _words(self) -> set[str]:
        """Return the words in the training strings; none unless strings are characters with blanks between words."""
        if not (self.law.by_character and " " in self.law.alphabet):
            return set()
        return set(chain.from_iterable(str(string).split(" ") for string in self.trained_on))

    def string(self, sample: Sample) -> String:
        """Return a sample as the language writes it; special tokens appear by name."""
        return self.law.join(self.vocab.decode(sample.token_ids))

    def verdict(self, sample: Sample) -> dict[str, bool]:
        """Return the answer to every question of the language; for a sample that was cut off, all are False."""
        if sample.cut_off:  # skip the parser of a grammar, which takes the cube of the length
            return dict.fromkeys(self.questions, False)
        return self.law.judge(self.vocab.decode(sample.token_ids))

    def counts(self, samples: Sequence[Sample]) -> dict[str, int]:
        """Return the counts that :func:`grade` describes."""
        counts = Counter({"samples": len(samples), "cut_off": sum(sample.cut_off for sample in samples)})
        strings = set()
        for sample in samples:
            verdict = self.verdict(sample)
            string = self.string(sample)
            novel = not sample.cut_off and string not in self.trained_on
            counts.update({question: int(answer) for question, answer in verdict.items()})
            counts["novel"] += novel
            counts["novel_and_grammatical"] += novel and verdict["grammatical"]
            if not sample.cut_off:
                strings.add(string)
        if self.words:
            trained_on, words = self.words_trained_on(samples)
            counts.update({"words": int(words.sum()), "words_trained_on": int(trained_on.sum())})
        return {**counts, "distinct": len(strings)}

    def words_trained_on(self, samples: Sequence[Sample]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each sample (samples,) how many of its words occur in training, and how many words it has."""
        words = [str(self.string(sample)).split(" ") for sample in samples]
        trained_on = [sum(word in self.words for word in string) for string in words]
        return np.array(trained_on, np.int64), np.array([*map(len, words)], np.int64)


def lengths_of(strings: Sequence[Sequence[Any]]) -> Counter[int]:
    """Return how many strings have each length."""
    return Counter(map(len, strings))


def total_variation(counts: Counter[int], others: Counter[int]) -> float:
    """Return the total variation distance, between 0 and 1, of two distributions that are given by counts."""
    total, other_total = counts.total(), others.total()
    return sum(abs(counts[key] / total - others[key] / other_total) for key in counts | others) / 2


def compare_lengths(samples: Sequence[Sample], law: Language, seed: int) -> dict[str, Any]:
    """Return the distance of the samples' lengths from the generator's, and the same for perfect samples.

    Both are compared with 100,000 strings of the generator. All samples that were cut off count as one further length.
    """
    generator = random.Random(derive(seed, "reference strings"))
    reference = lengths_of(law.sample(REFERENCE_STRINGS, generator))
    sampled = Counter(-1 if sample.cut_off else len(sample.token_ids) for sample in samples)
    distances, lengths, distinct = [], [], []
    with Meter("perfect samples", PERFECT_SAMPLES, "draws") as meter:
        for _ in range(PERFECT_SAMPLES):
            perfect = law.sample(len(samples), generator)
            distances.append(total_variation(lengths_of(perfect), reference))
            lengths.append(len(lengths_of(perfect)))
            distinct.append(len(set(perfect)))
            meter.advance(1)
    return {
        "total_variation": total_variation(sampled, reference),
        "total_variation_perfect": float(np.mean(distances)),
        "total_variation_perfect_high": max(distances),
        "draws": PERFECT_SAMPLES,
        "lengths": len(sampled),
        "lengths_perfect": float(np.mean(lengths)),
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
        A language model of a formal language.
    samples
        Number of samples.
    config
        Sampling options; the default has temperature 1.
    prompt
        Start of every sample.
    strings
        Number of fresh strings for the excess. They are drawn with another seed than the training strings.
    by_temperature
        Also grade as many samples at each of ``TEMPERATURES``.

    Returns
    -------
    Figures, ready for JSON. Counts: ``samples``, ``grammatical``, ``in_support``, ``cut_off`` (counted as wrong),
    ``novel`` (not among the training strings), ``novel_and_grammatical``, ``distinct``; for brackets ``equal_counts``;
    for languages of spelled words ``words`` and ``words_trained_on``. ``shares``: each count divided by the number of
    samples, with its 95% interval, except ``distinct``, whose share falls as the number of samples grows. ``lengths``:
    :func:`compare_lengths`, only without a prompt. ``fresh``: cross-entropy, floor and excess.

    Raises
    ------
    ConfigError
        The run is not a language model of a formal language, or the prompt contains a symbol outside its alphabet.
    """
    config = config or SamplingConfig()
    if strings < 1:
        raise ConfigError(f"The excess cannot be measured on {strings} strings.", "Pass --strings 1 or more.")
    run.check_writable()
    dataset = run.open_dataset()
    judge = Judge(dataset)
    device, model = language_model_of(run)
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
    fresh = judge.law.sample(strings, random.Random(derive(config.seed, "fresh strings")))
    sequences = Sequences.from_lists([*map(judge.vocab.encode, fresh)]).framed()
    batches = Batches(sequences, run.config.batches, run.config.loop.seed)
    figures["fresh"] = Scorer(batches, judge.vocab, judge.law).figures(device, model, "reading fresh strings")
    write_json(run.result_path("grade"), figures)
    return figures


def check_same_language(runs: Sequence[Run]) -> None:
    """Refuse to average figures over runs of different languages.

    Raises
    ------
    ConfigError
        A run has another language than the first.
    """
    laws = [(run.config.data.name, run.config.data.max_symbols, run.language_file) for run in runs]
    for run, law in zip(runs, laws, strict=True):
        if law != laws[0]:
            raise ConfigError(
                f"{run.path} and {runs[0].path} have different languages, so their figures cannot be averaged.",
                "Pass runs that differ only in their seed, or one run at a time.",
            )


def over_runs(graded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over runs of the figures of :func:`grade`, with Student's 95% interval and the range.

    The runs should differ only in their seed. For a single run, ``low`` and ``high`` are None.
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


def write(
    run: Run, count: int, config: SamplingConfig, prompt: str = "", warn: Callable[[str], None] = warnings.warn
) -> dict[str, Any]:
    """Return samples of a run's language model as text; for a formal language each with a verdict.

    Parameters
    ----------
    run, count, config, prompt
        The model, the number of samples, the sampling options and the start of every sample.
    warn
        Called with a message if words of the prompt are not in the vocabulary, so that the model reads ``.unk``.

    Raises
    ------
    ConfigError
        The run is not a language model, or the prompt contains an unknown symbol or character.
    """
    _, model = language_model_of(run)
    vocab, level = run.vocab(), run.level
    law = law_of(run.data_config) if is_language(run.config.data.name) else None
    samples = []
    for sample in draw(model, count, config, prompt_ids(prompt, vocab, level, law, warn)):
        tokens = vocab.decode(sample.token_ids)
        entry: dict[str, Any] = {"text": text_of(tokens, level), "cut_off": sample.cut_off}
        if law is not None:
            entry["grammatical"] = not sample.cut_off and law.is_member(tokens)
        samples.append(entry)
    return {"run": str(run.path), "temperature": config.temperature, "prompt": prompt, "samples": samples}


def prompt_ids(
    prompt: str, vocab: Vocab, level: Level, law: Language | None, warn: Callable[[str], None] = warnings.warn
) -> list[int]:
    """Return the ids of a prompt; unknown words of natural text become ``.unk``, with a warning.

    Raises
    ------
    ConfigError
        The prompt contains a symbol of a formal language, or a character, that is not in the vocabulary.
    """
    tokens = tokens_of(prompt, level) if law is None else law.from_text(prompt)
    unknown = [token for token in dict.fromkeys(tokens) if token not in vocab.ids or token in SPECIALS]
    if unknown and law is None and level == "word":
        warn(f"NOTE: the model reads .unk for words that it does not know: {' '.join(unknown)}")
    elif unknown:
        symbols = vocab.tokens[len(SPECIALS) :]
        listed = " ".join(map(repr, symbols[:SYMBOLS_SHOWN])) + (" …" if len(symbols) > SYMBOLS_SHOWN else "")
        raise ConfigError(f"The prompt contains {unknown[0]!r}, which the model does not know.", f"Use {listed}")
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
    samples = draw(model, count, config, prompt, f"sampling at temperature {config.temperature:g}")
    counts = judge.counts(samples)
    shares = {name: wilson(number, count)._asdict() for name, number in counts.items() if name not in NOT_SHARES}
    if judge.words:  # the words of one sample are not independent of each other
        shares["words_trained_on"] = ratio(*judge.words_trained_on(samples), SHARE)._asdict()
    lengths = {"lengths": compare_lengths(samples, judge.law, config.seed)} if with_lengths else {}
    return {**counts, "shares": shares, **lengths}
