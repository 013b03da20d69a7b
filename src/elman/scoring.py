"""Log-probabilities of strings, under a model and under the language that generated them.

Where the generator of the strings is known, the probability p of each string under it is known too. The excess is the
mean of −log q + log p over the same strings, where q is the model's probability. It estimates the Kullback-Leibler
divergence of the model from the generator, and varies far less from sample to sample than the cross-entropy does.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.inference import Device, for_each_batch
from elman.languages import Language
from elman.models import LanguageModel
from elman.progress import Meter
from elman.statistics import ratio
from elman.tensors import States
from elman.text.batching import Batch, Batches, shifted
from elman.text.sequences import Sequences
from elman.text.vocab import PAD, START, Vocab

Nats = NDArray[np.float64]
"""(strings,), −log probability of each whole string, including its ``.end``."""

STEPS_AT_ONCE = 2_000
"""Time steps of long strings that :func:`read_steps` reads at once."""


class Scorer:
    """Measures models on a fixed set of strings.

    Parameters
    ----------
    batches
        The strings, framed by ``.start`` and ``.end``.
    vocab
        Their tokens.
    law
        The language that generated them, or None where it is unknown.
    """

    def __init__(self, batches: Batches, vocab: Vocab, law: Language | None) -> None:
        self.batches = batches
        self.law = law
        self.law_nats = None if law is None else language_nats(law, vocab, batches.sequences)

    def figures(
        self, device: Device, model: nn.Module, description: str, after_batch: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Return the cross-entropy of the strings; where the language is known, also its floor and the excess."""
        nats = model_nats(device, model, self.batches, description, after_batch)
        tokens = self.batches.sequences.lengths - 1  # .end is predicted, .start is not
        figures = cross_entropy(nats, tokens)
        if self.law is not None and self.law_nats is not None:
            figures |= excess(nats, self.law_nats, tokens, self.law)
        return figures


def language_nats(law: Language, vocab: Vocab, framed: Sequences) -> Nats:
    """Return −log p of each string under the language; equal strings are parsed once."""
    first_indices, inverse = framed.distinct()
    nats = np.zeros(len(first_indices))
    with Meter(f"probabilities of {law.name}", len(first_indices), "strings") as meter:
        for i, token_ids in enumerate(framed.select(first_indices)):
            nats[i] = -law.log_prob(tuple(vocab.decode(token_ids[1:-1].tolist())))
            meter.advance(1)
    return nats[inverse]


def model_nats(
    device: Device,
    model: nn.Module,
    batches: Batches,
    description: str,
    after_batch: Callable[[], None] = lambda: None,
) -> Nats:
    """Return −log q of each string in the order of ``batches.sequences``; equal strings are read once.

    A GPU hands the losses over at the end, not per batch.
    """
    first_indices, inverse = batches.sequences.distinct()
    batches = Batches(
        batches.sequences.select(first_indices), batches.config, batches.seed, row_multiple=batches.row_multiple
    )
    pieces: list[tuple[Tensor, Tensor]] = []

    def read(batch: Batch) -> None:
        states: States = ()
        for inputs, targets in shifted(batch.token_ids, batches.config.bptt):
            logits, states = model(inputs, states)
            losses = F.cross_entropy(
                logits.float().flatten(0, 1), targets.flatten(), reduction="none", ignore_index=PAD
            )
            pieces.append((batch.indices, losses.view_as(targets)))

    for_each_batch(device, model, batches, description, read, after_batch)
    nats = np.zeros(len(first_indices))
    for indices, losses in pieces:
        nats[indices.numpy()] += losses.cpu().double().sum(dim=1).numpy()
    return nats[inverse]


def cross_entropy(nats: Nats, tokens: NDArray[np.int64]) -> dict[str, Any]:
    """Return the cross-entropy a token; ``tokens`` (strings,) counts ``.end`` but not ``.start``."""
    mean = float(nats.sum() / tokens.sum())
    return {
        "cross_entropy_nats": mean,
        "bits_per_token": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
        "sequences": len(nats),
        "tokens": int(tokens.sum()),
    }


def excess(nats: Nats, law_nats: Nats, tokens: NDArray[np.int64], law: Language) -> dict[str, Any]:
    """Return the floor of the language, and the excess over it with its 95% interval, in nats a token."""
    mean = ratio(nats - law_nats, tokens)
    return {
        "floor_nats_per_token": law.floor_nats_per_token(),
        "floor_kind": law.entropy().kind,
        "excess_nats_per_token": mean.value,
        "excess_low": mean.low,
        "excess_high": mean.high,
    }


def read_steps(
    model: LanguageModel, strings: Sequence[list[int]], summarize: Callable[[Tensor], Tensor]
) -> list[NDArray[Any]]:
    """Return ``summarize(logits)`` after every prefix of each string, without padding.

    Parameters
    ----------
    model
        It reads ``STEPS_AT_ONCE`` time steps at once, so that the logits of long strings are never all in memory.
    strings
        Token ids, unframed. A string of n tokens has n + 1 prefixes, including the empty and the whole one.
    summarize
        Maps logits (strings, steps, vocab) to a tensor (strings, steps, ...).
    """
    width = max(map(len, strings))
    padded = torch.tensor([[START, *ids, *[PAD] * (width - len(ids))] for ids in strings], device=model.bias.device)
    states: States = ()
    chunks = []
    with torch.inference_mode():
        for inputs in torch.split(padded, STEPS_AT_ONCE, dim=1):
            logits, states = model(inputs, states)
            chunks.append(summarize(logits.float()).cpu().numpy())
    summaries = np.concatenate(chunks, axis=1)
    return [row[: len(ids) + 1] for row, ids in zip(summaries, strings, strict=True)]
