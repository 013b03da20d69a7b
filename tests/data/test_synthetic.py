"""Generated reviews follow their rule, which a sum of word scores or a bag of words cannot learn."""

import random
from collections import Counter

import pytest

from elman.config import DataConfig
from elman.data.synthetic import draw_review, synthetic_reviews

DRAWS = 2_000


def draw(name: str, sentences: int = 1, noise: float = 0.0) -> list[tuple[list[str], int]]:
    rng = random.Random(5)
    return [draw_review(name, rng, sentences, noise) for _ in range(DRAWS)]


def test_labels_follow_the_rule() -> None:
    for words, label in draw("synth-reviews"):
        assert words[0] == "this"
        assert len(words) == 6
        good = (words[-2] == "very") == (words[-1] == "great")
        assert label == (0 if good else 1)


@pytest.mark.parametrize("word", ["not", "very", "great", "terrible"])
def test_no_single_word_predicts_the_label(word: str) -> None:
    labels = Counter(label for words, label in draw("synth-reviews") if word in words)
    assert abs(labels[0] / (labels[0] + labels[1]) - 0.5) < 0.06


def test_negation_has_the_same_words_for_both_labels() -> None:
    for words, label in draw("negation"):
        assert Counter(words[4:]) == Counter(["not", "but", "great", "terrible"])
        assert label == (0 if words[-1] == "great" else 1)


@pytest.mark.parametrize("name", ["synth-reviews", "negation"])
def test_both_classes_are_equally_frequent(name: str) -> None:
    assert abs(sum(label for _, label in draw(name)) / DRAWS - 0.5) < 0.05


def test_longer_reviews_hold_the_labeled_sentence_at_any_position() -> None:
    positions = Counter()
    for words, label in draw("synth-reviews", sentences=3):
        assert words.count("this") == 1
        start = words.index("this")
        positions[start] += 1
        assert label == (0 if (words[start + 4] == "very") == (words[start + 5] == "great") else 1)
    assert set(positions) == {0, 7, 14}
    assert min(positions.values()) > DRAWS / 5


def test_noise_flips_that_share_of_labels() -> None:
    flipped = sum((words[-1] == "great") == bool(label) for words, label in draw("negation", noise=0.2))
    assert abs(flipped / DRAWS - 0.2) < 0.04


def test_data_set_is_reproducible_and_depends_on_its_options() -> None:
    config = DataConfig(name="negation", synthetic_size=40)
    first, second = synthetic_reviews(config), synthetic_reviews(config)
    assert first.checksum == second.checksum
    assert [len(first.split(s, final=True)) for s in ("train", "val", "test")] == [40, 10, 10]
    noisy = synthetic_reviews(DataConfig(name="negation", synthetic_size=40, synthetic_noise=0.5))
    assert noisy.checksum != first.checksum
