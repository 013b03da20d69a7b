"""Read the IMDb reviews (Maas et al., ACL 2011) from the published archive, in one pass, or from its unpacked folder.

The reviews are ``aclImdb/{train,test}/{pos,neg}/ID_RATING.txt`` and ``aclImdb/train/unsup/ID_0.txt``, in UTF-8. The
address of the film that review ID is about is line ID, counted from 0, of ``aclImdb/train/urls_pos.txt`` or a similar
list; these lists may be missing. All other files, such as bags of words, are ignored.
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, cast

from elman.errors import DataError
from elman.progress import Meter

POSITIVE, NEGATIVE = 0, 1
"""The labels, in the course's order."""

REVIEWS_PUBLISHED = 100_000

Part = Literal["train", "test", "unlabelled"]

_REVIEW = re.compile(r"(?:.*/)?(train|test)/(pos|neg|unsup)/(\d+)_\d+\.txt$")
_ADDRESSES = re.compile(r"(?:.*/)?(train|test)/urls_(pos|neg|unsup)\.txt$")
_LABELS = {"pos": POSITIVE, "neg": NEGATIVE}
_LAYOUT = "It must hold aclImdb/train/pos/0_9.txt and so on; download aclImdb_v1.tar.gz again."


class Review(NamedTuple):
    """A review as written, with its position in the archive, and the address of its film, empty if unknown."""

    part: Part
    label: int
    number: int
    text: str
    film: str = ""


def read_reviews(source: Path) -> dict[Part, list[Review]]:
    """Read all reviews of an archive or an unpacked folder.

    Returns
    -------
    The reviews of each part: the positive before the negative ones, and each of these by number.

    Raises
    ------
    DataError
        The archive is damaged or has another layout, or a review is empty or not UTF-8.
    """
    files = _files_in_folder(source) if source.is_dir() else _files_in_archive(source)
    parts: dict[Part, list[Review]] = {"train": [], "test": [], "unlabelled": []}
    films: dict[tuple[Part, int], list[str]] = {}
    with Meter(f"reading {source.name}", REVIEWS_PUBLISHED, "reviews") as meter:
        for name, content in files:
            if match := _ADDRESSES.match(name):
                films[_part_and_label(*match.groups())] = content.decode("utf-8", "replace").splitlines()
                continue
            review = _review(name, content)
            parts[review.part].append(review)
            meter.advance(1)
    for part in ("train", "test"):
        if {review.label for review in parts[part]} != {POSITIVE, NEGATIVE}:
            raise DataError(f"{source} lacks positive or negative reviews for {part}.", _LAYOUT)
    return {
        part: [_with_film(review, films) for review in sorted(reviews, key=lambda review: review[1:3])]
        for part, reviews in parts.items()
    }


def unpacked(path: Path) -> Path:
    """Return the folder that holds ``train`` and ``test``: ``path``, or the ``aclImdb`` in it.

    Raises
    ------
    DataError
        Neither folder holds them.
    """
    for folder in (path, path / "aclImdb"):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise DataError(f"The folder {path} does not hold the IMDb reviews.", _LAYOUT)


def _files_in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(path) as file, tarfile.open(fileobj=file) as archive:
            for member in archive:
                if member.isfile() and _is_needed(member.name):
                    content = archive.extractfile(member)
                    assert content is not None  # a regular file always has content
                    yield member.name, content.read()
            while file.read(1 << 20):
                pass  # tar stops at its own end; gzip's checksum comes after it
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged or not a .tar.gz archive ({error}).", "Download it again.") from error


def _files_in_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*.txt")):
        name = f"{path.name}/{file.relative_to(path).as_posix()}"
        if _is_needed(name):
            yield name, file.read_bytes()


def _is_needed(name: str) -> bool:
    return bool(_REVIEW.match(name) or _ADDRESSES.match(name))


def _part_and_label(split: str, kind: str) -> tuple[Part, int]:
    return "unlabelled" if kind == "unsup" else cast(Part, split), _LABELS.get(kind, -1)


def _with_film(review: Review, films: dict[tuple[Part, int], list[str]]) -> Review:
    addresses = films.get((review.part, review.label), [])
    return review._replace(film=addresses[review.number]) if review.number < len(addresses) else review


def _review(name: str, content: bytes) -> Review:
    match = _REVIEW.match(name)
    assert match is not None  # other names were filtered out
    split, kind, number = match.groups()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"The review {name} is not UTF-8 ({error.reason}).", "Fix or remove that file.") from error
    if not text.strip():
        raise DataError(f"The review {name} is empty.", "Fix or remove that file.")
    return Review(*_part_and_label(split, kind), int(number), text)
