"""The Large Movie Review Dataset (Maas et al., ACL 2011): found, prepared once, then mapped.

It is looked for in this order: ``--imdb`` or ``ELMAN_IMDB`` (the archive, its unpacked folder, or one of the course's
pickles), the cache, the download. The cache knows an archive by its size and its first and last bytes, where gzip
keeps its own checksum, and a folder by its texts' sizes and times; so opening either again reads no review.
"""

import hashlib
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from elman.config import DataConfig, HeldOut, Level, SplitName
from elman.data.archive import unpacked
from elman.data.dataset import Dataset
from elman.data.prepare import prepare_level, prepare_source
from elman.data.texts import Texts
from elman.errors import DataError, SourceUnreachable
from elman.files import read_json
from elman.progress import Meter
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab

HOST = "ai.stanford.edu"
URL = f"https://{HOST}/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
"""Of the published archive, 84,125,825 bytes."""
CONTENT = "a6941b04003882727d51e9c843fd00652b26ed21416e20f3debe913f09a0b8f0"
"""What :attr:`Dataset.checksum` is for the published reviews, in whatever archive they came."""
FORMAT = 2
"""Of what is prepared. An entry of an earlier version is read only where no source is named; it knows no films."""
PATIENCE_SECONDS = 8.0
"""How long to wait for a network that may not be there."""

VALIDATION_REVIEWS = 5_000
VALIDATION_SEED = 0
FEWEST_REVIEWS = 5


def cache_root() -> Path:
    """Return the folder of all prepared data: the user's cache folder, or ``ELMAN_CACHE``."""
    named = os.environ.get("ELMAN_CACHE")
    return Path(named).expanduser() if named else user_cache_path("elman")


def open_imdb(config: DataConfig) -> Dataset:
    """Open IMDb, preparing it first where it is new.

    Raises
    ------
    DataError
        It cannot be found, what was found is damaged, or films are to be held out that it does not name.
    """
    return _open(prepared_level(config.imdb, config.level), config.hold_out)


def prepared_level(source: str | None, level: Level) -> Path:
    """Return the folder with the vocabulary and the ids of that level, prepared first where it is new."""
    entry = find_entry(source)
    if not (entry / level).exists():
        prepare_level(entry, level)
    return entry / level


def checksum_of(level: Path) -> str:
    """Return the checksum of the data that :func:`prepared_level` prepared."""
    checksum: str = read_json(level.parent / "source.json")["checksum"]
    return checksum


def find_entry(source: str | None) -> Path:
    """Return the cache entry of ``source`` (or of ``ELMAN_IMDB``, or of the published reviews), made where needed."""
    named = source or os.environ.get("ELMAN_IMDB")
    if named:
        path = Path(named).expanduser()
        if not path.exists():
            raise DataError(f"There is no IMDb archive at {named}.", "Give --imdb or ELMAN_IMDB the path of one.")
        return _entry_of(unpacked(path) if path.is_dir() else path)
    found = cache_root().glob("imdb/[!.]*/source.json")  # not one that another process is making
    known = [path.parent for path in found if read_json(path)["checksum"] == CONTENT]
    return max(known, key=lambda entry: entry.name.endswith(f"-{FORMAT}")) if known else _entry_of(download())


def validation_places(size: int, count: int = VALIDATION_REVIEWS, seed: int = VALIDATION_SEED) -> NDArray[np.bool_]:
    """Return which of ``size`` training reviews, sorted short to long, the course holds out.

    Raises
    ------
    DataError
        There are not more than ``count``.
    """
    if not 0 <= count < size:
        raise DataError(f"{count} of {size} training reviews cannot be held out.", "Hold out fewer.")
    held_out = np.zeros(size, bool)
    held_out[random.Random(seed).sample(range(size), k=count)] = True
    return held_out


def film_places(films: NDArray[np.int64], count: int, seed: int = VALIDATION_SEED) -> NDArray[np.bool_]:
    """Return which reviews are held out where whole films are: at least ``count``, and at most a film more.

    Parameters
    ----------
    films
        (reviews,), the number of the film that each tells of; −1 where nobody says which.

    Raises
    ------
    DataError
        It is not known of every review, or nothing would be left.
    """
    if unnamed := int((films < 0).sum()):
        raise DataError(
            f"Of {unnamed:,} of {len(films):,} training reviews the source does not say which films they tell of.",
            "Name an archive with whole urls_pos.txt and urls_neg.txt (--imdb), or leave out --hold-out films.",
        )
    numbers, sizes = np.unique(films, return_counts=True)
    order = random.Random(seed).sample(range(len(numbers)), k=len(numbers))
    drawn = order[: int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1]
    held_out = np.isin(films, numbers[drawn])
    if held_out.all():
        raise DataError(
            f"All {len(films)} reviews tell of too few films to hold some out.", "Leave out --hold-out films."
        )
    return held_out


def download() -> Path:
    """Fetch the published archive into the cache, its checksum compared, and return its path.

    Raises
    ------
    SourceUnreachable
        The network or the host cannot be reached, or what came is not the archive.
    """
    import pooch

    _ask_for_host()
    meter = _DownloadMeter()
    downloader = pooch.HTTPDownloader(timeout=PATIENCE_SECONDS, progressbar=meter)
    try:
        return Path(pooch.retrieve(URL, f"md5:{MD5}", path=cache_root() / "downloads", downloader=downloader))
    except (OSError, ValueError) as error:  # what requests raises is an OSError; a wrong checksum is a ValueError
        raise _unreachable(str(error)) from error
    finally:
        meter.close()


def _open(directory: Path, hold_out: HeldOut | None) -> Dataset:
    source = read_json(directory.parent / "source.json")
    train, test = Sequences.load(directory / "train"), Sequences.load(directory / "test")
    if len(train) < FEWEST_REVIEWS:
        raise DataError(
            f"{source['source']} holds {len(train)} training reviews.", f"It takes {FEWEST_REVIEWS} to hold some out."
        )
    count = min(VALIDATION_REVIEWS, len(train) // 5)
    held_out = (
        validation_places(len(train), count) if hold_out is None else film_places(_films(directory, len(train)), count)
    )
    places: dict[SplitName, NDArray[np.int64]] = {
        "train": np.flatnonzero(~held_out),
        "val": np.flatnonzero(held_out),
        "test": np.arange(len(test)),
    }
    whole: dict[SplitName, Sequences] = {"train": train, "val": train, "test": test}
    if (directory / "unlabelled").exists():
        whole["unlabelled"] = Sequences.load(directory / "unlabelled")
        places["unlabelled"] = np.arange(len(whole["unlabelled"]))
    return Dataset(
        name="imdb",
        level="char" if directory.name == "char" else "word",
        vocab=Vocab.load(directory / "vocab.json"),
        splits={split: whole[split].select(where) for split, where in places.items()},
        class_names=("positive", "negative"),
        checksum=checksum_of(directory),
        source=source["source"],
        held_out="" if hold_out is None else f"{hold_out}-{hashlib.sha256(held_out.tobytes()).hexdigest()[:16]}",
        texts=_texts(directory, places),
    )


def _films(directory: Path, size: int) -> NDArray[np.int64]:
    places: dict[SplitName, NDArray[np.int64]] = {"train": np.arange(size)}
    texts = _texts(directory, places)
    return np.full(size, -1) if texts is None else texts.films("train")


def _texts(directory: Path, places: dict[SplitName, NDArray[np.int64]]) -> Texts | None:
    order = directory / "order"
    if not order.exists():
        return None  # a pickle: it holds ids alone
    found = {}
    for split, where in places.items():
        part = "train" if split == "val" else split
        found[split] = directory.parent / "texts" / part, np.load(order / f"{part}.npy")[where]
    return Texts(found)


def _entry_of(source: Path) -> Path:
    entry = cache_root() / "imdb" / f"{_fingerprint(source)}-{FORMAT}"
    if not entry.exists():
        prepare_source(source, entry)
    return entry


def _fingerprint(source: Path) -> str:
    if source.is_dir():
        marks = sorted(_marks(source))
        return hashlib.sha256("\n".join([str(source.resolve()), *marks]).encode()).hexdigest()[:16]
    size = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, size - (1 << 16)))
        return hashlib.sha256(b"%d %s" % (size, head) + file.read()).hexdigest()[:16]


def _marks(folder: Path) -> Iterator[str]:
    """Yield of every text inside its path, size and time: what changes when it is edited."""
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".txt"):
                path = os.path.join(directory, name)
                status = os.stat(path)
                yield f"{path} {status.st_size} {status.st_mtime_ns}"


class _DownloadMeter:
    """The four calls that pooch makes of a progress bar."""

    total: int = 0
    _meter: Meter | None = None

    def reset(self) -> None:
        self.close()
        self._meter = Meter("downloading IMDb", max(self.total, 1), "bytes").__enter__()

    def update(self, count: int) -> None:
        if self._meter is None:
            self.reset()
        assert self._meter is not None
        self._meter.advance(count)

    def close(self) -> None:
        if self._meter is not None:
            self._meter.__exit__(None, None, None)
            self._meter = None


def _ask_for_host() -> None:
    """Give up soon where there is no network: a name that cannot be looked up can hang far longer than a download."""
    answers: Queue[str] = Queue()

    def ask() -> None:
        try:
            socket.getaddrinfo(HOST, 443)
            answers.put("")
        except OSError as error:
            answers.put(str(error))

    threading.Thread(target=ask, daemon=True).start()  # a daemon: nobody waits for it at the end
    try:
        refusal = answers.get(timeout=PATIENCE_SECONDS)
    except Empty:
        refusal = "no answer"
    if refusal:
        raise _unreachable(refusal)


def _unreachable(reason: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"IMDb is not in the cache, and cannot be downloaded from {HOST} ({reason}).",
        "Give --imdb or ELMAN_IMDB the path of aclImdb_v1.tar.gz, or train on synth-reviews.",
    )
