"""Batched sampling with a carried state draws from the distribution that the definition gives."""

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
from elman.models.fast.models import LanguageModel
from elman.sampling import Sample, choose, draw
from elman.text.vocab import END, PAD, START, UNKNOWN

VOCAB = 7  # .pad .start .end .unk and three symbols
DRAWS = 20_000


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(3)
    config = ModelConfig(embedding_size=4, hidden_size=6, num_layers=2, embedding_scale=1.0)
    return LanguageModel(config, VOCAB)


def law(
    model: LanguageModel, prefix: list[int], temperature: float, top_k: int, unknown: bool = False
) -> dict[int, float]:
    """Return the distribution of the next token by definition: the model reads the whole prefix again."""
    model.eval()
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[START, *prefix]]))
    scores = {
        i: float(logits[0, -1, i]) / temperature
        for i in range(VOCAB)
        if i not in (PAD, START) and (unknown or i != UNKNOWN)
    }
    candidates = sorted(scores, key=lambda i: -scores[i])[:top_k]
    total = sum(math.exp(scores[i]) for i in candidates)
    return {i: math.exp(scores[i]) / total for i in candidates}


def probabilities(model: LanguageModel, prompt: list[int], limit: int, **options: float) -> dict[tuple, float]:
    """Return every string of at most ``limit`` new tokens, cut off or not, with its probability."""
    strings: dict[tuple, float] = {}

    def extend(string: list[int], probability: float) -> None:
        if len(string) - len(prompt) == limit:
            strings[*string, "cut off"] = probability
            return
        for token, share in law(model, string, **options).items():
            if token == END:
                strings[tuple(string)] = probability * share
            else:
                extend([*string, token], probability * share)

    extend(prompt, 1.0)
    return strings


def key(sample: Sample) -> tuple:
    return (*sample.token_ids, "cut off") if sample.cut_off else tuple(sample.token_ids)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ([], {"temperature": 1.0, "top_k": VOCAB}),
        ([], {"temperature": 1.0, "top_k": VOCAB, "unknown": True}),
        ([4, 6], {"temperature": 0.6, "top_k": VOCAB}),
        ([5], {"temperature": 1.5, "top_k": 3}),
    ],
)
def test_sample_frequencies_match_probabilities(
    model: LanguageModel, prompt: list[int], options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "ROWS_AT_ONCE", 7_000)  # three batches, the last one smaller
    expected = probabilities(model, prompt, 3, **options)
    assert sum(expected.values()) == pytest.approx(1)
    config = SamplingConfig(**options, max_new_tokens=3, seed=1)
    observed = Counter(key(sample) for sample in draw(model, DRAWS, config, prompt))
    assert set(observed) <= set(expected)
    often = [string for string, p in expected.items() if p * DRAWS >= 5]
    counts = [observed[string] for string in often]
    means = [DRAWS * expected[string] for string in often]
    rest = DRAWS - sum(counts), DRAWS - sum(means)
    if rest[1] > 1e-6:
        counts, means = [*counts, rest[0]], [*means, rest[1]]
    assert chisquare(counts, means, sum_check=False).pvalue > 1e-3


def test_temperature_zero_draws_the_most_probable_token(model: LanguageModel) -> None:
    samples = draw(model, 3, SamplingConfig(temperature=0, max_new_tokens=12), [4])
    string = [4]
    while len(string) < 13:
        most_probable = law(model, string, 1.0, 1)
        if END in most_probable:
            break
        string += most_probable
    assert [sample.token_ids for sample in samples] == [string] * 3
    assert {sample.cut_off for sample in samples} == {len(string) == 13}


@pytest.mark.slow
def test_course_function_samples_the_same_distribution() -> None:
    logits = torch.randn(VOCAB)
    logits[[PAD, START]] = -torch.inf
    generator = torch.Generator().manual_seed(0)
    ours = choose(logits.expand(DRAWS, -1), SamplingConfig(temperature=0.7, unknown=True), generator)
    theirs = [int(course_sample(logits, 0.7, generator)) for _ in range(DRAWS)]
    counts = np.array([np.bincount(drawn, minlength=VOCAB) for drawn in (ours.numpy(), theirs)])[:, END:]
    expected = (logits[END:] / 0.7).softmax(0).numpy() * DRAWS
    for observed in counts:
        assert chisquare(observed, expected, sum_check=False).pvalue > 1e-3


def test_samples_follow_from_the_seed_and_differ_from_each_other(model: LanguageModel) -> None:
    def strings(seed: int) -> list[Sample]:
        return draw(model, 40, SamplingConfig(seed=seed, max_new_tokens=20))

    assert strings(1) == strings(1)
    assert strings(1) != strings(2)
    assert len({key(sample) for sample in strings(1)}) > 20


def test_special_tokens_are_never_drawn_and_unk_only_on_request(model: LanguageModel) -> None:
    def drawn(**options: bool) -> set[int]:
        samples = draw(model, 100, SamplingConfig(max_new_tokens=20, **options))
        return set(itertools.chain.from_iterable(sample.token_ids for sample in samples))

    with torch.no_grad():
        model.bias[[PAD, START]] = 50.0
        model.bias[UNKNOWN] = 10.0
    assert not {PAD, START, END, UNKNOWN} & drawn()
    assert UNKNOWN in drawn(unknown=True)
    assert not {PAD, START, END} & drawn(unknown=True)


def test_a_string_that_does_not_end_is_cut_off(model: LanguageModel) -> None:
    with torch.no_grad():
        model.bias[END] = -torch.inf
    samples = draw(model, 5, SamplingConfig(max_new_tokens=4), [5, 5])
    assert all(sample.cut_off and len(sample.token_ids) == 6 for sample in samples)


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e300])
def test_temperatures_beyond_float32_behave_like_their_limits(model: LanguageModel, temperature: float) -> None:
    logits = torch.tensor([[0.0, 9.0, 1.0, -40.0, 3.0, 2.0]]).repeat(300, 1)
    drawn = choose(logits, SamplingConfig(temperature=temperature, unknown=True), torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == ({4} if temperature < 1 else {END, UNKNOWN, 4, 5})
    assert course_sample(logits[0], temperature).item() in ({1} if temperature < 1 else range(6))


@pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf])
def test_course_function_refuses_an_invalid_temperature(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        course_sample(torch.zeros(3), temperature)


def test_sampling_keeps_the_training_mode_and_the_global_generator(model: LanguageModel) -> None:
    model.train()
    before = torch.get_rng_state()
    draw(model, 3, SamplingConfig(max_new_tokens=3))
    assert model.training
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize(
    "options", [{"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"max_new_tokens": 0}]
)
def test_invalid_sampling_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SamplingConfig(**options)
