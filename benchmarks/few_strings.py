"""Measure how close a network trained on 500 strings of Dyck-1 comes to the best possible model.

    python benchmarks/few_strings.py [--data-seeds 0 1 2 3 4 5]

Lan et al. (Minimum description length recurrent neural networks, TACL 2022, Table 1) use 500 strings of Dyck-1 with
p = 0.3. For each draw of 500 strings, five-fold cross-validation chooses the recipe and the number of epochs with the
lowest mean cross-entropy. The chosen recipe is trained on all 500 strings for that number of epochs, with three seeds,
and evaluated on 20,000 strings of another seed. These strings influence no choice, and no others are used. Figures are
in hundredths of a bit per symbol; the end of a string counts as a symbol.
"""

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.table import open_dataset
from elman.grading import grade
from elman.presets import preset
from elman.runs import Run
from elman.training import train

LANGUAGE, STRINGS = "dyck1:p=0.3", 500
FOLDS, SEEDS, FRESH = 5, (0, 1, 2), 20_000
EPOCHS = 200
HUNDREDTHS_OF_A_BIT = 100 / math.log(2)

Tables = dict[str, dict[str, Any]]


def recipe(hidden_size: int, embedding_size: int, top_dropout: float) -> Tables:
    """Return the configuration of an LSTM and its training.

    The learning rate is constant, so a short training equals the beginning of a longer one.
    """
    return {
        "model": {"hidden_size": hidden_size, "embedding_size": embedding_size, "top_dropout": top_dropout},
        "optim": {"learning_rate": 0.02, "schedule": "constant", "ema_decay": 0.98},
        "batches": {"tokens_per_batch": 600},
    }


RECIPES = {
    f"LSTM {hidden}, dropout {dropout:g}": recipe(hidden, embedding, dropout)
    for hidden, embedding, dropout in ((16, 16, 0.0), (16, 16, 0.5), (32, 32, 0.8), (64, 16, 0.9))
}


@dataclass(frozen=True)
class Choice:
    """A recipe, its number of epochs, and their mean cross-entropy on validation in nats per token."""

    name: str
    epochs: int
    nats: float


def train_one(directory: Path, tables: Tables, data: dict[str, Any], loop: dict[str, Any]) -> Run:
    """Train one model on one thread and return its run."""
    common = {"data": {"strings": STRINGS, **data}, "loop": {"threads": 1, "samples": 1, "max_new_tokens": 100, **loop}}
    config = preset(LANGUAGE).with_tables(tables, "recipe").with_tables(common, "benchmark")
    run = Run.create(directory, config, open_dataset(config.data))
    train(run, run.open_dataset(), report=lambda _: None)
    return run


def cross_validate(directory: Path, tables: Tables, data_seed: int) -> NDArray[np.float64]:
    """Return the cross-entropy (nats per token) after each epoch, with each of the 500 strings held out once."""
    nats, tokens = np.zeros(EPOCHS), 0
    for fold in range(FOLDS):
        data = {"data_seed": data_seed, "folds": FOLDS, "fold": fold}
        run = train_one(directory / f"fold-{fold}", tables, data, {"epochs": EPOCHS, "seed": fold})
        epochs = run.metrics("epoch")
        tokens += epochs[0]["val_tokens"]
        nats += [epoch["val_cross_entropy_nats"] * epoch["val_tokens"] for epoch in epochs]
    return nats / tokens


def choose(directory: Path, data_seed: int) -> Choice:
    """Return the recipe and the number of epochs that validation chooses for one draw of 500 strings."""
    choices = []
    for i, (name, tables) in enumerate(RECIPES.items()):
        curve = cross_validate(directory / f"recipe-{i}", tables, data_seed)
        choices.append(Choice(name, int(curve.argmin()) + 1, float(curve.min())))
        val = HUNDREDTHS_OF_A_BIT * choices[-1].nats
        print(f"  {data_seed:>4}  {name:<20}  validation {val:6.2f} after {choices[-1].epochs} epochs", flush=True)
    return min(choices, key=lambda choice: choice.nats)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on 500 strings of Dyck-1 and measure the excess.")
    parser.add_argument("--data-seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5])
    means = []
    for data_seed in parser.parse_args().data_seeds:
        with tempfile.TemporaryDirectory() as folder:
            choice = choose(Path(folder), data_seed)
            excess, cross_entropy = [], []
            for seed in SEEDS:
                loop = {"epochs": choice.epochs, "seed": seed, "keep": "last"}
                directory = Path(folder) / f"all-{seed}"
                run = train_one(directory, RECIPES[choice.name], {"data_seed": data_seed, "held_out_strings": 1}, loop)
                fresh = grade(run, 100, strings=FRESH)["fresh"]
                excess.append(HUNDREDTHS_OF_A_BIT * fresh["excess_nats_per_token"])
                cross_entropy.append(HUNDREDTHS_OF_A_BIT * fresh["cross_entropy_nats"])
        means.append(float(np.mean(excess)))
        by_seed = ", ".join(f"{value:.2f}" for value in excess)
        print(
            f"draw {data_seed}: {choice.name}, {choice.epochs} epochs; cross-entropy on {FRESH:,} fresh strings"
            f" {np.mean(cross_entropy):.2f}, optimum {HUNDREDTHS_OF_A_BIT * fresh['floor_nats_per_token']:.2f},"
            f" excess {means[-1]:.2f} ({by_seed})",
            flush=True,
        )
    print(f"mean over {len(means)} draws: excess {np.mean(means):.2f} ({min(means):.2f} to {max(means):.2f})")


if __name__ == "__main__":
    main()
