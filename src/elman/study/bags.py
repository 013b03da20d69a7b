"""Bag-of-n-grams classifiers: they see which n-grams a text contains, but not where.

``majority``
    Predicts the most frequent class.
``nb-svm``
    The n-grams that a text contains, each times its log-count ratio between the two classes, then a linear model (Wang
    and Manning, "Baselines and bigrams", ACL 2012). Here the linear model is logistic regression, which gives
    probabilities, and the weights are not interpolated.
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
"""A SciPy matrix in CSR form (texts, n-grams): how often each n-gram occurs in each text."""

Predict = Callable[[Counts], LogProbs]

MAX_ITERATIONS = 1_000


class Grams:
    """The n-grams that occur in enough training texts.

    Parameters
    ----------
    sequences
        The training texts.
    vocab_size
        The number of token ids.
    longest
        The largest number of tokens in an n-gram; shorter n-grams are counted too.
    least
        The number of texts that an n-gram must occur in.
    """

    def __init__(self, sequences: Sequences, vocab_size: int, longest: int, least: int) -> None:
        if (vocab_size + 1) ** longest >= 2**63:
            raise ConfigError(
                f"{longest}-grams of {vocab_size:,} ids are too many to be numbered.", "Use shorter n-grams."
            )
        self._base, self._longest = vocab_size + 1, longest
        rows, keys = self._occurrences(sequences)
        distinct, columns = np.unique(keys, return_inverse=True)
        matrix = _matrix(rows, columns, (len(sequences), len(distinct)))
        self._keys = distinct[np.bincount(matrix.indices, minlength=len(distinct)) >= least]
        if len(self._keys) == 0:
            raise ConfigError(f"No n-gram occurs in {least} texts.", "Use a smaller least_texts.")

    def __len__(self) -> int:
        return len(self._keys)

    def counts(self, sequences: Sequences) -> Counts:
        """Return (texts, n-grams), how often each occurs; all other n-grams are left out."""
        rows, keys = self._occurrences(sequences)
        columns = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        counted = self._keys[columns] == keys
        return _matrix(rows[counted], columns[counted], (len(sequences), len(self._keys)))

    def _occurrences(self, sequences: Sequences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for every n-gram in every text the number of the text, and the key of the n-gram."""
        digits = np.concatenate([*sequences]) + 1  # from 1 on, so that no n-gram has the key of a shorter one
        rows = np.repeat(np.arange(len(sequences)), sequences.lengths)
        keys = digits
        all_rows, all_keys = [rows], [keys]
        for n in range(2, self._longest + 1):
            keys = keys[:-1] * self._base + digits[n - 1 :]
            inside = rows[: len(keys)] == rows[n - 1 :]
            all_rows.append(rows[: len(keys)][inside])
            all_keys.append(keys[inside])
        return np.concatenate(all_rows), np.concatenate(all_keys)


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Counts:
    from scipy.sparse import csr_matrix  # takes half a second

    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    matrix.sum_duplicates()
    return matrix


def fit(method: Method, counts: Counts, labels: NDArray[np.int64], classes: int, strength: float) -> Predict:
    """Train, and return a function from the counts of other texts to their log-probabilities (texts, classes).

    Parameters
    ----------
    counts
        (texts, n-grams), of the training texts.
    labels
        (texts,).
    strength
        The weight of the data against the penalty on large weights: scikit-learn's C.

    Raises
    ------
    ConfigError
        The number of classes is not two, or scikit-learn is not installed.
    """
    if method == "majority":
        return _majority(labels, classes)
    if classes != 2:
        raise ConfigError(f"{method} needs two classes, not {classes}.", "Use the method majority.")
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
        C=strength, solver="liblinear", dual=True, max_iter=MAX_ITERATIONS, random_state=0
    )
    model.fit(features, labels)

    def log_probs(others: Counts) -> LogProbs:
        odds = model.decision_function(others)  # of class 1 against class 0
        result: LogProbs = -np.logaddexp(0, np.stack([odds, -odds], axis=1)).astype(np.float32)
        return result

    return log_probs


def _sklearn(part: str) -> Any:
    from importlib import import_module

    require("baselines")
    return import_module(f"sklearn.{part}")
