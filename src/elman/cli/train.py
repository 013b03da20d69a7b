"""``elman train``: choose the configuration, open the data, make a run directory, train."""

from pathlib import Path
from shlex import quote
from typing import Annotated

from cyclopts import Parameter

from elman.cli.apps import (
    NO_RUN_OPTIONS,
    Quiet,
    absolute_name,
    app,
    config_of_run,
    configured,
    preset_of,
    reporter,
    slug,
    suggest_gpu,
    warn,
)
from elman.config import RunConfig
from elman.errors import ConfigError, Interrupted
from elman.options import RunOptions


@app.command
def train(
    data: str | None = None,
    /,
    *,
    config: Path | None = None,
    run: Annotated[Path | None, Parameter(name=["--run", "-o"])] = None,
    resume: Path | None = None,
    quiet: Quiet = False,
    options: Annotated[RunOptions, Parameter(name="*")] = NO_RUN_OPTIONS,
) -> None:
    """Train a model, or continue an interrupted training.

    After every epoch a classifier prints its losses, and its accuracy on validation with a 95% interval. A language
    model prints its cross-entropy and samples. On a formal language it also prints the lowest cross-entropy that any
    model can reach, its own excess over that, and whether each sample is grammatical.

        elman train imdb --model lstm --epochs 3
        elman train brackets --strings 150000 --hidden-size 32
        elman train imdb --task language-model --level char
        elman train --resume runs/imdb-lstm-1
        elman train --config runs/imdb-lstm-1/config.toml --seed 1

    Ctrl-C saves the state. ``--resume`` continues from there, and ends with the same weights as a training without
    interruption.

    Which options apply, and their defaults, depends on the data and the task. To see only those of one data set, name
    it: ``elman train brackets --help``, or ``elman train imdb --task language-model --help``. Without a data set, the
    help shows all options, with the defaults of a classifier.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
        ``elman data list`` describes them.
    config
        Take the data set and the options from the config.toml of another run. Options on the command line replace them.
    run
        The run directory to create. The default is the next free runs/DATA-MODEL-NUMBER.
    resume
        Continue the interrupted training in this run directory, with its own configuration.
    quiet
        Print only the run directory and the result.
    """
    from elman.data.table import open_dataset
    from elman.pretraining import start_of
    from elman.runs import Run, free_path
    from elman.training import train as train_run

    if resume is not None:
        if data is not None or config is not None or run is not None or options != NO_RUN_OPTIONS:
            raise ConfigError(
                "--resume keeps the configuration of the run.", "Pass --resume RUN without other options."
            )
        directory = Run(resume)
        dataset = directory.open_dataset()
    else:
        settings = configured(_start(data, config, options), options)
        dataset = open_dataset(settings.data)
        path = run or free_path(Path("runs"), f"{slug(settings.data.name)}-{settings.model.layer}")
        directory = Run.create(path, settings, dataset)
    if directory.finished:
        warn(f"NOTE: {directory.path} is already finished, so there is nothing to train.")
    print(f"run {directory.path}", flush=True)
    suggest_gpu(directory.config, quiet)
    report = reporter(quiet)
    try:
        summary = train_run(directory, dataset, report, start=start_of(directory, dataset, report))
    except BrokenPipeError as error:
        raise Interrupted(
            "The program that read the output has ended, so the training stopped; its last state is saved.",
            f"Continue with: elman train --resume {quote(str(directory.path))}",
        ) from error
    except BaseException:
        if resume is None:  # another process may be training a run that exists already
            directory.drop_if_untrained()
        raise
    print(f"{directory.config.loop.keep} epoch {summary['best_epoch']}: {summary['headline']}")
    next_command = {"classification": "evaluate", "language-model": "sample"}.get(directory.config.data.task)
    if next_command and not quiet:
        print(f"next: elman {next_command} {quote(str(directory.path))}")


def _start(data: str | None, config: Path | None, options: RunOptions) -> RunConfig:
    """Return the configuration that the options of the command line change."""
    if config is None and data is None:
        raise ConfigError("No data set is named.", "Name one, for instance: elman train imdb --model lstm")
    if config is None:
        return preset_of(absolute_name(str(data)), options.data)
    if data is not None:
        raise ConfigError(f"{data} and --config exclude each other: {config} names the data set.", "Leave out one.")
    return config_of_run(config)
