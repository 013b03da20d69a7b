"""Hold a data set that is ready for batching: splits of sequences, their vocabulary, and what they are."""

from dataclasses import dataclass, replace

from elman.config import Level, SplitName
from elman.data.texts import Texts
from elman.errors import DataError, TestSplitLocked
from elman.languages import Language
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab


@dataclass(frozen=True)
class Dataset:
    """Sequences in splits, labeled or not.

    Attributes
    ----------
    name
        The name of the data set on the command line, such as ``imdb``.
    level
        Whether a token is a word or a character.
    vocab
        The vocabulary, shared by all splits.
    splits
        The sequences of each split. ``train``, ``val`` and ``test`` do not overlap; some splits may be missing.
    class_names
        The name of each label; empty if the data has no labels.
    checksum
        SHA-256 of the content. It is the same for the same texts and labels, from any source and in any splits.
    source
        A description of where the data came from, for people.
    held_out
        What was held out for validation and a digest of it; empty for the course's random validation split.
    texts
        The texts as written, or None if the source did not hold them.
    language
        The formal language that the sequences were drawn from, or None.
    """

    name: str
    level: Level
    vocab: Vocab
    splits: dict[SplitName, Sequences]
    class_names: tuple[str, ...]
    checksum: str
    source: str
    held_out: str = ""
    texts: Texts | None = None
    language: Language | None = None

    @property
    def fingerprint(self) -> str:
        """The checksum together with what was held out: the same for the same splits."""
        return f"{self.checksum}-{self.held_out}" if self.held_out else self.checksum

    def split(self, name: SplitName, *, final: bool = False) -> Sequences:
        """Return a split.

        Raises
        ------
        TestSplitLocked
            The test split was requested without ``final``.
        DataError
            The data has no such split.
        """
        check_test_is_final(name, final=final)
        if name not in self.splits:
            raise DataError(f"{self.name} has no split {name!r}.", f"Use one of: {', '.join(self.splits)}.")
        return self.splits[name]

    def limited(self, vocab_size: int | None, max_length: int | None) -> "Dataset":
        """Return the data with at most ``vocab_size`` tokens in the vocabulary and ``max_length`` tokens in a text.

        None leaves either unlimited.
        """
        vocab = self.vocab.truncated(vocab_size)
        if vocab is self.vocab and max_length is None:
            return self
        splits = {name: part.with_vocab_size(len(vocab)).cut(max_length) for name, part in self.splits.items()}
        return replace(self, vocab=vocab, splits=splits)


def check_test_is_final(split: SplitName, *, final: bool) -> None:
    """Refuse to open the test split before the final evaluation.

    Raises
    ------
    TestSplitLocked
        ``split`` is "test" and ``final`` is false.
    """
    if split == "test" and not final:
        raise TestSplitLocked(
            "The test split is only for the final evaluation, after everything has been chosen.",
            "Use --split val; or, if this is the final evaluation, add --final, which is recorded in the ledger.",
        )
