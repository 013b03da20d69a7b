"""The course's strings, by checksum; its loaders, by what they promise."""

import hashlib
import random

import pytest
import torch

from elman.data.course import course_strings, load_brackets, load_ndfa, load_toy, sample
from elman.errors import ConfigError
from elman.languages import language

CHECKSUMS = [  # language, n, sha256 of the sorted strings joined by newlines, seed 0
    ("ndfa", 1000, "e3815a3fb24a35a01cb3bdd97bd42f03421f814d69f7dc33aea290d200d17372"),
    ("ndfa", 150_000, "0239685bc2bed5d3ec1aac4399774539f45dd5ec09755796689d47e647cfa85b"),
    ("brackets", 1000, "38d857a7c1b79f70039676bfe4e55d3a303adb3cff23ef7094881e157e69ea99"),
    ("brackets", 150_000, "61232c701e5b2286917d91cbbda2654f176b6ce6ed595381a046fe51cbc1a8c4"),
    ("toy", 1000, "0fbeead4154fed3021cf80a38fbe47fb9efe260e6d13fde1ccd43ebc95cd5e13"),
    ("toy", 50_000, "0732ee6702884a668d74cd8b4416337b37c2225a7dd69f97c7213caf339755e8"),
    ("toy2", 1000, "d204f5f04a61eaadc9b0207b53d8d02234f5e3e527a5dc9ae2391e3e998656a4"),
    ("toy2", 50_000, "6d07f8929b0280e893c56872c3f8f3ffed413023175145acea343a6a16efbc7c"),
]


@pytest.mark.parametrize(("name", "n", "checksum"), CHECKSUMS)
def test_strings_have_the_checksums_of_the_course(name: str, n: int, checksum: str) -> None:
    strings = course_strings(name, n, seed=0)
    assert hashlib.sha256("\n".join(strings).encode()).hexdigest() == checksum


def test_toy_and_toy_words_draw_the_same_sentences() -> None:
    words = language("toy-words").sample(100, random.Random(5))
    assert [" ".join(sentence) for sentence in words] == language("toy").sample(100, random.Random(5))


@pytest.mark.parametrize("load", [load_ndfa, load_brackets, load_toy])
@pytest.mark.parametrize("char", [True, False])
def test_loaders_sort_strings_by_length_and_the_vocabulary_by_frequency(load, char) -> None:
    x, (i2w, w2i) = load(n=2000, char=char, seed=3)
    assert type(x) is list
    assert all(type(token) is int for string in x for token in string)
    assert len(x) == 2000
    assert list(map(len, x)) == sorted(map(len, x))
    assert i2w[:4] == [".pad", ".start", ".end", ".unk"]
    assert [w2i[token] for token in i2w] == list(range(len(i2w)))
    counts = [sum(string.count(i) for string in x) for i in range(4, len(i2w))]
    order = [(-count, token) for count, token in zip(counts, i2w[4:], strict=True)]
    assert order == sorted(order)
    assert min(counts) > 0


def test_ids_decode_to_the_strings() -> None:
    x, (i2w, _) = load_brackets(n=1000)
    assert ["".join(i2w[i] for i in string) for string in x] == course_strings("brackets", 1000, 0)
    x, (i2w, _) = load_toy(n=1000, char=False)
    assert sorted(" ".join(i2w[i] for i in string) for string in x) == sorted(course_strings("toy", 1000, 0))


def test_loaders_use_the_seed_and_not_the_global_state() -> None:
    state = random.getstate()
    assert load_ndfa(n=100, seed=1) == load_ndfa(n=100, seed=1)
    assert load_ndfa(n=100, seed=1) != load_ndfa(n=100, seed=2)
    assert random.getstate() == state


@pytest.mark.slow
def test_150_000_ndfa_strings_have_the_lengths_of_the_course() -> None:
    x, _ = load_ndfa(n=150_000)
    assert sum(map(len, x)) == 2_094_396
    assert len(x[-1]) == 158


def test_a_negative_number_of_strings_is_rejected() -> None:
    with pytest.raises(ConfigError, match="-1 texts cannot be generated"):
        load_ndfa(n=-1)


def test_sample_follows_the_distribution_and_the_temperature() -> None:
    probs = torch.tensor([0.5, 0.3, 0.2])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([sample(probs.log(), 1.0, generator) for _ in range(4000)])
    assert torch.allclose(drawn.bincount(minlength=3) / 4000, probs, atol=0.03)
    cold = torch.stack([sample(probs.log(), 0.5, generator) for _ in range(4000)])
    assert torch.allclose(cold.bincount(minlength=3) / 4000, probs**2 / (probs**2).sum(), atol=0.03)
    assert sample(probs.log(), temperature=0.0).item() == 0
    assert sample(probs.log()).shape == ()
    with pytest.raises(ConfigError, match="temperature"):
        sample(probs.log(), -1.0)
