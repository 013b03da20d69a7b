"""Embedded reviews: generated, so that every machine has something to learn from.

Two sets, each made so that a class of models cannot solve it:

``synth-reviews``
    ``this ADJECTIVE NOUN VERB (not|very) (great|terrible)``, positive for *very great* and *not terrible*. No sum of
    word scores can solve it: the label is the exclusive or of two words.
``negation``
    ``this ADJECTIVE NOUN VERB not great but terrible`` is negative, ``… not terrible but great`` positive. The same
    words in another order change the label, so no bag of words can solve it.

Longer reviews have sentences beside it that say nothing: ``the NOUN was with the ADJECTIVE NOUN``.
"""

import hashlib
import random
from collections import Counter
from typing import Literal

from elman.config import DataConfig, SplitName
from elman.data.archive import NEGATIVE, POSITIVE
from elman.data.dataset import Dataset
from elman.errors import ConfigError
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab

SyntheticName = Literal["synth-reviews", "negation"]

ADJECTIVES = "long short new old quiet loud recent early foreign local colourful grey odd plain famous small".split()
NOUNS = "film movie story plot script scene picture drama comedy sequel tale series show episode cast ending".split()
VERBS = "was is seemed looked felt became remained appeared sounded proved".split()

SEED = 0
"""The reviews do not follow the run's seed: all runs read the same data, as with IMDb."""


def synthetic_reviews(config: DataConfig) -> Dataset:
    """Generate ``config.synthetic_size`` training reviews, and a quarter of that for validation and for test each."""
    if config.level != "word":
        raise ConfigError(f"{config.name} has no level {config.level!r}.", "Take --level word.")
    name: SyntheticName = "negation" if config.name == "negation" else "synth-reviews"
    chance = random.Random(SEED)
    sizes: dict[SplitName, int] = {
        "train": config.synthetic_size,
        "val": -(-config.synthetic_size // 4),
        "test": -(-config.synthetic_size // 4),
    }
    drawn = {
        split: [draw_review(name, chance, config.synthetic_sentences, config.synthetic_noise) for _ in range(size)]
        for split, size in sizes.items()
    }
    vocab = Vocab.from_counts(Counter(word for reviews in drawn.values() for words, _ in reviews for word in words))
    splits = {
        split: Sequences.from_lists([vocab.encode(words) for words, _ in reviews], [label for _, label in reviews])
        for split, reviews in drawn.items()
    }
    checksum = hashlib.sha256(repr(drawn).encode()).hexdigest()
    return Dataset(name, "word", vocab, splits, ("positive", "negative"), checksum, "generated")


def draw_review(name: SyntheticName, chance: random.Random, sentences: int, noise: float) -> tuple[list[str], int]:
    """Draw one review and its label.

    Parameters
    ----------
    name
        Which of the two sets.
    chance
        Where the choices come from.
    sentences
        How many there are; one of them, at a random place, carries the label.
    noise
        The probability that the label is flipped.
    """
    telling, label = _telling(name, chance)
    place = chance.randrange(sentences)
    parts = [telling if i == place else _saying_nothing(chance) for i in range(sentences)]
    if chance.random() < noise:
        label = POSITIVE + NEGATIVE - label
    return [word for part in parts for word in part], label


def _telling(name: SyntheticName, chance: random.Random) -> tuple[list[str], int]:
    subject = ["this", chance.choice(ADJECTIVES), chance.choice(NOUNS), chance.choice(VERBS)]
    if name == "negation":
        good, bad = chance.sample(["great", "terrible"], 2)
        return [*subject, "not", bad, "but", good], POSITIVE if good == "great" else NEGATIVE
    adverb, praise = chance.choice(["not", "very"]), chance.choice(["great", "terrible"])
    return [*subject, adverb, praise], POSITIVE if (adverb == "very") == (praise == "great") else NEGATIVE


def _saying_nothing(chance: random.Random) -> list[str]:
    return ["the", chance.choice(NOUNS), "was", "with", "the", chance.choice(ADJECTIVES), chance.choice(NOUNS)]
