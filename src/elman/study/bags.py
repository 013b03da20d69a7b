"""Classifiers that see which words and pairs of words a text holds, and not their order: what a user would try first.

``majority``
    The commonest class.
``nb-svm``
    Which n-grams a text holds, each times its log-count ratio between the two classes, then a linear model (Wang and
    Manning, "Baselines and bigrams", ACL 2012). Here logistic regression, which gives probabilities, and no
    interpolation of the weights.
``tf-idf``
    1 + log of each n-gram's count, times its inverse document frequency, scaled to length one; then logistic
    regression.

The linear models are scikit-learn's.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elman.errors import ConfigError
from elman.evaluation import LogProbs
from elman.extras import require
from elman.text.sequences import Sequences

Method = Literal["majority", "nb-svm", "tf-idf"]

Counts = Any
"""A SciPy matrix in CSR form (texts, n-grams): how often each text holds each."""

Predict = Callable[[Counts], LogProbs]

MOST_ITERATIONS = 1_000


class Grams:
    """The n-grams that enough texts hold.

    Parameters
    ----------
    sequences
        The texts of the training.
    vocab_size
        How many ids there are.
    longest
        The most tokens in an n-gram; all from one on are counted.
    least
        Of how many texts each must be a part.
    """

    def __init__(self, sequences: Sequences, vocab_size: int, longest: int, least: int) -> None:
        if (vocab_size + 1) ** longest >= 2**63:
            raise ConfigError(
                f"{longest}-grams of {vocab_size:,} ids are too many to be numbered.", "Take shorter ones."
            )
        self._base, self._longest = vocab_size + 1, longest
        rows, keys = self._occurrences(sequences)
        known, columns = np.unique(keys, return_inverse=True)
        texts_with = np.bincount(_matrix(rows, columns, (len(sequences), len(known))).indices, minlength=len(known))
        self._known = known[texts_with >= least]
        if len(self._known) == 0:
            raise ConfigError(f"No n-gram is part of {least} texts.", "Ask for fewer.")

    def __len__(self) -> int:
        return len(self._known)

    def counts(self, sequences: Sequences) -> Counts:
        """Return (texts, n-grams), how often each occurs; others are left out."""
        rows, keys = self._occurrences(sequences)
        columns = np.minimum(np.searchsorted(self._known, keys), len(self._known) - 1)
        known = self._known[columns] == keys
        return _matrix(rows[known], columns[known], (len(sequences), len(self._known)))

    def _occurrences(self, sequences: Sequences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return of every n-gram in every text the text's number, and a number that is the n-gram's own."""
        digits = np.concatenate([*sequences]) + 1  # from 1 on, so that no n-gram looks like a shorter one
        rows = np.repeat(np.arange(len(sequences)), sequences.lengths)
        keys = digits
        found = [(rows, keys)]
        for n in range(2, self._longest + 1):
            keys = keys[:-1] * self._base + digits[n - 1 :]
            inside = rows[: len(keys)] == rows[n - 1 :]
            found.append((rows[: len(keys)][inside], keys[inside]))
        return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Counts:
    from scipy.sparse import csr_matrix  # takes half a second

    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    matrix.sum_duplicates()
    return matrix


def fit(method: Method, counts: Counts, labels: NDArray[np.int64], classes: int, strength: float) -> Predict:
    """Train, and return what gives the log-probabilities (texts, classes) of other texts' counts.

    Parameters
    ----------
    counts
        (texts, n-grams) of the training.
    labels
        (texts,).
    strength
        How much the data weighs against keeping the weights small: scikit-learn's C.

    Raises
    ------
    ConfigError
        There are not two classes, or scikit-learn is not installed.
    """
    if method == "majority":
        return _majority(labels, classes)
    if classes != 2:
        raise ConfigError(f"{method} tells two classes apart, not {classes}.", "Take the method majority.")
    return {"nb-svm": _nb_svm, "tf-idf": _tf_idf}[method](counts, labels, strength)


def _majority(labels: NDArray[np.int64], classes: int) -> Predict:
    shares = np.bincount(labels, minlength=classes) / len(labels)
    log_shares = np.log(np.maximum(shares, np.finfo(np.float32).tiny)).astype(np.float32)
    return lambda counts: np.tile(log_shares, (counts.shape[0], 1))


def _nb_svm(counts: Counts, labels: NDArray[np.int64], strength: float) -> Predict:
    ratio = log_count_ratio(counts.sign(), labels)
    scores = _linear(_scaled(counts.sign(), ratio), labels, strength)
    return lambda others: scores(_scaled(others.sign(), ratio))


def log_count_ratio(present: Counts, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log((p / |p|₁) / (q / |q|₁)), p and q the n-grams' counts in classes 1 and 0, plus one."""
    p, q = (1 + np.asarray(present[labels == label].sum(axis=0), np.float64).ravel() for label in (1, 0))
    ratio: NDArray[np.float64] = np.log(p / p.sum()) - np.log(q / q.sum())
    return ratio


def _scaled(matrix: Counts, factors: NDArray[np.float64]) -> Counts:
    return matrix.multiply(factors).tocsr()


def _tf_idf(counts: Counts, labels: NDArray[np.int64], strength: float) -> Predict:
    weighting = _sklearn("feature_extraction.text").TfidfTransformer(sublinear_tf=True).fit(counts)
    scores = _linear(weighting.transform(counts), labels, strength)
    return lambda others: scores(weighting.transform(others))


def _linear(features: Counts, labels: NDArray[np.int64], strength: float) -> Predict:
    model = _sklearn("linear_model").LogisticRegression(
        C=strength, solver="liblinear", dual=True, max_iter=MOST_ITERATIONS, random_state=0
    )
    model.fit(features, labels)

    def log_probs(others: Counts) -> LogProbs:
        odds = model.decision_function(others)  # of class 1 against class 0
        found: LogProbs = -np.logaddexp(0, np.stack([odds, -odds], axis=1)).astype(np.float32)
        return found

    return log_probs


def _sklearn(part: str) -> Any:
    from importlib import import_module

    require("baselines")
    return import_module(f"sklearn.{part}")
