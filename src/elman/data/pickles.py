"""Read the course's gzipped pickles of IMDb safely.

A pickle is a program: it can name any function and call it while it loads. This reader builds only lists, tuples,
dicts, strings and numbers, and refuses every name.
"""

import gzip
import io
import pickle
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from elman.errors import DataError

# Errors that unpickling a damaged file can raise, from its documentation and from experiments.
_DAMAGE = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    pickle.PickleError,
)


class CoursePickle(NamedTuple):
    """The content of ``imdb.word.pkl.gz`` or ``imdb.char.pkl.gz``."""

    sequences: dict[Literal["train", "test"], list[list[int]]]
    labels: dict[Literal["train", "test"], list[int]]
    tokens: list[str]


def read_course_pickle(path: Path) -> CoursePickle:
    """Read a pickle of the tuple ``(sequences, labels, i2w, w2i)``.

    Raises
    ------
    DataError
        The file is damaged, names anything to call, or holds something else.
    """
    try:
        with gzip.open(path) as file:
            whole = file.read()  # to the end, where gzip stores a checksum
        content = _PlainUnpickler(io.BytesIO(whole)).load()
    except _DAMAGE as error:
        raise DataError(
            f"{path} is damaged or not a pickle of plain containers ({error}).", "Download it again."
        ) from error
    problem = _problem(content)
    if problem:
        raise DataError(f"{path} is not one of the course's pickles: {problem}.", "Download it again.")
    sequences, labels, tokens, _ = content
    return CoursePickle(sequences, labels, tokens)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:  # noqa: ARG002 (the name is pickle's)
        raise pickle.UnpicklingError("it refers to an object outside the file")


def _problem(content: Any) -> str | None:
    """Return how the content differs from the course's, or None."""
    if not (isinstance(content, tuple) and len(content) == 4):
        return "it does not hold a tuple (sequences, labels, i2w, w2i)"
    sequences, labels, tokens, _ = content
    if not (isinstance(tokens, list) and all(isinstance(token, str) and _is_text(token) for token in tokens)):
        return "i2w is not a list of words"
    return _problem_of_splits(sequences, labels, len(tokens))


def _is_text(token: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in token)  # half of a surrogate pair


def _problem_of_splits(sequences: Any, labels: Any, vocab_size: int) -> str | None:
    for split in ("train", "test"):
        if not all(isinstance(part, dict) and isinstance(part.get(split), list) for part in (sequences, labels)):
            return f"sequences or labels have no list {split!r}"
        if len(sequences[split]) != len(labels[split]) or not sequences[split]:
            return f"{split} has {len(sequences[split])} sequences and {len(labels[split])} labels"
        if any(label not in (0, 1) for label in labels[split]):
            return f"a label of {split} is neither 0 nor 1"
        for ids in sequences[split]:
            if not isinstance(ids, list) or not ids or not all(isinstance(i, int) and 0 <= i < vocab_size for i in ids):
                return f"a sequence of {split} is empty, or has an id outside i2w"
    return None
