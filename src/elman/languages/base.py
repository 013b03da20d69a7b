"""What every formal language answers, whatever generates it.

A language here is a probability distribution over finite strings of symbols, together with the question of
membership. A string of n symbols is generated as n + 1 choices: its symbols one after another, then `END`. So the
probabilities that a perfect next-token model would print after every prefix are known (`next_symbol_distribution`),
and with them the least cross-entropy that any model can reach (`floor_nats_per_token`).

All logarithms are natural unless a name says bits. Reading is step by step (`reader`), each reader being a prefix
that never changes, so one may be kept beside a model's hidden state. Source: Cover & Thomas, Elements of
Information Theory, chapters 2 and 4, for the chain rule that everything below rests on. What it leaves out: laws
over infinite strings, and learning a law from samples.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from elman.config import Level
from elman.errors import LanguageError
from elman.text.vocab import END as END_ID
from elman.text.vocab import SPECIALS

END: Final = SPECIALS[END_ID]

String = str | tuple[str, ...]
"""A `str` where every symbol is one character, a tuple of symbols where some are longer."""


@dataclass(frozen=True)
class Entropy:
    """The entropy of a language's strings, in nats a string.

    ``interval`` holds the 95% confidence limits; where the entropy is exact, both are the entropy itself.
    """

    nats_per_string: float
    kind: Literal["exact", "estimate"]
    interval: tuple[float, float]
    samples: int = 0

    @property
    def bits_per_string(self) -> float:
        """The entropy in bits a string."""
        return self.nats_per_string / math.log(2)

    @classmethod
    def exact(cls, nats: float) -> "Entropy":
        """Return an entropy that is known."""
        return cls(nats, "exact", (nats, nats))


class Reader(ABC):
    """A prefix that has been read: what may follow it, with which probability."""

    @abstractmethod
    def distribution(self) -> dict[str, float]:
        """Return the probability of every symbol of the alphabet, and of `END`, to come next. They sum to one."""

    @abstractmethod
    def read(self, symbol: str) -> "Reader | None":
        """Return the reader one symbol further, or None where the longer prefix has probability zero."""


class Language(ABC):
    """A distribution over strings: sampling, membership, probabilities, entropy.

    Attributes
    ----------
    name
        As in the table of languages, or as its file says.
    alphabet
        The symbols, without `END`.
    """

    name: str
    alphabet: tuple[str, ...]

    @abstractmethod
    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw ``n`` independent strings from ``rng`` alone, in the order drawn."""

    @abstractmethod
    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is grammatical. Symbols outside the alphabet make it False.

        For most languages this is `in_support`; `elman.languages.brackets.Brackets` says where the two part.
        """

    @abstractmethod
    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""

    @abstractmethod
    def entropy(self) -> Entropy:
        """Return the entropy of a string (its `END` included)."""

    @abstractmethod
    def mean_tokens(self) -> float:
        """Return the mean number of tokens a string, `END` included. Exact."""

    @abstractmethod
    def up_to(self, max_length: int) -> "Language":
        """Return this law on condition that a string has at most ``max_length`` symbols (`END` not counted).

        Every probability is recomputed: near the limit the symbols that can still be completed take the mass of
        those that cannot. Membership stays the question it was; `in_support` includes the limit.

        Raises
        ------
        LanguageError
            No string is that short.
        """

    def sample_of_length(self, n: int, length: int, rng: random.Random) -> list[String]:  # noqa: ARG002
        """Draw ``n`` strings from this law on condition that they have exactly ``length`` symbols.

        Raises
        ------
        LanguageError
            No string has that length, or this kind of language cannot be asked.
        """
        raise LanguageError(
            f"Strings of a given length cannot be drawn from {self.name}.", "Take an automaton or a counting language."
        )

    def in_support(self, tokens: Sequence[str]) -> bool:
        """Return whether the generator gives the string a probability above zero."""
        return self.log_prob(tokens) > -math.inf

    def judge(self, tokens: Sequence[str]) -> dict[str, bool]:
        """Return the answer to every question that this language knows to ask of a string."""
        return {"grammatical": self.is_member(tokens), "in_support": self.in_support(tokens)}

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the string's probability; -inf outside the support."""
        total, reader = 0.0, self.reader()
        for symbol in tokens:
            probability = reader.distribution().get(symbol, 0.0)
            following = reader.read(symbol)
            if probability <= 0 or following is None:
                return -math.inf
            total += math.log(probability)
            reader = following
        probability = reader.distribution()[END]
        return total + math.log(probability) if probability > 0 else -math.inf

    def next_symbol_distribution(self, prefix: Sequence[str]) -> dict[str, float]:
        """Return the probability of every symbol of the alphabet, and of `END`, after ``prefix``.

        Raises
        ------
        LanguageError
            The prefix holds a symbol outside the alphabet, or has probability zero.
        """
        *_, last = self.distributions(prefix)
        return last

    def distributions(self, tokens: Sequence[str]) -> Iterator[dict[str, float]]:
        """Yield `next_symbol_distribution` of every prefix of ``tokens``, the empty and the whole included.

        Raises
        ------
        LanguageError
            As in `next_symbol_distribution`, once the offending symbol is reached.
        """
        reader = self.reader()
        yield reader.distribution()
        for position, symbol in enumerate(tokens):
            if symbol not in self.alphabet:
                raise LanguageError(
                    f"The symbol {symbol!r} is not in the alphabet of {self.name}.",
                    f"Use these: {' '.join(map(repr, self.alphabet))}.",
                )
            following = reader.read(symbol)
            if following is None:
                raise LanguageError(
                    f"No string of {self.name} starts with {self.to_text(tokens[: position + 1])!r}.",
                    "Give a prefix that the generator can produce.",
                )
            reader = following
            yield reader.distribution()

    def distribution_matrix(self, tokens: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return `distributions` as an array (len(tokens) + 1, len(alphabet) + 1), `END` in the last column."""
        order = (*self.alphabet, END)
        return np.array([[law[symbol] for symbol in order] for law in self.distributions(tokens)])

    def floor_nats_per_token(self) -> float:
        """Return the cross-entropy that a perfect model reaches, in nats a token, `END` counted as one."""
        return self.entropy().nats_per_string / self.mean_tokens()

    @cached_property
    def by_character(self) -> bool:
        """Whether every symbol is one character, so that strings are `str`."""
        return all(len(symbol) == 1 for symbol in self.alphabet)

    @property
    def level(self) -> Level:
        """What a token is."""
        return "char" if self.by_character else "word"

    def join(self, tokens: Sequence[str]) -> String:
        """Return the symbols as this language writes a string."""
        return "".join(tokens) if self.by_character else tuple(tokens)

    def to_text(self, tokens: Sequence[str]) -> str:
        """Return a string as a line of text: characters side by side, longer symbols with blanks between."""
        return ("" if self.by_character else " ").join(tokens)

    def from_text(self, text: str) -> String:
        """Return the string that a line of text stands for: the way back from `to_text`."""
        return text if self.by_character else tuple(text.split())
