"""Cross-entropy, floor and excess, against their definitions and against a model equal to the generator."""

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elman.config import BatchConfig, ModelConfig, SamplingConfig
from elman.grading import compare_lengths
from elman.inference import ReadingDevice
from elman.languages import language
from elman.languages.machine import Machine
from elman.models.fast.models import LanguageModel
from elman.sampling import draw
from elman.scoring import cross_entropy, excess, language_nats, model_nats
from elman.statistics import mean_over_seeds, ratio
from elman.text.batching import Batches
from elman.text.sequences import Sequences
from elman.text.vocab import END as END_ID
from elman.text.vocab import PAD, SPECIALS, START, Vocab

DEVICE = ReadingDevice(torch.device("cpu"), "float32")


class Perfect(nn.Module):
    """A language model with the generator's probabilities, whose state is that of the automaton."""

    def __init__(self, law: Machine, vocab: Vocab) -> None:
        super().__init__()
        states = [law.start]
        for state in states:
            states += [arc.target for arc in law.arcs(state) if arc.target not in states]
        self.bias = nn.Parameter(torch.zeros(1))
        self.moves = torch.zeros(len(states), len(vocab), dtype=torch.long)
        self.logits = torch.full((len(states), len(vocab)), -torch.inf)
        for i, state in enumerate(states):
            self.logits[i, END_ID] = np.log(law.stop(state)) if law.stop(state) else -np.inf
            for arc in law.arcs(state):
                self.moves[i, vocab.ids[arc.symbol]] = states.index(arc.target)
                self.logits[i, vocab.ids[arc.symbol]] = np.log(arc.probability)

    def forward(self, token_ids: Tensor, states: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        state = torch.zeros(len(token_ids), dtype=torch.long) if not states else states[0][:, 0]
        logits = []
        for tokens in token_ids.unbind(1):
            state = torch.where(tokens == START, 0, self.moves[state, tokens])
            logits.append(self.logits[state])
        return torch.stack(logits, dim=1), [state[:, None]]

    def stepper(self) -> Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]:
        def step(tokens: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            logits, states = self(tokens[:, None], states)
            return logits[:, -1], states

        return step


def batches_of(strings: list[list[int]], **options: int) -> Batches:
    return Batches(Sequences.from_lists(strings).framed(), BatchConfig(tokens_per_batch=60, **options), 0)


def small_model(vocab_size: int) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(embedding_size=4, hidden_size=5, embedding_scale=1.0), vocab_size)


@pytest.mark.parametrize("bptt", [None, 1, 4, 100])
def test_nats_of_a_string_are_the_sum_over_its_tokens(bptt: int | None) -> None:
    strings = [[4, 5, 6, 4, 4, 5, 6, 6, 4], [], [6], [5, 5, 4], [6], [5, 5, 4]]
    model = small_model(7).eval()
    for string, nats in zip(strings, model_nats(DEVICE, model, batches_of(strings, bptt=bptt), "test"), strict=True):
        total, prefix = 0.0, [START]
        for token in [*string, END_ID]:
            with torch.inference_mode():
                total -= float(model(torch.tensor([prefix]))[0][0, -1].log_softmax(0)[token])
            prefix.append(token)
        assert nats == pytest.approx(total, rel=1e-6)


def test_probabilities_of_all_strings_and_of_all_open_prefixes_sum_to_one() -> None:
    """The strings are all that end within three tokens, the prefixes all that continue after three."""
    model = small_model(6).eval()
    with torch.no_grad():
        model.bias[PAD] = -torch.inf  # padding is never a target
    strings = [string for n in range(4) for string in itertools.product([1, 3, 4, 5], repeat=n)]
    nats = model_nats(DEVICE, model, batches_of([*map(list, strings)]), "test")
    three = [i for i, string in enumerate(strings) if len(string) == 3]
    with torch.inference_mode():
        ends = model(torch.tensor([[START, *strings[i]] for i in three]))[0][:, -1].log_softmax(-1)[:, END_ID].numpy()
    continued = np.exp(-nats[three]) * (1 - np.exp(ends)) / np.exp(ends)
    assert np.exp(-nats).sum() + continued.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ndfa", "parity", "tomita4"])
def test_the_perfect_model_has_no_excess_and_its_samples_are_perfect(name: str) -> None:
    law = language(name)
    assert isinstance(law, Machine)
    vocab = Vocab([*SPECIALS, *law.alphabet])
    strings = law.sample(2_000, random.Random(5))
    batches = batches_of([vocab.encode(string) for string in strings])
    perfect = Perfect(law, vocab)
    nats, truth = model_nats(DEVICE, perfect, batches, "test"), language_nats(law, vocab, batches.sequences)
    np.testing.assert_allclose(nats, truth, rtol=1e-5, atol=1e-5)
    tokens = batches.sequences.lengths - 1
    figures = cross_entropy(nats, tokens) | excess(nats, truth, tokens, law)
    assert abs(figures["excess_nats_per_token"]) < 1e-6
    assert figures["cross_entropy_nats"] == pytest.approx(figures["floor_nats_per_token"], rel=0.1)
    samples = draw(perfect, 3_000, SamplingConfig(seed=2))
    assert all(law.in_support(vocab.decode(sample.token_ids)) for sample in samples)
    lengths = compare_lengths(samples, law, 0)
    assert lengths["total_variation"] < 2 * lengths["total_variation_perfect"]


@pytest.mark.slow
def test_the_excess_of_a_known_model_is_the_divergence() -> None:
    """Two languages differ in one choice that is made at every token, so its divergence is known exactly."""
    law, other = language("parity", stop=0.1), language("parity", stop=0.2)
    assert isinstance(other, Machine)
    vocab = Vocab([*SPECIALS, *law.alphabet])
    strings = law.sample(30_000, random.Random(1))
    batches = Batches(Sequences.from_lists([vocab.encode(s) for s in strings]).framed(), BatchConfig(), 0)
    nats = model_nats(DEVICE, Perfect(other, vocab), batches, "test")
    truth = language_nats(law, vocab, batches.sequences)
    figures = excess(nats, truth, batches.sequences.lengths - 1, law)
    # At every chance to stop, one machine stops with probability 0.1 and the other with 0.2. A string stops
    # once, so the mean number of chances is 1 / 0.1.
    divergence_per_chance = 0.1 * np.log(0.1 / 0.2) + 0.9 * np.log(0.9 / 0.8)
    exact = divergence_per_chance / 0.1 / law.mean_tokens()
    assert figures["excess_low"] < exact < figures["excess_high"]
    assert figures["excess_high"] - figures["excess_low"] < 0.1 * exact


def test_coverage_of_the_interval_of_a_ratio_is_95_percent() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        sizes = generator.integers(1, 20, 300)
        estimate = ratio(sizes * 0.3 + generator.normal(0, 1, 300) * np.sqrt(sizes), sizes)
        covered += estimate.low < 0.3 < estimate.high
    assert 930 <= covered <= 968
    values = generator.normal(5, 2, 100)
    mean = ratio(values, np.ones(100))
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 10, rel=1e-4)


def test_coverage_of_the_interval_of_a_mean_over_seeds_is_95_percent() -> None:
    generator = np.random.default_rng(0)
    means = [mean_over_seeds(generator.normal(3, 2, 4)) for _ in range(1_000)]
    assert 930 <= sum(mean.low < 3 < mean.high for mean in means) <= 968
    assert mean_over_seeds([7.0]) == (7.0, -np.inf, np.inf)
