"""Charts: the probability of a string and of a prefix under a grammar, one word at a time.

inside[i, A] of column j is P(A ⇒ words i to j), summed over derivations. expected[B] of column j is the probability,
over all derivations that start with the words so far, that a B starts after them. The weights of the next words are
expected · corners · lexical, without a sum over later words. Each prefix is scaled by its own probability at every
word, so nothing underflows. Symbols that no derivation of the prefix can use are left out, as in Earley's parser, so
nothing overflows. Words that the grammar does not distinguish share a column: the columns form a tree over classes of
words, and are reused.

Under a length limit, every weight becomes a list indexed by the width of all words that must still follow, a power
series whose product is a convolution. Source: Stolcke 1995; Jelinek & Lafferty 1991. The time of a column is
proportional to its position times the number of rules; a string of n words takes n² to n³ in total.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from elman.languages.entropy import Floats
from elman.languages.normal import NormalForm

CACHED_FLOATS: Final = 12_000_000  # 96 MB


class Column:
    """The chart's column after a prefix; see the module.

    The axis ``rest`` is the width of the words that follow. Without a length limit it has size 1.
    """

    __slots__ = ("children", "expected", "inside", "left_products", "log_scale", "mask", "parent", "predicted")

    def __init__(self, parent: "Column | None", inside: Floats, expected: Floats, log_scale: float) -> None:
        self.parent = parent
        self.inside = inside  # (columns before, N)
        self.expected = expected  # (N, rest)
        self.log_scale = log_scale  # log of the word classes' probability, by which inside and expected are divided
        self.children: dict[int, Column] = {}
        self.left_products: Floats  # weight · inside of the left part of each binary rule (columns before, R)
        self.predicted: Floats  # expected, with all its left corners (N, rest)
        self.mask: npt.NDArray[np.bool_]

    def path(self) -> "list[Column]":
        """Return the columns from the first to this one."""
        columns: list[Column] = [self]
        while (parent := columns[-1].parent) is not None:
            columns.append(parent)
        return columns[::-1]


class Chart:
    """The columns of one grammar.

    Parameters
    ----------
    form
        The grammar.
    series
        `corner_series` of the grammar under a length limit, or None without a limit.
    """

    def __init__(self, form: NormalForm, series: Floats | None = None) -> None:
        self.form = form
        n = len(form.empty)
        self._to_parent = np.zeros((len(form.parents), n))
        self._to_parent[np.arange(len(form.parents)), form.parents] = 1.0
        self._to_right = np.zeros((n, len(form.parents)))
        self._to_right[form.rights, np.arange(len(form.parents))] = 1.0
        self._series = series
        expected = np.zeros((n, 1 if series is None else series.shape[2]))
        expected[form.start, 0] = 1.0
        self._stored = 0
        self.root = self._finish(Column(None, np.zeros((0, n)), expected, 0.0))

    def _finish(self, column: Column) -> Column:
        column.left_products = column.inside[:, self.form.lefts] * self.form.weights
        column.predicted = self._predict(column.expected)
        column.mask = column.predicted.sum(1) > 0
        self._stored += column.inside.size + column.left_products.size + 2 * column.expected.size
        return column

    def _predict(self, expected: Floats) -> Floats:
        if self._series is None:
            return self.form.corners.T @ expected
        predicted = np.zeros_like(expected)
        width = expected.shape[1]
        for a in np.flatnonzero(expected.any(1)):
            for b in np.flatnonzero(self._series[a].any(1)):
                predicted[b] += np.convolve(expected[a], self._series[a, b])[:width]
        return predicted

    def extend(self, column: Column, word_class: int) -> Column | None:
        """Return the column after one more word, or None if no string starts with this prefix."""
        if word_class not in column.children:
            after = self._extend(column, word_class)
            if after is None:
                return None
            if self._stored > CACHED_FLOATS:
                self.root.children.clear()
                self._stored = 0
            column.children[word_class] = after
        return column.children[word_class]

    def _extend(self, column: Column, word_class: int) -> Column | None:
        word = self.form.lexical[word_class]
        scale = float(word @ column.predicted.sum(1))
        if scale <= 0:
            return None
        columns = column.path()
        inside = self._inside(columns, word / scale)
        expected = self._expect(columns, inside)
        return self._finish(Column(column, inside, expected, column.log_scale + np.log(scale)))

    def _inside(self, columns: list[Column], word: Floats) -> Floats:
        """Return P(A ⇒ words i to the end) for every i, from short spans to long ones."""
        form = self.form
        last = len(columns) - 1
        sums = np.zeros((last + 1, len(form.empty)))
        sums[last] = word
        inside = np.zeros_like(sums)
        for i in range(last, -1, -1):
            if not sums[i].any():
                continue
            inside[i] = (form.chains @ sums[i]) * columns[i].mask
            if i > 0:  # the right part of a rule whose left part ends here
                sums[:i] += (columns[i].left_products * inside[i, form.rights]) @ self._to_parent
        return inside

    def _expect(self, columns: list[Column], inside: Floats) -> Floats:
        """Return the weight of each nonterminal to start after the words: the right part of a rule begun before."""
        form = self.form
        by_rule = np.zeros((len(form.parents), columns[0].expected.shape[1]))
        for i in np.flatnonzero(inside.any(1)):
            by_rule += (form.weights * inside[i, form.lefts])[:, None] * columns[i].predicted[form.parents]
        return self._to_right @ by_rule

    def next_words(self, column: Column) -> Floats:
        """Return the weight of each class of words to come next, by the width of the words after it, (C, rest)."""
        return self.form.lexical @ column.predicted

    def end(self, column: Column) -> float:
        """Return the weight of the prefix as a complete string, on the scale of `next_words`."""
        start = self.form.start
        return float(column.inside[0, start] if len(column.inside) else self.form.empty[start])


def length_series(form: NormalForm, lexical: Floats) -> Floats:
    """Return P(A ⇒ a nonempty string of width l), (N, limit + 1).

    ``lexical`` (N, limit + 1) holds the rules A → word by the word's width, which is at least 1.
    """
    lengths = np.zeros_like(lexical)
    for length in range(1, lexical.shape[1]):
        lefts = lengths[form.lefts, 1:length]
        rights = lengths[form.rights, length - 1 : 0 : -1]
        products = form.weights * (lefts * rights).sum(1)
        sums = lexical[:, length] + np.bincount(form.parents, products, len(lexical))
        lengths[:, length] = form.chains @ sums
    return lengths


def surprisal(p: Floats) -> Floats:
    """Return -p log p elementwise, with 0 at p = 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def surprisal_series(form: NormalForm, lengths: Floats, lexical: Floats, lexical_surprisal: Floats) -> Floats:
    """Return the sum of -p log p over the derivations of nonempty strings of width l from A, (N, limit + 1).

    The log-probability of a derivation is the sum over its rules, so each rule adds its own term to those of its
    parts. A string of an unambiguous grammar has one derivation, so the result is the sum of -p log p over strings.

    Parameters
    ----------
    form
        An unambiguous grammar, so that none of its rules sums over several derivations.
    lengths
        :func:`length_series`, (N, limit + 1).
    lexical, lexical_surprisal
        The sums of p and of -p log p over the rules A → word, by the word's width, (N, limit + 1).
    """
    series = np.zeros_like(lengths)
    lefts, rights = form.lefts, form.rights
    rule_surprisal, chain_surprisal = surprisal(form.weights), surprisal(form.chains)

    for length in range(1, lengths.shape[1]):
        rising, falling = slice(1, length), slice(length - 1, 0, -1)
        left_masses, right_masses = lengths[lefts, rising], lengths[rights, falling]
        products = (left_masses * right_masses).sum(1)
        part_nats = (series[lefts, rising] * right_masses + left_masses * series[rights, falling]).sum(1)
        nats = form.weights * part_nats + rule_surprisal * products
        masses = lexical[:, length] + np.bincount(form.parents, form.weights * products, len(series))
        sums = lexical_surprisal[:, length] + np.bincount(form.parents, nats, len(series))
        series[:, length] = form.chains @ sums + chain_surprisal @ masses
    return series


def corner_series(form: NormalForm, lengths: Floats) -> Floats:
    """Return the closure of left corners by the width of the words to their right, (N, N, limit + 1)."""
    n, width = lengths.shape
    series = np.zeros((n, n, width))
    series[:, :, 0] = form.chains
    right_weights = form.weights[:, None] * lengths[form.rights]
    for length in range(1, width):
        before = series[:, form.parents, length - 1 :: -1]
        products = np.einsum("nrl,rl->nr", before, right_weights[:, 1 : length + 1])
        sums = np.zeros((n, n))
        np.add.at(sums.T, form.lefts, products.T)
        series[:, :, length] = sums @ form.chains
    return series
