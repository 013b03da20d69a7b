"""What ``elman bench`` compares: the fast paths, and what a good student writes (:mod:`plain`), on the same batches.

Classifiers: IMDb, an embedding of 99,430 × 300, hidden 300, 20,000 tokens a batch. Each turn makes one update on each
of the same four batches; the weights of both go their own way, which costs the same.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from plain import PlainClassifier, PlainLanguageModel, training_step, write_one
from torch import nn

from elman.batching import Batch, Batches, shifted
from elman.bench import Comparison, MemoryComparison, Work
from elman.config import BatchConfig, DataConfig, ModelConfig, OptimConfig, SamplingConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.losses import cross_entropy_nats
from elman.models.classifier import Classifier
from elman.models.elman import recurrence
from elman.models.language_model import LanguageModel
from elman.optim import build_optimizers, clip_gradients
from elman.presets import preset
from elman.sampling import draw
from elman.vocab import END, PAD, START

BATCHES = 4
SIZE = 300
MLP_FLOPS, RNN_FLOPS, GRU_FLOPS, LSTM_FLOPS = 6 * SIZE**2, 12 * SIZE**2, 36 * SIZE**2, 48 * SIZE**2
"""Forward and backward of the plain layer, for a token."""


@cache
def imdb() -> Dataset:
    return open_dataset(DataConfig())


@cache
def reviews() -> list[Batch]:
    batches = Batches(imdb().split("train"), BatchConfig(tokens_per_batch=20_000), seed=0)
    return list(batches.read(batches.epoch(0)[:BATCHES]))


def tokens(batches: list[Batch]) -> int:
    return sum(batch.tokens for batch in batches)


def our_classifier(layer: str) -> Classifier:
    torch.manual_seed(0)
    config = ModelConfig(layer=layer, embedding_size=SIZE, hidden_size=SIZE, embedding_dropout=0.0, top_dropout=0.0)
    return Classifier(config, len(imdb().vocab), 2)


def plain_classifier(layer: str) -> PlainClassifier:
    torch.manual_seed(0)
    return PlainClassifier(layer, len(imdb().vocab), SIZE, SIZE, 2)


def training(layer: str, precision: str = "float32") -> Callable[[], Work]:
    """Our updates, as the training loop makes them."""

    def ready() -> Work:
        model, batches = our_classifier(layer), reviews()
        optimizers = build_optimizers(model, OptimConfig())

        def work() -> int:
            for batch in batches:
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    loss = cross_entropy_nats(model(batch.token_ids, batch.lengths), batch.labels).mean
                our_update(model, optimizers, loss)
            return tokens(batches)

        return work

    return ready


def our_update(model: nn.Module, optimizers: list[torch.optim.Optimizer], loss: torch.Tensor) -> None:
    loss.backward()
    float(clip_gradients(model, 1.0))
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def plain_training(layer: str) -> Callable[[], Work]:
    def ready() -> Work:
        model, batches = plain_classifier(layer), reviews()
        optimizer = torch.optim.Adam(model.parameters())

        def work() -> int:
            for batch in batches:
                training_step(model, optimizer, F.cross_entropy(model(batch.token_ids, batch.lengths), batch.labels))
            return tokens(batches)

        return work

    return ready


def classifying(model: Callable[[str], nn.Module], precision: str = "float32") -> Callable[[], Work]:
    def ready() -> Work:
        built, batches = model("lstm").eval(), reviews()

        def work() -> int:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                for batch in batches:
                    built(batch.token_ids, batch.lengths)
            return tokens(batches)

        return work

    return ready


def our_recurrence(batch: int, time: int, insize: int, hsize: int) -> Callable[[], Work]:
    def ready() -> Work:
        x = torch.randn(time, batch, insize, requires_grad=True)
        W_ih, W_hh, b = (
            torch.randn(*s).div_(hsize**0.5).requires_grad_() for s in ((hsize, insize), (hsize,) * 2, (hsize,))
        )
        grad = torch.randn(time, batch, hsize)

        def work() -> int:
            states = recurrence(F.linear(x, W_ih, b), torch.zeros(batch, hsize), W_hh)
            torch.autograd.grad(states, [x, W_ih, W_hh, b], grad)
            return batch * time

        return work

    return ready


def torchs_recurrence(batch: int, time: int, insize: int, hsize: int) -> Callable[[], Work]:
    def ready() -> Work:
        x, layer = torch.randn(batch, time, insize, requires_grad=True), nn.RNN(insize, hsize, batch_first=True)
        grad = torch.randn(batch, time, hsize)

        def work() -> int:
            torch.autograd.grad(layer(x)[0], [x, *layer.parameters()], grad)
            return batch * time

        return work

    return ready


@cache
def strings(name: str) -> tuple[Dataset, list[Batch]]:
    """Batches of a formal language, as its preset makes them."""
    config = preset(name)
    dataset = open_dataset(replace(config.data, strings=20_000, held_out_strings=1_000))
    batches = Batches(dataset.split("train").framed(), config.batches, seed=0)
    return dataset, list(batches.read(batches.epoch(0)[:40]))


def our_language_model(name: str) -> Callable[[], Work]:
    def ready() -> Work:
        dataset, batches = strings(name)
        model = LanguageModel(preset(name).model, len(dataset.vocab))
        optimizers = build_optimizers(model, preset(name).optim)

        def work() -> int:
            torch.set_num_threads(1)
            for batch in batches:
                for read, targets in shifted(batch.token_ids):
                    logits, _ = model(read)
                    loss = cross_entropy_nats(logits.flatten(0, 1), targets.flatten(), PAD).mean
                    our_update(model, optimizers, loss)
            torch.set_num_threads(THREADS)
            return tokens(batches)

        return work

    return ready


def plain_language_model(name: str) -> Callable[[], Work]:
    def ready() -> Work:
        dataset, batches = strings(name)
        sizes = preset(name).model
        model = PlainLanguageModel(len(dataset.vocab), sizes.embedding_size, sizes.hidden_size)
        optimizer = torch.optim.Adam(model.parameters())

        def work() -> int:
            torch.set_num_threads(1)
            for batch in batches:
                logits = model(batch.token_ids[:, :-1]).flatten(0, 1)
                targets = batch.token_ids[:, 1:].flatten()
                training_step(model, optimizer, F.cross_entropy(logits, targets, ignore_index=PAD))
            torch.set_num_threads(THREADS)
            return tokens(batches)

        return work

    return ready


def our_samples() -> Work:
    dataset, _ = strings("brackets")
    model = LanguageModel(preset("brackets").model, len(dataset.vocab))
    return lambda: len(draw(model, 1_000, SamplingConfig(max_new_tokens=200)))


def the_courses_samples() -> Work:
    """Ten of them: a thousand would take too long, and each costs the same."""
    dataset, _ = strings("brackets")
    sizes = preset("brackets").model
    model = PlainLanguageModel(len(dataset.vocab), sizes.embedding_size, sizes.hidden_size)

    def work() -> int:
        for _ in range(10):
            write_one(model, START, END, 200)
        return 10

    return work


THREADS = torch.get_num_threads()
PLAIN = "plain"
FLOAT32_LSTM = "plain, nn.LSTM, float32"

COMPARISONS = [
    Comparison("train mlp", PLAIN, "tokens", 10.0, training("mlp"), plain_training("mlp"), MLP_FLOPS),
    Comparison("train elman", "plain, slice-and-cat loop", "tokens", 8.0, training("elman"), plain_training("elman")),
    Comparison("train elman", "plain, nn.RNN", "tokens", 2.5, training("elman"), plain_training("rnn")),
    Comparison("train rnn", "plain, nn.RNN", "tokens", 4.0, training("rnn"), plain_training("rnn"), RNN_FLOPS),
    Comparison("train gru", "plain, nn.GRU", "tokens", 2.0, training("gru"), plain_training("gru"), GRU_FLOPS),
    Comparison("train lstm", FLOAT32_LSTM, "tokens", 1.6, training("lstm"), plain_training("lstm"), LSTM_FLOPS),
    Comparison(
        "train lstm, bf16 products",
        FLOAT32_LSTM,
        "tokens",
        2.3,
        training("lstm", "bf16"),
        plain_training("lstm"),
    ),
    Comparison("classify with lstm", PLAIN, "tokens", 1.6, classifying(our_classifier), classifying(plain_classifier)),
    Comparison(
        "classify with lstm, bf16 products",
        PLAIN,
        "tokens",
        3.0,
        classifying(our_classifier, "bf16"),
        classifying(plain_classifier),
    ),
    *(
        Comparison(f"recurrence {shape}", "nn.RNN", "steps", aim, our_recurrence(*shape), torchs_recurrence(*shape))
        for shape, aim in (((64, 256, 300, 300), 1.3), ((16, 512, 300, 300), 1.6), ((64, 200, 32, 16), 2.0))
    ),
    *(
        Comparison(
            f"train {name}", "plain, one thread", "tokens", 2.0, our_language_model(name), plain_language_model(name)
        )
        for name in ("ndfa", "brackets")
    ),
    Comparison(
        "samples of at most 200 tokens", "the course's loop", "samples", 100.0, our_samples, the_courses_samples
    ),
    MemoryComparison("peak memory, train lstm", FLOAT32_LSTM, 0.75, training("lstm"), plain_training("lstm")),
]
