"""What is kept of the test texts: each seed's probabilities as float16, beside its small result file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import DataError
from elman.evaluation import LogProbs
from elman.files import new_file
from elman.statistics import Difference, mcnemar, paired_bootstrap
from elman.study.classifiers import unpacked, unpacked_labels
from elman.study.work import Work, sha256

RESAMPLES = 10_000


def kept(log_probs: LogProbs) -> NDArray[np.float16]:
    """Return the probabilities (texts, classes − 1), of all classes but the last, as float16.

    Where rounding would make another class the most probable, the number beside it is taken.
    """
    rounded = np.exp(log_probs[:, :-1]).astype(np.float16)
    winner = log_probs.argmax(axis=1)
    wrong = whole_probabilities(rounded).argmax(axis=1) != winner
    towards = (np.arange(rounded.shape[1]) == winner[:, None]).astype(np.float16)
    moved: NDArray[np.float16] = np.where(wrong[:, None], np.nextafter(rounded, towards), rounded)
    return moved


def keep(work: Work, seed: int, log_probs: LogProbs) -> str:
    """Keep a seed's probabilities, and return the SHA-256 of their file: its figures hold it."""
    path = work.seed_path(seed, "npy")
    with new_file(path) as partial, partial.open("wb") as file:
        np.save(file, kept(log_probs))
    return sha256(path)


def whole_probabilities(rounded: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the probabilities (texts, classes) of what :func:`kept` keeps."""
    first = rounded.astype(np.float32)
    return np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)


def probabilities(work: Work, name: str, texts: int) -> NDArray[np.float32]:
    """Return the probabilities (seeds, texts, classes) that an earlier step gave the test texts.

    Raises
    ------
    DataError
        A file of them is missing, damaged, or not that of the figures.
    """
    found = []
    for seed in work.needs[name]["figures"]["by_seed"]:
        path = work.directory / "results" / name / f"seed-{seed['seed']}.npy"
        try:
            found.append(whole_probabilities(np.load(path)))
            fits = len(found[-1]) == texts and sha256(path) == seed["probabilities"]
        except (OSError, ValueError, EOFError):
            fits = False
        if not fits:
            raise DataError(
                f"{path}, the probabilities of the test texts, is missing or damaged.",
                f"Put it back, or remove {path.parent}.json to have it made anew.",
            )
    return np.stack(found)


def correct(work: Work, name: str) -> NDArray[np.bool_]:
    """Return (seeds, texts), whether each run of an earlier step was right: of the test, where it was tested."""
    figures: dict[str, Any] = work.needs[name]["figures"]
    labels, classes = unpacked_labels(figures["labels"]), len(figures["class_names"])
    if "test_accuracy" in figures["summary"]:
        return np.asarray(probabilities(work, name, len(labels)).argmax(axis=2) == labels)
    return np.array([unpacked(seed["log_odds"], classes).argmax(axis=1) == labels for seed in figures["by_seed"]])


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_], resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return how much more often one model is right than another on the same texts, ready for JSON.

    Parameters
    ----------
    first, second
        (seeds, texts), as of :func:`correct`.
    resamples
        Of the bootstrap over seeds and texts. With one seed of each there is none; the test is McNemar's.

    Returns
    -------
    ``test``, and what :func:`as_figures` returns.
    """
    if max(len(first), len(second)) > 1:
        return {"test": "bootstrap", **as_figures(paired_bootstrap(first, second, resamples=resamples))}
    return {"test": "mcnemar", **as_figures(mcnemar(first[0], second[0]).difference)}


def as_figures(found: Difference) -> dict[str, float | None]:
    """Return a difference as a result file keeps it: its value is called ``difference``."""
    figures = found._asdict()
    return {"difference": figures.pop("value"), **figures}
