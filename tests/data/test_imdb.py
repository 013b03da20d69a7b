"""IMDb from an archive, a folder or a pickle; the counts of the published archive; damaged and wrong sources."""

import gzip
import os
import pickle
import random
import shutil
import socket
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from elman.config import BatchConfig, DataConfig, RunConfig
from elman.data import imdb
from elman.data.course import load_imdb
from elman.data.describe import describe
from elman.data.films import shared_films
from elman.data.imdb import CONTENT, open_imdb, validation_places
from elman.data.ledger import openings
from elman.data.table import open_dataset
from elman.errors import ConfigError, DataError, RunError, TestSplitLocked
from elman.files import write_json
from elman.runs import Run
from elman.text.batching import Batches
from elman.text.tokenize import words

Reviews = dict[str, bytes]


def opened(path: Path, **options: object) -> object:
    return open_dataset(DataConfig(imdb=str(path), **options))


def files_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() or ".partial" in path.name] if cache.exists() else []


def test_reviews_are_sorted_by_length_and_labeled(archive: Path, reviews: Reviews) -> None:
    dataset = opened(archive)
    train = dataset.split("train").joined(dataset.split("val"))
    texts = {" ".join(words(text.decode())): name for name, text in reviews.items() if "/train/" in name}
    for ids, label in zip(train, train.labels, strict=True):
        name = texts[" ".join(dataset.vocab.decode(ids))]
        assert label == (0 if "/pos/" in name else 1)
    assert len(dataset.split("val")) == 8
    assert (np.diff(dataset.split("train").lengths) >= 0).all()
    assert len(dataset.split("unlabelled")) == 20
    assert "zygote" not in dataset.vocab.ids


def test_reviews_of_equal_length_keep_the_archives_order(archive: Path, reviews: Reviews) -> None:
    dataset = opened(archive)
    test = dataset.split("test", final=True)
    names = [name for name in reviews if "/test/" in name]  # positive first, then by number
    by_length = sorted(names, key=lambda name: len(words(reviews[name].decode())))
    assert [dataset.texts.text("test", i).encode() for i in range(len(test))] == [reviews[name] for name in by_length]


@pytest.mark.parametrize("level", ["word", "char"])
def test_every_text_yields_its_ids(archive: Path, level: str) -> None:
    dataset = opened(archive, level=level)
    for split in ("train", "val", "unlabelled"):
        for i, ids in enumerate(dataset.split(split)):
            text = dataset.texts.text(split, i)
            tokens = words(text) if level == "word" else list(text.replace("<br />", "\n"))
            expected = [token if token in dataset.vocab.ids else ".unk" for token in tokens]
            assert dataset.vocab.decode(ids) == expected


def test_folder_and_archive_have_the_same_checksum(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    from_archive, from_folder = opened(archive), opened(tmp_path / "unpacked")
    assert from_folder.checksum == from_archive.checksum
    assert opened(tmp_path / "unpacked" / "aclImdb").checksum == from_archive.checksum


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "aclImdb"


def test_folder_edited_in_place_is_prepared_again(archive: Path, tmp_path: Path) -> None:
    folder = unpacked(archive, tmp_path / "here")
    before = opened(folder).checksum
    assert opened(folder.parent).checksum == before  # its parent names it too
    review = next(folder.glob("train/neg/*.txt"))
    status = review.stat()
    review.write_text(review.read_text().replace("wooden", "woodem"))
    os.utime(review, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert opened(folder).checksum != before
    assert opened(folder.parent).checksum == opened(folder).checksum


@pytest.mark.parametrize("level", ["word", "char"])
def test_unlabeled_reviews_may_be_missing(make_archive: Callable[..., Path], reviews: Reviews, level: str) -> None:
    dataset = opened(make_archive({k: v for k, v in reviews.items() if "unsup" not in k}), level=level)
    assert set(dataset.splits) == {"train", "val", "test"}
    assert describe(dataset)["splits"]["train"]["sequences"] == 40


def test_too_few_reviews_are_refused(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    few = {name: text for name, text in reviews.items() if "/0_" in name}
    with pytest.raises(DataError, match="2 training reviews"):
        opened(make_archive(few))


def test_second_opening_uses_the_cache(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(archive)
    monkeypatch.setattr("elman.data.prepare.read_reviews", lambda _: pytest.fail("the archive was read again"))
    assert opened(archive).checksum == first.checksum


def test_changed_archive_is_not_taken_from_the_cache(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    first = opened(make_archive(reviews))
    reviews["aclImdb/train/pos/0_9.txt"] = b"Something else."
    assert opened(make_archive(reviews)).checksum != first.checksum


def test_other_archive_in_the_cache_is_not_taken_for_imdb(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(archive)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(DataError, match=r"cannot be downloaded.*synth-reviews"):
        open_imdb(DataConfig())


def test_network_without_answer_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Event()
    monkeypatch.setattr("elman.data.imdb.PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer.wait())
    with pytest.raises(DataError, match="no answer"):
        open_imdb(DataConfig())
    answer.set()


def test_unfinished_cache_entry_is_ignored(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(own_cache / "imdb" / ".abc.1234.partial" / "source.json", {"checksum": CONTENT})
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(DataError, match="not in the cache"):
        open_imdb(DataConfig())


def test_download_meter_is_always_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooch resets a bar that has advanced; an open bar would hold on to the terminal."""
    open_meters: set[object] = set()

    class Watched(imdb.Meter):
        def __enter__(self) -> "Watched":
            open_meters.add(self)
            return self

        def __exit__(self, *_: object) -> None:
            open_meters.remove(self)

        def advance(self, *_: object, **__: object) -> None:
            assert self in open_meters

    monkeypatch.setattr(imdb, "Meter", Watched)
    meter = imdb._DownloadMeter()
    for call in (lambda: meter.update(3), meter.reset, lambda: meter.update(3), meter.close, meter.close):
        call()
    assert not open_meters


def test_truncated_archive_is_refused_and_leaves_no_files(archive: Path, tmp_path: Path, own_cache: Path) -> None:
    content = archive.read_bytes()
    for size in {0, 1, 10, 11, *range(100, len(content), len(content) // 37), len(content) - 9, len(content) - 1}:
        damaged = tmp_path / "damaged.tar.gz"
        damaged.write_bytes(content[:size])
        with pytest.raises(DataError):
            opened(damaged)
        assert not files_in(own_cache)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aclImdb/train/pos/3_9.txt": b""}, r"aclImdb/train/pos/3_9\.txt is empty"),
        ({"aclImdb/train/pos/3_9.txt": b" \n "}, r"3_9\.txt is empty"),
        ({"aclImdb/test/neg/3_2.txt": b"caf\xe9"}, r"neg/3_2\.txt is not UTF-8"),
        ({"aclImdb/train/unsup/3_0.txt": b"!!! 7/10 ..."}, "does not contain a word"),
    ],
)
def test_invalid_review_is_named(
    make_archive: Callable[..., Path], reviews: Reviews, change: Reviews, message: str, own_cache: Path
) -> None:
    with pytest.raises(DataError, match=message):
        opened(make_archive(reviews | change))
    assert not list(own_cache.rglob("word")) + list(own_cache.rglob("*.partial"))


@pytest.mark.parametrize("missing", ["/train/pos/", "/train/neg/", "/test/pos/", "/test/"])
def test_wrong_layout_is_refused(make_archive: Callable[..., Path], reviews: Reviews, missing: str) -> None:
    files = {name: text for name, text in reviews.items() if missing not in name}
    with pytest.raises(DataError, match="lacks positive or negative reviews"):
        opened(make_archive(files))


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no IMDb archive at"):
        opened(tmp_path / "nowhere.tar.gz")


def test_unknown_data_sets_and_levels_are_refused(archive: Path) -> None:
    with pytest.raises(ConfigError, match="no data set 'imbd'"):
        open_dataset(DataConfig(name="imbd"))
    with pytest.raises(ConfigError, match="--level applies only to IMDb"):
        open_dataset(DataConfig(name="negation", level="char"))
    with pytest.raises(TestSplitLocked):
        opened(archive).split("test")


def course_pickle(path: Path, content: object) -> Path:
    with gzip.open(path, "wb") as file:
        pickle.dump(content, file)
    return path


TOKENS = [".pad", ".start", ".end", ".unk", "good", "bad", "film"]
SEQUENCES = {"train": [[4], [5], [4, 6], [5, 6], [6, 4, 4]], "test": [[5, 5], [4]]}
LABELS = {"train": [0, 1, 0, 1, 0], "test": [1, 0]}
WORD_TO_ID = {token: i for i, token in enumerate(TOKENS)}


def test_course_pickle_keeps_order_and_ids(tmp_path: Path) -> None:
    path = course_pickle(tmp_path / "imdb.word.pkl.gz", (SEQUENCES, LABELS, TOKENS, WORD_TO_ID))
    dataset = opened(path)
    assert dataset.vocab.tokens == TOKENS
    assert [ids.tolist() for ids in dataset.split("test", final=True)] == SEQUENCES["test"]
    assert dataset.split("test", final=True).labels.tolist() == LABELS["test"]
    with pytest.raises(DataError, match="does not hold the level 'char'"):
        opened(path, level="char")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Harmful(), "it names posix.system"),
        ((SEQUENCES, LABELS, TOKENS), "not hold a tuple"),
        ((SEQUENCES, LABELS, [1, 2], {}), "not a list of words"),
        ((SEQUENCES, {"train": [0], "test": [0]}, TOKENS, {}), "5 sequences and 1 labels"),
        ((SEQUENCES, {"train": [0, 1, 0, 1, 7], "test": [0, 1]}, TOKENS, {}), "neither 0 nor 1"),
        (({"train": [[9]] * 5, "test": [[4]] * 2}, LABELS, TOKENS, {}), "outside i2w"),
        ((SEQUENCES["train"], LABELS, TOKENS, {}), "have no list"),
        (({"train": [4] * 5, "test": [[4]] * 2}, LABELS, TOKENS, {}), "is empty, or has an id"),
        ((SEQUENCES, LABELS, [*TOKENS[:-1], "\ud800"], {}), "not a list of words"),
    ],
)
def test_pickle_with_anything_but_plain_containers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, message: str, own_cache: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        opened(course_pickle(tmp_path / "imdb.word.pkl.gz", content))
    assert not (tmp_path / "harmed").exists()
    assert not files_in(own_cache)


@pytest.mark.parametrize(
    "program", [b"}]]s.", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."], ids=["list as a key", "2^63 bytes"]
)
def test_malformed_pickle_is_refused(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "imdb.word.pkl.gz"
    path.write_bytes(gzip.compress(b"\x80\x04" + program))
    with pytest.raises(DataError, match="damaged or not a pickle"):
        opened(path)


def test_truncated_pickle_is_refused(tmp_path: Path) -> None:
    path = course_pickle(tmp_path / "imdb.word.pkl.gz", (SEQUENCES, LABELS, TOKENS, WORD_TO_ID))
    content = path.read_bytes()
    for size in range(0, len(content) - 1, 7):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match="damaged or not a pickle"):
            opened(path)


def test_course_function_returns_plain_lists(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_IMDB", str(archive))
    (x_train, y_train), (x_val, y_val), (i2w, w2i), numcls = load_imdb(val=10)
    assert (len(x_train), len(y_train), len(x_val), len(y_val), numcls) == (30, 30, 10, 10, 2)
    assert isinstance(x_train[0][0], int)
    assert sorted(map(len, x_train)) == list(map(len, x_train))
    assert [w2i[word] for word in i2w] == list(range(len(i2w)))
    assert openings(opened(archive).checksum) == []
    (x_all, _), (x_test, _), _, _ = load_imdb(final=True)
    assert (len(x_all), len(x_test)) == (40, 40)
    assert [entry.run for entry in openings(opened(archive).checksum)] == ["load_imdb(final=True)"]
    with pytest.warns(UserWarning, match="HAS BEEN OPENED BEFORE"):
        load_imdb(final=True)
    held_out = validation_places(40, 10, 0)
    assert [ids for ids, out in zip(x_all, held_out, strict=True) if out] == x_val
    (x_small, _), _, (i2w_small, _), _ = load_imdb(voc=8, val=10)
    assert len(i2w_small) == 8
    assert x_small == [[i if i < 8 else 3 for i in ids] for ids in x_train]
    assert load_imdb(val=10, seed=1)[1][0] != x_val
    assert "\n" in load_imdb(val=10, char=True)[2][1]
    with pytest.raises(DataError, match="cannot be held out"):
        load_imdb(val=40)


def test_duplicates_are_counted(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    reviews = {name: f"unique {' '.join(str(i).translate(LETTERS))}".encode() for i, name in enumerate(reviews)}
    same = b"the same film"
    reviews |= {f"aclImdb/{place}": same for place in ("train/pos/0_9.txt", "train/neg/1_2.txt", "test/pos/3_9.txt")}
    reviews["aclImdb/test/neg/0_2.txt"] = reviews["aclImdb/test/neg/1_2.txt"]
    dataset = opened(make_archive(reviews))
    counts = describe(dataset)["duplicates"]
    fit = {tuple(ids) for ids in dataset.split("train")}
    assert counts.pop("val_in_train") == sum(tuple(ids) in fit for ids in dataset.split("val"))
    assert counts == {"groups": 2, "within_train": 1, "within_test": 1, "across_splits": 1, "label_conflicts": 1}


def test_validation_texts_also_in_training_are_counted(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    alike = {name: b"good film" if "/pos/" in name else b"bad film" for name in reviews}
    figures = describe(opened(make_archive(alike)))
    assert figures["duplicates"]["val_in_train"] == figures["splits"]["val"]["sequences"] == 8


def addresses(rng: random.Random) -> Reviews:
    """Return lists with one of five films for each review of the archive, in the published layout."""
    kinds = {"train": ("pos", "neg", "unsup"), "test": ("pos", "neg")}
    return {
        f"aclImdb/{split}/urls_{kind}.txt": "".join(f"http://film/{rng.randrange(5)}\n" for _ in range(20)).encode()
        for split, names in kinds.items()
        for kind in names
    }


@pytest.mark.parametrize("unpack", [False, True])
def test_every_review_keeps_its_film(
    make_archive: Callable[..., Path], reviews: Reviews, tmp_path: Path, unpack: bool
) -> None:
    texts = {name: f"film {i} {name}".encode() for i, name in enumerate(reviews)}
    lists = addresses(random.Random(0))
    source = make_archive(texts | lists)
    dataset = opened(unpacked(source, tmp_path / "folder") if unpack else source)
    assert dataset.texts is not None
    numbers: dict[bytes, set[int]] = {}
    for split in ("train", "val", "test", "unlabelled"):
        for i, film in enumerate(dataset.texts.films(split)):
            part, kind, file = dataset.texts.text(split, i).split("/")[1:]
            address = lists[f"aclImdb/{part}/urls_{kind}.txt"].splitlines()[int(file.partition("_")[0])]
            numbers.setdefault(address, set()).add(int(film))
    assert sorted(numbers.values(), key=min) == [{number} for number in range(5)]


def test_texts_about_films_in_training_are_counted(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    lists = addresses(random.Random(1)) | {"aclImdb/test/urls_pos.txt": b"http://film/9\n" * 20}
    dataset = opened(make_archive(reviews | lists))
    figures = shared_films(dataset)
    assert figures is not None
    films = {split: dataset.texts.films(split).tolist() for split in ("train", "val", "test")}
    for split in ("val", "test"):
        shared = [film in films["train"] for film in films[split]]
        assert figures[split] == {"texts": sum(shared), "share": pytest.approx(sum(shared) / len(shared))}
    assert figures["test"]["share"] == 0.5
    train, val = dataset.splits["train"], dataset.splits["val"]
    scores = []
    for film, label in zip(films["val"], val.labels, strict=True):
        counts = Counter(other for of, other in zip(films["train"], train.labels, strict=True) if of == film)
        best = [guess for guess in (0, 1) if counts[guess] == max(counts[0], counts[1])]
        scores.append((label in best) / len(best))
    assert figures["val_by_film"] == pytest.approx(sum(scores) / len(scores))


@pytest.mark.parametrize("level", ["word", "char"])
def test_whole_films_are_held_out(make_archive: Callable[..., Path], reviews: Reviews, level: str) -> None:
    lists = {
        name: "".join(f"http://film/{i // 3}\n" for i in range(20)).encode() for name in addresses(random.Random(0))
    }
    source = make_archive(reviews | lists)
    dataset = opened(source, hold_out="films", level=level)
    train, val = (set(dataset.texts.films(split).tolist()) for split in ("train", "val"))
    assert not train & val
    assert 8 <= len(dataset.split("val")) < 8 + 6  # a fifth, and at most one film more
    assert len(dataset.split("train")) + len(dataset.split("val")) == 40
    by_chance = opened(source, level=level)
    assert dataset.checksum == by_chance.checksum
    texts = {
        name: sorted(of.texts.text(split, i) for split in ("train", "val") for i in range(len(of.split(split))))
        for name, of in (("films", dataset), ("chance", by_chance))
    }
    assert texts["films"] == texts["chance"]
    assert shared_films(dataset)["val"]["share"] == 0


def test_unknown_films_cannot_be_held_out(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    with pytest.raises(DataError, match="does not name the films of 40 of 40 training reviews"):
        opened(make_archive(reviews), hold_out="films")
    short = addresses(random.Random(0))
    short["aclImdb/train/urls_neg.txt"] = short["aclImdb/train/urls_neg.txt"].partition(b"\n")[2]
    with pytest.raises(DataError, match="films of 1 of 40 training reviews"):
        opened(make_archive(reviews | short, "short.tar.gz"), hold_out="films")
    one = dict.fromkeys(addresses(random.Random(0)), b"http://film/1\n" * 20)
    with pytest.raises(DataError, match="too few films"):
        opened(make_archive(reviews | one, "other.tar.gz"), hold_out="films")
    with pytest.raises(ConfigError, match="--hold-out applies only to IMDb"):
        open_dataset(DataConfig(name="negation", hold_out="films"))


def test_other_film_lists_change_the_fingerprint_only(
    make_archive: Callable[..., Path], reviews: Reviews, tmp_path: Path
) -> None:
    """The reviews, and so the test split in the ledger, are the same; the validation split is not."""
    one, other = (make_archive(reviews | addresses(random.Random(seed)), f"{seed}.tar.gz") for seed in (0, 1))
    ours, theirs = (opened(path, hold_out="films") for path in (one, other))
    assert ours.checksum == theirs.checksum == opened(one).checksum
    assert len({ours.fingerprint, theirs.fingerprint, opened(one).fingerprint}) == 3
    config = RunConfig(data=DataConfig(imdb=str(one), hold_out="films"))
    run = Run.create(tmp_path / "run", config, ours)
    run.check(opened(one, hold_out="films"))
    for wrong in (theirs, opened(one)):
        with pytest.raises(RunError, match="other data"):
            run.check(wrong)


def test_cache_entry_of_an_earlier_version_is_used(
    make_archive: Callable[..., Path], reviews: Reviews, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_archive(reviews | addresses(random.Random(0)))
    monkeypatch.setattr(imdb, "CONTENT", opened(path).checksum)
    [entry] = (imdb.cache_root() / "imdb").iterdir()
    old = entry.rename(entry.with_name(entry.name.removesuffix(f"-{imdb.FORMAT}")))
    for films in old.rglob("films.npy"):
        films.unlink()
    path.unlink()
    dataset = open_imdb(DataConfig())
    assert len(dataset.split("train")) == 32
    assert shared_films(dataset) is None


def test_without_complete_lists_films_are_not_counted(make_archive: Callable[..., Path], reviews: Reviews) -> None:
    assert shared_films(opened(make_archive(reviews))) is None
    some = {"aclImdb/train/urls_pos.txt": b"http://film/1\n" * 20}
    assert shared_films(opened(make_archive(reviews | some, "other.tar.gz"))) is None


LETTERS = str.maketrans("0123456789", "abcdefghij")


@pytest.mark.imdb
def test_published_archive_has_the_published_counts(real_imdb: str) -> None:
    dataset = open_imdb(DataConfig())
    figures = describe(dataset)
    assert figures["checksum"] == CONTENT
    assert figures["vocab_size"] == 99_430
    assert figures["most_frequent"] == "the and a of to is it in i this that".split()
    train, test = figures["splits"]["train"], figures["splits"]["test"]
    assert (train["sequences"], train["tokens"], train["length_min"], train["length_max"]) == (
        25_000,
        5_921_792,
        10,
        2_494,
    )
    assert (train["length_median"], round(train["length_mean"], 1)) == (177, 236.9)
    assert (test["sequences"], test["tokens"], test["length_min"], test["length_max"]) == (25_000, 5_787_563, 6, 2_297)
    assert (test["length_median"], round(test["length_mean"], 1)) == (174, 231.5)
    assert figures["splits"]["unlabelled"]["sequences"] == 50_000
    films = figures["films"]
    assert [films["val"]["share"], films["test"]["share"]] == [4_789 / 5_000, 23 / 25_000]
    assert round(films["val_by_film"], 3) == 0.849
    by_film = shared_films(open_imdb(DataConfig(hold_out="films")))
    assert by_film is not None
    assert (by_film["val"]["share"], by_film["val_by_film"]) == (0, 0.5)
    assert figures["duplicates"] | {"groups": 412, "across_splits": 123, "label_conflicts": 0} == figures["duplicates"]
    whole = dataset.split("train").joined(dataset.split("val"))
    shortest = whole[int(whole.lengths.argmin())]
    assert " ".join(dataset.vocab.decode(shortest)) == "this movie is terrible but it has some good effects"
    train_words = np.unique(np.concatenate(list(whole)))
    assert len(train_words) == 73_272


@pytest.mark.imdb
@pytest.mark.filterwarnings("ignore:THE TEST SPLIT")  # another test may have opened it
def test_validation_split_of_the_published_archive_is_the_courses(real_imdb: str) -> None:
    random.seed(0)
    expected = set(random.sample(range(25_000), k=5_000))
    whole, _, _, _ = load_imdb(final=True)
    (_, _), (x_val, y_val), _, _ = load_imdb()
    assert x_val == [ids for i, ids in enumerate(whole[0]) if i in expected]
    assert y_val == [label for i, label in enumerate(whole[1]) if i in expected]


@pytest.mark.imdb
def test_padding_share_of_the_published_archive_is_small(real_imdb: str) -> None:
    train = open_imdb(DataConfig()).split("train")
    for multiple, most in ((16, 0.06), (1, 0.03)):
        batches = Batches(train, BatchConfig(length_multiple=multiple), 0)
        assert batches.padding_share(batches.epoch(0)) < most


@pytest.mark.imdb
def test_opening_the_prepared_archive_reads_no_review(real_imdb: str) -> None:
    open_imdb(DataConfig())
    tracemalloc.start()
    open_imdb(DataConfig())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 40e6  # the vocabulary; the reviews' ids alone have 47 MB


def test_full_disk_leaves_no_files(archive: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        opened(archive)
    assert not files_in(own_cache)
    shutil.rmtree(own_cache, ignore_errors=True)


def test_run_finds_an_archive_that_has_moved(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(data=DataConfig(imdb=str(archive)))
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    moved = archive.rename(tmp_path / "moved.tar.gz")
    monkeypatch.setenv("ELMAN_IMDB", str(moved))
    assert Run(run.path).open_dataset().checksum == run.checksum


def test_run_refuses_other_reviews_than_its_own(
    make_archive: Callable[..., Path], reviews: Reviews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(reviews)
    config = RunConfig(data=DataConfig(imdb=str(archive)))
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    name = next(name for name in reviews if "/train/pos" in name)
    archive.unlink()
    monkeypatch.setenv("ELMAN_IMDB", str(make_archive(reviews | {name: b"another review altogether"}, "other.tar.gz")))
    with pytest.raises(RunError, match="other data"):
        run.open_dataset()
