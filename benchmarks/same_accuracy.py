"""Whether the fast paths cost accuracy: ours and the plain form, trained to the end by the same recipe.

    python benchmarks/same_accuracy.py --minutes 4      # again, until it prints the differences

Ours is ``elman train`` with its defaults, in float32 and, but for the mlp, with bf16 products too. The other is
:mod:`plain`'s model in a loop of its own, with the same first weights, the same batches in the same order, the same
kinds of dropout, schedule, clipping, and Adam's decays; but torch's layers on padded batches, a dense gradient of the
embedding, and Adam over all its rows. Nothing is averaged, as the defaults average nothing. The figure is the accuracy
on the 5,000 validation reviews after the last epoch, not after the best. Each model, side and seed leaves one small
file; where time is up, a training is continued from the last epoch that was finished.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from plain import PlainClassifier, copy_weights, training_step
from torch import nn

from elman.config import Precision, RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.evaluation import predict
from elman.files import new_file, read_json, write_json
from elman.inference import build_model, make_fabric, trained_model
from elman.optim import learning_rate, set_learning_rate
from elman.progress import Meter
from elman.runs import Run
from elman.seeding import torch_seeded
from elman.statistics import Difference, paired_bootstrap, paired_over_seeds
from elman.tasks import Classification
from elman.training import train

OURS: dict[str, Precision] = {"ours": "float32", "ours-bf16": "bf16"}
"""Our sides, and the precision of their products."""


class TimeIsUp(Exception):
    """The epoch is finished and kept; the next is another call's."""


@dataclass(frozen=True)
class Job:
    """One training."""

    model: str
    side: str
    seed: int
    epochs: int

    @property
    def name(self) -> str:
        return f"{self.model}-{self.side}-{self.epochs}-epochs-seed-{self.seed}"

    @property
    def config(self) -> RunConfig:
        precision = OURS.get(self.side, "float32")
        loop = {"seed": self.seed, "epochs": self.epochs, "keep": "last", "precision": precision}
        return RunConfig.from_tables({"model": {"layer": self.model}, "loop": loop}, self.name)


@cache
def imdb() -> Dataset:
    return open_dataset(RunConfig().data)


def right(config: RunConfig, model: nn.Module) -> NDArray[np.bool_]:
    """Return whether each validation review is classified rightly."""
    batches = Classification(config, imdb()).val
    labels = batches.sequences.labels
    assert labels is not None  # IMDb is labelled
    found: NDArray[np.bool_] = predict(make_fabric(config), model, batches, "validation").argmax(axis=1) == labels
    return found


def train_ours(job: Job, folder: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """Train a run, or go on with it, and return the accuracy after each epoch and what is right after the last."""
    run = Run(folder) if folder.exists() else Run.create(folder, job.config, imdb())
    train(run, imdb(), after_epoch=lambda _: after_epoch())
    accuracies = [figures["val_accuracy"] for figures in run.metrics("epoch")]
    return {"accuracies": accuracies, "right": packed(right(job.config, trained_model(run)))}


def train_plain(job: Job, folder: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """The same of the plain form."""
    config, options = job.config, job.config.optim
    model = plain_model(config)
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate, (options.beta1, options.beta2))
    accuracies: list[float] = []
    path = folder / "state.pt"
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        accuracies = state["accuracies"]
    while len(accuracies) < job.epochs:
        plain_epoch(config, model, optimizer, len(accuracies))
        accuracies.append(float(right(config, model).mean()))
        print(f"{job.name}: epoch {len(accuracies)}, val accuracy {accuracies[-1]:.2%}", flush=True)
        with new_file(path) as partial:
            torch.save(
                {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "accuracies": accuracies}, partial
            )
        after_epoch()
    return {"accuracies": accuracies, "right": packed(right(config, model))}


def plain_model(config: RunConfig) -> PlainClassifier:
    """Return the plain form of a run's model, with its first weights."""
    with torch_seeded(config.loop.seed, "weights"):
        ours = build_model(config, len(imdb().vocab), len(imdb().class_names))
    sizes = config.model
    model = PlainClassifier(
        sizes.layer,
        len(imdb().vocab),
        sizes.embedding_size,
        sizes.hidden_size,
        len(imdb().class_names),
        sizes.embedding_dropout,
        sizes.top_dropout,
    )
    copy_weights(ours, model)
    return model


def plain_epoch(config: RunConfig, model: PlainClassifier, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Read the batches that a run reads in that epoch, at the rates that it has there."""
    batches = Classification(config, imdb()).train
    plan = batches.epoch(epoch)
    model.train()
    with Meter(f"plain, epoch {epoch + 1}/{config.loop.epochs}", len(plan), "batches") as meter:
        for i, batch in enumerate(batches.read(plan)):
            rate = learning_rate(config.optim, epoch + i / len(plan), config.loop.epochs)
            set_learning_rate([optimizer], rate)
            with torch_seeded(config.loop.seed, "plain epoch", epoch, i):
                loss = F.cross_entropy(model(batch.token_ids, batch.lengths), batch.labels)
            training_step(model, optimizer, loss)
            meter.advance(1)


def packed(flags: NDArray[np.bool_]) -> str:
    """Return the flags as hexadecimal digits, four in each."""
    return np.packbits(flags).tobytes().hex()


def unpacked(digits: str) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=len(imdb().split("val"))).astype(bool)


def do(job: Job, directory: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """Return the result of a training: from its file, or by training."""
    path, folder = directory / f"{job.name}.json", directory / job.name
    if not path.exists():
        result = (train_ours if job.side in OURS else train_plain)(job, folder, after_epoch)
        write_json(path, result)
        shutil.rmtree(folder)
    result = read_json(path)
    print(f"{job.name}: {result['accuracies'][-1]:.2%}", flush=True)
    return result


def compared(ours: list[dict[str, Any]], plain: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean accuracies, and the paired difference by two ways to ask how sure it is."""
    last = [[result["accuracies"][-1] for result in results] for results in (ours, plain)]
    flags = [np.stack([unpacked(result["right"]) for result in results]) for results in (ours, plain)]
    found: dict[str, Difference] = {"over_seeds_and_reviews": paired_bootstrap(*flags)}
    if len(ours) > 1:
        found["over_seeds"] = paired_over_seeds(*last)
    return {"ours": last[0], "plain": last[1], **{name: each._asdict() for name, each in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description="The accuracy of ours and of the plain form.")
    parser.add_argument("--models", nargs="+", default=["mlp", "lstm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=RunConfig().loop.epochs)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no epoch after so many")
    parser.add_argument("--directory", type=Path, default=Path("runs/same-accuracy"))
    parser.add_argument("--json", type=Path, help="write the differences to this file too")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes

    def after_epoch() -> None:
        if time.monotonic() > end:
            raise TimeIsUp

    differences = {}
    try:
        for model in options.models:
            ours = ["ours"] if model == "mlp" else list(OURS)
            results: dict[str, list[dict[str, Any]]] = {side: [] for side in [*ours, "plain"]}
            for seed in options.seeds:
                for side, found in results.items():
                    found.append(do(Job(model, side, seed, options.epochs), options.directory, after_epoch))
            differences[model] = {side: compared(results[side], results["plain"]) for side in ours}
            print(json.dumps({model: differences[model]}, indent=2), flush=True)
    except TimeIsUp:
        print("The time is up; call this again to go on.")
    if options.json is not None and len(differences) == len(options.models):
        write_json(options.json, differences)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
