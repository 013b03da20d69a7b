"""What a language model is worth on strings: cross-entropy, and how much of it a perfect model would have saved.

Where the generator of the strings is known, each string's own probability p under it is known too. The excess is the
mean of −log q + log p over the same strings, q being the model's: it estimates the Kullback-Leibler divergence of the
model from the generator, and varies far less from sample to sample than the cross-entropy does.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from elman.inference import for_each_batch
from elman.languages import Language
from elman.progress import Meter
from elman.statistics import ratio
from elman.text.batching import Batch, Batches, shifted
from elman.text.vocab import PAD

Nats = NDArray[np.float64]
"""(sequences,), −log probability of each whole string, its ``.end`` included."""


def model_nats(
    fabric: Fabric,
    model: nn.Module,
    batches: Batches,
    description: str,
    after_batch: Callable[[], None] = lambda: None,
) -> Nats:
    """Return what each string costs the model, in the order of ``batches.sequences`` (framed by .start and .end).

    Of equal strings one is read.
    """
    firsts, kinds = batches.sequences.distinct()
    batches = Batches(batches.sequences.select(firsts), batches.config, batches.seed)
    nats = np.zeros(len(firsts))

    def read(batch: Batch) -> None:
        states = None
        for given, targets in shifted(batch.token_ids, batches.config.bptt):
            logits, states = model(given, states)
            each = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none", ignore_index=PAD)
            nats[batch.indices.numpy()] += each.view_as(targets).cpu().double().sum(dim=1).numpy()

    for_each_batch(fabric, model, batches, description, read, after_batch)
    return nats[kinds]


def true_nats(law: Language, strings: Sequence[Sequence[str]]) -> Nats:
    """Return what each string costs the generator itself; of equal strings one is read."""
    known: dict[tuple[str, ...], float] = {}
    with Meter(f"probabilities of {law.name}", len(strings), "strings") as meter:
        for string in map(tuple, strings):
            if string not in known:
                known[string] = -law.log_prob(string)
            meter.advance(1)
    return np.array([known[tuple(string)] for string in strings])


def likelihood(model: Nats, tokens: NDArray[np.int64]) -> dict[str, Any]:
    """Return the cross-entropy a token; ``tokens`` counts each string's, ``.end`` among them and ``.start`` not."""
    mean = float(model.sum() / tokens.sum())
    return {
        "cross_entropy_nats": mean,
        "bits_per_token": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
        "sequences": len(model),
        "tokens": int(tokens.sum()),
    }


def distance(model: Nats, truth: Nats, tokens: NDArray[np.int64], law: Language) -> dict[str, Any]:
    """Return the floor of the language, and the excess over it with its 95% interval, all in nats a token."""
    excess = ratio(model - truth, tokens)
    return {
        "floor_nats_per_token": law.floor_nats_per_token(),
        "floor_kind": law.entropy().kind,
        "excess_nats_per_token": excess.value,
        "excess_low": excess.low,
        "excess_high": excess.high,
    }
