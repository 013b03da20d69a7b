"""Generate reviews, for machines without IMDb.

There are two sets, each beyond the reach of a class of models:

``synth-reviews``
    ``this ADJECTIVE NOUN VERB (not|very) (great|terrible)``, positive for *very great* and *not terrible*. The label
    is the exclusive or of two words, so no sum of word scores can predict it.
``negation``
    ``this ADJECTIVE NOUN VERB not great but terrible`` is negative, ``… not terrible but great`` positive. Both
    classes have the same words in another order, so no bag of words can predict the label.

Longer reviews contain neutral sentences too: ``the NOUN was with the ADJECTIVE NOUN``.
"""

import hashlib
import random
from collections import Counter
from typing import Literal

from elman.config import DataConfig, SplitName
from elman.data.archive import NEGATIVE, POSITIVE
from elman.data.dataset import Dataset
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab

SyntheticName = Literal["synth-reviews", "negation"]

ADJECTIVES = "long short new old quiet loud recent early foreign local colourful grey odd plain famous small".split()
NOUNS = "film movie story plot script scene picture drama comedy sequel tale series show episode cast ending".split()
VERBS = "was is seemed looked felt became remained appeared sounded proved".split()

SEED = 0
"""The seed of the reviews. It does not depend on the run's, so all runs use the same data, as with IMDb."""


def synthetic_reviews(config: DataConfig) -> Dataset:
    """Generate ``config.synthetic_size`` training reviews, and a quarter as many each for validation and test."""
    name: SyntheticName = "negation" if config.name == "negation" else "synth-reviews"
    rng = random.Random(SEED)
    sizes: dict[SplitName, int] = {
        "train": config.synthetic_size,
        "val": -(-config.synthetic_size // 4),
        "test": -(-config.synthetic_size // 4),
    }
    reviews_of = {
        split: [draw_review(name, rng, config.synthetic_sentences, config.synthetic_noise) for _ in range(size)]
        for split, size in sizes.items()
    }
    vocab = Vocab.from_counts(
        Counter(word for reviews in reviews_of.values() for words, _ in reviews for word in words)
    )
    splits = {
        split: Sequences.from_lists([vocab.encode(words) for words, _ in reviews], [label for _, label in reviews])
        for split, reviews in reviews_of.items()
    }
    checksum = hashlib.sha256(repr(reviews_of).encode()).hexdigest()
    return Dataset(name, "word", vocab, splits, ("positive", "negative"), checksum, "generated")


def draw_review(name: SyntheticName, rng: random.Random, sentences: int, noise: float) -> tuple[list[str], int]:
    """Draw one review and its label.

    Parameters
    ----------
    name
        One of the two sets.
    rng
        Source of random numbers.
    sentences
        Number of sentences; one of them, at a random position, determines the label.
    noise
        Probability that the label is flipped.

    Returns
    -------
    The words, and the label, ``POSITIVE`` or ``NEGATIVE``.
    """
    sentence, label = _labeled_sentence(name, rng)
    position = rng.randrange(sentences)
    parts = [sentence if i == position else _neutral_sentence(rng) for i in range(sentences)]
    if rng.random() < noise:
        label = POSITIVE + NEGATIVE - label
    return [word for part in parts for word in part], label


def _labeled_sentence(name: SyntheticName, rng: random.Random) -> tuple[list[str], int]:
    subject = ["this", rng.choice(ADJECTIVES), rng.choice(NOUNS), rng.choice(VERBS)]
    if name == "negation":
        good, bad = rng.sample(["great", "terrible"], 2)
        return [*subject, "not", bad, "but", good], POSITIVE if good == "great" else NEGATIVE
    adverb, praise = rng.choice(["not", "very"]), rng.choice(["great", "terrible"])
    return [*subject, adverb, praise], POSITIVE if (adverb == "very") == (praise == "great") else NEGATIVE


def _neutral_sentence(rng: random.Random) -> list[str]:
    return ["the", rng.choice(NOUNS), "was", "with", "the", rng.choice(ADJECTIVES), rng.choice(NOUNS)]
