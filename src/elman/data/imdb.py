"""Open the Large Movie Review Dataset (Maas et al., ACL 2011): find it, prepare it once, and then memory-map it.

It is searched for in this order: ``--imdb`` or ``ELMAN_IMDB`` (the archive, its unpacked folder, or one of the course's
pickles), the cache, the download. The cache identifies an archive by its size and its first and last bytes, where gzip
stores a checksum, and a folder by the sizes and times of its files. Opening either again reads no review.
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
"""The checksum of the published archive, 84,125,825 bytes."""
CONTENT = "a6941b04003882727d51e9c843fd00652b26ed21416e20f3debe913f09a0b8f0"
"""The :attr:`Dataset.checksum` of the published reviews, from any archive."""
FORMAT = 2
"""Version of the cache entries. Earlier entries lack the films, and are used only if no source is named."""
PATIENCE_SECONDS = 8.0
"""Timeout for a network that may be absent."""

VALIDATION_REVIEWS = 5_000
VALIDATION_SEED = 0
FEWEST_REVIEWS = 5


def cache_root() -> Path:
    """Return the folder of all prepared data: ``ELMAN_CACHE``, or else the user's cache folder."""
    path = os.environ.get("ELMAN_CACHE")
    return Path(path).expanduser() if path else user_cache_path("elman")


def open_imdb(config: DataConfig) -> Dataset:
    """Open IMDb, and prepare it first if it is new.

    Raises
    ------
    DataError
        It cannot be found, it is damaged, or films are to be held out and it does not name them.
    """
    return _open(prepared_level(config.imdb, config.level), config.hold_out)


def prepared_level(source: str | None, level: Level) -> Path:
    """Return the folder with the vocabulary and the ids of ``level``; prepare it first if it is new."""
    entry = find_entry(source)
    if not (entry / level).exists():
        prepare_level(entry, level)
    return entry / level


def checksum_of(level: Path) -> str:
    """Return the checksum of the data in a folder that :func:`prepared_level` returned."""
    checksum: str = read_json(level.parent / "source.json")["checksum"]
    return checksum


def find_entry(source: str | None) -> Path:
    """Return the cache entry of ``source``, or of ``ELMAN_IMDB``, or of the published reviews; create it if it is new.

    Raises
    ------
    DataError
        There is no such file, it is damaged, or the download failed.
    """
    name = source or os.environ.get("ELMAN_IMDB")
    if name:
        path = Path(name).expanduser()
        if not path.exists():
            raise DataError(f"There is no IMDb archive at {name}.", "Pass the path of one with --imdb or ELMAN_IMDB.")
        return _entry_of(unpacked(path) if path.is_dir() else path)
    entries = _published_entries()
    return max(entries, key=lambda entry: entry.name.endswith(f"-{FORMAT}")) if entries else _entry_of(download())


def is_here() -> bool:
    """Return whether IMDb can be opened without a download."""
    if name := os.environ.get("ELMAN_IMDB"):
        return Path(name).expanduser().exists()
    return bool(_published_entries())


def _published_entries() -> list[Path]:
    """Return the cache entries of the published reviews."""
    paths = cache_root().glob("imdb/[!.]*/source.json")  # a name with a dot is an entry that is being prepared
    return [path.parent for path in paths if read_json(path)["checksum"] == CONTENT]


def validation_places(size: int, count: int = VALIDATION_REVIEWS, seed: int = VALIDATION_SEED) -> NDArray[np.bool_]:
    """Return (size,), True for the training reviews, sorted short to long, that the course holds out.

    Raises
    ------
    DataError
        There are no more than ``count`` reviews.
    """
    if not 0 <= count < size:
        raise DataError(f"{count} of {size} training reviews cannot be held out.", f"Hold out at most {size - 1}.")
    held_out = np.zeros(size, bool)
    held_out[random.Random(seed).sample(range(size), k=count)] = True
    return held_out


def film_places(films: NDArray[np.int64], count: int, seed: int = VALIDATION_SEED) -> NDArray[np.bool_]:
    """Return (reviews,), True for the reviews of the films that are held out.

    Films are drawn until their reviews number at least ``count``.

    Parameters
    ----------
    films
        (reviews,), the number of the film that each review is about, or −1 if it is unknown.

    Raises
    ------
    DataError
        The film of some review is unknown, or all reviews would be held out.
    """
    if unknown := int((films < 0).sum()):
        raise DataError(
            f"The source does not name the films of {unknown:,} of {len(films):,} training reviews.",
            "Use an archive with complete urls_pos.txt and urls_neg.txt (--imdb), or leave out --hold-out films.",
        )
    numbers, sizes = np.unique(films, return_counts=True)
    order = random.Random(seed).sample(range(len(numbers)), k=len(numbers))
    drawn = order[: int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1]
    held_out = np.isin(films, numbers[drawn])
    if held_out.all():
        raise DataError(
            f"The {len(films)} reviews are about too few films to hold some out.", "Leave out --hold-out films."
        )
    return held_out


def download() -> Path:
    """Download the published archive into the cache, compare its checksum, and return its path.

    Raises
    ------
    SourceUnreachable
        The network or the host cannot be reached, or the file is not the published archive.
    """
    import pooch

    _check_network()
    meter = _DownloadMeter()
    downloader = pooch.HTTPDownloader(timeout=PATIENCE_SECONDS, progressbar=meter)
    try:
        return Path(pooch.retrieve(URL, f"md5:{MD5}", path=cache_root() / "downloads", downloader=downloader))
    except (OSError, ValueError) as error:  # requests raises OSErrors; a wrong checksum is a ValueError
        raise _unreachable(str(error)) from error
    finally:
        meter.close()


def _open(directory: Path, hold_out: HeldOut | None) -> Dataset:
    source = read_json(directory.parent / "source.json")
    train, test = Sequences.load(directory / "train"), Sequences.load(directory / "test")
    if len(train) < FEWEST_REVIEWS:
        raise DataError(
            f"{source['source']} holds {len(train)} training reviews.", f"Use a source with {FEWEST_REVIEWS} or more."
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
        splits={split: whole[split].select(indices) for split, indices in places.items()},
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
        return None  # a pickle holds only ids
    text_places = {}
    for split, indices in places.items():
        part = "train" if split == "val" else split
        text_places[split] = directory.parent / "texts" / part, np.load(order / f"{part}.npy")[indices]
    return Texts(text_places)


def _entry_of(source: Path) -> Path:
    entry = cache_root() / "imdb" / f"{_fingerprint(source)}-{FORMAT}"
    if not entry.exists():
        prepare_source(source, entry)
    return entry


def _fingerprint(source: Path) -> str:
    if source.is_dir():
        files = sorted(_file_states(source))
        return hashlib.sha256("\n".join([str(source.resolve()), *files]).encode()).hexdigest()[:16]
    size = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, size - (1 << 16)))
        return hashlib.sha256(b"%d %s" % (size, head) + file.read()).hexdigest()[:16]


def _file_states(folder: Path) -> Iterator[str]:
    """Yield the path, size and time of every text in ``folder``, which change when it is edited."""
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".txt"):
                path = os.path.join(directory, name)
                status = os.stat(path)
                yield f"{path} {status.st_size} {status.st_mtime_ns}"


class _DownloadMeter:
    """A progress bar with the interface that pooch expects."""

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


def _check_network() -> None:
    """Look up the host's name with a timeout, because without a network the lookup can hang for long.

    Raises
    ------
    SourceUnreachable
        The name cannot be looked up, or the answer takes more than ``PATIENCE_SECONDS``.
    """
    answers: Queue[str] = Queue()

    def look_up() -> None:
        try:
            socket.getaddrinfo(HOST, 443)
            answers.put("")
        except OSError as error:
            answers.put(str(error))

    threading.Thread(target=look_up, daemon=True).start()  # a daemon, so that exit does not wait for it
    try:
        problem = answers.get(timeout=PATIENCE_SECONDS)
    except Empty:
        problem = "no answer"
    if problem:
        raise _unreachable(problem)


def _unreachable(reason: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"IMDb is not in the cache, and cannot be downloaded from {HOST} ({reason}).",
        "Pass the path of aclImdb_v1.tar.gz with --imdb or ELMAN_IMDB, or train on synth-reviews.",
    )
