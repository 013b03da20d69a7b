"""``elman tune``."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.apps import (
    NO_RUN_OPTIONS,
    Json,
    Quiet,
    absolute_name,
    absolute_tables,
    app,
    preset_of,
    reporter,
    show_figures,
    slug,
    suggest_gpu,
)
from elman.extras import require
from elman.options import RunOptions


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
    quiet: Quiet = False,
    options: Annotated[RunOptions, Parameter(name="*")] = NO_RUN_OPTIONS,
    json: Json = False,
) -> None:
    """Search for the options with the best result on validation.

    Each trial is a training with its own run directory. A trial that is worse than the median of the others after the
    same number of epochs is stopped early. The search prints what it varies, and at the end the best trials and the
    command that trains the best one.

        elman tune imdb --model lstm --trials 20 --processes 2
        elman tune brackets --model elman --epochs 6 --hours 0.5
        elman tune imdb --model gru --hidden-size 300 --space mine.toml

    Options that you pass are fixed. The others are varied, or have the value of the preset. Every model has its own
    search space; ``--space`` names a file with another one:

        [optim]
        learning_rate = { low = 5e-4, high = 1e-2, log = true }
        [model]
        hidden_size = [150, 300, 450]

    Give the same command again to continue: after Ctrl-C or a crash, with more ``--trials`` or ``--hours``, or in a
    second terminal while the first one works. An interrupted trial continues from its last checkpoint. With one
    process, the same seed gives the same trials. results.json has all trials; figures/search.svg shows the best result
    so far against trials and time.

    Name the data set to see only its options and their defaults: ``elman tune brackets --help``. The default of
    ``--threads`` is 1 here.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
        ``elman data list`` describes them.
    trials
        Total number of trials, including those of an earlier command.
    hours
        Start no new trial when all trials together have taken this long, summed over processes.
    processes
        Number of trials to train at the same time on this machine. Two processes with one thread each are faster than
        one process with two threads.
    directory
        The directory of the search. The default is runs/tune-DATA-MODEL.
    storage
        postgresql://USER@HOST/DATABASE, to search with several machines: give each of them the same command, with the
        same last part of --directory. The default is an SQLite file in the directory.
    space
        A TOML file with the search space.
    quiet
        Print only the result.
    json
        Print all trials as JSON; progress goes to standard error.
    """
    require("tune")
    from elman.options import command_line
    from elman.report.terminal import print_search
    from elman.tables import read_toml
    from elman.tuning import Search, default_space, parse_space
    from elman.tuning import tune as tune_model
    from elman.tuning.space import configured, narrowed

    start = preset_of(absolute_name(data), options.data)
    tables = absolute_tables(options)
    config = start.with_tables({**tables, "loop": {"threads": 1, **tables["loop"]}}, "the command line")
    searched = default_space(config) if space is None else parse_space(read_toml(space), str(space))
    search = Search(
        config=config,
        space=narrowed(searched, tables),
        directory=directory or Path("runs") / f"tune-{slug(data)}-{config.model.layer}",
        trials=trials,
        hours=hours,
        storage=storage,
        processes=processes,
    )
    suggest_gpu(config, quiet)
    log = tune_model(search, reporter(quiet, to_stderr=json))
    if log["best"] is not None:
        best = configured(config, log["trials"][log["best"]]["params"])
        untouched = best.with_tables({"loop": {"threads": tables["loop"].get("threads")}}, "the command line")
        log["command"] = shlex.join(["elman", "train", *command_line(untouched)])
    show_figures(log, print_search, json)
