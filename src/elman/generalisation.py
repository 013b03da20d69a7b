"""Beyond the lengths of training: what a model knows of strings two, four, ten and a hundred times as long.

At every prefix the generator's law p of the next symbol is known. The Kullback-Leibler divergence of the model's q
from it says how much is lost there, in nats; the accuracy is the share of prefixes at which the model tells what may
follow from what may not: it gives every possible symbol at least half the probability of the least probable one, and
every impossible symbol less (the criterion of Gers & Schmidhuber, IEEE Transactions on Neural Networks 12, 2001, with
a threshold that the law itself sets). The law is that without a limit, whatever the training's was.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import ConfigError, LanguageError
from elman.files import write_json
from elman.inference import device_of, trained_model
from elman.languages import Language, String, is_language, language
from elman.languages.brackets import Brackets, Dyck
from elman.models.language_model import LanguageModel
from elman.progress import Meter
from elman.runs import Run
from elman.seeding import derive
from elman.vocab import END, START, Vocab

Floats = NDArray[Any]

FACTORS = (1, 2, 4, 10, 100)
STRINGS = 20
PREFIXES = 200_000
"""At most so many prefixes a length, unless one string has more."""
STEPS_AT_ONCE = 2_000


def generalise(run: Run, factors: Sequence[int] = FACTORS, seed: int = 0) -> dict[str, Any]:
    """Hold a run's next-symbol distributions to the generator's on strings longer (and deeper) than those of training.

    Parameters
    ----------
    run
        Of a language model on a formal language.
    factors
        How many times the length, and for brackets the depth, of the longest training string.
    seed
        Of the strings.

    Returns
    -------
    Ready for JSON. ``by_length`` and, for brackets, ``by_depth`` hold a row for each factor: ``factor``, ``length`` (or
    ``depth``), ``strings``, ``prefixes``, ``kl_nats`` (the mean over prefixes) and ``accuracy``.

    Raises
    ------
    ConfigError
        The run's data is no formal language.
    LanguageError
        Strings of a given length cannot be drawn from it.
    """
    if not is_language(run.config.data.name):
        raise ConfigError(f"{run.path} was trained on no formal language.", "Name a run that was.")
    law = language(run.config.data.name)
    trained_on = run.open_dataset()
    strings = [trained_on.vocab.decode(ids.tolist()) for ids in trained_on.split("train")]
    longest = max(map(len, strings))
    model = trained_model(run)
    assert isinstance(model, LanguageModel)  # a formal language has no classes
    model = model.to(device_of(run).device)
    chance = random.Random(derive(seed, "strings of a length"))
    by_length = [
        {"factor": factor}
        | _compared(model, law, trained_on.vocab, _of_length(law, factor * longest, chance), "length")
        for factor in factors
    ]
    figures: dict[str, Any] = {"run": str(run.path), "trained_to_length": longest, "by_length": by_length}
    if isinstance(law, Brackets | Dyck):
        deepest = max(map(depth_of, strings))
        figures["trained_to_depth"] = deepest
        figures["by_depth"] = [
            {"factor": factor, "depth": factor * deepest}
            | _compared(model, law, trained_on.vocab, [law.nested(factor * deepest, chance)], "length")
            for factor in factors
        ]
    write_json(run.result_path("generalisation"), figures)
    return figures


def depth_of(brackets: Sequence[str]) -> int:
    """Return how many brackets are open at most."""
    steps = [1 if symbol in "([{<" or symbol.islower() else -1 for symbol in brackets]
    return int(np.cumsum([0, *steps]).max())


def _of_length(law: Language, length: int, chance: random.Random) -> list[String]:
    """Draw strings of that length, or of the next one that there is."""
    count = max(1, min(STRINGS, PREFIXES // (length + 1)))
    for longer in range(length, length + 4):
        try:
            return law.sample_of_length(count, longer, chance)
        except LanguageError as error:
            refusal = error
    raise refusal


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
