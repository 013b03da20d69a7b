"""Sequences in memory and on disk, tokenization, and vocabularies."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ConfigError, DataError
from elman.files import write_json
from elman.text.sequences import Sequences
from elman.text.tokenize import characters, words
from elman.text.vocab import END, PAD, SPECIALS, START, UNK, Vocab

LISTS = st.lists(st.lists(st.integers(0, 500), max_size=12), min_size=1, max_size=12)


@given(LISTS)
def test_sequences_equal_the_lists_they_were_built_from(lists: list[list[int]]) -> None:
    assert [ids.tolist() for ids in Sequences.from_lists(lists)] == lists


def test_saved_selection_loads_memory_mapped_and_equal(tmp_path: Path) -> None:
    sequences = Sequences.from_lists([[4, 5, 6], [7], [8, 9]], [0, 1, 1])
    sequences.select(np.array([2, 0])).cut(2).save(tmp_path / "s")
    loaded = Sequences.load(tmp_path / "s")
    assert isinstance(loaded.tokens, np.memmap)
    assert [ids.tolist() for ids in loaded] == [[8, 9], [4, 5]]
    assert loaded.labels.tolist() == [1, 0]


@given(LISTS.filter(any), st.integers(5, 500), st.integers(0, 3))
def test_padded_rows_replace_ids_outside_the_vocabulary_by_unk(
    lists: list[list[int]], vocab_size: int, margin: int
) -> None:
    width = max(map(len, lists)) + margin
    rows = Sequences.from_lists(lists).with_vocab_size(vocab_size).padded(np.arange(len(lists)), width, PAD)
    limited = [[i if i < vocab_size else UNK for i in ids] for ids in lists]
    assert rows.tolist() == [ids + [PAD] * (width - len(ids)) for ids in limited]


def test_joined_selections_keep_order_and_labels() -> None:
    sequences = Sequences.from_lists([[4, 5, 6], [7], [8, 9]], [0, 1, 1])
    joined = sequences.select(np.array([1])).joined(sequences.select(np.array([0, 2])))
    assert [ids.tolist() for ids in joined] == [[7], [4, 5, 6], [8, 9]]
    assert joined.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("damage", ["tokens.npy", "lengths.npy"])
def test_damaged_or_missing_file_is_refused(tmp_path: Path, damage: str) -> None:
    Sequences.from_lists([[4, 5, 6], [7]], [0, 1]).save(tmp_path)
    content = (tmp_path / damage).read_bytes()
    for size in (0, 20, len(content) - 3):
        (tmp_path / damage).write_bytes(content[:size])
        with pytest.raises(DataError, match="prepare it again"):
            Sequences.load(tmp_path)
    (tmp_path / damage).unlink()
    with pytest.raises(DataError, match="holds no sequences"):
        Sequences.load(tmp_path)


@given(st.text())
def test_words_are_lower_case_runs_of_letters(text: str) -> None:
    expected = re.sub("[^a-z]", " ", text.lower().replace("<br />", " ")).split()
    assert words(text) == expected


def test_characters_replace_only_line_breaks() -> None:
    assert characters("Ça va?<br /><br/>Yes!") == "Ça va?\n\nYes!"


def test_vocabulary_is_ordered_by_frequency_then_alphabetically() -> None:
    vocab = Vocab.from_counts({"b": 2, "c": 5, "a": 2})
    assert vocab.tokens == [*SPECIALS, "c", "a", "b"]
    assert vocab.encode(["a", "zebra", "c"]) == [5, 3, 4]
    assert vocab.decode([4, 3]) == ["c", ".unk"]
    assert vocab.truncated(5).tokens == [*SPECIALS, "c"]
    assert vocab.truncated(None) is vocab


def test_invalid_vocabularies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no room"):
        Vocab.from_counts({"a": 1, "b": 1}).truncated(4)
    with pytest.raises(DataError, match="begins with"):
        Vocab(["a", "b"])
    with pytest.raises(DataError, match="twice"):
        _ = Vocab([*SPECIALS, "a", "a"]).ids
    write_json(tmp_path / "vocab.json", {"no": "list"})
    with pytest.raises(DataError, match="not a list"):
        Vocab.load(tmp_path / "vocab.json")


@given(st.lists(st.lists(st.integers(3, 50), max_size=9), min_size=1, max_size=9), st.randoms())
def test_framed_sequences_have_an_end_unless_they_were_cut(lists: list[list[int]], rng: random.Random) -> None:
    order = np.array(rng.sample(range(len(lists)), len(lists)))
    framed = Sequences.from_lists(lists).select(order).framed()
    assert [ids.tolist() for ids in framed] == [[START, *lists[i], END] for i in order]
    short = Sequences.from_lists(lists).with_vocab_size(10).cut(2).select(order)
    expected = [[START, *(i if i < 10 else UNK for i in lists[n][:2]), *[END][: len(lists[n]) <= 2]] for n in order]
    assert [ids.tolist() for ids in short.framed()] == expected
    assert [ids.tolist() for ids in short.joined(framed.cut(5)).framed()][: len(order)] == expected
    assert [ids.tolist() for ids in short.cut(9).framed()] == expected  # a larger limit does not undo an earlier cut


@pytest.mark.slow
@given(LISTS)
def test_distinct_sequences_rebuild_the_list(lists: list[list[int]]) -> None:
    firsts, inverse = Sequences.from_lists(lists).distinct()
    assert [lists[first] for first in firsts] == list(map(list, dict.fromkeys(map(tuple, lists))))
    assert [lists[firsts[i]] for i in inverse] == lists
