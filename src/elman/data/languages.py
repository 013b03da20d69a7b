"""Formal languages as data: strings drawn from a language."""

import hashlib
import random
from collections import Counter
from itertools import chain

from elman.config import DataConfig, SplitName
from elman.data.dataset import Dataset
from elman.languages import Language, String, language
from elman.seeding import derive
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab


def law_of(config: DataConfig) -> Language:
    """Return the language of ``config.name``, with the length limit ``config.max_symbols`` if there is one.

    Raises
    ------
    LanguageError
        The name is not a language, or the language has no string that short.
    """
    law = language(config.name)
    return law if config.max_symbols is None else law.up_to(config.max_symbols)


def open_language(config: DataConfig) -> Dataset:
    """Draw ``config.strings`` training strings, the same as in the course, and other strings for validation.

    With ``config.folds`` no other strings are drawn: one fold of the strings is for validation, the rest for training.

    Raises
    ------
    LanguageError
        There is no such language.
    """
    law = law_of(config)
    train = law.sample(config.strings, random.Random(config.data_seed))
    if config.folds is None:
        val = law.sample(config.held_out_strings, random.Random(derive(config.data_seed, "validation strings")))
    else:
        val = train[config.fold :: config.folds]
        train = [string for i, string in enumerate(train) if i % config.folds != config.fold]
    drawn: dict[SplitName, list[String]] = {"train": train, "val": val}
    counts = Counter(dict.fromkeys(law.alphabet, 0))
    counts.update(chain.from_iterable(train))
    vocab = Vocab.from_counts(counts)
    content = "\n".join(map(law.to_text, chain(train, val)))
    return Dataset(
        name=config.name,
        level=law.level,
        vocab=vocab,
        splits={name: Sequences.from_lists([*map(vocab.encode, part)]) for name, part in drawn.items()},
        class_names=(),
        checksum=hashlib.sha256(content.encode()).hexdigest(),
        source="generated",
        language=law,
    )
