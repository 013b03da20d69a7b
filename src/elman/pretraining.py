"""Pretraining of a classifier: a run of its own, in the cache, the same for all seeds.

CACHE/pretrained/DATA-LAYER-DIGEST is an ordinary run directory. The digest is of the data and of everything that its
weights follow from; what concerns the classifier alone (its pooling, its dropout, its learning rate, its seed) is not
part of it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from elman.config import DataConfig, LoopConfig, ModelConfig, OptimConfig, RunConfig
from elman.data.dataset import Dataset
from elman.data.imdb import cache_root
from elman.errors import Interrupted
from elman.files import try_lock
from elman.presets import PRETRAINING
from elman.progress import Report
from elman.runs import Run
from elman.tasks.word_prediction import pretraining_texts
from elman.training import train


def pretrain(config: RunConfig, dataset: Dataset, report: Report) -> Run | None:
    """Return the finished pretraining that a configuration starts from, or None if it starts from random weights.

    A pretraining that is in the cache is not trained again.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; the state is saved.
    """
    if config.loop.pretrain_epochs is None:
        return None
    pretraining = pretraining_config(config)
    if "unlabelled" in dataset.splits:  # it reads only these, so what is held out of the labelled texts does not matter
        pretraining = replace(pretraining, data=replace(pretraining.data, hold_out=None))
        dataset = replace(dataset, held_out="")
    path = pretrained_path(pretraining, dataset)
    if path.exists() and (run := Run(path)).finished:  # several processes may read it at once
        return run
    with in_turn(path, report):
        run = Run(path) if path.exists() else Run.create(path, pretraining, dataset)
        if run.finished:  # by the process that this one waited for
            return run
        report(f"pretraining: {path}")
        try:
            train(run, dataset, report)
        except Interrupted as stop:
            raise Interrupted(
                "Stopped in the pretraining; its state is saved.", "Continue with the same command."
            ) from stop
    return run


def start_of(run: Run, dataset: Dataset, report: Report) -> Run | None:
    """Return the pretraining that a run starts from: None for random weights, and for a run that is finished."""
    return None if run.finished else pretrain(run.config, dataset, report)


def pretraining_config(config: RunConfig) -> RunConfig:
    """Return the configuration of the pretraining that a classifier starts from."""
    loop = config.loop
    assert loop.pretrain_epochs is not None  # the caller has looked
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
    """Return where the run of a pretraining is or will be; the same on every machine, device and number of threads."""
    anywhere = replace(
        config,
        data=replace(config.data, imdb=None, name=DataConfig.name),  # the texts themselves are in the digest
        loop=replace(config.loop, accelerator="cpu", threads=None),
    )
    texts = f"{dataset.checksum}{dataset.level}{pretraining_texts(dataset).total_tokens}"
    settings = anywhere.to_toml().replace("fast = true\n", "")  # a default that version 0.1 did not have
    digest = hashlib.sha256(f"{settings}{texts}".encode()).hexdigest()[:8]
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
