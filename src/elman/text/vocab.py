"""Token ↔ id.

The specials come first, in the course's order; after them the tokens by how often they occur, and among equals by
the alphabet. So the ids follow from the text alone, and a smaller vocabulary is a prefix of a larger one.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from elman.errors import ConfigError, DataError
from elman.files import read_json, write_json

PAD, START, END, UNKNOWN = range(4)
SPECIALS = (".pad", ".start", ".end", ".unk")


class Vocab:
    """The tokens that have an id.

    Parameters
    ----------
    tokens
        Every token in the order of its id, the specials first.

    Raises
    ------
    DataError
        The specials are not where they belong, or a token occurs twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
            raise DataError(
                f"A vocabulary begins with {' '.join(SPECIALS)}, not {' '.join(tokens[:4])!r}.", "Make it anew."
            )
        self.tokens = list(tokens)
        self.ids = {token: i for i, token in enumerate(tokens)}
        """The id of each token."""
        if len(self.ids) != len(self.tokens):
            raise DataError("A token occurs twice in the vocabulary.", "Make it anew.")

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Vocab":
        """Order the tokens by frequency, then by the alphabet."""
        return cls([*SPECIALS, *sorted(counts, key=lambda token: (-counts[token], token))])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the id of each token, ``.unk``'s for those that have none."""
        return [self.ids.get(token, UNKNOWN) for token in tokens]

    def decode(self, token_ids: Iterable[int]) -> list[str]:
        """Return the token of each id."""
        return [self.tokens[i] for i in token_ids]

    def truncated(self, size: int | None) -> "Vocab":
        """Return the first ``size`` tokens, specials included; None keeps all.

        Raises
        ------
        ConfigError
            ``size`` leaves no room for the specials and one token.
        """
        if size is None or size >= len(self):
            return self
        if size <= len(SPECIALS):
            raise ConfigError(
                f"A vocabulary of {size} has no room for {len(SPECIALS)} specials and a token.",
                f"Take {len(SPECIALS) + 1} or more.",
            )
        return Vocab(self.tokens[:size])

    def save(self, path: Path) -> None:
        """Write the tokens as a JSON list."""
        write_json(path, self.tokens)

    @classmethod
    def load(cls, path: Path) -> "Vocab":
        """Read what :meth:`save` wrote."""
        tokens = read_json(path)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{path} is not a list of tokens.", "Remove it, and make it anew.")
        return cls(tokens)
