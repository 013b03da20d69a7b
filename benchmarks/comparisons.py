"""What ``make bench`` compares: the fast forms, and what they replace (:mod:`peers`), on the same batches.

Classifiers: IMDb, an embedding of 99,430 × 300, hidden 300, 20,000 tokens a batch. Each turn makes one update on each
of the same four batches; the weights of the two sides then differ, which costs the same. Before a row is timed, both
sides get the same weights, and must have the same loss and the same gradients on the first batch. Rows without this
check compare different things, and the peer's name says which: bf16 products with float32, the Elman network's ``lin2``
with an ``nn.RNN`` that has none.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from comparison import Comparison, MemoryComparison
from peers import (
    TORCH_LAYERS,
    copy_weights,
    next_distribution,
    sample_one,
    training_step,
    with_torch_layer,
)
from torch import nn

from elman.config import BatchConfig, DataConfig, ModelConfig, OptimConfig, SamplingConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ElmanError
from elman.inference import multiplies_bf16
from elman.losses import cross_entropy_nats
from elman.models import plain
from elman.models.fast.models import Classifier, LanguageModel
from elman.models.fast.packed import Packing
from elman.models.fast.tanh import tanh_recurrence
from elman.optim import build_optimizers, clip_gradients, learning_rate, set_learning_rate
from elman.presets import preset
from elman.sampling import draw
from elman.text.batching import Batch, Batches, shifted
from elman.text.vocab import END, PAD, START
from elman.timing import Work

BATCHES = 4
SIZE = 300
MLP_FLOPS, RNN_FLOPS, GRU_FLOPS, LSTM_FLOPS = 6 * SIZE**2, 12 * SIZE**2, 36 * SIZE**2, 48 * SIZE**2
"""Forward and backward of the plain layer, for a token."""
OPTIM = OptimConfig(learning_rate=1e-3, beta2=0.999)
"""As ``torch.optim.Adam`` has them."""
ONE_BATCH_IN = 16
"""The share of the test reviews' batches that is classified."""
LOSS_TOLERANCE, PROBABILITY_TOLERANCE = 1e-4, 1e-5
GRADIENT_TOLERANCE = 1e-2
"""A share of a gradient's norm. In float32 another step with nearly the same value may have the maximum over time."""


@cache
def imdb() -> Dataset:
    return open_dataset(DataConfig())


@cache
def reviews() -> list[Batch]:
    batches = Batches(imdb().split("train"), BatchConfig(tokens_per_batch=20_000), seed=0)
    return list(batches.read(batches.epoch(0)[:BATCHES]))


@cache
def test_reviews() -> list[Batch]:
    """Return batches of the 25,000 test reviews as ``elman evaluate`` makes them; no label is read."""
    batches = Batches(imdb().split("test", final=True), BatchConfig(tokens_per_batch=20_000), seed=0)
    return list(batches.read(batches.in_order()[ONE_BATCH_IN // 2 :: ONE_BATCH_IN]))


def tokens(batches: list[Batch]) -> int:
    return sum(batch.tokens for batch in batches)


def classifier_config(layer: str) -> ModelConfig:
    return ModelConfig(layer=layer, embedding_size=SIZE, hidden_size=SIZE, embedding_dropout=0.0, top_dropout=0.0)


def our_classifier(layer: str) -> Classifier:
    torch.manual_seed(0)
    return Classifier(classifier_config(layer), len(imdb().vocab), 2)


def plain_classifier(layer: str) -> plain.Classifier:
    """The plain form; where torch has the layer, with torch's."""
    torch.manual_seed(0)
    model = plain.Classifier(classifier_config(layer), len(imdb().vocab), 2)
    return with_torch_layer(model) if layer in TORCH_LAYERS else model


def agree(what: str, difference: torch.Tensor, tolerance: float) -> None:
    largest = float(difference.detach().abs().max())
    if not largest <= tolerance:  # also for NaN
        raise ElmanError(f"{what} differ by {largest:.2g} between the two sides.", "Fix the one that is wrong.")


def agree_in_gradients(ours: Iterable[torch.Tensor | None], theirs: Iterable[torch.Tensor | None]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine is not None
        assert other is not None
        gap = (mine.to_dense() if mine.is_sparse else mine) - other
        agree("The gradients", gap.norm() / other.norm(), GRADIENT_TOLERANCE)


def same_classifier(layer: str) -> Callable[[], None]:
    """Check loss and gradients of the first batch."""

    def check() -> None:
        ours, theirs = our_classifier(layer), plain_classifier(layer)
        copy_weights(ours, theirs)
        batch, losses = reviews()[0], []
        for model in (ours, theirs):
            losses.append(F.cross_entropy(model(batch.token_ids, batch.lengths), batch.labels))
            losses[-1].backward()
        agree("The losses", losses[0] - losses[1], LOSS_TOLERANCE)
        agree_in_gradients(*([weight.grad for weight in model.parameters()] for model in (ours, theirs)))

    return check


def training(layer: str, precision: str = "float32") -> Callable[[], Work]:
    """Return our updates, as the training loop makes them."""

    def ready() -> Work:
        model, batches = our_classifier(layer), reviews()
        optimizers = build_optimizers(model, OPTIM)

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
        built, batches = model("lstm").eval(), test_reviews()

        def work() -> int:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                for batch in batches:
                    built(batch.token_ids, batch.lengths)
            return sum(len(batch.lengths) for batch in batches)

        return work

    return ready


def same_recurrence(batch: int, time: int, insize: int, hsize: int) -> Callable[[], None]:
    """Check all states, and the gradients of a weighted sum of them."""

    def check() -> None:
        layer, x = nn.RNN(insize, hsize, batch_first=True), torch.randn(batch, time, insize)
        W_ih, W_hh, b, b_hh = layer.parameters()
        grad = torch.randn(batch, time, hsize)
        packing = Packing(None, (batch, time), x.device)
        projected = F.linear(x, W_ih, b + b_hh).transpose(0, 1).flatten(0, 1)
        ours = packing.unpack(tanh_recurrence(projected, None, packing, torch.zeros(batch, hsize), W_hh))
        theirs = layer(x)[0]
        agree("The states", ours - theirs, LOSS_TOLERANCE)
        weights = list(layer.parameters())
        agree_in_gradients(*(torch.autograd.grad(states, weights, grad) for states in (ours, theirs)))

    return check


def our_recurrence(batch: int, time: int, insize: int, hsize: int) -> Callable[[], Work]:
    def ready() -> Work:
        x = torch.randn(time, batch, insize, requires_grad=True)
        W_ih, W_hh, b = (
            torch.randn(*s).div_(hsize**0.5).requires_grad_() for s in ((hsize, insize), (hsize,) * 2, (hsize,))
        )
        grad, packing = torch.randn(time * batch, hsize), Packing(None, (batch, time), x.device)

        def work() -> int:
            projected = F.linear(x, W_ih, b).flatten(0, 1)
            states = tanh_recurrence(projected, None, packing, torch.zeros(batch, hsize), W_hh)
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
def strings(name: str) -> tuple[Dataset, Batches]:
    """A formal language, as its preset makes batches of it."""
    config = preset(name)
    dataset = open_dataset(replace(config.data, strings=20_000, held_out_strings=1_000))
    return dataset, Batches(dataset.split("train").framed(), config.batches, seed=0)


@cache
def shared_strings(name: str) -> Batches:
    """The same, of a batch's equal strings one: as the training loop makes them."""
    _, batches = strings(name)
    return Batches(batches.sequences, batches.config, batches.seed, share=True)


def fresh_language_model(name: str) -> LanguageModel:
    dataset, _ = strings(name)
    torch.manual_seed(0)
    return LanguageModel(preset(name).model, len(dataset.vocab))


def plain_copy(model: LanguageModel) -> plain.LanguageModel:
    """Return the plain form with torch's layer and the same weights."""
    copy = with_torch_layer(plain.LanguageModel(model.config, model.embedding.num_embeddings))
    copy_weights(model, copy)
    return copy


def our_loss(model: LanguageModel, batch: Batch) -> torch.Tensor:
    assert batch.counts is not None  # it is shared
    [(read, targets)] = shifted(batch.token_ids)
    logits, _ = model(read)
    counts = batch.counts[:, None].expand_as(targets).flatten()
    return cross_entropy_nats(logits.flatten(0, 1), targets.flatten(), PAD, counts).mean


def plain_loss(model: plain.LanguageModel, batch: Batch) -> torch.Tensor:
    logits = model(batch.token_ids[:, :-1])[0].flatten(0, 1)
    return F.cross_entropy(logits, batch.token_ids[:, 1:].flatten(), ignore_index=PAD)


def same_language_model(name: str) -> Callable[[], None]:
    """Check loss and gradients of the first batch."""

    def check() -> None:
        ours, plan = fresh_language_model(name), strings(name)[1].epoch(0)[:1]
        theirs = plain_copy(ours)
        [shared], [batch] = (batches.read(plan) for batches in (shared_strings(name), strings(name)[1]))
        losses = our_loss(ours, shared), plain_loss(theirs, batch)
        for loss in losses:
            loss.backward()
        agree("The losses", losses[0] - losses[1], LOSS_TOLERANCE)
        agree_in_gradients(*([weight.grad for weight in model.parameters()] for model in (ours, theirs)))

    return check


def in_turn(batches: Batches, update: Callable[[Batch], object]) -> Work:
    """Return work that makes and reads the batches of a whole epoch, on one thread."""
    plan = batches.epoch(0)

    def work() -> int:
        with one_thread():
            for batch in batches.read(plan):
                update(batch)
        return batches.sequences.total_tokens

    return work


def our_language_model(name: str) -> Callable[[], Work]:
    def ready() -> Work:
        model = fresh_language_model(name)
        optimizers = build_optimizers(model, preset(name).optim)
        return in_turn(shared_strings(name), lambda batch: our_update(model, optimizers, our_loss(model, batch)))

    return ready


def plain_language_model(name: str) -> Callable[[], Work]:
    def ready() -> Work:
        model, options = plain_copy(fresh_language_model(name)), preset(name).optim
        optimizer = torch.optim.Adam(model.parameters(), options.learning_rate, (options.beta1, options.beta2))
        return in_turn(strings(name)[1], lambda batch: training_step(model, optimizer, plain_loss(model, batch)))

    return ready


@cache
def writer() -> LanguageModel:
    """Return a model of brackets, trained a little, so that its strings end as those of the language do."""
    model, optim = fresh_language_model("brackets"), preset("brackets").optim
    optimizers, batches = build_optimizers(model, optim), shared_strings("brackets")
    with one_thread():
        for epoch in range(PASSES):
            plan = batches.epoch(epoch)
            for i, batch in enumerate(batches.read(plan)):
                set_learning_rate(optimizers, learning_rate(optim, epoch + i / len(plan), PASSES))
                our_update(model, optimizers, our_loss(model, batch))
    return model.eval()


def same_next_token() -> None:
    """Check the distribution after every prefix of some strings: ours carries its state, the other does not."""
    model, plain = writer(), plain_copy(writer())
    for sample in draw(model, 20, SamplingConfig(max_new_tokens=MOST_SAMPLED)):
        states, prefix = (), [START]
        with torch.inference_mode():
            for token in [*sample.token_ids, END]:
                logits, states = model(torch.tensor([prefix[-1:]]), states)
                logits[..., NEVER] = -torch.inf
                difference = logits[0, -1].softmax(0) - next_distribution(plain, prefix, NEVER).probs
                agree("The next token's probabilities", difference, PROBABILITY_TOLERANCE)
                prefix.append(token)


def our_samples() -> Work:
    model, options = writer(), SamplingConfig(max_new_tokens=MOST_SAMPLED)

    def work() -> int:
        with one_thread():
            samples = draw(model, SAMPLES, options)
        return sum(len(sample.token_ids) + (not sample.cut_off) for sample in samples)

    return work


def the_courses_samples() -> Work:
    model = plain_copy(writer())

    def work() -> int:
        with one_thread():
            return sum(len(sample_one(model, START, END, NEVER, MOST_SAMPLED)) for _ in range(SAMPLES))

    return work


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: a second one does not help so small a model."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


PASSES, SAMPLES, MOST_SAMPLED = 8, 1_000, 200
NEVER = [PAD, START]
"""No string contains them, so neither side draws them."""
PLAIN = "plain"
FLOAT32_LSTM = "plain, nn.LSTM, float32"


def training_row(
    layer: str, peer: str, aim: float, peer_layer: str | None = None, flops: float | None = None
) -> Comparison:
    """Compare the training of a classifier with that of the plain one, or of another layer if it is named."""
    return Comparison(
        f"train {layer}",
        peer,
        "tokens",
        aim,
        training(layer),
        plain_training(peer_layer or layer),
        flops,
        None if peer_layer else same_classifier(layer),
    )


WITH_BF16 = [
    Comparison(
        "train lstm, bf16 products", FLOAT32_LSTM, "tokens", 2.3, training("lstm", "bf16"), plain_training("lstm")
    ),
    Comparison(
        "classify with lstm, bf16 products",
        FLOAT32_LSTM,
        "reviews",
        3.0,
        classifying(our_classifier, "bf16"),
        classifying(plain_classifier),
    ),
]
"""Where the processor has such products."""

COMPARISONS = [
    training_row("mlp", PLAIN, 10.0, flops=MLP_FLOPS),
    training_row("elman", "plain, slice-and-cat loop", 8.0),
    training_row("elman", "plain, nn.RNN", 2.5, peer_layer="rnn"),
    training_row("rnn", "plain, nn.RNN", 4.0, flops=RNN_FLOPS),
    training_row("gru", "plain, nn.GRU", 2.0, flops=GRU_FLOPS),
    training_row("lstm", FLOAT32_LSTM, 1.6, flops=LSTM_FLOPS),
    *(WITH_BF16 if multiplies_bf16() else ()),
    Comparison(
        "classify with lstm",
        FLOAT32_LSTM,
        "reviews",
        1.6,
        classifying(our_classifier),
        classifying(plain_classifier),
        alike=same_classifier("lstm"),
    ),
    *(
        Comparison(
            f"recurrence {shape}",
            "nn.RNN",
            "steps",
            aim,
            our_recurrence(*shape),
            torchs_recurrence(*shape),
            alike=same_recurrence(*shape),
        )
        for shape, aim in (((64, 256, 300, 300), 1.3), ((16, 512, 300, 300), 1.6), ((64, 200, 32, 16), 2.0))
    ),
    *(
        Comparison(
            f"train {name}",
            "plain, one thread",
            "tokens",
            2.0,
            our_language_model(name),
            plain_language_model(name),
            alike=same_language_model(name),
        )
        for name in ("ndfa", "brackets")
    ),
    Comparison(
        "1,000 samples of at most 200 tokens",
        "the course's loop, one thread",
        "tokens",
        100.0,
        our_samples,
        the_courses_samples,
        alike=same_next_token,
    ),
    MemoryComparison("peak memory, train lstm", FLOAT32_LSTM, 0.75, training("lstm"), plain_training("lstm")),
]
