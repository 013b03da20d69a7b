"""The command: parse, build the configuration, call one function, print what it returns."""

import errno
import sys
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from elman import __version__
from elman.config import DataConfig, RunConfig, SplitName
from elman.errors import ConfigError, ElmanError, Interrupted

USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

app = cyclopts.App(
    name="elman",
    help="Learn, train, measure and trust recurrent sequence models.",
    version=__version__,
    default_parameter=Parameter(negative_iterable=""),
)
data_app = cyclopts.App(name="data", help="What is in a data set, and one text of it.")
app.command(data_app)

DATA_DEFAULTS, RUN_DEFAULTS = DataConfig(), RunConfig()
Json = Annotated[bool, Parameter(negative="")]
EvaluatedSplit = Literal["val", "train", "test"]


@app.command
def train(
    data: str | None = None,
    /,
    *,
    run: Path | None = None,
    resume: Path | None = None,
    config: Annotated[RunConfig, Parameter(name="*")] = RUN_DEFAULTS,
) -> None:
    """Train a model, or continue a training that was interrupted.

    After every epoch it prints the losses, and the accuracy on validation with its 95% interval. Ctrl-C keeps the
    state; ``--resume`` continues from there to the weights that the uninterrupted training would have had.

        elman train imdb --model lstm --epochs 3
        elman train --resume runs/imdb-lstm-1

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews or negation.
    run
        The run directory to make. The default is the next free runs/DATA-MODEL-NUMBER.
    resume
        The run directory of an interrupted training; its own configuration is used.
    """
    from dataclasses import replace

    from elman.data.table import open_dataset
    from elman.runs import Run, free_path
    from elman.training import train as train_run

    if resume is not None:
        if data is not None or run is not None or config != RUN_DEFAULTS:
            raise ConfigError("A run that is resumed keeps its configuration.", "Give --resume RUN and nothing else.")
        directory = Run(resume)
        dataset = directory.open_dataset()
    else:
        if data is None:
            raise ConfigError("No data set is named.", "Say, for instance: elman train imdb --model lstm")
        config = replace(config, data=replace(config.data, name=data))
        dataset = open_dataset(config.data)
        directory = Run.create(run or free_path(Path("runs"), f"{data}-{config.model.layer}"), config, dataset)
    print(f"run {directory.path}", flush=True)
    summary = train_run(directory, dataset, report=lambda line: print(line, flush=True))
    print(
        f"best epoch {summary['best_epoch']}: validation accuracy {summary['val_accuracy']:.2%}"
        f" (95%: {summary['val_accuracy_low']:.2%} to {summary['val_accuracy_high']:.2%})"
    )


@app.command
def evaluate(run: Path, /, *, split: EvaluatedSplit = "val", final: bool = False, json: Json = False) -> None:
    """Measure a run's best weights on a split.

    Prints accuracy with its 95% interval (Wilson), cross-entropy, confusion, calibration, and the mistakes that the
    model was surest of.

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

    _show(evaluate_run(Run(run), split, final=final, warn=_warn), print_evaluation, json)


@app.command
def study(*, profile: Literal["smoke", "quick"] = "quick", directory: Path | None = None) -> None:
    """Train and compare the course's models, and write a report.

    quick: mlp, elman, rnn and lstm on 20,000 IMDb reviews, in less than 20 minutes on two cores; where IMDb cannot be
    had, on generated reviews. smoke: the same way on small generated data, in less than a minute. What is trained
    already is not trained again.

    Parameters
    ----------
    profile
        Which study.
    directory
        Where its runs and its report are kept. The default is runs/study-PROFILE.
    """
    from elman.study import read_study, run_study

    run_study(read_study(profile), directory or Path("runs") / f"study-{profile}", lambda line: print(line, flush=True))


@data_app.command
def info(
    data: str, /, *, config: Annotated[DataConfig, Parameter(name="*")] = DATA_DEFAULTS, json: Json = False
) -> None:
    """Count what a data set holds: texts, tokens, lengths, classes, duplicates within and across splits.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews or negation.
    json
        Print the counts for a program to read.
    """
    from dataclasses import replace

    from elman.data.describe import describe
    from elman.data.table import open_dataset
    from elman.report.terminal import print_description

    _show(describe(open_dataset(replace(config, name=data))), print_description, json)


@data_app.command
def show(
    data: str,
    index: int,
    /,
    *,
    split: SplitName = "train",
    config: Annotated[DataConfig, Parameter(name="*")] = DATA_DEFAULTS,
) -> None:
    """Print one text as tokens, as ids, and as it was written.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews or negation.
    index
        Which one, from 0; the splits are sorted short to long.
    split
        The part of the data.
    """
    from dataclasses import replace

    from elman.data.table import open_dataset

    dataset = open_dataset(replace(config, name=data))
    sequences = dataset.split(split, final=True)
    if not 0 <= index < len(sequences):
        raise ConfigError(f"{data} has no {split} text {index}.", f"It has 0 to {len(sequences) - 1}.")
    ids = sequences[index].tolist()
    if sequences.labels is not None and sequences.labels[index] >= 0:
        label = int(sequences.labels[index])
        print(f"label  {label} ({dataset.class_names[label]})")
    print("tokens", (" " if dataset.level == "word" else "").join(dataset.vocab.decode(ids)))
    print("ids   ", " ".join(map(str, ids)))
    if dataset.texts is not None:
        print("text  ", dataset.texts.text(split, index))


def main() -> None:
    """Run the command; a failure is one sentence on what is wrong and one on what to do, without a traceback."""
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _fail(f"{error}", "See elman --help.", USAGE_ERROR)
    except Interrupted as stop:
        _fail(stop.problem, stop.remedy, INTERRUPTED)
    except ElmanError as error:
        _fail(error.problem, error.remedy, USAGE_ERROR)
    except KeyboardInterrupt:
        _fail("Interrupted.", "A training continues from its last checkpoint: elman train --resume RUN", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone; there is nobody to tell
        sys.exit(USAGE_ERROR)
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {error.strerror or error}.", _remedy(error), USAGE_ERROR)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room on the disk; nothing half-written was left, and a training continues with --resume."
    return "Check the path and its permissions."


def _fail(problem: str, remedy: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[bold red]elman:[/bold red] {escape(problem)}\n{escape(remedy)}", highlight=False)
    sys.exit(code)


def _warn(text: str) -> None:
    Console(stderr=True).print(f"[bold yellow]{escape(text)}[/bold yellow]", highlight=False)


def _show(figures: dict[str, Any], as_tables: Callable[[dict[str, Any]], None], as_json: bool) -> None:
    print(dumps(figures, indent=2)) if as_json else as_tables(figures)
