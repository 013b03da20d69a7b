"""Cross-entropy, floor and excess, against definitions and against a model that is the generator itself."""

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elman.config import BatchConfig, ModelConfig, RunConfig, SamplingConfig
from elman.grading import compare_lengths
from elman.inference import make_fabric
from elman.languages import END, language
from elman.languages.machine import Machine
from elman.models.language_model import LanguageModel
from elman.sampling import draw
from elman.scoring import cross_entropy, excess, language_nats, model_nats
from elman.statistics import mean_over_seeds, ratio
from elman.text.batching import Batches
from elman.text.sequences import Sequences
from elman.text.vocab import END as END_ID
from elman.text.vocab import PAD, SPECIALS, START, Vocab

FABRIC = make_fabric(RunConfig())


class Perfect(nn.Module):
    """A language model that says what the generator says; its state is the automaton's."""

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
        state = torch.zeros(len(token_ids), dtype=torch.long) if states is None else states[0][:, 0]
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
def test_a_string_costs_the_sum_of_its_tokens(bptt: int | None) -> None:
    strings = [[4, 5, 6, 4, 4, 5, 6, 6, 4], [], [6], [5, 5, 4], [6], [5, 5, 4]]
    model = small_model(7).eval()
    found = model_nats(FABRIC, model, batches_of(strings, bptt=bptt), "test")
    for string, nats in zip(strings, found, strict=True):
        total, prefix = 0.0, [START]
        for token in [*string, END_ID]:
            with torch.inference_mode():
                total -= float(model(torch.tensor([prefix]))[0][0, -1].log_softmax(0)[token])
            prefix.append(token)
        assert nats == pytest.approx(total, rel=1e-6)


def test_probabilities_of_all_strings_and_of_all_open_prefixes_sum_to_one() -> None:
    """Every string that ends within three tokens, and what goes on after three."""
    model = small_model(6).eval()
    with torch.no_grad():
        model.bias[PAD] = -torch.inf  # padding is no target
    strings = [string for n in range(4) for string in itertools.product([1, 3, 4, 5], repeat=n)]
    nats = model_nats(FABRIC, model, batches_of([*map(list, strings)]), "test")
    three = [i for i, string in enumerate(strings) if len(string) == 3]
    with torch.inference_mode():
        ends = model(torch.tensor([[START, *strings[i]] for i in three]))[0][:, -1].log_softmax(-1)[:, END_ID].numpy()
    going_on = np.exp(-nats[three]) * (1 - np.exp(ends)) / np.exp(ends)
    assert np.exp(-nats).sum() + going_on.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["ndfa", "parity", "tomita4"])
def test_the_perfect_model_has_no_excess_and_its_samples_are_perfect(name: str) -> None:
    law = language(name)
    assert isinstance(law, Machine)
    vocab = Vocab([*SPECIALS, *law.alphabet])
    strings = law.sample(2_000, random.Random(5))
    batches = batches_of([vocab.encode(string) for string in strings])
    perfect = Perfect(law, vocab)
    nats, truth = model_nats(FABRIC, perfect, batches, "test"), language_nats(law, vocab, batches.sequences)
    np.testing.assert_allclose(nats, truth, rtol=1e-5, atol=1e-5)
    tokens = batches.sequences.lengths - 1
    found = cross_entropy(nats, tokens) | excess(nats, truth, tokens, law)
    assert abs(found["excess_nats_per_token"]) < 1e-6
    assert found["cross_entropy_nats"] == pytest.approx(found["floor_nats_per_token"], rel=0.1)
    samples = draw(perfect, 3_000, SamplingConfig(seed=2))
    assert all(law.in_support(vocab.decode(sample.token_ids)) for sample in samples)
    lengths = compare_lengths(samples, law, 0)
    assert lengths["total_variation"] < 2 * lengths["total_variation_perfect"]


def test_the_excess_of_a_known_model_is_the_divergence() -> None:
    """Of two laws that differ in one choice, made once a token: that choice's own divergence, exactly."""
    law, other = language("parity", stop=0.1), language("parity", stop=0.2)
    assert isinstance(other, Machine)
    vocab = Vocab([*SPECIALS, *law.alphabet])
    strings = law.sample(30_000, random.Random(1))
    batches = Batches(Sequences.from_lists([vocab.encode(s) for s in strings]).framed(), BatchConfig(), 0)
    nats = model_nats(FABRIC, Perfect(other, vocab), batches, "test")
    truth = language_nats(law, vocab, batches.sequences)
    found = excess(nats, truth, batches.sequences.lengths - 1, law)
    # Where the machine may stop it stops with 0.1, or with 0.2; a string stops once, so it had 1 / 0.1 chances to.
    a_chance = 0.1 * np.log(0.1 / 0.2) + 0.9 * np.log(0.9 / 0.8)
    exact = a_chance / 0.1 / law.mean_tokens()
    assert found["excess_low"] < exact < found["excess_high"]
    assert found["excess_high"] - found["excess_low"] < 0.1 * exact


def test_a_ratios_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        sizes = generator.integers(1, 20, 300)
        found = ratio(sizes * 0.3 + generator.normal(0, 1, 300) * np.sqrt(sizes), sizes)
        covered += found.low < 0.3 < found.high
    assert 930 <= covered <= 968
    each = generator.normal(5, 2, 100)
    found = ratio(each, np.ones(100))
    assert found.high - found.low == pytest.approx(2 * 1.96 * each.std(ddof=1) / 10, rel=1e-4)


def test_end_is_the_vocabularys() -> None:
    assert SPECIALS[END_ID] == END


def test_the_mean_over_seeds_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    found = [mean_over_seeds(generator.normal(3, 2, 4)) for _ in range(1_000)]
    assert 930 <= sum(each.low < 3 < each.high for each in found) <= 968
    assert mean_over_seeds([7.0]) == (7.0, -np.inf, np.inf)
