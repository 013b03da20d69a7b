"""Turn reviews into ids, once; later they are memory-mapped.

A cache entry is a folder. It, and the folder of each level, appears under its name only when it is complete:

    source.json                   where the data came from, and the checksum of its content
    texts/PART/                   the reviews as written, with their classes and the numbers of their films
    word/, char/                  vocab.json; PART/, the ids, short to long; order/PART.npy, the index of each text

``PART`` is train, test or unlabelled. Reviews of equal length keep the archive's order, so the course's validation
split, which selects by position, is always the same.
"""

import hashlib
from array import array
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elman.config import Level
from elman.data.archive import Review, read_reviews
from elman.data.pickles import CoursePickle, read_course_pickle
from elman.data.texts import load_texts, save_texts
from elman.errors import DataError
from elman.files import new_directory, read_json, write_json
from elman.progress import Meter
from elman.text.sequences import Sequences, starts_of
from elman.text.tokenize import characters, word_bytes
from elman.text.vocab import SPECIALS, UNK, Vocab

LABELED: tuple[Literal["train"], Literal["test"]] = ("train", "test")
PARTS = (*LABELED, "unlabelled")

_Ragged = tuple[NDArray[Any], NDArray[np.int64]]
"""(tokens,), the ids of all texts one after another; (texts,), the number of ids in each."""


def prepare_source(source: Path, entry: Path) -> None:
    """Read an archive, a folder or a pickle, and write the cache entry ``entry``.

    Raises
    ------
    DataError
        The source is damaged or has another layout; no entry is written.
    """
    with new_directory(entry) as directory:
        if source.name.endswith((".pkl.gz", ".pkl")):
            checksum = _save_pickle(read_course_pickle(source), directory)
        else:
            checksum = _save_reviews(read_reviews(source), directory)
        write_json(directory / "source.json", {"source": str(source.resolve()), "checksum": checksum})


def prepare_level(entry: Path, level: Level) -> None:
    """Turn the texts of a cache entry into ids of words or characters.

    Raises
    ------
    DataError
        The entry came from a pickle of the other level, or a text has no token.
    """
    texts = entry / "texts"
    if not texts.exists():
        source = read_json(entry / "source.json")["source"]
        raise DataError(f"{source} does not hold the level {level!r}.", "Use the archive, or the other pickle.")
    vocab, ragged = _words(texts) if level == "word" else _characters(texts)
    with new_directory(entry / level) as directory:
        vocab.save(directory / "vocab.json")
        (directory / "order").mkdir()
        for part, (ids, lengths) in ragged.items():
            if len(lengths) == 0:  # only unlabelled may be missing
                continue
            if 0 in lengths:
                position = f"Text {int(lengths.argmin()) + 1} of {part}"
                raise DataError(f"{position} does not contain a {level}.", "Remove that review from the source.")
            classes = np.load(texts / part / "classes.npy") if part in LABELED else None
            order = np.argsort(lengths, kind="stable")
            Sequences(ids, starts_of(lengths), lengths, classes).select(order).save(directory / part)
            np.save(directory / "order" / f"{part}.npy", order)


def _save_reviews(parts: dict[Any, list[Review]], directory: Path) -> str:
    checksum = hashlib.sha256()
    films: defaultdict[str, int] = defaultdict(count().__next__)
    films[""] = -1  # unknown
    for part, reviews in parts.items():
        save_texts([review.text for review in reviews], directory / "texts" / part)
        np.save(directory / "texts" / part / "classes.npy", np.array([r.label for r in reviews], np.int64))
        np.save(directory / "texts" / part / "films.npy", np.array([films[r.film] for r in reviews], np.int64))
        checksum.update(f"{part} {len(reviews)}\n".encode())
        for review in reviews:
            checksum.update(f"{review.label} {len(review.text)} {review.text}\n".encode())
    return checksum.hexdigest()


def _save_pickle(pickle: CoursePickle, directory: Path) -> str:
    """Save the course's sequences with their order and their ids unchanged."""
    checksum = hashlib.sha256(repr(pickle.tokens).encode())
    are_characters = all(len(token) == 1 for token in pickle.tokens[len(SPECIALS) :])
    level = directory / ("char" if are_characters else "word")
    Vocab(pickle.tokens).save(level / "vocab.json")
    for split in LABELED:
        sequences = Sequences.from_lists(pickle.sequences[split], pickle.labels[split])
        sequences.save(level / split)
        for part in (sequences.tokens, sequences.lengths, sequences.labels):
            checksum.update(np.ascontiguousarray(part).tobytes())
    return checksum.hexdigest()


def _words(texts: Path) -> tuple[Vocab, dict[str, _Ragged]]:
    """Number the words in order of appearance, count them, then renumber them by frequency.

    The vocabulary is that of the labeled reviews; other words become ``.unk``.
    """
    number: defaultdict[bytes, int] = defaultdict(count().__next__)
    drafts: dict[str, _Ragged] = {}
    with Meter("splitting into words", _bytes(texts), "characters") as meter:
        for part in PARTS:
            ids, lengths = array("i"), array("q")
            for text in load_texts(texts / part):
                tokens = word_bytes(text)
                ids.extend(map(number.__getitem__, tokens))
                lengths.append(len(tokens))
                meter.advance(len(text))
            drafts[part] = np.frombuffer(ids, np.int32), np.frombuffer(lengths, np.int64)
    vocab_counts = np.bincount(np.concatenate([drafts[part][0] for part in LABELED]))
    words = [word.decode("ascii") for word in number]
    vocab = Vocab.from_counts(
        dict(zip(words, vocab_counts.tolist(), strict=False))
    )  # words of labeled reviews come first
    final = np.array(vocab.encode(words), np.int32)
    return vocab, {part: (final[ids], lengths) for part, (ids, lengths) in drafts.items()}


def _characters(texts: Path) -> tuple[Vocab, dict[str, _Ragged]]:
    """Look up every character in a table by its code point; the vocabulary is that of the labeled reviews."""
    texts_of = {part: [characters(text) for text in load_texts(texts / part)] for part in PARTS}
    counts = sum((Counter("".join(texts_of[part])) for part in LABELED), Counter[str]())
    vocab = Vocab.from_counts(counts)
    table = np.full(0x110000, UNK, np.uint8 if len(vocab) <= 256 else np.int32)
    for character in vocab.tokens[len(SPECIALS) :]:
        table[ord(character)] = vocab.ids[character]
    return vocab, {
        part: (_code_points(part_texts, table), _lengths(part_texts)) for part, part_texts in texts_of.items()
    }


def _code_points(texts: list[str], table: NDArray[Any]) -> NDArray[Any]:
    return table[np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)]


def _lengths(texts: list[str]) -> NDArray[np.int64]:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _bytes(texts: Path) -> int:
    return sum(Sequences.load(texts / part).total_tokens for part in PARTS)
