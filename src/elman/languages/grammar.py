"""Probabilistic context-free grammars: exact probabilities of strings and prefixes, with ambiguity summed out.

A nonterminal is rewritten by one of its rules, drawn by their probabilities, until only words remain. The probability
of a string is the sum over its derivations (the inside algorithm). The probability of a prefix is the sum over all
strings that start with it (Stolcke 1995; left recursion is summed by a matrix inverse, as in Jelinek & Lafferty 1991),
and the distribution of the next word is the ratio of two prefix probabilities. The mean length is the solution of one
linear system. The entropy of derivations is exact; that of strings is exact only if no string has two derivations, and
is otherwise a Monte Carlo estimate. Out of scope: learning the probabilities, and the most probable parse.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

import numpy as np

from elman.errors import LanguageError
from elman.languages.base import END, Language, Reader, String
from elman.languages.chart import Chart, Column, corner_series, length_series, surprisal, surprisal_series
from elman.languages.checks import check_alphabet
from elman.languages.entropy import SAMPLES, Entropy, Floats, entropy_from_surprisals
from elman.languages.growth import check_rules, expected_counts
from elman.languages.ll1 import is_ll1
from elman.languages.normal import NormalForm, Rule, normal_form


class Grammar(Language):
    """A probabilistic context-free grammar over words, or over characters if every word is one character.

    Parameters
    ----------
    name
        The name of the language.
    alphabet, start
        The words, and the nonterminal to start from.
    rules
        The right-hand sides of each nonterminal, with their probabilities. A right-hand side is a string of symbols
        with blanks between them; ``""`` is the empty string.

    Raises
    ------
    LanguageError
        A symbol is missing, weights do not sum to one, a rule cannot be reached, or the mean length is infinite.

    Example: with ``{"S": {"S + S": 0.2, "x": 0.8}}``, P(x) = 0.8 and P(x + x) = 0.2 · 0.8². The string ``x + x + x``
    has two derivations and the probability 2 · 0.2² · 0.8³.
    """

    def __init__(
        self, name: str, alphabet: Sequence[str], start: str, rules: Mapping[str, Mapping[str, float]]
    ) -> None:
        self.name, self.alphabet, self.start = name, tuple(alphabet), start
        self.rules = {
            left: [Rule(left, tuple(right.split()), p) for right, p in alternatives.items()]
            for left, alternatives in rules.items()
        }
        check_alphabet(self.alphabet)
        if " " in self.alphabet:
            raise LanguageError(
                "The alphabet of a grammar cannot contain a blank, because blanks separate the symbols of a rule.",
                "Use spelled = true for words with blanks between them, or an automaton.",
                ("alphabet",),
            )
        check_rules(self.rules, self.alphabet, start)
        self.counts = expected_counts(self.rules, start)
        self.index = {word: i for i, word in enumerate(self.alphabet)}
        self.widths = dict.fromkeys(self.alphabet, 0)  # no length limit

    @cached_property
    def form(self) -> NormalForm:
        """The grammar in normal form."""
        return normal_form(list(chain.from_iterable(self.rules.values())), self.start, self.alphabet)

    @cached_property
    def chart(self) -> Chart:
        """The columns of the prefixes read before."""
        return Chart(self.form)

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings, each by a leftmost derivation.

        A rule is drawn by `rng.choice` if all rules of the nonterminal are equally likely, else by `rng.choices`.
        """
        return [self.join(self.derive(rng)[0]) for _ in range(n)]

    def derive(self, rng: random.Random) -> tuple[list[str], float]:
        """Draw a derivation, and return its words and its log-probability."""
        words: list[str] = []
        log_prob, stack = 0.0, [self.start]
        while stack:
            symbol = stack.pop()
            if symbol in self._choices:
                rules, weights = self._choices[symbol]
                rule = rng.choice(rules) if weights is None else rng.choices(rules, cum_weights=weights)[0]
                log_prob += math.log(rule.probability)
                stack.extend(reversed(rule.right))
            else:
                words.append(symbol)
        return words, log_prob

    @cached_property
    def _choices(self) -> dict[str, tuple[list[Rule], list[float] | None]]:
        """The rules of each nonterminal, and their cumulative probabilities, or None if they are all equal."""
        choices: dict[str, tuple[list[Rule], list[float] | None]] = {}
        for left, rules in self.rules.items():
            probabilities = [rule.probability for rule in rules]
            choices[left] = (rules, None if len(set(probabilities)) == 1 else np.cumsum(probabilities).tolist())
        return choices

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return GrammarReader(self, self.chart.root)

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the string's probability, summed over its derivations."""
        column: Column | None = self.chart.root
        log_shares = 0.0
        for word in tokens:
            number = self.index.get(word)
            column = None if number is None or column is None else self.chart.extend(column, self.word_class(word))
            if column is None or number is None:
                return -math.inf
            log_shares += math.log(self.form.word_share[number])
        if column is None or (end := self.chart.end(column)) <= 0:
            return -math.inf
        return float(log_shares + column.log_scale + math.log(end))

    def word_class(self, word: str) -> int:
        """Return the number of the class of words that the grammar does not distinguish from ``word``."""
        return int(self.form.word_class[self.index[word]])

    def next_weights(self, column: Column, remaining: int) -> Floats:  # noqa: ARG002 (no limit)
        """Return the weight of each word to come next."""
        weights: Floats = self.chart.next_words(column)[self.form.word_class, 0] * self.form.word_share
        return weights

    @cached_property
    def unambiguous(self) -> bool:
        """Whether the grammar is LL(1), so that no string has two derivations. False does not prove ambiguity."""
        return is_ll1(self.rules, self.start)

    def derivation_entropy(self) -> float:
        """Return the exact entropy of derivations in nats, an upper bound of the strings' entropy."""
        local = {left: -sum(p * math.log(p) for _, _, p in rules) for left, rules in self.rules.items()}
        return math.fsum(self.counts[left] * nats for left, nats in local.items())

    def entropy(self) -> Entropy:
        """Return the derivations' entropy if the grammar is `unambiguous`, else an estimate from 10,000 strings.

        The control variate of the estimate is the log-probability of the derivations, whose mean is known, so only the
        effect of the ambiguity is random.
        """
        return self._entropy

    @cached_property
    def _entropy(self) -> Entropy:
        if self.unambiguous:
            return Entropy.exact(self.derivation_entropy())
        rng = random.Random(0)
        derivations = [self.derive(rng) for _ in range(SAMPLES)]
        nats = np.array([-self.log_prob(words) for words, _ in derivations])
        derivation_nats = np.array([-log_prob for _, log_prob in derivations])
        return entropy_from_surprisals(nats, derivation_nats, self.derivation_entropy())

    def mean_tokens(self) -> float:
        """Return the exact mean number of words a string, plus one for `END`."""
        return 1 + self.mean_width(dict.fromkeys(self.alphabet, 1))

    def mean_width(self, widths: Mapping[str, int]) -> float:
        """Return the exact mean, over strings, of the summed widths of the words."""
        return math.fsum(self.counts.get(word, 0.0) * widths[word] for word in self.alphabet)

    def prob_empty(self) -> float:
        """Return the probability of the empty string."""
        return float(self.form.empty[self.form.start])

    def up_to(self, max_length: int) -> "LimitedGrammar":
        """Return this distribution conditioned on strings of at most ``max_length`` words."""
        return LimitedGrammar(self, max_length, dict.fromkeys(self.alphabet, 1))


class LimitedGrammar(Language):
    """A grammar's distribution conditioned on strings whose words have a summed width of at most ``limit``.

    Probabilities are exact, because charts under a limit track the width of the words that must follow. The entropy is
    exact if the grammar is `Grammar.unambiguous`, and otherwise an estimate.
    """

    def __init__(self, grammar: Grammar, limit: int, widths: Mapping[str, int]) -> None:
        self.grammar, self.limit, self.widths = grammar, limit, dict(widths)
        self.name = f"{grammar.name} up to {limit}"
        self.alphabet = grammar.alphabet
        self._lengths = length_series(grammar.form, self._lexical(max(limit, 0)))
        masses = self._lengths[grammar.form.start].copy()
        masses[0] = grammar.prob_empty()
        if limit < 0 or masses.sum() <= 0:
            raise LanguageError(f"No string of {grammar.name} is that short.", "Use a higher length limit.")
        self.mass = float(masses.sum())
        self.width_distribution = masses / self.mass
        self._word_widths = np.array([self.widths[word] for word in self.alphabet])
        self.word_class = grammar.word_class

    def _lexical(self, limit: int, transform: Callable[[Floats], Floats] = lambda p: p) -> Floats:
        """Return the sum of ``transform(p)`` over the rules A → word of each width, (N, limit + 1)."""
        form = self.grammar.form
        lexical = np.zeros((len(form.empty), limit + 1))
        for word, number, share in zip(self.alphabet, form.word_class, form.word_share, strict=True):
            if self.widths[word] <= limit:
                lexical[:, self.widths[word]] += transform(share * form.lexical[number])
        return lexical

    @cached_property
    def chart(self) -> Chart:
        """The columns of the prefixes read before."""
        return Chart(self.grammar.form, corner_series(self.grammar.form, self._lengths))

    def sample(self, n: int, rng: random.Random) -> list[String]:
        """Return ``n`` strings: by rejection sampling, or word by word if fewer than 1% would be accepted."""
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
            distribution = reader.distribution()
            word = rng.choices(list(distribution), list(distribution.values()))[0]
            if word == END:
                return
            yield word
            reader = reader.read(word)

    def is_member(self, tokens: Sequence[str]) -> bool:
        """Return whether the string is a member of the unlimited grammar: long strings stay grammatical."""
        return self.grammar.is_member(tokens)

    def reader(self) -> Reader:
        """Return the reader of the empty prefix."""
        return GrammarReader(self, self.chart.root, self.limit)

    def log_prob(self, tokens: Sequence[str]) -> float:
        """Return the natural logarithm of the string's probability under the limit."""
        if sum(self.widths.get(word, 0) for word in tokens) > self.limit:
            return -math.inf
        return self.grammar.log_prob(tokens) - math.log(self.mass)

    def next_weights(self, column: Column, remaining: int) -> Floats:
        """Return the weight of each word to come next, given the ``remaining`` width."""
        sums = np.cumsum(self.chart.next_words(column), axis=1)
        remaining_after = remaining - self._word_widths
        weights = sums[self.grammar.form.word_class, np.maximum(remaining_after, 0)]
        return np.where(remaining_after >= 0, weights, 0.0) * self.grammar.form.word_share

    def entropy(self) -> Entropy:
        """Return the exact entropy if the grammar is unambiguous, else an estimate from 10,000 strings.

        A string of probability p in the grammar has p / mass here, so the entropy is log mass plus the mean of -log p
        over the strings within the limit. The control variate of the estimate is the width.
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
        surprisals = np.array([-self.log_prob(string) for string in strings])
        widths = np.array([sum(map(self.widths.__getitem__, string)) for string in strings], dtype=np.float64)
        return entropy_from_surprisals(surprisals, widths, self.mean_width())

    def mean_width(self) -> float:
        """Return the exact mean, over strings, of the summed widths of the words."""
        return float(self.width_distribution @ np.arange(self.limit + 1))

    def mean_tokens(self) -> float:
        """Return the exact mean number of words, plus one for `END`.

        Raises
        ------
        LanguageError
            A word has another width than 1, so the number of words does not follow from the width.
        """
        if set(self.widths.values()) != {1}:
            raise LanguageError("The limit does not count words.", "Use mean_width().")
        return 1 + self.mean_width()

    def up_to(self, max_length: int) -> "LimitedGrammar":
        """Return the grammar's distribution under the lower of the two limits, both in the same widths."""
        return LimitedGrammar(self.grammar, min(max_length, self.limit), self.widths)


class GrammarReader(Reader):
    """The reader of a grammar: the chart's column of the prefix and, under a length limit, the remaining width."""

    def __init__(self, language: Grammar | LimitedGrammar, column: Column, remaining: int = 0) -> None:
        self.language, self.column, self.remaining = language, column, remaining

    def distribution(self) -> dict[str, float]:
        """Return the distribution of the next word."""
        weights = self.language.next_weights(self.column, self.remaining)
        end = self.language.chart.end(self.column)
        total = float(weights.sum()) + end
        return {**dict(zip(self.language.alphabet, (weights / total).tolist(), strict=True)), END: end / total}

    def read(self, symbol: str) -> "GrammarReader | None":
        """Return the reader after one more word, or None if no string of the language starts with that prefix."""
        language, chart = self.language, self.language.chart
        remaining = self.remaining - language.widths.get(symbol, 0)
        if symbol not in language.widths or remaining < 0:
            return None
        column = chart.extend(self.column, language.word_class(symbol))
        if column is None or (chart.end(column) <= 0 and not language.next_weights(column, remaining).any()):
            return None
        return GrammarReader(language, column, remaining)
