"""Probabilistic context-free grammars: a string's probability with its ambiguity summed, a prefix's, and the rest.

A nonterminal is rewritten by one of its rules, chosen by their probabilities, until only words are left. The
probability of a string sums over its derivations (the inside algorithm), that of a prefix over all strings that begin
with it (Stolcke 1995; left recursion is summed by a matrix inverse, as Jelinek & Lafferty 1991 do), and the law of
the next word is the ratio of two. Mean length is one linear system. The entropy of a derivation is exact too, but
that of a string is exact only where no string has two derivations; else a Monte Carlo estimate. What it leaves out:
learning the probabilities, and the single best parse.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import END, Entropy, Language, Reader, String
from elman.languages.chart import Chart, Column, corner_series, length_series, surprisal, surprisal_series
from elman.languages.checks import check_alphabet
from elman.languages.estimate import SAMPLES, from_surprisals
from elman.languages.growth import check_rules, expected_counts
from elman.languages.normal import Floats, NormalForm, Rule, normal_form
from elman.languages.predictive import is_predictive


class Grammar(Language):
    """A probabilistic context-free grammar over words (or characters, where every symbol is one).

    Parameters
    ----------
    rules
        Of each nonterminal, its right-hand sides (symbols with blanks between; ``""`` is the empty one) and their
        probabilities.
    start, alphabet
        The nonterminal to start from, and the words.

    Raises
    ------
    LanguageError
        A symbol is missing, weights do not sum to one, a rule cannot be reached, or the mean length is infinite.

    Example: ``{"S": {"S + S": 0.2, "x": 0.8}}`` gives ``x`` the probability 0.8 and ``x + x`` 0.2 · 0.8²; ``x + x +
    x`` has two derivations, and 2 · 0.2² · 0.8³.
    """

    def __init__(
        self, name: str, alphabet: Sequence[str], start: str, rules: Mapping[str, Mapping[str, float]]
    ) -> None:
        self.name, self.alphabet, self.start = name, tuple(alphabet), start
        self.rules = {
            left: [Rule(left, tuple(right.split()), p) for right, p in ways.items()] for left, ways in rules.items()
        }
        check_alphabet(self.alphabet)
        check_rules(self.rules, self.alphabet, start)
        self.counts = expected_counts(self.rules, start)
        self.index = {word: i for i, word in enumerate(self.alphabet)}

    @cached_property
    def form(self) -> NormalForm:
        """The grammar in normal form."""
        return normal_form([rule for ways in self.rules.values() for rule in ways], self.start, self.alphabet)

    @cached_property
    def chart(self) -> Chart:
        """The columns of prefixes read so far."""
        return Chart(self.form)

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw ``n`` strings, the leftmost nonterminal first: `rng.choice` among equal rules, else `rng.choices`."""
        return [self.join(self.derive(rng)[0]) for _ in range(n)]

    def derive(self, rng: random.Random) -> tuple[list[str], float]:
        """Draw a string, and return it with the log-probability of the derivation that made it."""
        words: list[str] = []
        log_prob, waiting = 0.0, [self.start]
        while waiting:
            symbol = waiting.pop()
            if symbol in self._choices:
                ways, weights = self._choices[symbol]
                rule = rng.choice(ways) if weights is None else rng.choices(ways, cum_weights=weights)[0]
                log_prob += math.log(rule.probability)
                waiting.extend(reversed(rule.right))
            else:
                words.append(symbol)
        return words, log_prob

    @cached_property
    def _choices(self) -> dict[str, tuple[list[Rule], list[float] | None]]:
        """Each nonterminal's rules, and their cumulated weights where they differ."""
        choices: dict[str, tuple[list[Rule], list[float] | None]] = {}
        for left, ways in self.rules.items():
            equal = len({rule.probability for rule in ways}) == 1
            choices[left] = (ways, None if equal else np.cumsum([rule.probability for rule in ways]).tolist())
        return choices

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string has a derivation."""
        return self.in_support(tokens)

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return Parse(self, self.chart.root)

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the string's probability, all its derivations summed."""
        column: Column | None = self.chart.root
        shares = 0.0
        for word in tokens:
            number = self.index.get(word)
            column = None if number is None or column is None else self.chart.extend(column, self.word_class(word))
            if column is None or number is None:
                return -math.inf
            shares += math.log(self.form.word_share[number])
        if column is None or (end := self.chart.end(column)) <= 0:
            return -math.inf
        return float(shares + column.log_scale + math.log(end))

    def word_class(self, word: str) -> int:
        """Return the number of the class of words that the grammar cannot tell from ``word``."""
        return int(self.form.word_class[self.index[word]])

    @cached_property
    def unambiguous(self) -> bool:
        """Whether the grammar is LL(1), so that no string has two derivations. False proves nothing."""
        return is_predictive(self.rules, self.start)

    def derivation_entropy(self) -> float:
        """Return the entropy of a derivation in nats: an upper bound of the strings' entropy. Exact."""
        local = {left: -sum(p * math.log(p) for _, _, p in ways) for left, ways in self.rules.items()}
        return math.fsum(self.counts[left] * nats for left, nats in local.items())

    def entropy(self) -> Entropy:
        """Return the entropy: the derivation's where `unambiguous`, else an estimate from 10,000 strings.

        The log-probability of the derivations, whose mean is known, is the control variate: what is left to chance
        is how much the ambiguity takes off.
        """
        return self._entropy

    @cached_property
    def _entropy(self) -> Entropy:
        if self.unambiguous:
            return Entropy.exact(self.derivation_entropy())
        rng = random.Random(0)
        drawn = [self.derive(rng) for _ in range(SAMPLES)]
        nats = np.array([-self.log_prob(words) for words, _ in drawn])
        return from_surprisals(nats, np.array([-log_prob for _, log_prob in drawn]), self.derivation_entropy())

    def mean_tokens(self) -> float:
        """Return the mean number of words a string, and one for `END`. Exact."""
        return 1 + self.mean_width(dict.fromkeys(self.alphabet, 1))

    def mean_width(self, widths: Mapping[str, int]) -> float:
        """Return the mean of the summed widths of a string's words. Exact."""
        return math.fsum(self.counts.get(word, 0.0) * widths[word] for word in self.alphabet)

    def prob_empty(self) -> float:
        """Return the probability of the empty string."""
        return float(self.form.empty[self.form.start])

    def up_to(self, max_length: int) -> "LimitedGrammar":
        """Return this law on condition that a string has at most ``max_length`` words."""
        return LimitedGrammar(self, max_length, dict.fromkeys(self.alphabet, 1))


class Parse(Reader):
    """A prefix's column."""

    def __init__(self, grammar: Grammar, column: Column) -> None:
        self.grammar, self.column = grammar, column

    def distribution(self) -> dict[str, float]:
        """Return the law of the next word."""
        form, chart = self.grammar.form, self.grammar.chart
        weights = chart.next_words(self.column)[form.word_class, 0] * form.word_share
        return normalised(self.grammar.alphabet, weights, chart.end(self.column))

    def read(self, symbol: str) -> "Parse | None":
        """Return the column after one word more."""
        if symbol not in self.grammar.index:
            return None
        column = self.grammar.chart.extend(self.column, self.grammar.word_class(symbol))
        return None if column is None else Parse(self.grammar, column)


def normalised(alphabet: Sequence[str], weights: Floats, end: float) -> dict[str, float]:
    """Return the law that these weights of the words, and of `END`, make up."""
    total = float(weights.sum()) + end
    law = dict(zip(alphabet, (weights / total).tolist(), strict=True))
    law[END] = end / total
    return law


class LimitedGrammar(Language):
    """A grammar's law on condition that the widths of a string's words sum to at most ``limit``.

    Probabilities are exact: charts under a limit carry the width of what must follow. So is the entropy where the
    grammar is `Grammar.unambiguous`; else it is estimated.
    """

    def __init__(self, grammar: Grammar, limit: int, widths: Mapping[str, int]) -> None:
        self.grammar, self.limit, self.widths = grammar, limit, dict(widths)
        self.name = f"{grammar.name} up to {limit}"
        self.alphabet = grammar.alphabet
        self._lengths = length_series(grammar.form, self._lexical(max(limit, 0)))
        masses = self._lengths[grammar.form.start].copy()
        masses[0] = grammar.prob_empty()
        if limit < 0 or masses.sum() <= 0:
            raise LanguageError(f"No string of {grammar.name} is so short.", "Raise the length limit.")
        self.mass = float(masses.sum())
        self.width_distribution = masses / self.mass
        self._word_widths = np.array([self.widths[word] for word in self.alphabet])

    def _lexical(self, limit: int, of: Callable[[Floats], Floats] = lambda p: p) -> Floats:
        """Return the sum, over the rules A → word, ``of`` their probabilities, by the word's width, (N, limit + 1)."""
        form = self.grammar.form
        lexical = np.zeros((len(form.empty), limit + 1))
        for word, number, share in zip(self.alphabet, form.word_class, form.word_share, strict=True):
            if self.widths[word] <= limit:
                lexical[:, self.widths[word]] += of(share * form.lexical[number])
        return lexical

    @cached_property
    def chart(self) -> Chart:
        """The columns of prefixes read so far."""
        return Chart(self.grammar.form, corner_series(self.grammar.form, self._lengths))

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Draw from the grammar until the limit is kept, or word by word where that would be too rare."""
        if self.mass < 0.01:
            return [self.join(list(self._words(rng))) for _ in range(n)]
        strings: list[String] = []
        while len(strings) < n:
            words, _ = self.grammar.derive(rng)
            if sum(map(self.widths.__getitem__, words)) <= self.limit:
                strings.append(self.join(words))
        return strings

    def _words(self, rng: random.Random) -> Iterator[str]:
        reader: Reader | None = self.reader()
        while reader is not None:
            law = reader.distribution()
            word = rng.choices(list(law), list(law.values()))[0]
            if word == END:
                return
            yield word
            reader = reader.read(word)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return the unlimited grammar's answer: a string too long is cut off, not wrong."""
        return self.grammar.is_member(tokens)

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return LimitedParse(self, self.chart.root, self.limit)

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the string's probability under the limit."""
        if sum(self.widths.get(word, 0) for word in tokens) > self.limit:
            return -math.inf
        return self.grammar.log_prob(tokens) - math.log(self.mass)

    def next_weights(self, column: Column, left: int) -> Floats:
        """Return the weight of each word to come next, where widths of ``left`` are still free."""
        sums = np.cumsum(self.chart.next_words(column), axis=1)
        room = left - self._word_widths
        weights = sums[self.grammar.form.word_class, np.maximum(room, 0)]
        return np.where(room >= 0, weights, 0.0) * self.grammar.form.word_share

    def entropy(self) -> Entropy:
        """Return the entropy: exact where the grammar is unambiguous, else an estimate from 10,000 strings.

        A string p of the grammar has p / mass here, so the entropy is the mean of -log p over the strings within the
        limit, and log mass. The control variate of the estimate is the width.
        """
        return self._entropy

    @cached_property
    def _entropy(self) -> Entropy:
        grammar = self.grammar
        if grammar.unambiguous:
            lexical = self._lexical(self.limit), self._lexical(self.limit, surprisal)
            nats = surprisal_series(grammar.form, self._lengths, *lexical)[grammar.form.start].sum()
            nats += surprisal(np.array(grammar.prob_empty()))
            return Entropy.exact(float(nats) / self.mass + math.log(self.mass))
        strings = self.sample(SAMPLES, random.Random(0))
        nats_each = np.array([-self.log_prob(string) for string in strings])
        widths = np.array([sum(map(self.widths.__getitem__, string)) for string in strings], dtype=np.float64)
        return from_surprisals(nats_each, widths, self.mean_width())

    def mean_width(self) -> float:
        """Return the mean of the summed widths of a string's words. Exact."""
        return float(self.width_distribution @ np.arange(self.limit + 1))

    def mean_tokens(self) -> float:
        """Return the mean number of words, and one for `END`. Exact where every word has the width 1.

        Raises
        ------
        LanguageError
            Words have other widths, so that their number does not follow from the law of the width.
        """
        if set(self.widths.values()) != {1}:
            raise LanguageError("The limit is not one of words.", "Ask for the mean width.")
        return 1 + self.mean_width()

    def up_to(self, max_length: int) -> "LimitedGrammar":
        """Return the unlimited law under the lower of the two limits, which are of one kind."""
        return LimitedGrammar(self.grammar, min(max_length, self.limit), self.widths)


class LimitedParse(Reader):
    """A prefix's column, and the width that is left."""

    def __init__(self, language: LimitedGrammar, column: Column, left: int) -> None:
        self.language, self.column, self.left = language, column, left

    def distribution(self) -> dict[str, float]:
        """Return the law of the next word."""
        weights = self.language.next_weights(self.column, self.left)
        return normalised(self.language.alphabet, weights, self.language.chart.end(self.column))

    def read(self, symbol: str) -> "LimitedParse | None":
        """Return the column after one word more, or None where no string so short starts so."""
        grammar = self.language.grammar
        left = self.left - self.language.widths.get(symbol, 0)
        if symbol not in grammar.index or left < 0:
            return None
        column = self.language.chart.extend(self.column, grammar.word_class(symbol))
        if column is None:
            return None
        after = LimitedParse(self.language, column, left)
        possible = self.language.chart.end(column) > 0 or self.language.next_weights(column, left).any()
        return after if possible else None
