"""The course's functions: their examples, the sets that they generate, and what they refuse."""

import random
from itertools import product

import pytest
import torch

from elman.data import course
from elman.errors import ConfigError


def test_special_tokens_are_the_first_four_words() -> None:
    for _, (i2w, w2i) in (course.load_ndfa(n=10), course.load_toy(n=10, char=False)):
        assert i2w[:4] == [course.PAD, course.START, course.END, course.UNK] == [".pad", ".start", ".end", ".unk"]
        assert [w2i[token] for token in (course.PAD, course.START, course.END, course.UNK)] == [0, 1, 2, 3]


@pytest.mark.parametrize("load", [course.load_xor, course.load_imdb_synth])
def test_generated_sets_have_the_requested_sizes_and_depend_on_the_seed(load) -> None:
    (x_train, y_train), (x_test, y_test), (i2w, w2i), numcls = load(ntrain=30, ntest=20, seed=4)
    assert (len(x_train), len(y_train), len(x_test), len(y_test), numcls) == (30, 30, 20, 20, 2)
    assert [w2i[word] for word in i2w] == list(range(len(i2w)))
    assert load(30, 20, 4) == load(30, 20, 4) != load(30, 20, 5)
    with pytest.raises(ConfigError, match="-1 texts"):
        load(ntest=-1)


def test_xor_pairs_are_drawn_as_by_the_course_and_labeled_by_equality() -> None:
    (x, y), _, (i2w, w2i), _ = course.load_xor(ntrain=200, ntest=0, seed=7)
    random.seed(7)  # the course's script draws from the global generator, token by token
    assert [i2w[i] for ids in x for i in ids] == [random.choice(("true", "false")) for _ in range(400)]
    assert {(*ids, label) for ids, label in zip(x, y, strict=True)} == {
        (w2i[a], w2i[b], int(a == b)) for a, b in product(("true", "false"), repeat=2)
    }


def test_synthetic_reviews_are_labeled_as_by_the_course() -> None:
    (x, y), _, (i2w, _), _ = course.load_imdb_synth(ntrain=200, ntest=0)
    sentences = [[i2w[i] for i in ids] for ids in x]
    assert all(len(words) == 6 and words[0] == "this" for words in sentences)
    labels = {(*words[4:], label) for words, label in zip(sentences, y, strict=True)}
    assert labels == {("very", "great", 1), ("not", "terrible", 1), ("not", "great", 0), ("very", "terrible", 0)}


def test_toy_loads_every_language_by_the_courses_name() -> None:
    assert course.load_toy(n=50, seed=3, name="dyck") == course.load_brackets(50, 3)
    assert course.load_toy(n=50, seed=3, name="ndfa") == course.load_ndfa(50, 3)
    assert course.load_toy(n=50, seed=3, name="lang") == course.load_toy(n=50, seed=3)
    with pytest.raises(ConfigError, match=r"no language 'langs'.*lang, dyck, ndfa"):
        course.load_toy(name="langs")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_sample_accepts_every_float_type_without_float64(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "double", None)
    lnprobs = torch.tensor([0.0, 1.0, 0.0], dtype=dtype).log()
    assert course.sample(lnprobs).item() == course.sample(lnprobs, 0.5).item() == 1
