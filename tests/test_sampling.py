"""Batched sampling with carried state draws from the model's own distribution, step by step."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from elman import sampling
from elman.config import ModelConfig, SamplingConfig
from elman.data.course import sample as course_sample
from elman.errors import ConfigError
from elman.models.language_model import LanguageModel
from elman.sampling import Sample, choose, draw
from elman.text.vocab import END, PAD, START

VOCAB = 7  # .pad .start .end .unk and three symbols
DRAWS = 20_000


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(3)
    config = ModelConfig(embedding_size=4, hidden_size=6, num_layers=2, embedding_scale=1.0)
    return LanguageModel(config, VOCAB)


def law(model: LanguageModel, prefix: list[int], temperature: float, top_k: int) -> dict[int, float]:
    """The definition: the whole prefix fed anew, one distribution over what may come next."""
    model.eval()
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[START, *prefix]]))
    scores = {i: float(logits[0, -1, i]) / temperature for i in range(VOCAB) if i not in (PAD, START)}
    kept = sorted(scores, key=lambda i: -scores[i])[:top_k]
    total = sum(math.exp(scores[i]) for i in kept)
    return {i: math.exp(scores[i]) / total for i in kept}


def probabilities(model: LanguageModel, prompt: list[int], limit: int, **options: float) -> dict[tuple, float]:
    """Every string of at most ``limit`` new tokens, cut off or not, and its probability."""
    found: dict[tuple, float] = {}

    def extend(string: list[int], probability: float) -> None:
        if len(string) - len(prompt) == limit:
            found[*string, "cut off"] = probability
            return
        for token, share in law(model, string, **options).items():
            if token == END:
                found[tuple(string)] = probability * share
            else:
                extend([*string, token], probability * share)

    extend(prompt, 1.0)
    return found


def key(sample: Sample) -> tuple:
    return (*sample.token_ids, "cut off") if sample.cut_off else tuple(sample.token_ids)


@pytest.mark.parametrize(("temperature", "top_k", "prompt"), [(1.0, VOCAB, []), (0.6, VOCAB, [4, 6]), (1.5, 3, [5])])
def test_strings_come_as_often_as_their_probability_says(
    model: LanguageModel, temperature: float, top_k: int, prompt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "ROWS_AT_ONCE", 7_000)  # the last of three lots is a part
    expected = probabilities(model, prompt, 3, temperature=temperature, top_k=top_k)
    assert sum(expected.values()) == pytest.approx(1)
    config = SamplingConfig(temperature=temperature, top_k=top_k, max_new_tokens=3, seed=1)
    found = Counter(key(sample) for sample in draw(model, DRAWS, config, prompt))
    assert set(found) <= set(expected)
    often = [string for string, p in expected.items() if p * DRAWS >= 5]
    counts = [found[string] for string in often]
    means = [DRAWS * expected[string] for string in often]
    rest = DRAWS - sum(counts), DRAWS - sum(means)
    if rest[1] > 1e-6:
        counts, means = [*counts, rest[0]], [*means, rest[1]]
    assert chisquare(counts, means, sum_check=False).pvalue > 1e-3


def test_temperature_zero_is_the_argmax_of_the_whole_prefix(model: LanguageModel) -> None:
    samples = draw(model, 3, SamplingConfig(temperature=0, max_new_tokens=12), [4])
    string = [4]
    while len(string) < 13:
        following = law(model, string, 1.0, 1)
        if END in following:
            break
        string += following
    assert [sample.token_ids for sample in samples] == [string] * 3
    assert {sample.cut_off for sample in samples} == {len(string) == 13}


def test_the_courses_sample_draws_from_the_same_distribution() -> None:
    logits = torch.randn(VOCAB)
    logits[[PAD, START]] = -torch.inf
    generator = torch.Generator().manual_seed(0)
    ours = choose(logits.expand(DRAWS, -1), SamplingConfig(temperature=0.7), generator)
    theirs = [int(course_sample(logits, 0.7, generator)) for _ in range(DRAWS)]
    counts = np.array([np.bincount(drawn, minlength=VOCAB) for drawn in (ours.numpy(), theirs)])[:, END:]
    expected = (logits[END:] / 0.7).softmax(0).numpy() * DRAWS
    for found in counts:
        assert chisquare(found, expected, sum_check=False).pvalue > 1e-3


def test_the_seed_decides_and_rows_differ(model: LanguageModel) -> None:
    def strings(seed: int) -> list[Sample]:
        return draw(model, 40, SamplingConfig(seed=seed, max_new_tokens=20))

    assert strings(1) == strings(1)
    assert strings(1) != strings(2)
    assert len({key(sample) for sample in strings(1)}) > 20


def test_padding_and_start_are_never_drawn(model: LanguageModel) -> None:
    with torch.no_grad():
        model.bias[[PAD, START]] = 50.0
    samples = draw(model, 100, SamplingConfig(max_new_tokens=20))
    assert not {PAD, START, END} & set(itertools.chain.from_iterable(sample.token_ids for sample in samples))


def test_a_string_that_does_not_end_is_cut_off(model: LanguageModel) -> None:
    with torch.no_grad():
        model.bias[END] = -torch.inf
    samples = draw(model, 5, SamplingConfig(max_new_tokens=4), [5, 5])
    assert all(sample.cut_off and len(sample.token_ids) == 6 for sample in samples)


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e300])
def test_temperatures_beyond_float32_are_near_their_limits(model: LanguageModel, temperature: float) -> None:
    logits = torch.tensor([[0.0, 9.0, 1.0, -40.0, 3.0, 2.0]]).repeat(300, 1)
    drawn = choose(logits, SamplingConfig(temperature=temperature), torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == ({4} if temperature < 1 else {END, 3, 4, 5})
    assert course_sample(logits[0], temperature).item() in ({1} if temperature < 1 else range(6))


@pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf])
def test_the_courses_sample_refuses_what_is_no_temperature(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        course_sample(torch.zeros(3), temperature)


def test_sampling_leaves_the_mode_and_torchs_generator_as_they_were(model: LanguageModel) -> None:
    model.train()
    before = torch.get_rng_state()
    draw(model, 3, SamplingConfig(max_new_tokens=3))
    assert model.training
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize(
    "options", [{"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"max_new_tokens": 0}]
)
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SamplingConfig(**options)
