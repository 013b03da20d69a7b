"""Length generalization: how well a model knows strings 2, 4, 10 and 100 times as long as those of training.

At every prefix the generator's distribution p of the next symbol is known. The Kullback-Leibler divergence of the
model's q from p is the loss there, in nats. The accuracy is the share of prefixes at which the model separates the
possible next symbols from the impossible ones: it gives every possible symbol at least half the probability of the
least probable one, and every impossible symbol less (the criterion of Gers & Schmidhuber, IEEE Transactions on Neural
Networks 12, 2001, with a threshold taken from p). The language is always the one without a length limit, even if the
training strings had one.

Where only one symbol can follow, the step is forced; in aⁿbⁿ every step after the first b is. The model is right there
if that symbol is its most probable token. A model counts up to the longest length at which all forced steps are right.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.config import FORCED_PREFIXES, LENGTH_FACTORS
from elman.data.dataset import Dataset
from elman.errors import ConfigError, LanguageError
from elman.files import write_json
from elman.inference import language_model_of
from elman.languages import Language, String, is_language, language
from elman.languages.brackets import Brackets, Dyck
from elman.languages.counter import EqualBlocks
from elman.languages.machine import Machine
from elman.languages.regular import Automaton
from elman.models import LanguageModel
from elman.progress import Meter
from elman.runs import Run
from elman.scoring import read_steps
from elman.seeding import derive
from elman.statistics import SHARE, over_seeds
from elman.text.vocab import END, Vocab

Floats = NDArray[Any]

STRINGS = 20
"""Strings of each length."""
PREFIXES = 200_000
"""Limit on the prefixes of the strings of one length; a single longer string is still read."""
PREFIXES_AT_ONCE = 100_000
MAX_SYMBOLS = 10_000_000
"""Limit on the length of a string."""


def generalize(
    run: Run, factors: Sequence[int] = LENGTH_FACTORS, seed: int = 0, forced_prefixes: int = FORCED_PREFIXES
) -> dict[str, Any]:
    """Compare a run's next-symbol distributions with the generator's on strings longer, and deeper, than in training.

    Parameters
    ----------
    run
        A language model of a formal language.
    factors
        Lengths, and for brackets depths, as multiples of the longest, or deepest, training string.
    seed
        Seed of the strings.
    forced_prefixes
        Limit on the prefixes that are read in search of a wrong forced step.

    Returns
    -------
    Figures, ready for JSON. ``by_length`` and, for brackets, ``by_depth`` have a row for each factor: ``factor``,
    ``length`` (or ``depth``), ``strings``, ``prefixes``, ``kl_nats`` (the mean over prefixes) and ``accuracy``.
    ``forced``: :func:`forced_steps`. ``val_cross_entropy_nats`` belongs to the run's best weights, and is None if the
    training has not finished. ``seed`` and ``data`` (a checksum) are the run's. They are also written to
    ``results/generalisation.json`` in the run directory, a name that keeps the spelling of earlier versions.

    Raises
    ------
    ConfigError
        The run's data is not a formal language, or a number is below 1.
    LanguageError
        The language cannot draw strings of a given length.
    """
    if not is_language(run.config.data.name):
        raise ConfigError(f"{run.path} was not trained on a formal language.", "Pass a run that was.")
    if not factors or min(factors) < 1:
        raise ConfigError(f"The length factors cannot be {[*factors]}.", "Pass --factors with numbers of 1 or more.")
    if forced_prefixes < 1:
        raise ConfigError(f"--forced-prefixes cannot be {forced_prefixes:,}.", "Pass 1 or more.")
    run.check_writable()
    _, model = language_model_of(run)
    dataset = run.open_dataset()
    generator = random.Random(derive(seed, "strings of a length"))
    figures = {
        "run": str(run.path),
        "seed": run.config.loop.seed,
        "data": dataset.checksum,
        "val_cross_entropy_nats": run.result("training")["val_cross_entropy_nats"] if run.finished else None,
        **_measured(model, language(run.data_config.name), dataset, factors, forced_prefixes, generator),
    }
    write_json(run.result_path("generalisation"), figures)
    return figures


def _measured(
    model: LanguageModel,
    law: Language,
    dataset: Dataset,
    factors: Sequence[int],
    forced_prefixes: int,
    generator: random.Random,
) -> dict[str, Any]:
    vocab = dataset.vocab
    training_strings = [vocab.decode(ids.tolist()) for ids in dataset.split("train")]
    longest = max(map(len, training_strings))
    limit = max(factors) * longest
    if limit > MAX_SYMBOLS:
        raise ConfigError(
            f"{max(factors):,} times the longest training string is {limit:,} symbols.",
            f"Pass --factors of at most {MAX_SYMBOLS // longest:,}.",
        )
    strings = {factor: of_length(law, factor * longest, generator) for factor in factors}
    figures: dict[str, Any] = {
        "trained_to_length": longest,
        "by_length": [
            {"factor": factor, **_compared(model, law, vocab, long)} for factor, long in strings.items() if long
        ],
        "forced": forced_steps(model, law, vocab, longest=limit, prefixes=forced_prefixes, generator=generator),
    }
    if isinstance(law, Brackets | Dyck):
        deepest = max(map(depth_of, training_strings))
        figures["trained_to_depth"] = deepest
        figures["by_depth"] = [
            {"factor": factor, "depth": factor * deepest}
            | _compared(model, law, vocab, [law.nested(factor * deepest, generator)])
            for factor in factors
        ]
    return figures


def over_runs(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means over runs, and the run that validation chooses.

    Parameters
    ----------
    measured
        The figures of :func:`generalize` for each run. The runs should differ only in their seed.

    Returns
    -------
    ``by_length`` and ``by_depth`` as in :func:`generalize`, where ``kl_nats`` and ``accuracy`` are means over the runs
    with Student's 95% interval and the range. ``chosen``: the path of the run with the lowest validation cross-entropy,
    or None if a run has not finished.

    Raises
    ------
    ConfigError
        The runs were trained on different strings, so that their validation cannot be compared.
    """
    check_same_strings([run["data"] for run in measured])
    finished = all(run["val_cross_entropy_nats"] is not None for run in measured)
    chosen = min(measured, key=lambda run: run["val_cross_entropy_nats"])["run"] if finished else None
    return rows_over_runs(measured) | {"chosen": chosen}


def rows_over_runs(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return ``by_length`` and ``by_depth`` of :func:`over_runs`, and the length and depth of the training strings."""
    summary: dict[str, Any] = {
        key: measured[0][key] for key in ("trained_to_length", "trained_to_depth") if key in measured[0]
    }
    for key in ("by_length", "by_depth"):
        if key in measured[0]:
            summary[key] = [_row_over_runs(rows) for rows in zip(*(run[key] for run in measured), strict=True)]
    return summary


def check_same_strings(checksums: Sequence[str]) -> None:
    """Refuse runs with different data, because validation cannot choose among them.

    Raises
    ------
    ConfigError
        The checksums differ.
    """
    if len(set(checksums)) > 1:
        raise ConfigError(
            "These runs were trained on different strings, so validation cannot choose among them.",
            "Pass runs that differ only in their seed or their model, or one run at a time.",
        )


def _row_over_runs(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shared = {name: rows[0][name] for name in ("factor", "length", "depth") if name in rows[0]}
    return shared | {
        "kl_nats": over_seeds([row["kl_nats"] for row in rows]),
        "accuracy": over_seeds([row["accuracy"] for row in rows], SHARE),
    }


def forced_steps(
    model: LanguageModel, law: Language, vocab: Vocab, *, longest: int, prefixes: int, generator: random.Random
) -> dict[str, Any] | None:
    """Read strings from the shortest on until the model takes a forced step wrong.

    Every length of the language is read in order: for aⁿbⁿ and similar languages its only string, for others
    ``STRINGS`` random ones. A forced step is a prefix, including the empty and the whole string, that only one symbol
    or the end can follow. The model is right if that is the most probable of all tokens in its vocabulary.

    Parameters
    ----------
    model, law, vocab
        The model, the language without a limit, and the tokens.
    longest, prefixes
        Limits on the length of the strings and, approximately, on the number of prefixes.
    generator
        Source of the strings.

    Returns
    -------
    ``to_length``: the length up to which every forced step is right (0 if the shortest string has a wrong one).
    ``wrong_at_length``: the next length, which has a wrong step, or None if no wrong step was found. ``to_n``, only for
    aⁿbⁿ and similar languages. The result is None if the first strings have no forced step, as in parity.
    """
    to_length, wrong_at, prefixes_read = 0, None, 0
    for strings in _by_growing_length(law, longest, generator):
        distributions = [law.distribution_matrix(string) for string in strings]
        forced = [(distribution > 0).sum(axis=1) == 1 for distribution in distributions]
        if not prefixes_read and not any(steps.any() for steps in forced):
            return None
        columns = np.array([*(vocab.ids[symbol] for symbol in law.alphabet), END])
        predictions = read_steps(model, [*map(vocab.encode, strings)], lambda logits: logits.argmax(dim=-1))
        wrong_lengths = [
            len(string)
            for string, distribution, steps, predicted in zip(strings, distributions, forced, predictions, strict=True)
            if (predicted != columns[distribution.argmax(axis=1)])[steps].any()
        ]
        wrong_at = min(wrong_lengths, default=None)
        to_length = max((len(s) for s in strings if wrong_at is None or len(s) < wrong_at), default=to_length)
        prefixes_read += sum(len(string) + 1 for string in strings)
        if wrong_at is not None or prefixes_read >= prefixes:
            break
    figures = {"to_length": to_length, "wrong_at_length": wrong_at}
    return figures | ({"to_n": to_length // len(law.alphabet)} if isinstance(law, EqualBlocks) else {})


def _by_growing_length(law: Language, longest: int, generator: random.Random) -> Iterator[list[String]]:
    """Yield strings of every length up to ``longest``, about ``PREFIXES_AT_ONCE`` prefixes at a time."""
    strings: list[String] = []
    prefixes = 0
    for length in range(longest + 1):
        try:
            distinct = sorted(set(law.sample_of_length(STRINGS, length, generator)))
        except LanguageError:
            continue  # the language has no string of that length
        strings += distinct
        prefixes += len(distinct) * (length + 1)
        if prefixes >= PREFIXES_AT_ONCE:
            yield strings
            strings, prefixes = [], 0
    if strings:
        yield strings


def depth_of(brackets: Sequence[str]) -> int:
    """Return the largest number of brackets that are open at once."""
    steps = [1 if symbol in "([{<" or symbol.islower() else -1 for symbol in brackets]
    return int(np.cumsum([0, *steps]).max())


def of_length(law: Language, length: int, generator: random.Random) -> list[String]:
    """Draw strings of that length, or of the next length that exists; return none if all strings are shorter."""
    if not isinstance(law, Machine):
        return law.sample_of_length(1, length, generator)  # raises an error that names the language
    count = max(1, min(STRINGS, PREFIXES // (length + 1)))
    # A string longer than the automaton has states visits one of them twice, so without that loop it is a shorter one.
    gap = len(law.states) if isinstance(law, Automaton) else 3
    for longer in range(length, length + gap + 1):
        with suppress(LanguageError):
            return law.sample_of_length(count, longer, generator)
    return []


def _compared(model: LanguageModel, law: Language, vocab: Vocab, strings: Sequence[String]) -> dict[str, Any]:
    divergences, separated = [], []
    columns = torch.tensor([*(vocab.ids[symbol] for symbol in law.alphabet), END])
    with Meter(f"{len(strings)} strings of {len(strings[0])}", len(strings), "strings") as meter:
        for string in strings:
            distribution = law.distribution_matrix(string)
            log_probs = next_log_probs(model, vocab.encode(string))[:, columns].astype(np.float64)
            divergences.append(divergence(distribution, log_probs))
            separated.append(separates(distribution, log_probs))
            meter.advance(1)
    kl, correct = np.concatenate(divergences), np.concatenate(separated)
    return {
        "length": len(strings[0]),
        "strings": len(strings),
        "prefixes": len(kl),
        "kl_nats": float(kl.mean()),
        "accuracy": float(correct.mean()),
    }


def next_log_probs(model: LanguageModel, token_ids: list[int]) -> Floats:
    """Return the log-probabilities of the next token after every prefix, (len(token_ids) + 1, vocab)."""
    [log_probs] = read_steps(model, [token_ids], lambda logits: logits.log_softmax(dim=-1))
    return log_probs


def divergence(distribution: Floats, log_probs: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of the model's ``log_probs`` (prefixes, symbols) at each prefix."""
    possible = distribution > 0
    logs = np.log(distribution, where=possible, out=np.zeros_like(distribution))
    terms: Floats = np.where(possible, distribution * (logs - log_probs), 0.0).sum(axis=1)
    return terms


def separates(distribution: Floats, log_probs: Floats) -> Floats:
    """Return for each prefix whether the model separates the possible next symbols from the impossible ones."""
    threshold = np.where(distribution > 0, distribution, np.inf).min(axis=1, keepdims=True) / 2
    same: Floats = ((np.exp(log_probs) >= threshold) == (distribution > 0)).all(axis=1)
    return same
