"""Compare the accuracy of the fast paths with that of the plain form, both trained to the end with the same recipe.

    python benchmarks/same_accuracy.py --minutes 4      # repeat until it prints the differences

The fast side is ``elman train`` with its defaults, in float32 and, except for the mlp, also with bf16 products. The
plain side is the model of :mod:`elman.models.plain` in a loop of its own. It has the same initial weights, batches,
order of batches, kinds of dropout, learning rate schedule, clipping and decays of Adam. It differs in that torch's
layers read padded batches, the embedding has a dense gradient, and Adam updates all its rows. Weights are not
averaged, which is also the default.

The figure is the accuracy on the 5,000 validation reviews after the last epoch, which may not be the best one. Each
model, side and seed writes one small file. When the time is up, the next call continues from the last finished epoch.
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
from peers import TORCH_LAYERS, copy_weights, training_step, with_torch_layer
from torch import nn

from elman.config import Precision, RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.evaluation import predict
from elman.files import new_file, read_json, write_json
from elman.inference import ReadingDevice, trained_model
from elman.models import build_model, plain
from elman.optim import learning_rate, set_learning_rate
from elman.progress import Meter
from elman.runs import Run
from elman.seeding import torch_seeded
from elman.statistics import Difference, paired_bootstrap, paired_over_seeds
from elman.tasks import Classification
from elman.training import train

OURS: dict[str, Precision] = {"ours": "float32", "ours-bf16": "bf16"}
"""The precision of the products of each fast side."""


class TimeIsUp(Exception):
    """Raised after a finished and saved epoch when the time is up."""


@dataclass(frozen=True)
class Job:
    """Describes one training."""

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


def correct_reviews(config: RunConfig, model: nn.Module) -> NDArray[np.bool_]:
    """Return for each validation review whether it is classified correctly."""
    batches = Classification(config, imdb()).val
    labels = batches.sequences.labels
    assert labels is not None  # IMDb is labeled
    correct: NDArray[np.bool_] = (
        predict(ReadingDevice(torch.device("cpu"), config.loop.precision), model, batches, "validation").argmax(axis=1)
        == labels
    )
    return correct


def train_ours(job: Job, folder: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """Train or resume a run; return the accuracy after each epoch and which reviews are right after the last."""
    run = Run(folder) if folder.exists() else Run.create(folder, job.config, imdb())
    train(run, imdb(), after_epoch=lambda _: after_epoch())
    accuracies = [figures["val_accuracy"] for figures in run.metrics("epoch")]
    return {"accuracies": accuracies, "right": to_hex(correct_reviews(job.config, trained_model(run)))}


def train_plain(job: Job, folder: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """Train or resume the plain form; return the same figures as :func:`train_ours`."""
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
        accuracies.append(float(correct_reviews(config, model).mean()))
        print(f"{job.name}: epoch {len(accuracies)}, val accuracy {accuracies[-1]:.2%}", flush=True)
        with new_file(path) as partial:
            torch.save(
                {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "accuracies": accuracies}, partial
            )
        after_epoch()
    return {"accuracies": accuracies, "right": to_hex(correct_reviews(config, model))}


def plain_model(config: RunConfig) -> plain.Classifier:
    """Return the plain form of a run's model, torch's layer in it, with the run's initial weights."""
    sizes = len(imdb().vocab), len(imdb().class_names)
    with torch_seeded(config.loop.seed, "weights"):
        ours = build_model(config, *sizes)
    model = plain.Classifier(config.model, *sizes)
    model = with_torch_layer(model) if config.model.layer in TORCH_LAYERS else model
    copy_weights(ours, model)
    return model


def plain_epoch(config: RunConfig, model: plain.Classifier, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Train one epoch on the batches and at the learning rates that a run has in this epoch."""
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


def to_hex(flags: NDArray[np.bool_]) -> str:
    """Return the flags as hexadecimal digits, four flags per digit."""
    return np.packbits(flags).tobytes().hex()


def from_hex(digits: str) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=len(imdb().split("val"))).astype(bool)


def result_of(job: Job, directory: Path, after_epoch: Callable[[], None]) -> dict[str, Any]:
    """Return the result of a training from its file; train first if there is no file."""
    path, folder = directory / f"{job.name}.json", directory / job.name
    if not path.exists():
        result = (train_ours if job.side in OURS else train_plain)(job, folder, after_epoch)
        write_json(path, result)
        shutil.rmtree(folder)
    result = read_json(path)
    print(f"{job.name}: {result['accuracies'][-1]:.2%}", flush=True)
    return result


def compare(ours: list[dict[str, Any]], plain: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the accuracies of both sides and their paired difference with one or two intervals."""
    last = [[result["accuracies"][-1] for result in results] for results in (ours, plain)]
    flags = [np.stack([from_hex(result["right"]) for result in results]) for results in (ours, plain)]
    differences: dict[str, Difference] = {"over_seeds_and_reviews": paired_bootstrap(*flags)}
    if len(ours) > 1:
        differences["over_seeds"] = paired_over_seeds(*last)
    return {
        "ours": last[0],
        "plain": last[1],
        **{name: difference._asdict() for name, difference in differences.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the accuracy of the fast paths with that of the plain form.")
    parser.add_argument("--models", nargs="+", default=["mlp", "lstm"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=RunConfig().loop.epochs)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no epoch after this many minutes")
    parser.add_argument("--directory", type=Path, default=Path("runs/same-accuracy"))
    parser.add_argument("--json", type=Path, help="also write the differences to this file")
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
                for side, side_results in results.items():
                    side_results.append(
                        result_of(Job(model, side, seed, options.epochs), options.directory, after_epoch)
                    )
            differences[model] = {side: compare(results[side], results["plain"]) for side in ours}
            print(json.dumps({model: differences[model]}, indent=2), flush=True)
    except TimeIsUp:
        print("The time is up. Repeat the command to continue.")
    if options.json is not None and len(differences) == len(options.models):
        write_json(options.json, differences)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
