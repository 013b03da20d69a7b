"""The probabilities of the test texts, saved for each seed as float16 beside its result file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.evaluation import LogProbs
from elman.files import new_file
from elman.statistics import Difference, mcnemar, paired_bootstrap
from elman.study.classifiers import unpacked, unpacked_labels
from elman.study.work import Figures, Work, sha256

RESAMPLES = 10_000


def rounded_probabilities(log_probs: LogProbs) -> NDArray[np.float16]:
    """Return the probabilities (texts, classes − 1) of all classes but the last, as float16.

    Where rounding would make another class the most probable, the neighboring float16 is taken.
    """
    rounded = np.exp(log_probs[:, :-1]).astype(np.float16)
    winner = log_probs.argmax(axis=1)
    changed = all_probabilities(rounded).argmax(axis=1) != winner
    direction = (np.arange(rounded.shape[1]) == winner[:, None]).astype(np.float16)
    corrected: NDArray[np.float16] = np.where(changed[:, None], np.nextafter(rounded, direction), rounded)
    return corrected


def all_probabilities(rounded: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the probabilities (texts, classes) that :func:`rounded_probabilities` came from."""
    first = rounded.astype(np.float32)
    return np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)


def save_probabilities(work: Work[Any], seed: int, log_probs: LogProbs) -> str:
    """Save a seed's probabilities and return the SHA-256 of their file, which its figures hold."""
    path = work.seed_path(seed, "npy")
    with new_file(path) as partial, partial.open("wb") as file:
        np.save(file, rounded_probabilities(log_probs))
    return sha256(path)


def saved_probabilities(work: Work[Any], name: str, texts: int) -> NDArray[np.float32]:
    """Return the probabilities (seeds, texts, classes) that an earlier step saved of the test texts.

    Raises
    ------
    DataError
        A file of them is missing, damaged, or of other figures.
    """
    by_seed = []
    for seed in work.needs[name]["figures"]["by_seed"]:
        path = work.directory / "results" / name / f"seed-{seed['seed']}.npy"
        try:
            by_seed.append(all_probabilities(np.load(path)))
            fits = len(by_seed[-1]) == texts and sha256(path) == seed["probabilities"]
        except (OSError, ValueError, EOFError):
            fits = False
        if not fits:
            raise DataError(
                f"{path}, the probabilities of the test texts, is missing or damaged.",
                f"Restore the file, or remove {path.parent}.json to evaluate on the test split again.",
            )
    return np.stack(by_seed)


def correct(work: Work[Any], name: str) -> NDArray[np.bool_]:
    """Return (seeds, texts), whether each run of an earlier step was right.

    The texts are those of the test if the step was evaluated on it, else those of validation.
    """
    figures: Figures = work.needs[name]["figures"]
    labels, classes = unpacked_labels(figures["labels"]), len(figures["class_names"])
    if "test_accuracy" in figures["summary"]:
        return np.asarray(saved_probabilities(work, name, len(labels)).argmax(axis=2) == labels)
    return np.array([unpacked(seed["log_odds"], classes).argmax(axis=1) == labels for seed in figures["by_seed"]])


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_], resamples: int = RESAMPLES) -> Figures:
    """Return the difference in accuracy of two models on the same texts, ready for JSON.

    Parameters
    ----------
    first, second
        (seeds, texts), as :func:`correct` returns them.
    resamples
        For the bootstrap over seeds and texts. With one seed of each model McNemar's test is used instead.

    Returns
    -------
    ``test``, and what :func:`as_figures` returns.
    """
    if max(len(first), len(second)) > 1:
        return {"test": "bootstrap", **as_figures(paired_bootstrap(first, second, resamples=resamples))}
    return {"test": "mcnemar", **as_figures(mcnemar(first[0], second[0]).difference)}


def as_figures(result: Difference) -> dict[str, float | None]:
    """Return a difference as a result file holds it: its value is called ``difference``."""
    figures = result._asdict()
    return {"difference": figures.pop("value"), **figures}
