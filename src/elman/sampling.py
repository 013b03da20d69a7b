"""Strings drawn from a language model, many at once.

The hidden state is carried, so every token is read once; rows that have drawn ``.end`` are dropped, so a step costs
what is still being written. One string at a time, feeding the whole prefix anew for every token, draws from the same
distribution: that is the definition, and the tests hold the two to each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from elman.config import SamplingConfig
from elman.errors import ConfigError
from elman.models.language_model import LanguageModel
from elman.models.recurrent import picked
from elman.progress import Meter
from elman.seeding import derive
from elman.text.vocab import END, PAD, START

COLDEST = 1e-30
"""Temperatures below are not told apart: float32 ends there. Those above its inverse are not either."""

ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Sample:
    """A string that a model has drawn.

    Attributes
    ----------
    token_ids
        The prompt and what follows it, without ``.start`` and ``.end``.
    cut_off
        Whether the limit came before ``.end``.
    """

    token_ids: list[int]
    cut_off: bool


def draw(
    model: LanguageModel, count: int, config: SamplingConfig, prompt: Sequence[int] = (), description: str = "sampling"
) -> list[Sample]:
    """Draw ``count`` independent strings that begin with ``prompt`` (ids of tokens, without ``.start``)."""
    if count < 1:
        raise ConfigError(f"There are no {count} samples.", "Ask for 1 or more.")
    device = model.bias.device
    generator = torch.Generator(device).manual_seed(derive(config.seed, "samples"))
    samples: list[Sample] = []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), Meter(description, count, "samples") as meter:
            for first in range(0, count, ROWS_AT_ONCE):
                rows = min(ROWS_AT_ONCE, count - first)
                for sample in _draw_together(model, rows, config, list(prompt), generator):
                    samples.append(sample)
                    meter.advance(1)
    finally:
        model.train(was_training)
    return samples


def _draw_together(
    model: LanguageModel, count: int, config: SamplingConfig, prompt: list[int], generator: torch.Generator
) -> Iterator[Sample]:
    device = generator.device
    logits, states = model(torch.tensor([[START, *prompt]], device=device))
    step = model.stepper()
    rows = torch.zeros(count, dtype=torch.long, device=device)
    states, logits = picked(states, rows), logits[:, -1].expand(count, -1)
    alive = torch.arange(count, device=device)
    steps: list[tuple[Tensor, Tensor]] = []  # who drew what
    for _ in range(config.max_new_tokens):
        drawn = choose(logits, config, generator)
        steps.append((alive, drawn))
        going_on = (drawn != END).nonzero().squeeze(1)
        if len(going_on) < len(alive):
            alive, drawn, states = alive[going_on], drawn[going_on], picked(states, going_on)
        if len(alive) == 0:
            break
        logits, states = step(drawn, states)
    unfinished = set(alive.tolist())
    strings: list[list[int]] = [list(prompt) for _ in range(count)]
    for writers, tokens in steps:
        for row, token in zip(writers.tolist(), tokens.tolist(), strict=True):
            if token != END:
                strings[row].append(token)
    return (Sample(string, row in unfinished) for row, string in enumerate(strings))


def choose(logits: Float[Tensor, "rows vocab"], config: SamplingConfig, generator: torch.Generator) -> Tensor:
    """Draw a token for each row. ``.pad`` and ``.start`` stand in no string, so they are never drawn."""
    logits = logits.float().clone()
    for never in (PAD, START):
        logits[:, never] = -torch.inf
    if config.temperature == 0:
        return logits.argmax(dim=1)
    if config.top_k is not None and config.top_k < logits.shape[1]:
        least = logits.topk(config.top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    temperature = min(max(config.temperature, COLDEST), 1 / COLDEST)
    probabilities = ((logits - logits.amax(dim=1, keepdim=True)) / temperature).softmax(dim=1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
