"""A data set that is ready to be batched: splits of sequences, their vocabulary, and what they are."""

from dataclasses import dataclass, replace

from elman.config import Level, SplitName
from elman.data.texts import Texts
from elman.errors import DataError, TestSplitLocked
from elman.languages import Language
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab


@dataclass(frozen=True)
class Dataset:
    """Sequences in splits, labelled or not.

    Attributes
    ----------
    name
        As the command knows it: ``imdb``.
    level
        What a token is.
    vocab
        Of all splits.
    splits
        ``train``, ``val`` and ``test`` do not overlap; ``unlabelled`` may be missing.
    class_names
        The name of each label; none where nothing is labelled.
    checksum
        SHA-256 of the content: the same for the same texts and labels, wherever they came from, and however they are
        split.
    source
        Where it was read, for a person.
    held_out
        What was held out for validation, where that is not what the course draws: what was kept together, and a digest.
    texts
        The texts as they were written, or None where the source did not hold them.
    language
        The law that the sequences were drawn from, or None where nobody knows it.
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
        """The checksum, with what was held out: the same for the same splits."""
        return f"{self.checksum}-{self.held_out}" if self.held_out else self.checksum

    def split(self, name: SplitName, *, final: bool = False) -> Sequences:
        """Return a split.

        Raises
        ------
        TestSplitLocked
            The test split, without ``final``.
        DataError
            The data has no such split.
        """
        if name == "test" and not final:
            raise TestSplitLocked(
                "The test split is for the last figure alone, when everything has been chosen.",
                "Use --split val; or, if this is that figure, add --final, which is written into the ledger.",
            )
        if name not in self.splits:
            raise DataError(f"{self.name} has no split {name!r}.", f"It has: {', '.join(self.splits)}.")
        return self.splits[name]

    def limited(self, vocab_size: int | None, max_length: int | None) -> "Dataset":
        """Return the same data with a smaller vocabulary and shorter texts; None leaves either as it is."""
        vocab = self.vocab.truncated(vocab_size)
        if vocab is self.vocab and max_length is None:
            return self
        splits = {name: part.with_vocab_size(len(vocab)).cut(max_length) for name, part in self.splits.items()}
        return replace(self, vocab=vocab, splits=splits)
