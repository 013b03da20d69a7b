"""A language of words written out in characters, with one blank between two words.

The characters determine the words, so strings keep their probabilities and the language keeps its entropy. The
distribution of the next character follows from that of the next word. Inside a word it is proportional to the mass of
the words that continue with each character, among those with the same beginning. After a complete word, the word may
be longer, or a blank or the end may follow, with the probabilities of the distribution after that word. This is exact
even if words are prefixes of each other. Out of scope: other separators, and languages other than grammars.
"""

import random
from collections.abc import Sequence

from elman.languages.base import END, Language, Reader, String
from elman.languages.entropy import Entropy
from elman.languages.grammar import Grammar, LimitedGrammar


class Spelled(Language):
    """The strings of a grammar over words, spelled in characters.

    Example: if the words ``a cat ran`` have the probability 1/1008, so has the string of nine characters. After ``a c``
    the distribution of the next character follows from the words after ``a`` that begin with c.
    """

    def __init__(self, words: Grammar | LimitedGrammar, name: str | None = None) -> None:
        self.words = words
        self.unlimited_name = (words if isinstance(words, Grammar) else words.grammar).name if name is None else name
        limit = "" if isinstance(words, Grammar) else f" up to {words.limit - 1}"
        self.name = self.unlimited_name + limit
        self.alphabet = (" ", *sorted(set("".join(words.alphabet))))
        self.words_by_prefix: dict[str, list[str]] = {}
        for word in words.alphabet:
            for i in range(len(word) + 1):
                self.words_by_prefix.setdefault(word[:i], []).append(word)

    def split(self, tokens: Sequence[str]) -> list[str]:
        """Return the words. A superfluous blank gives an empty word, which is not in the alphabet."""
        text = "".join(tokens)
        return text.split(" ") if text else []

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings, drawn as by the grammar."""
        return [" ".join(words) for words in self.words.sample(n, rng)]

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the words have a derivation in the grammar."""
        return self.words.is_member(self.split(tokens))

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the probability of the words."""
        return self.words.log_prob(self.split(tokens))

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return SpelledReader(self, self.words.reader(), "", self.words.reader().distribution())

    def entropy(self) -> Entropy:
        """Return the entropy of the words, which spelling does not change."""
        return self.words.entropy()

    def mean_tokens(self) -> float:
        """Return the exact mean number of characters, plus one for `END`."""
        # The width of each word includes a blank, but the last word has none. `END` takes its place.
        if isinstance(self.words, Grammar):
            return self.words.mean_width(self._widths()) + self.words.prob_empty()
        return self.words.mean_width() + float(self.words.width_distribution[0])

    def _widths(self) -> dict[str, int]:
        """Return the length of each word plus one for a blank."""
        return {word: len(word) + 1 for word in self.words.alphabet}

    def up_to(self, max_length: int) -> "Spelled":
        """Return this distribution conditioned on strings of at most ``max_length`` characters."""
        words = self.words
        grammar, limit = (words, max_length + 1) if isinstance(words, Grammar) else (words.grammar, words.limit)
        limit = min(max_length + 1, limit)
        limited = LimitedGrammar(grammar, limit or -1, self._widths())  # -1: a limit that no string meets
        return Spelled(limited, self.unlimited_name)


class SpelledReader(Reader):
    """The reader of a spelled language: the reader of the complete words, and the beginning of the next word.

    ``word_weights`` is proportional to the distribution of the next word.
    """

    def __init__(self, language: Spelled, words: Reader, beginning: str, word_weights: dict[str, float]) -> None:
        self.language, self.words, self.beginning = language, words, beginning
        self.word_weights = word_weights

    def distribution(self) -> dict[str, float]:
        """Return the distribution of the next character."""
        weights = dict.fromkeys((*self.language.alphabet, END), 0.0)
        beginning, position = self.beginning, len(self.beginning)
        for word in self.language.words_by_prefix[beginning]:
            if len(word) > position:
                weights[word[position]] += self.word_weights[word]
        if not beginning:
            weights[END] = self.word_weights[END]
        elif (whole := self.word_weights.get(beginning, 0.0)) > 0 and (after := self.words.read(beginning)):
            following = after.distribution()
            weights[END] = whole * following[END]
            weights[" "] = whole * sum(p for word, p in following.items() if word != END)
        total = sum(weights.values())
        return {symbol: weight / total for symbol, weight in weights.items()}

    def read(self, symbol: str) -> "SpelledReader | None":
        """Return the reader after one more character."""
        if symbol == " ":
            after = self.words.read(self.beginning) if self.beginning in self.word_weights else None
            if after is None:
                return None
            # After a blank a word must follow: the distribution without the end, which `distribution` normalizes.
            return self._if_possible(after, "", {**after.distribution(), END: 0.0})
        return self._if_possible(self.words, self.beginning + symbol, self.word_weights)

    def _if_possible(self, words: Reader, beginning: str, word_weights: dict[str, float]) -> "SpelledReader | None":
        possible = any(word_weights[word] > 0 for word in self.language.words_by_prefix.get(beginning, ()))
        return SpelledReader(self.language, words, beginning, word_weights) if possible else None
