"""Keep the texts as written beside their ids, so that people can read them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elman.config import SplitName
from elman.text.sequences import Sequences


@dataclass(frozen=True)
class Texts:
    """The texts of a data set, in the order of its sequences.

    Attributes
    ----------
    places
        For each split: the folder that :func:`save_texts` wrote, and (sequences,), the index in it of each sequence.
    """

    places: dict[SplitName, tuple[Path, NDArray[np.int64]]]

    def text(self, split: SplitName, i: int) -> str:
        """Return the text of sequence ``i`` of ``split``."""
        directory, order = self.places[split]
        return Sequences.load(directory)[int(order[i])].astype(np.uint8).tobytes().decode("utf-8")

    def films(self, split: SplitName) -> NDArray[np.int64]:
        """Return (sequences,), the number of the film that each text is about, or −1 if it is unknown."""
        directory, order = self.places[split]
        if not (directory / "films.npy").exists():  # prepared by an earlier version
            return np.full(len(order), -1)
        numbers: NDArray[np.int64] = np.load(directory / "films.npy")[order]
        return numbers


def save_texts(texts: list[str], directory: Path) -> None:
    """Write texts as one flat array of UTF-8 bytes."""
    encoded = [text.encode("utf-8") for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    directory.mkdir(parents=True)
    np.save(directory / "tokens.npy", np.frombuffer(b"".join(encoded), np.uint8))
    np.save(directory / "lengths.npy", lengths)


def load_texts(directory: Path) -> list[str]:
    """Read all texts that :func:`save_texts` wrote, in their order."""
    stored = Sequences.load(directory)
    flat = np.asarray(stored.tokens).tobytes()
    ends = (stored.starts + stored.lengths).tolist()
    return [flat[start:end].decode("utf-8") for start, end in zip(stored.starts.tolist(), ends, strict=True)]
