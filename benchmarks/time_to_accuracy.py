"""Measure the seconds to 88% validation accuracy on IMDb: ours, fastText, NB-SVM, and a Keras LSTM of the same sizes.

    pip install -r requirements.lock -r benchmarks/requirements.txt      # in a virtual environment of its own
    PYTHONPATH=src python benchmarks/time_to_accuracy.py --json build/time_to_accuracy.json

All models get the same 20,000 training and 5,000 validation reviews, as lists of words in memory. The clock starts
after the reviews are loaded and the libraries imported. It includes the vocabulary, ids, n-grams or fastText's input
file, which are made from the training reviews, and every validation. Each model runs in a process of its own with
torch's default number of threads, and stops after ``--limit`` seconds. fastText and our models fix the number of epochs
before they start, so they appear with several numbers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from elman.config import DataConfig, RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.files import write_json
from elman.text.sequences import Sequences
from elman.text.vocab import Vocab

GOAL = 0.88
LOADING_SECONDS = 120
"""How many seconds a process may take in addition to its limit, for imports and for loading the reviews."""


class Stop(Exception):
    """Raised when the goal or the time limit is reached."""


@dataclass(frozen=True)
class Reviews:
    """Holds reviews as lists of words, with their labels."""

    train: list[list[str]]
    train_labels: list[int]
    val: list[list[str]]
    val_labels: list[int]


@dataclass
class Clock:
    """Measures time, and raises :class:`Stop` at the goal or at the limit (seconds)."""

    goal: float
    limit: float
    best: float = 0.0
    seconds: float | None = None
    _started: float = field(default_factory=time.perf_counter)

    def check(self, accuracy: float) -> None:
        """Record a validation accuracy, and raise :class:`Stop` if it reaches the goal or the time is up."""
        self.best = max(self.best, accuracy)
        if accuracy >= self.goal and self.elapsed <= self.limit:
            self.seconds = self.elapsed
            raise Stop
        self.check_time()

    def check_time(self) -> None:
        if self.elapsed > self.limit:
            raise Stop

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._started


Competitor = Callable[[Reviews, Callable[[], Clock]], None]
"""A function that starts the clock after its imports, and learns from reviews until the clock stops it."""


def ours(tables: dict[str, dict[str, Any]]) -> Competitor:
    """Return ``elman train`` with its defaults, changed by ``tables``."""

    def learn(reviews: Reviews, start: Callable[[], Clock]) -> None:
        from elman.runs import Run
        from elman.training import train

        clock = start()
        dataset = as_dataset(reviews)
        config = RunConfig.from_tables(tables, "benchmark")
        with tempfile.TemporaryDirectory() as folder:
            run = Run.create(Path(folder) / "run", config, dataset)
            train(run, dataset, report=log, after_epoch=lambda figures: clock.check(figures["val_accuracy"]))

    return learn


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def as_dataset(reviews: Reviews) -> Dataset:
    vocab = Vocab.from_counts(Counter(chain.from_iterable(reviews.train)))
    return Dataset(
        name="imdb",
        level="word",
        vocab=vocab,
        splits={
            "train": Sequences.from_lists([vocab.encode(words) for words in reviews.train], reviews.train_labels),
            "val": Sequences.from_lists([vocab.encode(words) for words in reviews.val], reviews.val_labels),
        },
        class_names=("positive", "negative"),
        checksum="",  # unused: the run is deleted afterwards
        source="memory",
    )


def fasttext(epochs: int, rate: float = 0.1) -> Competitor:
    """Return fastText's classifier (Joulin et al., EACL 2017) with word bigrams; its own default rate is 0.1."""

    def learn(reviews: Reviews, start: Callable[[], Clock]) -> None:
        from fasttext import train_supervised

        clock = start()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            with path.open("w") as file:
                for words, label in zip(reviews.train, reviews.train_labels, strict=True):
                    file.write(f"__label__{label} {' '.join(words)}\n")
            model = train_supervised(str(path), epoch=epochs, lr=rate, wordNgrams=2, thread=threads(), verbose=0)
        labels, _ = model.predict([" ".join(words) for words in reviews.val])
        correct = [
            predicted == f"__label__{label}" for [predicted], label in zip(labels, reviews.val_labels, strict=True)
        ]
        clock.check(float(np.mean(correct)))

    return learn


def nb_svm(reviews: Reviews, start: Callable[[], Clock]) -> None:
    """Train NB-SVM (Wang & Manning, ACL 2012): binary features of words and bigrams, scaled by log-count ratios."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    clock = start()
    vectorizer = CountVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2, binary=True
    )
    train = vectorizer.fit_transform(" ".join(words) for words in reviews.train)
    labels = np.array(reviews.train_labels)
    p, q = (1 + np.asarray(train[labels == label].sum(axis=0)).ravel() for label in (1, 0))
    ratio = np.log((p / p.sum()) / (q / q.sum()))
    svm = LinearSVC(C=0.1).fit(train.multiply(ratio).tocsr(), labels)
    val = vectorizer.transform(" ".join(words) for words in reviews.val)
    clock.check(float((svm.predict(val.multiply(ratio).tocsr()) == reviews.val_labels).mean()))


def keras_lstm(reviews: Reviews, start: Callable[[], Clock]) -> None:
    """Train an LSTM in Keras on torch, with our sizes, rates and batches, and padding excluded from the maximum."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    from elman.text.batching import Batches

    clock = start()
    dataset, config = as_dataset(reviews), RunConfig()
    sizes, options = config.model, config.optim
    token_ids = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(len(dataset.vocab), sizes.embedding_size)(token_ids)
    states = keras.layers.LSTM(sizes.hidden_size, return_sequences=True)(embedded)
    inside = keras.ops.cast(keras.ops.expand_dims(token_ids != 0, -1), "float32")
    pooled = keras.layers.GlobalMaxPooling1D()(keras.ops.relu(states) * inside)
    model = keras.Model(token_ids, keras.layers.Dense(2)(keras.layers.Dropout(sizes.top_dropout)(pooled)))
    model.compile(
        optimizer=keras.optimizers.Adam(
            options.learning_rate, options.beta1, options.beta2, global_clipnorm=options.grad_clip_norm
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    train, val = (Batches(dataset.split(split), config.batches, seed=0) for split in ("train", "val"))
    for epoch in range(config.loop.epochs):
        plan, tokens = train.epoch(epoch), 0
        for batch in train.read(plan):
            model.train_on_batch(batch.token_ids.numpy(), labels_of(batch.labels))
            tokens += batch.tokens
            if clock.elapsed > clock.limit:
                share = tokens / train.sequences.total_tokens
                log(f"keras: {share:.1%} of epoch {epoch + 1} in {clock.elapsed:.0f} s")
            clock.check_time()
        correct = 0
        for batch in val.read(val.in_order()):
            correct += int((model.predict_on_batch(batch.token_ids.numpy()).argmax(1) == labels_of(batch.labels)).sum())
            clock.check_time()
        clock.check(correct / len(val.sequences))


def labels_of(labels: Any) -> Any:
    assert labels is not None  # the reviews are labelled
    return labels.numpy()


def threads() -> int:
    import torch

    return torch.get_num_threads()


def recipe(layer: str, epochs: int, pooling: str = "max", rate: float = 2e-3) -> dict[str, dict[str, Any]]:
    return {
        "model": {"layer": layer, "pooling": pooling},
        "optim": {"learning_rate": rate},
        "loop": {"epochs": epochs},
    }


COMPETITORS: dict[str, Competitor] = {
    "ours, mlp, mean over time, 4 epochs": ours(recipe("mlp", 4, "mean")),
    "ours, mlp, 3 epochs at 0.004": ours(recipe("mlp", 3, rate=0.004)),
    **{f"ours, {layer}, 3 epochs": ours(recipe(layer, 3)) for layer in ("mlp", "elman", "rnn", "gru", "lstm")},
    **{f"fastText, bigrams, {epochs} epochs": fasttext(epochs) for epochs in (3, 5, 10)},
    **{f"fastText, bigrams, {epochs} epochs at 0.5": fasttext(epochs, 0.5) for epochs in (2, 3, 5)},
    "NB-SVM, bigrams": nb_svm,
    "Keras LSTM": keras_lstm,
}


def load() -> Reviews:
    """Return the reviews of the course's split as lists of words."""
    dataset = open_dataset(DataConfig())
    parts: list[Any] = []
    for split in ("train", "val"):
        sequences = dataset.split(split)  # type: ignore[arg-type]  # both are names of splits
        assert sequences.labels is not None  # IMDb is labelled
        parts += [[dataset.vocab.decode(ids.tolist()) for ids in sequences], sequences.labels.tolist()]
    return Reviews(*parts)


def compete(name: str, goal: float, limit: float) -> dict[str, Any]:
    """Run one competitor in this process, and return its row."""
    reviews, clocks = load(), []

    def start() -> Clock:
        clocks.append(Clock(goal, limit))
        return clocks[0]

    try:
        COMPETITORS[name](reviews, start)
    except Stop:
        pass
    except ImportError as error:
        return row(name, goal, limit, missing=str(error))
    return row(name, goal, limit, clocks[0].seconds, clocks[0].best, clocks[0].elapsed)


def row(
    name: str,
    goal: float,
    limit: float,
    seconds: float | None = None,
    accuracy: float | None = None,
    ended: float | None = None,
    missing: str | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "goal": goal,
        "limit": limit,
        "seconds": seconds,
        "best_accuracy": accuracy,
        "ended_after_seconds": ended,
        "missing": missing,
    }


def run_in_own_process(name: str, goal: float, limit: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--alone", name, "--goal", str(goal), "--limit", str(limit)]
    try:
        process = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit + LOADING_SECONDS
        )
    except subprocess.TimeoutExpired:
        return row(name, goal, limit)
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return figures


def line(figures: dict[str, Any]) -> str:
    """Return a row as a line of text."""
    if figures["missing"] is not None:
        return f"{figures['name']}: not measured, because a package is missing ({figures['missing']})"
    if figures["seconds"] is not None:
        return f"{figures['name']}: {figures['seconds']:.1f} s to {figures['best_accuracy']:.2%}"
    if figures["best_accuracy"] is None or not figures["best_accuracy"]:
        return f"{figures['name']}: {figures['goal']:.0%} not reached in {figures['limit']:.0f} s; no validation yet"
    return (
        f"{figures['name']}: {figures['goal']:.0%} not reached; best accuracy {figures['best_accuracy']:.2%}"
        f" in {figures['ended_after_seconds']:.1f} s"
    )


def select(only: list[str]) -> Iterator[str]:
    return (name for name in COMPETITORS if not only or any(part in name for part in only))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the seconds to an accuracy on IMDb's validation reviews.")
    parser.add_argument("--only", nargs="+", default=[], help="run only competitors whose name contains one of these")
    parser.add_argument("--goal", type=float, default=GOAL)
    parser.add_argument("--limit", type=float, default=300.0, help="stop a competitor after this many seconds")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        print(json.dumps(compete(options.alone, options.goal, options.limit)))
        return
    rows = []
    for name in select(options.only):
        rows.append(run_in_own_process(name, options.goal, options.limit))
        print(line(rows[-1]), flush=True)
    if options.json is not None:
        write_json(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
