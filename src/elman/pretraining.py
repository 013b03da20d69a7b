"""Where a classifier begins that was pretrained: a run of its own, in the cache, for all seeds the same.

CACHE/pretrained/DATA-LAYER-DIGEST is an ordinary run directory. The digest is of the data and of all that its weights
follow from; what a classifier alone is asked about (its pooling, its dropout, its learning rate, its seed) is no part
of it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from torch import nn

from elman.checkpoint import load_weights
from elman.config import DataConfig, LoopConfig, ModelConfig, OptimConfig, RunConfig
from elman.data.dataset import Dataset
from elman.data.imdb import cache_root
from elman.files import try_lock
from elman.presets import PRETRAINING
from elman.progress import Report
from elman.runs import Run
from elman.tasks import to_pretrain_on

PARTS = ("embedding.", "layer.")
"""What a classifier and a predictor of words have in common."""


def pretraining_of(config: RunConfig) -> RunConfig:
    """Return the configuration of the pretraining that a classifier's begins with."""
    loop = config.loop
    assert loop.pretrain_epochs is not None  # asked where there is one
    same = RunConfig(
        data=replace(config.data, task="pretraining"),
        batches=config.batches,
        model=replace(config.model, pooling=ModelConfig.pooling, word_dropout=0.0),
        optim=OptimConfig(row_wise_embedding=config.optim.row_wise_embedding),
        loop=LoopConfig(
            epochs=loop.pretrain_epochs,
            accelerator=loop.accelerator,
            precision=loop.precision,
            threads=loop.threads,
        ),
    )
    return same.with_tables(PRETRAINING, "pretraining")


def pretrained_path(config: RunConfig, dataset: Dataset) -> Path:
    """Where the run of a pretraining is, or would be; the same on every machine and device, and for all threads."""
    anywhere = replace(
        config,
        data=replace(config.data, imdb=None, name=DataConfig.name),  # the texts themselves are named below
        loop=replace(config.loop, accelerator="cpu", threads=None),
    )
    texts = f"{dataset.checksum}{dataset.level}{to_pretrain_on(dataset).total_tokens}"
    digest = hashlib.sha256(f"{anywhere.to_toml()}{texts}".encode()).hexdigest()[:8]
    return cache_root() / "pretrained" / f"{dataset.name}-{config.model.layer}-{digest}"


@contextmanager
def in_turn(path: Path, report: Report) -> Iterator[None]:
    """Wait until no other process pretrains there, and keep others waiting within the block."""
    file = path.with_name(f".{path.name}.lock")
    lock = try_lock(file)
    if lock is None:
        report(f"waiting for another process, which pretrains {path}")
        lock = FileLock(file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def begin_from(model: nn.Module, run: Run) -> None:
    """Give a classifier the embedding and the layer of a pretraining."""
    weights = {name: weight for name, weight in load_weights(run.weights_path).items() if name.startswith(PARTS)}
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert not any(name.startswith(PARTS) for name in missing)  # the digest holds all sizes
