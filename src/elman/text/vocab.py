"""Map tokens to ids and back.

The special tokens come first, in the course's order. The other tokens follow, the most frequent first, and
alphabetically among equally frequent ones. The ids depend on the text alone, and a smaller vocabulary is a prefix of a
larger one.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from elman.errors import ConfigError, DataError
from elman.files import read_json, write_json

PAD, START, END, UNK = range(4)
"""The ids of the special tokens."""
UNKNOWN = UNK
SPECIALS = (".pad", ".start", ".end", ".unk")


class Vocab:
    """A list of tokens, each of which has an id.

    Parameters
    ----------
    tokens
        All tokens, in the order of their ids; the special tokens come first.

    Raises
    ------
    DataError
        The first tokens are not the special ones, or a token occurs twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
            raise DataError(
                f"A vocabulary begins with {' '.join(SPECIALS)}, not {' '.join(tokens[:4])!r}.", "Build it again."
            )
        self.tokens = list(tokens)
        self.ids = {token: i for i, token in enumerate(tokens)}
        """The id of each token."""
        if len(self.ids) != len(self.tokens):
            raise DataError("A token occurs twice in the vocabulary.", "Build it again.")

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Vocab":
        """Build a vocabulary from token → count, ordered by frequency, then alphabetically."""
        return cls([*SPECIALS, *sorted(counts, key=lambda token: (-counts[token], token))])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the id of each token, and that of ``.unk`` for a token without an id."""
        return [self.ids.get(token, UNK) for token in tokens]

    def decode(self, token_ids: Iterable[int]) -> list[str]:
        """Return the token of each id."""
        return [self.tokens[i] for i in token_ids]

    def truncated(self, size: int | None) -> "Vocab":
        """Return a vocabulary of the first ``size`` tokens, special tokens included; None keeps all.

        Raises
        ------
        ConfigError
            ``size`` leaves no room for the special tokens and one other.
        """
        if size is None or size >= len(self):
            return self
        if size <= len(SPECIALS):
            raise ConfigError(
                f"A vocabulary of {size} has no room for {len(SPECIALS)} special tokens and one other.",
                f"Use {len(SPECIALS) + 1} or more.",
            )
        return Vocab(self.tokens[:size])

    def save(self, path: Path) -> None:
        """Write the tokens as a JSON list."""
        write_json(path, self.tokens)

    @classmethod
    def load(cls, path: Path) -> "Vocab":
        """Read a vocabulary that :meth:`save` wrote.

        Raises
        ------
        DataError
            The file is not a JSON list of tokens.
        """
        tokens = read_json(path)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{path} is not a list of tokens.", "Remove the file and create it again.")
        return cls(tokens)
