"""Beyond the lengths of training: what a model knows of strings two, four, ten and a hundred times as long.

At every prefix the generator's law p of the next symbol is known. The Kullback-Leibler divergence of the model's q
from it says how much is lost there, in nats; the accuracy is the share of prefixes at which the model tells what may
follow from what may not: it gives every possible symbol at least half the probability of the least probable one, and
every impossible symbol less (the criterion of Gers & Schmidhuber, IEEE Transactions on Neural Networks 12, 2001, with
a threshold that the law itself sets). The law is that without a limit, whatever the training's was.

Where one symbol alone can follow, the step is forced: in aⁿbⁿ every one behind the first b. It is right where that
symbol is the model's most probable token. How far a model counts is the longest length up to which it takes every
forced step right.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.dataset import Dataset
from elman.errors import ConfigError, LanguageError
from elman.files import write_json
from elman.inference import language_model_of
from elman.languages import Language, String, is_language, language
from elman.languages.brackets import Brackets, Dyck
from elman.languages.counter import EqualBlocks
from elman.languages.machine import Machine
from elman.languages.regular import Automaton
from elman.models.language_model import LanguageModel
from elman.progress import Meter
from elman.runs import Run
from elman.seeding import derive
from elman.statistics import SHARE, over_seeds
from elman.text.vocab import END, PAD, START, Vocab

Floats = NDArray[Any]

FACTORS = (1, 2, 4, 10, 100)
STRINGS = 20
PREFIXES = 200_000
"""At most so many prefixes a length, unless one string has more."""
STEPS_AT_ONCE = 2_000
FORCED_PREFIXES = 2_000_000
"""How far forced steps are followed: about so many prefixes in all. For aⁿbⁿ, one string a length, to n = 1,413."""
PREFIXES_AT_ONCE = 100_000
MOST_SYMBOLS = 10_000_000
"""The longest string that is read."""


def generalise(
    run: Run, factors: Sequence[int] = FACTORS, seed: int = 0, forced_prefixes: int = FORCED_PREFIXES
) -> dict[str, Any]:
    """Hold a run's next-symbol distributions to the generator's on strings longer (and deeper) than those of training.

    Parameters
    ----------
    run
        Of a language model on a formal language.
    factors
        How many times the length, and for brackets the depth, of the longest training string.
    seed
        Of the strings.
    forced_prefixes
        How many prefixes to read, at most, in search of a forced step that is wrong.

    Returns
    -------
    Ready for JSON. ``by_length`` and, for brackets, ``by_depth`` hold a row for each factor: ``factor``, ``length`` (or
    ``depth``), ``strings``, ``prefixes``, ``kl_nats`` (the mean over prefixes) and ``accuracy``. ``forced``:
    :func:`forced_steps`. ``val_cross_entropy_nats`` is what the kept weights came to, None where the training is not
    finished; ``seed`` and ``data`` (its checksum) are the run's.

    Raises
    ------
    ConfigError
        The run's data is no formal language, or a number is below 1.
    LanguageError
        Strings of a given length cannot be drawn from it.
    """
    if not is_language(run.config.data.name):
        raise ConfigError(f"{run.path} was trained on no formal language.", "Name a run that was.")
    if not factors or min(factors) < 1 or forced_prefixes < 1:
        raise ConfigError(
            f"There is nothing to read at {[*factors]} times the length, nor in {forced_prefixes:,} prefixes.",
            "Give numbers of 1 or more.",
        )
    run.check_writable()
    _, model = language_model_of(run)
    trained_on = run.open_dataset()
    chance = random.Random(derive(seed, "strings of a length"))
    figures = {
        "run": str(run.path),
        "seed": run.config.loop.seed,
        "data": trained_on.checksum,
        "val_cross_entropy_nats": run.result("training")["val_cross_entropy_nats"] if run.finished else None,
        **_measured(model, language(run.data_config.name), trained_on, factors, forced_prefixes, chance),
    }
    write_json(run.result_path("generalisation"), figures)
    return figures


def _measured(
    model: LanguageModel,
    law: Language,
    trained_on: Dataset,
    factors: Sequence[int],
    forced_prefixes: int,
    chance: random.Random,
) -> dict[str, Any]:
    vocab = trained_on.vocab
    strings = [vocab.decode(ids.tolist()) for ids in trained_on.split("train")]
    longest = max(map(len, strings))
    if max(factors) * longest > MOST_SYMBOLS:
        raise ConfigError(
            f"{max(factors):,} times the longest string of training is {max(factors) * longest:,} symbols.",
            f"Give --factors that make {MOST_SYMBOLS:,} or fewer.",
        )
    drawn = {factor: of_length(law, factor * longest, chance) for factor in factors}
    figures: dict[str, Any] = {
        "trained_to_length": longest,
        "by_length": [
            {"factor": factor} | _compared(model, law, vocab, long, "length") for factor, long in drawn.items() if long
        ],
        "forced": forced_steps(
            model, law, vocab, longest=max(factors) * longest, prefixes=forced_prefixes, chance=chance
        ),
    }
    if isinstance(law, Brackets | Dyck):
        deepest = max(map(depth_of, strings))
        figures["trained_to_depth"] = deepest
        figures["by_depth"] = [
            {"factor": factor, "depth": factor * deepest}
            | _compared(model, law, vocab, [law.nested(factor * deepest, chance)], "length")
            for factor in factors
        ]
    return figures


def over_runs(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what several runs have in common, and which of them validation would have chosen.

    Parameters
    ----------
    measured
        What :func:`generalise` found of each. The runs should differ in their seed alone.

    Returns
    -------
    ``by_length`` and ``by_depth`` as there, ``kl_nats`` and ``accuracy`` being means over the runs with Student's 95%
    interval and the range; ``chosen``: the run with the least cross-entropy on validation, None where one is not
    finished.

    Raises
    ------
    ConfigError
        The runs were trained on different strings, so that their validation cannot be compared.
    """
    check_same_strings([run["data"] for run in measured])
    finished = all(run["val_cross_entropy_nats"] is not None for run in measured)
    chosen = min(measured, key=lambda run: run["val_cross_entropy_nats"]) if finished else None
    return rows_over_runs(measured) | {"chosen": chosen and chosen["run"]}


def rows_over_runs(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return ``by_length`` and ``by_depth`` of :func:`over_runs`, and how far training reached."""
    summary: dict[str, Any] = {
        key: measured[0][key] for key in ("trained_to_length", "trained_to_depth") if key in measured[0]
    }
    for key in ("by_length", "by_depth"):
        if key in measured[0]:
            summary[key] = [_row_over_runs(rows) for rows in zip(*(run[key] for run in measured), strict=True)]
    return summary


def check_same_strings(checksums: Sequence[str]) -> None:
    """Refuse runs whose data is not one: validation could not choose among them.

    Raises
    ------
    ConfigError
        The checksums differ.
    """
    if len(set(checksums)) > 1:
        raise ConfigError(
            "These runs were trained on different strings, so validation cannot choose among them.",
            "Name runs that differ in their seed or their model alone, or one at a time.",
        )


def _row_over_runs(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shared = {name: rows[0][name] for name in ("factor", "length", "depth") if name in rows[0]}
    return shared | {
        "kl_nats": over_seeds([row["kl_nats"] for row in rows]),
        "accuracy": over_seeds([row["accuracy"] for row in rows], SHARE),
    }


def forced_steps(
    model: LanguageModel, law: Language, vocab: Vocab, *, longest: int, prefixes: int, chance: random.Random
) -> dict[str, Any] | None:
    """Follow a model from the shortest strings on until it takes a forced step wrong.

    Every length that the language has is looked at, in order: of aⁿbⁿ and its kin all strings there are, of others
    ``STRINGS`` that are drawn. A forced step is a prefix, the empty and the whole string included, that only one
    symbol or the end can follow; the model is right where that is the most probable of all tokens that it knows.

    Parameters
    ----------
    model, law, vocab
        The model, the language without a limit, and the tokens.
    longest, prefixes
        Go to strings of that length at most, or until about so many prefixes have been read.
    chance
        Draws the strings.

    Returns
    -------
    ``to_length``: up to which every forced step is right (0 where the shortest string has a wrong one);
    ``wrong_at_length``: the next length, where one is wrong, or None where none was found; for aⁿbⁿ and its kin also
    ``to_n``. None instead of all that where the first strings have no forced step, as those of parity.
    """
    to_length, wrong_at, read = 0, None, 0
    for strings in _ever_longer(law, longest, chance):
        truths = [law.distribution_matrix(string) for string in strings]
        forced = [(truth > 0).sum(axis=1) == 1 for truth in truths]
        if not read and not any(each.any() for each in forced):
            return None
        columns = np.array([*(vocab.ids[symbol] for symbol in law.alphabet), END])
        most_probable = _most_probable(model, [vocab.encode(string) for string in strings])
        wrong = [
            len(string)
            for string, truth, where, said in zip(strings, truths, forced, most_probable, strict=True)
            if (said != columns[truth.argmax(axis=1)])[where].any()
        ]
        wrong_at = min(wrong, default=None)
        to_length = max((len(s) for s in strings if wrong_at is None or len(s) < wrong_at), default=to_length)
        read += sum(len(string) + 1 for string in strings)
        if wrong_at is not None or read >= prefixes:
            break
    figures = {"to_length": to_length, "wrong_at_length": wrong_at}
    return figures | ({"to_n": to_length // len(law.alphabet)} if isinstance(law, EqualBlocks) else {})


def _ever_longer(law: Language, longest: int, chance: random.Random) -> Iterator[list[String]]:
    """Yield the strings to follow, short before long, about ``PREFIXES_AT_ONCE`` at a time."""
    strings: list[String] = []
    prefixes = 0
    for length in range(longest + 1):
        try:
            found = sorted(set(law.sample_of_length(STRINGS, length, chance)))
        except LanguageError:
            continue  # the language has no string of that length
        strings += found
        prefixes += len(found) * (length + 1)
        if prefixes >= PREFIXES_AT_ONCE:
            yield strings
            strings, prefixes = [], 0
    if strings:
        yield strings


def _most_probable(model: LanguageModel, token_ids: Sequence[list[int]]) -> list[NDArray[np.int64]]:
    """Return the most probable token after every prefix of each sequence: as many as it has ids, and one."""
    width = max(map(len, token_ids))
    read = torch.tensor([[START, *ids, *[PAD] * (width - len(ids))] for ids in token_ids], device=model.bias.device)
    states, pieces = None, []
    with torch.inference_mode():
        for piece in torch.split(read, STEPS_AT_ONCE, dim=1):
            logits, states = model(piece, states)
            pieces.append(logits.argmax(dim=-1).cpu().numpy())
    said = np.concatenate(pieces, axis=1)
    return [row[: len(ids) + 1] for row, ids in zip(said, token_ids, strict=True)]


def depth_of(brackets: Sequence[str]) -> int:
    """Return how many brackets are open at most."""
    steps = [1 if symbol in "([{<" or symbol.islower() else -1 for symbol in brackets]
    return int(np.cumsum([0, *steps]).max())


def of_length(law: Language, length: int, chance: random.Random) -> list[String]:
    """Draw strings of that length, or of the next one that there is; none where all strings are shorter."""
    if not isinstance(law, Machine):
        return law.sample_of_length(1, length, chance)  # which says why not
    count = max(1, min(STRINGS, PREFIXES // (length + 1)))
    # A string longer than the automaton has states goes through one twice, and is a string without that round too.
    apart = len(law.states) if isinstance(law, Automaton) else 3
    for longer in range(length, length + apart + 1):
        with suppress(LanguageError):
            return law.sample_of_length(count, longer, chance)
    return []


def _compared(
    model: LanguageModel, law: Language, vocab: Vocab, strings: Sequence[String], unit: str
) -> dict[str, Any]:
    divergences, told = [], []
    columns = torch.tensor([*(vocab.ids[symbol] for symbol in law.alphabet), END])
    with Meter(f"{len(strings)} strings of {len(strings[0])}", len(strings), "strings") as meter:
        for string in strings:
            truth = law.distribution_matrix(string)
            log_probs = next_log_probs(model, vocab.encode(string))[:, columns].numpy().astype(np.float64)
            divergences.append(divergence(truth, log_probs))
            told.append(tells(truth, log_probs))
            meter.advance(1)
    kl, right = np.concatenate(divergences), np.concatenate(told)
    return {
        unit: len(strings[0]),
        "strings": len(strings),
        "prefixes": len(kl),
        "kl_nats": float(kl.mean()),
        "accuracy": float(right.mean()),
    }


def next_log_probs(model: LanguageModel, token_ids: list[int]) -> torch.Tensor:
    """Return the log-probabilities of the next token after every prefix, (len(token_ids) + 1, vocab)."""
    states, pieces = None, []
    with torch.inference_mode():
        read = torch.tensor([[START, *token_ids]], device=model.bias.device)
        for piece in torch.split(read, STEPS_AT_ONCE, dim=1):
            logits, states = model(piece, states)
            pieces.append(logits[0].float().log_softmax(dim=-1).cpu())
    return torch.cat(pieces)


def divergence(truth: Floats, log_probs: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of each row's model from its law, in nats; columns are symbols."""
    possible = truth > 0
    logs = np.log(truth, where=possible, out=np.zeros_like(truth))
    terms: Floats = np.where(possible, truth * (logs - log_probs), 0.0).sum(axis=1)
    return terms


def tells(truth: Floats, log_probs: Floats) -> Floats:
    """Return for each row whether the model tells what may follow from what may not."""
    threshold = np.where(truth > 0, truth, np.inf).min(axis=1, keepdims=True) / 2
    same: Floats = ((np.exp(log_probs) >= threshold) == (truth > 0)).all(axis=1)
    return same
