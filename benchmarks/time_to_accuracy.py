"""Seconds to 88% validation accuracy on IMDb: ours, fastText, NB-SVM, and a Keras LSTM of the same sizes.

    pip install -r requirements.lock -r benchmarks/requirements.txt      # in a virtual environment of its own
    PYTHONPATH=src python benchmarks/time_to_accuracy.py --json build/time_to_accuracy.json

All get the same 20,000 and 5,000 reviews as lists of words, in memory. The clock starts there: loading the reviews and
importing the libraries are not in it; making a vocabulary of the training reviews, ids, n-grams or a file for fastText
is, and so is every validation on the 5,000. Each runs in a process of its own, with as many threads as torch takes,
and gives up after ``--limit`` seconds. What trains for a number of epochs that is set beforehand (fastText, ours) is
named with that number, and is there with several.
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
"""What a process may take beside its limit, for imports and for reading the reviews."""


class Stop(Exception):
    """The accuracy is reached, or the limit is."""


@dataclass(frozen=True)
class Reviews:
    """Lists of words and their labels."""

    train: list[list[str]]
    train_labels: list[int]
    val: list[list[str]]
    val_labels: list[int]


@dataclass
class Clock:
    """Stops at the goal or at the limit."""

    goal: float
    limit: float
    best: float = 0.0
    seconds: float | None = None
    _started: float = field(default_factory=time.perf_counter)

    def check(self, accuracy: float) -> None:
        """Take note of an accuracy on validation."""
        self.best = max(self.best, accuracy)
        if accuracy >= self.goal and self.passed <= self.limit:
            self.seconds = self.passed
            raise Stop
        self.look()

    def look(self) -> None:
        if self.passed > self.limit:
            raise Stop

    @property
    def passed(self) -> float:
        return time.perf_counter() - self._started


Competitor = Callable[[Reviews, Callable[[], Clock]], None]
"""Learns from reviews until the clock, which it starts when it has imported what it needs, stops it."""


def ours(tables: dict[str, dict[str, Any]]) -> Competitor:
    """``elman train`` with the defaults, but for what the tables say."""

    def learn(reviews: Reviews, start: Callable[[], Clock]) -> None:
        from elman.runs import Run
        from elman.training import train

        clock = start()
        dataset = as_dataset(reviews)
        config = RunConfig.from_tables(tables, "benchmark")
        with tempfile.TemporaryDirectory() as folder:
            run = Run.create(Path(folder) / "run", config, dataset)
            train(run, dataset, report=note, after_epoch=lambda figures: clock.check(figures["val_accuracy"]))

    return learn


def note(line: str) -> None:
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
        checksum="",  # nothing reads it: the run is gone when it has ended
        source="memory",
    )


def fasttext(epochs: int, rate: float = 0.1) -> Competitor:
    """fastText's classifier (Joulin et al., EACL 2017) with word bigrams, else its defaults (its rate's is 0.1)."""

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
        right = [said == f"__label__{label}" for [said], label in zip(labels, reviews.val_labels, strict=True)]
        clock.check(float(np.mean(right)))

    return learn


def nb_svm(reviews: Reviews, start: Callable[[], Clock]) -> None:
    """NB-SVM (Wang & Manning, ACL 2012): words and bigrams there or not, scaled by their log-count ratio."""
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
    """An LSTM in Keras on torch: our sizes, rates and batches, and the padding kept out of the maximum."""
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
            if clock.passed > clock.limit:
                share = tokens / train.sequences.total_tokens
                note(f"keras: {share:.1%} of epoch {epoch + 1} in {clock.passed:.0f} s")
            clock.look()
        right = 0
        for batch in val.read(val.in_order()):
            right += int((model.predict_on_batch(batch.token_ids.numpy()).argmax(1) == labels_of(batch.labels)).sum())
            clock.look()
        clock.check(right / len(val.sequences))


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
        sequences = dataset.split(split)  # type: ignore[arg-type]  # these two are names of splits
        assert sequences.labels is not None  # IMDb is labelled
        parts += [[dataset.vocab.decode(ids.tolist()) for ids in sequences], sequences.labels.tolist()]
    return Reviews(*parts)


def compete(name: str, goal: float, limit: float) -> dict[str, Any]:
    """Let one learn in this process, and return its row."""
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
    return row(name, goal, limit, clocks[0].seconds, clocks[0].best, clocks[0].passed)


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


def in_own_process(name: str, goal: float, limit: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--alone", name, "--goal", str(goal), "--limit", str(limit)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit + LOADING_SECONDS)
    except subprocess.TimeoutExpired:
        return row(name, goal, limit)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(found: dict[str, Any]) -> str:
    """Return a row for a person."""
    if found["missing"] is not None:
        return f"{found['name']}: not measured, it is not installed ({found['missing']})"
    if found["seconds"] is not None:
        return f"{found['name']}: {found['seconds']:.1f} s to {found['best_accuracy']:.2%}"
    if found["best_accuracy"] is None or not found["best_accuracy"]:
        return f"{found['name']}: {found['goal']:.0%} not reached in {found['limit']:.0f} s, no validation yet"
    return (
        f"{found['name']}: {found['goal']:.0%} not reached, {found['best_accuracy']:.2%} at best when it ended"
        f" after {found['ended_after_seconds']:.1f} s"
    )


def chosen(only: list[str]) -> Iterator[str]:
    return (name for name in COMPETITORS if not only or any(part in name for part in only))


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds to an accuracy on IMDb's validation reviews.")
    parser.add_argument("--only", nargs="+", default=[], help="those that have one of these in their name")
    parser.add_argument("--goal", type=float, default=GOAL)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which to give up")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        print(json.dumps(compete(options.alone, options.goal, options.limit)))
        return
    rows = []
    for name in chosen(options.only):
        rows.append(in_own_process(name, options.goal, options.limit))
        print(line(rows[-1]), flush=True)
    if options.json is not None:
        write_json(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
