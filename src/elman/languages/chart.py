"""Charts: the probability of a string and of a prefix under a grammar, one word at a time.

inside[i, A] of column j is P(A ⇒ words i to j), all derivations summed. expected[B] of column j is the probability
that the words so far end where a B starts (of all derivations that begin with them), so that the law of the next
word is expected · corners · lexical, with no sum over what follows. A prefix is scaled by its own probability at
every word, so nothing underflows; and what no derivation of the prefix could use is left out, as Earley's parser
does, so nothing overflows. Words that the grammar cannot tell apart share a column: the columns form a tree over
classes of words, and are found again.

Under a limit, every weight becomes a list by the width of all that must still follow: Σ over widths is a power
series in which a product is a convolution. Source: Stolcke 1995; Jelinek & Lafferty 1991. A column takes time of
its number times the rules; a string of n words n² to n³ in all.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from elman.languages.normal import Floats, NormalForm

CACHED_FLOATS: Final = 12_000_000  # 96 MB


class Column:
    """What a prefix leaves: see the module. ``rest`` is the width of what follows; without a limit it is 1 long."""

    __slots__ = ("children", "expected", "inside", "left", "log_scale", "mask", "parent", "predicted")

    def __init__(self, parent: "Column | None", inside: Floats, expected: Floats, log_scale: float) -> None:
        self.parent = parent
        self.inside = inside  # (columns before, N)
        self.expected = expected  # (N, rest)
        self.log_scale = log_scale  # log of the probability of the classes so far, that has been divided out
        self.children: dict[int, Column] = {}
        self.left: Floats
        self.predicted: Floats  # expected and all its left corners (N, rest)
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
        Under a limit, `corner_series`; else None.
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
        column.left = column.inside[:, self.form.lefts] * self.form.weights
        column.predicted = self._predict(column.expected)
        column.mask = column.predicted.sum(1) > 0
        self._stored += column.inside.size + column.left.size + 2 * column.expected.size
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
        """Return the column after one word more, or None where no string starts so."""
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
        """Return P(A ⇒ words i to the end) for every i: from short spans to long ones."""
        form = self.form
        last = len(columns) - 1
        sums = np.zeros((last + 1, len(form.empty)))
        sums[last] = word
        inside = np.zeros_like(sums)
        for i in range(last, -1, -1):
            if not sums[i].any():
                continue
            inside[i] = (form.chains @ sums[i]) * columns[i].mask
            if i > 0:  # as the right part of a rule, whose left part ends here
                sums[:i] += (columns[i].left * inside[i, form.rights]) @ self._to_parent
        return inside

    def _expect(self, columns: list[Column], inside: Floats) -> Floats:
        """Return where the words may end: after the left part of a rule, before its right part."""
        form = self.form
        by_rule = np.zeros((len(form.parents), columns[0].expected.shape[1]))
        for i in np.flatnonzero(inside.any(1)):
            by_rule += (form.weights * inside[i, form.lefts])[:, None] * columns[i].predicted[form.parents]
        return self._to_right @ by_rule

    def next_words(self, column: Column) -> Floats:
        """Return (C, rest): the weight of each class to come next, by the width of what follows it."""
        return self.form.lexical @ column.predicted

    def end(self, column: Column) -> float:
        """Return the weight of the prefix as a whole string, on the scale of `next_words`."""
        return (
            float(column.inside[0, self.form.start]) if len(column.inside) else float(self.form.empty[self.form.start])
        )


def length_series(form: NormalForm, lexical: Floats) -> Floats:
    """Return P(A ⇒ a string of width l), (N, limit + 1), the empty string apart.

    ``lexical`` (N, limit + 1) holds the rules A → word by the word's width, which is at least 1.
    """
    lengths = np.zeros_like(lexical)
    for length in range(1, lexical.shape[1]):
        left = lengths[form.lefts, 1:length]
        right = lengths[form.rights, length - 1 : 0 : -1]
        products = form.weights * (left * right).sum(1)
        sums = lexical[:, length] + np.bincount(form.parents, products, len(lexical))
        lengths[:, length] = form.chains @ sums
    return lengths


def surprisal(p: Floats) -> Floats:
    """Return -p log p, and 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def surprisal_series(form: NormalForm, lengths: Floats, lexical: Floats, lexical_surprisal: Floats) -> Floats:
    """Return the sum of -p log p over the derivations of strings of width l from A, (N, limit + 1); empty ones apart.

    The logarithm of a derivation is the sum of its rules', so each rule adds its own to those of its parts. Of a
    grammar of which no string has two derivations, these are the strings' own p.

    Parameters
    ----------
    form
        Of such a grammar, so that no rule of it sums over several ways.
    lengths
        (N, limit + 1), :func:`length_series`.
    lexical, lexical_surprisal
        (N, limit + 1), the sums of p and of -p log p over the rules A → word, by the word's width.
    """
    found = np.zeros_like(lengths)
    left, right = form.lefts, form.rights
    rule_surprisal, chain_surprisal = surprisal(form.weights), surprisal(form.chains)

    for length in range(1, lengths.shape[1]):
        here, back = slice(1, length), slice(length - 1, 0, -1)
        both = (lengths[left, here] * lengths[right, back]).sum(1)
        either = (found[left, here] * lengths[right, back] + lengths[left, here] * found[right, back]).sum(1)
        nats = form.weights * either + rule_surprisal * both
        masses = lexical[:, length] + np.bincount(form.parents, form.weights * both, len(found))
        sums = lexical_surprisal[:, length] + np.bincount(form.parents, nats, len(found))
        found[:, length] = form.chains @ sums + chain_surprisal @ masses
    return found


def corner_series(form: NormalForm, lengths: Floats) -> Floats:
    """Return the closure of left corners by the width of what they leave to the right, (N, N, limit + 1)."""
    n, width = lengths.shape
    series = np.zeros((n, n, width))
    series[:, :, 0] = form.chains
    ways = form.weights[:, None] * lengths[form.rights]
    for length in range(1, width):
        before = series[:, form.parents, length - 1 :: -1]
        products = np.einsum("nrl,rl->nr", before, ways[:, 1 : length + 1])
        sums = np.zeros((n, n))
        np.add.at(sums.T, form.lefts, products.T)
        series[:, :, length] = sums @ form.chains
    return series
