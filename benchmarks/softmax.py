"""Measure what the softmax over the vocabulary costs a word-level language model.

    python benchmarks/softmax.py

One training step (forward, backward, no update) reads about 2,000 tokens in 64 time steps; embedding and hidden state
have 300 numbers. It is timed with the whole model, and with a sum of the features instead of the linear layer, the
softmax and the cross-entropy. The two alternate in one process; figures are medians of 9 steps after 2 warm-up steps.
"""

import statistics
import time

import torch

from elman.config import ModelConfig
from elman.losses import cross_entropy_nats
from elman.models.fast.distinct import embed_distinct
from elman.models.fast.models import LanguageModel

ROWS, STEPS = 31, 64
VOCABULARIES = 1_000, 8_000, 30_000, 99_430
TIMES, WARM_UP = 9, 2


def whole(model: LanguageModel, token_ids: torch.Tensor) -> torch.Tensor:
    logits, _ = model(token_ids[:, :-1])
    return cross_entropy_nats(logits.flatten(0, 1), token_ids[:, 1:].flatten()).mean


def without_head(model: LanguageModel, token_ids: torch.Tensor) -> torch.Tensor:
    features, _ = model.layer.advance(embed_distinct(model.embedding, token_ids[:, :-1], None, model.config))
    return features.sum()


def main() -> None:
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} threads, float32; milliseconds per step")
    print(f"{'vocabulary':>10}  {'whole':>8}  {'without softmax':>15}  {'share':>6}")
    for vocab_size in VOCABULARIES:
        config = ModelConfig(embedding_size=300, hidden_size=300, embedding_dropout=0.0, top_dropout=0.0)
        model = LanguageModel(config, vocab_size, sparse=True)
        token_ids = torch.randint(4, vocab_size, (ROWS, STEPS + 1))
        spent: dict[str, list[float]] = {"whole": [], "without": []}
        for turn in range(WARM_UP + TIMES):
            for name, loss in (("whole", whole), ("without", without_head)):
                model.zero_grad()
                started = time.perf_counter()
                loss(model, token_ids).backward()
                if turn >= WARM_UP:
                    spent[name].append(1_000 * (time.perf_counter() - started))
        both, rest = (statistics.median(spent[name]) for name in ("whole", "without"))
        print(f"{vocab_size:>10,}  {both:>8.1f}  {rest:>15.1f}  {1 - rest / both:>6.1%}")


if __name__ == "__main__":
    main()
