"""Samples of a language model, many strings at once.

The hidden state is carried from step to step, so every token is read once. Strings that have drawn ``.end`` leave the
batch. By definition a sample is drawn one token at a time, feeding the model the whole prefix for every token; the
tests check that both ways give the same distribution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from elman.config import SamplingConfig
from elman.errors import ConfigError
from elman.models import LanguageModel, stepper
from elman.progress import Meter
from elman.seeding import derive
from elman.tensors import State, States
from elman.text.vocab import END, PAD, START, UNKNOWN

MIN_TEMPERATURE = 1e-30
"""Lower temperatures are replaced by this one, and those above its inverse by the inverse: float32 ends there."""

ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Sample:
    """A string drawn from a model.

    Attributes
    ----------
    token_ids
        The prompt and its continuation, without ``.start`` and ``.end``.
    cut_off
        Whether the string reached the limit before ``.end``.
    """

    token_ids: list[int]
    cut_off: bool


def draw(
    model: LanguageModel, count: int, config: SamplingConfig, prompt: Sequence[int] = (), description: str = "sampling"
) -> list[Sample]:
    """Draw ``count`` independent strings that begin with ``prompt`` (token ids, without ``.start``)."""
    if count < 1:
        raise ConfigError(f"The number of samples must be 1 or more, not {count}.", "Pass --number 1 or more.")
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
    step = stepper(model)
    rows = torch.zeros(count, dtype=torch.long, device=device)
    states, logits = pick(states, rows), logits[:, -1].expand(count, -1)
    alive = torch.arange(count, device=device)
    steps: list[tuple[Tensor, Tensor]] = []  # the rows alive at each step, and the tokens they drew
    for _ in range(config.max_new_tokens):
        drawn = choose(logits, config, generator)
        steps.append((alive, drawn))
        unended = (drawn != END).nonzero().squeeze(1)
        if len(unended) < len(alive):
            alive, drawn, states = alive[unended], drawn[unended], pick(states, unended)
        if len(alive) == 0:
            break
        logits, states = step(drawn, states)
    cut_off = set(alive.tolist())
    strings: list[list[int]] = [list(prompt) for _ in range(count)]
    for alive_rows, tokens in steps:
        for row, token in zip(alive_rows.tolist(), tokens.tolist(), strict=True):
            if token != END:
                strings[row].append(token)
    return (Sample(string, row in cut_off) for row, string in enumerate(strings))


def pick(states: States, rows: Tensor) -> list[State]:
    """Return the states of those rows of the batch."""
    return [state.index_select(0, rows) for state in states]


def choose(logits: Float[Tensor, "rows vocab"], config: SamplingConfig, generator: torch.Generator) -> Tensor:
    """Draw a token for each row.

    ``.pad`` and ``.start`` are never drawn, and ``.unk`` only with ``config.unknown``: the probabilities of the other
    tokens are divided by their sum.
    """
    logits = logits.float().clone()
    logits[:, [PAD, START] if config.unknown else [PAD, START, UNKNOWN]] = -torch.inf
    if config.temperature == 0:
        return logits.argmax(dim=1)
    if config.top_k is not None and config.top_k < logits.shape[1]:
        least = logits.topk(config.top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    temperature = min(max(config.temperature, MIN_TEMPERATURE), 1 / MIN_TEMPERATURE)
    probabilities = ((logits - logits.amax(dim=1, keepdim=True)) / temperature).softmax(dim=1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
