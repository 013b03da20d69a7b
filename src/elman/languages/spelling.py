"""A language of words written out in characters, with one blank between two words.

The string of characters says which words it holds, so every probability is the words' own: nothing is lost, and the
entropy stays. What must be worked out is the law of the next character. Within a word it is the mass of the words
that go on with it, among those that begin as this one does; where a whole word stands, it may be longer, or be
followed by a blank or the end, as the law after that word says. Exact, whatever words begin with one another. What
it leaves out: other separators, and languages other than grammars (an automaton over characters needs no spelling).
"""

import random
from collections.abc import Sequence

from elman.languages.base import END, Entropy, Language, Reader, String
from elman.languages.grammar import Grammar, LimitedGrammar


class Spelled(Language):
    """The strings of a grammar over words, as characters.

    Example: where ``a cat ran`` has the probability 1/1008, so has the string of its nine characters; after ``a c``
    the law is that of the words after ``a`` that begin with c.
    """

    def __init__(self, words: Grammar | LimitedGrammar, name: str | None = None) -> None:
        self.words = words
        self.unlimited_name = (words if isinstance(words, Grammar) else words.grammar).name if name is None else name
        limit = "" if isinstance(words, Grammar) else f" up to {words.limit - 1}"
        self.name = self.unlimited_name + limit
        self.alphabet = (" ", *sorted(set("".join(words.alphabet))))
        self.beginnings: dict[str, list[str]] = {}
        for word in words.alphabet:
            for i in range(len(word) + 1):
                self.beginnings.setdefault(word[:i], []).append(word)

    def split(self, tokens: Sequence[str]) -> list[str]:
        """Return the words; a blank too many makes an empty one, which is in no alphabet."""
        text = "".join(tokens)
        return text.split(" ") if text else []

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw ``n`` strings as the grammar does."""
        return [" ".join(words) for words in self.words.sample(n, rng)]

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the words have a derivation."""
        return self.words.is_member(self.split(tokens))

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the probability of the words."""
        return self.words.log_prob(self.split(tokens))

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return Speller(self, self.words.reader(), "", self.words.reader().distribution())

    def entropy(self) -> Entropy:
        """Return the entropy of the words: spelling adds and loses nothing."""
        return self.words.entropy()

    def mean_tokens(self) -> float:
        """Return the mean number of characters, and one for `END`. Exact."""
        # A string of words is one blank less long than the widths of its words and blanks, which `END` makes up for.
        if isinstance(self.words, Grammar):
            return self.words.mean_width(self._widths()) + self.words.prob_empty()
        return self.words.mean_width() + float(self.words.width_distribution[0])

    def _widths(self) -> dict[str, int]:
        """Return each word's length, a blank included."""
        return {word: len(word) + 1 for word in self.words.alphabet}

    def up_to(self, max_length: int) -> "Spelled":
        """Return this law on condition that a string has at most ``max_length`` characters."""
        words = self.words
        grammar, limit = (words, max_length + 1) if isinstance(words, Grammar) else (words.grammar, words.limit)
        limit = min(max_length + 1, limit)
        limited = LimitedGrammar(grammar, limit or -1, self._widths())  # no limit lets a string of -1 characters be
        return Spelled(limited, self.unlimited_name)


class Speller(Reader):
    """Whole words that have been read, and the beginning of the next."""

    def __init__(self, language: Spelled, before: Reader, begun: str, law: dict[str, float]) -> None:
        self.language, self.before, self.begun, self.law = language, before, begun, law
        self.first = begun == "" and law[END] > 0

    def distribution(self) -> dict[str, float]:
        """Return the law of the next character."""
        law = dict.fromkeys((*self.language.alphabet, END), 0.0)
        begun, place = self.begun, len(self.begun)
        for word in self.language.beginnings[begun]:
            if len(word) > place:
                law[word[place]] += self.law[word]
        if not begun:
            law[END] = self.law[END]
        elif (whole := self.law.get(begun, 0.0)) > 0 and (after := self.before.read(begun)) is not None:
            following = after.distribution()
            law[END] = whole * following[END]
            law[" "] = whole * sum(p for word, p in following.items() if word != END)
        total = sum(law.values())
        return {symbol: mass / total for symbol, mass in law.items()}

    def read(self, symbol: str) -> "Speller | None":
        """Return the reader one character further."""
        if symbol == " ":
            after = self.before.read(self.begun) if self.begun in self.law else None
            if after is None:
                return None
            # After a blank a word must come: the law without the end, which `distribution` normalises.
            return self._if_possible(after, "", {**after.distribution(), END: 0.0})
        return self._if_possible(self.before, self.begun + symbol, self.law)

    def _if_possible(self, before: Reader, begun: str, law: dict[str, float]) -> "Speller | None":
        words = self.language.beginnings.get(begun, ())
        return Speller(self.language, before, begun, law) if any(law[word] > 0 for word in words) else None
