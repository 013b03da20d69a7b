"""The baselines count n-grams correctly and cannot use what they do not see."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.config import RunConfig
from elman.errors import ConfigError
from elman.study.bags import Grams, fit, log_count_ratio
from elman.study.baselines import BaselineOptions, measure_baseline, predict_test
from elman.study.work import Work
from elman.text.sequences import Sequences

TEXTS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=2, max_size=12)


@pytest.mark.slow
@given(TEXTS, TEXTS, st.integers(1, 3))
def test_n_grams_equal_a_count_by_hand(train: list[list[int]], others: list[list[int]], longest: int) -> None:
    def grams(text: list[int]) -> Counter[tuple[int, ...]]:
        return Counter(tuple(text[i : i + n]) for n in range(1, longest + 1) for i in range(len(text) - n + 1))

    texts_with = Counter(gram for text in train for gram in grams(text))
    frequent = {gram for gram, texts in texts_with.items() if texts >= 2}
    if not frequent:
        with pytest.raises(ConfigError, match="occurs in 2 texts"):
            Grams(Sequences.from_lists(train), 6, longest, 2)
        return
    indexed = Grams(Sequences.from_lists(train), 6, longest, 2)
    assert len(indexed) == len(frequent)
    counts = indexed.counts(Sequences.from_lists(others)).toarray()
    for text, row in zip(others, counts, strict=True):
        expected = sorted(count for gram, count in grams(text).items() if gram in frequent)
        assert sorted(row[row > 0].tolist()) == expected


def test_the_log_count_ratio_is_that_of_the_paper() -> None:
    texts = Sequences.from_lists([[0], [0], [0, 1], [1]])
    present = Grams(texts, 2, 1, 1).counts(texts)
    ratio = log_count_ratio(present, np.array([1, 1, 0, 0]))
    np.testing.assert_allclose(ratio, [np.log((3 / 4) / (2 / 5)), np.log((1 / 4) / (3 / 5))])


def reviews(count: int, seed: int, *, in_order: bool) -> Sequences:
    """Return texts whose class depends on one word, or with ``in_order`` only on the order of two words."""
    chance, texts, labels = random.Random(seed), [], []
    for _ in range(count):
        label = chance.randrange(2)
        decisive = ([4, 5] if label else [5, 4]) if in_order else [4 + label]
        noise = [chance.randrange(6, 30) for _ in range(6)]
        texts.append([*noise[:3], *decisive, *noise[3:]])
        labels.append(label)
    return Sequences.from_lists(texts, labels)


@pytest.mark.parametrize("method", ["nb-svm", "tf-idf"])
@pytest.mark.parametrize(
    ("in_order", "longest", "least", "most"), [(False, 1, 1, 1), (True, 1, 0.3, 0.7), (True, 2, 1, 1)]
)
def test_bigrams_see_the_order_of_two_words_and_unigrams_do_not(
    method: Any, in_order: bool, longest: int, least: float, most: float
) -> None:
    train, test = (reviews(400, seed, in_order=in_order) for seed in (0, 1))
    grams = Grams(train, 30, longest, 2)
    log_probs = fit(method, grams.counts(train), train.labels, 2, 1.0)(grams.counts(test))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-5)
    assert least <= (log_probs.argmax(axis=1) == test.labels).mean() <= most


def test_the_majority_baseline_predicts_the_most_frequent_training_class() -> None:
    labels = np.array([0, 1, 1])
    log_probs = fit("majority", None, labels, 2, 1.0)(np.zeros((5, 3)))
    np.testing.assert_allclose(np.exp(log_probs), [[1 / 3, 2 / 3]] * 5, rtol=1e-5)


def test_nb_svm_needs_two_classes() -> None:
    with pytest.raises(ConfigError, match="needs two classes, not 3"):
        fit("nb-svm", None, np.array([0, 1, 2]), 3, 1.0)


def test_the_chosen_strength_is_the_best_on_validation(tmp_path: Path) -> None:
    config = RunConfig.from_tables({"data": {"name": "synth-reviews", "synthetic_size": 200}}, "test")
    options = BaselineOptions(strengths=[1e-6, 1.0, 5.0])
    work = Work("nb-svm", options, config, {}, tmp_path, lambda _: None)
    figures = measure_baseline(work)
    accuracies = {row["strength"]: row["accuracy"] for row in figures["tried"]}
    assert figures["by_seed"][0]["accuracy"] == max(accuracies.values()) == accuracies[figures["strength"]] > 0.95
    dataset = work.dataset()
    test_log_probs = predict_test(
        {"method": "nb-svm", "longest": 2, "least_texts": 2},
        figures["strength"],
        dataset.split("train"),
        dataset.split("val"),
        len(dataset.vocab),
        2,
    )
    assert (test_log_probs.argmax(axis=1) == dataset.split("val").labels).mean() == figures["by_seed"][0]["accuracy"]
