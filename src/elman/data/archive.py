"""The IMDb archive as published (Maas et al., ACL 2011), read once from front to back; or its unpacked folder.

``aclImdb/{train,test}/{pos,neg}/ID_RATING.txt`` and ``aclImdb/train/unsup/ID_0.txt``, UTF-8. Line ID, from 0, of
``aclImdb/train/urls_pos.txt`` and the like is the address of the film that the review tells of; these lists may be
missing. Whatever else the archive holds (bags of words) is passed over.
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
"""The course's order."""

REVIEWS_PUBLISHED = 100_000

Part = Literal["train", "test", "unlabelled"]

_MEMBER = re.compile(r"(?:.*/)?(train|test)/(pos|neg|unsup)/(\d+)_\d+\.txt$")
_ADDRESSES = re.compile(r"(?:.*/)?(train|test)/urls_(pos|neg|unsup)\.txt$")
_LABELS = {"pos": POSITIVE, "neg": NEGATIVE}
_LAYOUT = "It should hold aclImdb/train/pos/0_9.txt and the like; get the archive aclImdb_v1.tar.gz again."


class Review(NamedTuple):
    """One review as written, its place, and the address of its film, empty where nobody tells."""

    part: Part
    label: int
    number: int
    text: str
    film: str = ""


def read_reviews(source: Path) -> dict[Part, list[Review]]:
    """Read all reviews of an archive or an unpacked folder.

    Returns
    -------
    The reviews of each part: the positive before the negative, and each by its number in the archive.

    Raises
    ------
    DataError
        The archive is damaged or laid out in another way, or a review is empty or not UTF-8.
    """
    files = _folder(source) if source.is_dir() else _tar(source)
    parts: dict[Part, list[Review]] = {"train": [], "test": [], "unlabelled": []}
    films: dict[tuple[Part, int], list[str]] = {}
    with Meter(f"reading {source.name}", REVIEWS_PUBLISHED, "reviews") as meter:
        for name, content in files:
            if listed := _ADDRESSES.match(name):
                films[_part_and_label(*listed.groups())] = content.decode("utf-8", "replace").splitlines()
                continue
            review = _review(name, content)
            parts[review.part].append(review)
            meter.advance(1)
    for part in ("train", "test"):
        if {review.label for review in parts[part]} != {POSITIVE, NEGATIVE}:
            raise DataError(f"{source} holds no positive and negative reviews for {part}.", _LAYOUT)
    return {
        part: [_with_film(review, films) for review in sorted(reviews, key=lambda review: review[1:3])]
        for part, reviews in parts.items()
    }


def unpacked(path: Path) -> Path:
    """Return the folder that holds ``train`` and ``test``: this one, or the ``aclImdb`` in it.

    Raises
    ------
    DataError
        Neither does.
    """
    for folder in (path, path / "aclImdb"):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise DataError(f"{path} is no folder of IMDb's reviews.", _LAYOUT)


def _tar(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(path) as file, tarfile.open(fileobj=file) as archive:
            for member in archive:
                if member.isfile() and _is_read(member.name):
                    content = archive.extractfile(member)
                    assert content is not None  # a regular file always has content
                    yield member.name, content.read()
            while file.read(1 << 20):
                pass  # tar stops at its own end; gzip's checksum stands behind it
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged or no .tar.gz archive ({error}).", "Get it again.") from error


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*.txt")):
        name = file.relative_to(path).as_posix()
        if _is_read(f"{path.name}/{name}"):
            yield f"{path.name}/{name}", file.read_bytes()


def _is_read(name: str) -> bool:
    return bool(_MEMBER.match(name) or _ADDRESSES.match(name))


def _part_and_label(split: str, kind: str) -> tuple[Part, int]:
    return "unlabelled" if kind == "unsup" else cast(Part, split), _LABELS.get(kind, -1)


def _with_film(review: Review, films: dict[tuple[Part, int], list[str]]) -> Review:
    addresses = films.get((review.part, review.label), [])
    return review._replace(film=addresses[review.number]) if review.number < len(addresses) else review


def _review(name: str, content: bytes) -> Review:
    match = _MEMBER.match(name)
    assert match is not None  # both readers ask before they read
    split, kind, number = match.groups()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"The review {name} is not UTF-8 ({error.reason}).", "Mend or remove that file.") from error
    if not text.strip():
        raise DataError(f"The review {name} is empty.", "Mend or remove that file.")
    return Review(*_part_and_label(split, kind), int(number), text)
