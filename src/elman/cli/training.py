"""``elman train``, ``evaluate`` and ``tune``."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from elman.cli.apps import (
    NO_RUN_OPTIONS,
    Json,
    absolute,
    absolute_name,
    app,
    preset_of,
    show_figures,
    slug,
    warn,
    warn_unfinished,
)
from elman.errors import ConfigError, Interrupted
from elman.extras import require
from elman.options import RunOptions, given_tables

if TYPE_CHECKING:
    from elman.config import RunConfig

EvaluatedSplit = Literal["val", "train", "test"]


@app.command
def train(
    data: str | None = None,
    /,
    *,
    config: Path | None = None,
    run: Path | None = None,
    resume: Path | None = None,
    options: Annotated[RunOptions, Parameter(name="*")] = NO_RUN_OPTIONS,
) -> None:
    """Train a model, or continue a training that was interrupted.

    A classifier of texts prints the losses after every epoch, and the accuracy on validation with its 95% interval. A
    language model prints its cross-entropy and samples; on a formal language also the least cross-entropy that any
    model can have, how much is left to it, and of every sample whether it is grammatical. Ctrl-C keeps the state;
    ``--resume`` continues from there to the weights that the uninterrupted training would have had.

        elman train imdb --model lstm --epochs 3
        elman train brackets --strings 150000 --hidden-size 32
        elman train imdb --task language-model --level char
        elman train --resume runs/imdb-lstm-1
        elman train --config runs/imdb-lstm-1/config.toml --seed 1

    The defaults below are those of a classifier of reviews; for language models others are set, which the run's
    config.toml shows.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    config
        The config.toml of another run, to take the data set and the options from; options that are given beside it
        change it.
    run
        The run directory to make. The default is the next free runs/DATA-MODEL-NUMBER.
    resume
        The run directory of an interrupted training; its own configuration is used.
    """
    from elman.data.table import open_dataset
    from elman.pretraining import pretrain
    from elman.runs import Run, free_path
    from elman.training import train as train_run

    def report(line: str) -> None:
        print(line, flush=True)

    if resume is not None:
        if data is not None or config is not None or run is not None or options != NO_RUN_OPTIONS:
            raise ConfigError("A run that is resumed keeps its configuration.", "Give --resume RUN and nothing else.")
        directory = Run(resume)
        dataset = directory.open_dataset()
    else:
        made = _start(data, config, options).with_tables(absolute(given_tables(options)), "the command line")
        dataset = open_dataset(made.data)
        path = run or free_path(Path("runs"), f"{slug(made.data.name)}-{made.model.layer}")
        directory = Run.create(path, made, dataset)
    if directory.finished:
        warn(f"NOTE: {directory.path} was finished already; nothing is left to train.")
    print(f"run {directory.path}", flush=True)
    try:
        start = pretrain(directory.config, dataset, report)
        summary = train_run(directory, dataset, report, start=start)
    except BrokenPipeError as error:
        raise Interrupted(
            "Whoever read the output has gone, and the training with it; its last state is kept.",
            f"Continue with: elman train --resume {directory.path}",
        ) from error
    except BaseException:
        if resume is None:  # another process may be at it
            directory.drop_if_untrained()
        raise
    print(f"{directory.config.loop.keep} epoch {summary['best_epoch']}: {summary['headline']}")


def _start(data: str | None, config: Path | None, options: RunOptions) -> "RunConfig":
    from elman.config import read_config

    if config is not None:
        if data is not None:
            raise ConfigError(f"{config} names the data set already.", "Leave one of the two out.")
        return _with_kept_language(read_config(config), config.parent)
    if data is None:
        raise ConfigError("No data set is named.", "Say, for instance: elman train imdb --model lstm")
    return preset_of(absolute_name(data), options.data)


def _with_kept_language(config: "RunConfig", run: Path) -> "RunConfig":
    """Name the file of a language of one's own that the run kept, where the one that it was made from has gone."""
    from elman.languages import own_file
    from elman.runs import kept_language

    own, kept = own_file(config.data.name), kept_language(run, config.data.name)
    if own is None or own.is_file() or kept is None:
        return config
    return config.with_tables({"data": {"name": absolute_name(str(kept))}}, "the run")


@app.command
def evaluate(run: Path, /, *, split: EvaluatedSplit = "val", final: bool = False, json: Json = False) -> None:
    """Measure a run's best weights on a split.

    Of a classifier it prints accuracy with its 95% interval (Wilson), cross-entropy, confusion, calibration, and the
    mistakes that the model was surest of; of a language model the cross-entropy, and the excess over the floor where
    the generator is known.

    The test split is for the last figure alone, when everything has been chosen. It needs ``--final``; each opening
    is written into a ledger beside the data, and the second is said loudly.

    Parameters
    ----------
    run
        A run directory.
    split
        The part of the data.
    final
        Open the test split.
    json
        Print the figures for a program to read.
    """
    from elman.evaluation import evaluate as evaluate_run
    from elman.report.terminal import print_evaluation
    from elman.runs import Run

    opened = Run(run)
    warn_unfinished(opened)
    show_figures(evaluate_run(opened, split, final=final, warn=warn), print_evaluation, json)


@app.command
def tune(
    data: str,
    /,
    *,
    trials: int = 20,
    hours: float | None = None,
    processes: int = 1,
    directory: Path | None = None,
    storage: str | None = None,
    space: Path | None = None,
    options: Annotated[RunOptions, Parameter(name="*")] = NO_RUN_OPTIONS,
    json: Json = False,
) -> None:
    """Search for the settings that a model learns best with, judged on validation.

    What is searched is printed first. What you give a value on the command line is not searched; all else stands as the
    preset has it. Each trial is a run directory; a trial that is worse than the median of the others after as many
    epochs is stopped.

        elman tune imdb --model lstm --trials 20 --processes 2
        elman tune brackets --model elman --epochs 6 --hours 0.5
        elman tune imdb --model gru --hidden-size 300 --space mine.toml

    The defaults below are those of a classifier of reviews, but for --threads, which is 1 here; for language models
    others are set. Every model has a space of its own; --space names a file with another:

        [optim]
        learning_rate = { low = 5e-4, high = 1e-2, log = true }
        [model]
        hidden_size = [150, 300, 450]

    The same command continues: after Ctrl-C, after a crash, with more --trials or --hours, or beside a search that runs
    already, in another terminal. A trial that was stopped goes on from its last checkpoint. With one process the same
    seed gives the same trials. results.json holds every trial with its epochs and times; figures/search.svg draws the
    best so far by trials and by time. In the end it prints the best trials and the command that trains the best one.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    trials
        How many there are to be in all.
    hours
        Begin no trial when all have taken so long together, over all processes.
    processes
        How many trials to train beside each other on this machine. Two with one thread each, which is the default of
        --threads here, get more done than one with two.
    directory
        Where the search is kept. The default is runs/tune-DATA-MODEL.
    storage
        postgresql://USER@HOST/DATABASE, where several machines are to work on one search: give each the same command,
        with the same last part of --directory. The default is an SQLite file in the directory.
    space
        A TOML file with what to search instead.
    json
        Print the log of all trials for a program to read; lines on how it goes are written to standard error.
    """
    require("tune")
    from elman.options import command_line
    from elman.report.terminal import print_search
    from elman.tables import read_toml
    from elman.tuning import Search, default_space, parse_space
    from elman.tuning import tune as tune_model
    from elman.tuning.space import configured, narrowed

    start = preset_of(absolute_name(data), options.data)
    tables = absolute(given_tables(options))
    config = start.with_tables({**tables, "loop": {"threads": 1, **tables["loop"]}}, "the command line")
    wanted = default_space(config) if space is None else parse_space(read_toml(space), str(space))
    search = Search(
        config=config,
        space=narrowed(wanted, tables),
        directory=directory or Path("runs") / f"tune-{slug(data)}-{config.model.layer}",
        trials=trials,
        hours=hours,
        storage=storage,
        processes=processes,
    )
    log = tune_model(search, lambda line: print(line, file=sys.stderr if json else sys.stdout, flush=True))
    if log["best"] is not None:
        best = configured(config, log["trials"][log["best"]]["params"])
        untouched = best.with_tables({"loop": {"threads": tables["loop"].get("threads")}}, "the command line")
        log["command"] = shlex.join(["elman", "train", *command_line(untouched)])
    show_figures(log, print_search, json)
