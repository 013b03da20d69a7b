"""The command: parse, build the configuration, call one function, print what it returns."""

import errno
import io
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from json import dumps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from elman import __version__
from elman.config import SamplingConfig, SplitName
from elman.errors import ConfigError, DataError, ElmanError, Interrupted, is_out_of_memory
from elman.options import DataOptions, RunOptions, given, given_tables

if TYPE_CHECKING:
    from elman.config import RunConfig
    from elman.data.dataset import Dataset
    from elman.languages import Language

USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

SMALLER = "Take fewer --tokens-per-batch, or a smaller model."

app = cyclopts.App(
    name="elman",
    help="Learn, train, measure and trust recurrent sequence models.",
    version=__version__,
    default_parameter=Parameter(negative_iterable=""),
    suppress_keyboard_interrupt=False,
)
data_app = cyclopts.App(name="data", help="What is in a data set, and one text of it.")
app.command(data_app)

language_app = cyclopts.App(name="language", help="What is known of a formal language, and of strings of it.")
app.command(language_app)

NO_DATA_OPTIONS, NO_RUN_OPTIONS, DRAW_AS_IS = DataOptions(), RunOptions(), SamplingConfig()
Json = Annotated[bool, Parameter(negative="")]
EvaluatedSplit = Literal["val", "train", "test"]


@app.command
def train(
    data: str | None = None,
    /,
    *,
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

    The defaults below are those of a classifier of reviews; for language models others are set, which the run's
    config.toml shows.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    run
        The run directory to make. The default is the next free runs/DATA-MODEL-NUMBER.
    resume
        The run directory of an interrupted training; its own configuration is used.
    """
    from elman.data.table import open_dataset
    from elman.runs import Run, free_path
    from elman.training import train as train_run

    if resume is not None:
        if data is not None or run is not None or options != NO_RUN_OPTIONS:
            raise ConfigError("A run that is resumed keeps its configuration.", "Give --resume RUN and nothing else.")
        directory = Run(resume)
        dataset = directory.open_dataset()
    else:
        if data is None:
            raise ConfigError("No data set is named.", "Say, for instance: elman train imdb --model lstm")
        start = _preset(_absolute_name(data), options.data)
        config = start.with_tables(_absolute(given_tables(options)), "the command line")
        dataset = open_dataset(config.data)
        directory = Run.create(run or free_path(Path("runs"), f"{_slug(data)}-{config.model.layer}"), config, dataset)
    print(f"run {directory.path}", flush=True)
    try:
        summary = train_run(directory, dataset, report=lambda line: print(line, flush=True))
    except BaseException:
        directory.drop_if_untrained()
        raise
    print(f"{directory.config.loop.keep} epoch {summary['best_epoch']}: {summary['headline']}")


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

    _show(evaluate_run(Run(run), split, final=final, warn=_warn), print_evaluation, json)


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

    Every model has a space of its own; --space names a file with another:

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
    from elman.config import parse_toml
    from elman.options import command_line
    from elman.report.terminal import print_search
    from elman.tuning import Search, default_space, parse_space
    from elman.tuning import tune as tune_model
    from elman.tuning.space import configured, narrowed

    start = _preset(_absolute_name(data), options.data)
    tables = _absolute(given_tables(options))
    config = start.with_tables({**tables, "loop": {"threads": 1, **tables["loop"]}}, "the command line")
    if space is None:
        wanted = default_space(config)
    else:
        wanted = parse_space(parse_toml(space.read_text(encoding="utf-8"), str(space)), str(space))
    search = Search(
        config=config,
        space=narrowed(wanted, tables),
        directory=directory or Path("runs") / f"tune-{_slug(data)}-{config.model.layer}",
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
    _show(log, print_search, json)


@app.command
def study(
    file: Path | None = None,
    /,
    *,
    profile: Literal["smoke", "quick", "full"] = "quick",
    directory: Path | None = None,
) -> None:
    """Do a study step by step, and write a report of it: HTML, PDF and Markdown.

    quick: mlp, elman, rnn and lstm on 20,000 IMDb reviews, in less than 20 minutes on two cores; where IMDb cannot be
    had, on generated reviews. full: every question of the course's assignment, with tuned models and one opening of the
    test split, in hours. smoke: every kind of step on small generated data, in about a minute. A step whose result file
    is there is not repeated, unless its configuration or that of a step that it needs has changed.

        elman study --profile quick
        elman study mine.toml

    Parameters
    ----------
    file
        A study of your own instead; docs/study.md says what it holds.
    profile
        Which study.
    directory
        Where its results and its report are kept. The default is runs/study-PROFILE, or runs/study-FILE.
    """
    from elman.study import read_study, run_study, study_from_file

    declared = read_study(profile) if file is None else study_from_file(file)
    run_study(declared, directory or Path("runs") / f"study-{declared.name}", lambda line: print(line, flush=True))


@app.command
def report(directory: Path, /) -> None:
    """Write a study's report anew from its result files: report.html, report.pdf and report.md.

    What is missing is said in its place. No weights and no data are read.

    Parameters
    ----------
    directory
        A study's, such as runs/study-quick.
    """
    from elman.report.study import write_report

    print(write_report(directory))


@app.command
def bundle(directory: Path, /, *, name: str, output: Path = Path()) -> None:
    """Pack a study to be handed in: one zip of code, configuration, results and report.

        elman bundle runs/study-quick --name abc123_2

    Parameters
    ----------
    directory
        A study's, such as runs/study-quick.
    name
        VUNETID_ASSIGNMENT, such as abc123_2; the zip is NAME.zip.
    output
        The folder that it is written into.
    """
    from elman.bundle import write_bundle

    print(write_bundle(directory, name, output))


@app.command
def bench(*, peers: Path = Path("benchmarks"), only: str = "", json: Path | None = None) -> None:
    """Time the fast paths against what they replace, in turn in one process, and print the ratios.

    A ratio is the median of pairs, with the least and the most of them; of speeds more is better, of memory less. The
    peers stand in the source tree, so run this there (make bench does). IMDb is needed; it takes a few minutes, and
    nothing else should run beside it.

    Parameters
    ----------
    peers
        The folder with comparisons.py.
    only
        Measure only what has this in its name: "lstm".
    json
        Also write the rows to this file.
    """
    from elman.bench import run
    from elman.files import write_json
    from elman.report.terminal import print_bench

    rows = print_bench(run(peers, only))
    if json is not None:
        write_json(json, {"rows": rows})


@data_app.command
def info(
    data: str, /, *, options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS, json: Json = False
) -> None:
    """Count what a data set holds: texts, tokens, lengths, classes, duplicates within and across splits.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    json
        Print the counts for a program to read.
    """
    from elman.data.describe import describe
    from elman.report.terminal import print_description

    _show(describe(_dataset(data, options)), print_description, json)


@data_app.command
def show(
    data: str,
    index: int,
    /,
    *,
    split: SplitName = "train",
    final: bool = False,
    options: Annotated[DataOptions, Parameter(name="*")] = NO_DATA_OPTIONS,
) -> None:
    """Print one text as tokens, as ids, and as it was written.

    Parameters
    ----------
    data
        The data set: imdb, synth-reviews, negation, a formal language (brackets, dyck:k=2,p=0.4), or its .toml file.
    index
        Which one, from 0; the splits are sorted short to long.
    split
        The part of the data.
    final
        Look at the test split; the ledger records it.
    """
    from elman.data.ledger import record_opening
    from elman.text import text_of

    dataset = _dataset(data, options)
    sequences = dataset.split(split, final=final)
    if split == "test":
        record_opening(dataset.name, dataset.checksum, f"elman data show {data} {index}", "")
    if not 0 <= index < len(sequences):
        raise ConfigError(f"{data} has no {split} text {index}.", f"It has 0 to {len(sequences) - 1}.")
    ids = sequences[index].tolist()
    if sequences.labels is not None and sequences.labels[index] >= 0:
        label = int(sequences.labels[index])
        print(f"label  {label} ({dataset.class_names[label]})")
    print("tokens", text_of(dataset.vocab.decode(ids), dataset.level))
    print("ids   ", " ".join(map(str, ids)))
    if dataset.texts is not None:
        print("text  ", dataset.texts.text(split, index))


@app.command
def sample(
    run: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 10,
    prompt: str = "",
    config: Annotated[SamplingConfig, Parameter(name="*")] = DRAW_AS_IS,
    json: Json = False,
) -> None:
    """Let a language model write.

        elman sample runs/brackets-lstm-1 -n 10 --prompt '(()' --temperature 0.5

    Strings of a formal language have a mark: ✓ grammatical, ✗ not, … cut off.

    Parameters
    ----------
    run
        A run directory of a language model.
    number
        How many samples.
    prompt
        What each begins with.
    json
        Print the samples for a program to read.
    """
    from elman.grading import write
    from elman.report.terminal import print_samples
    from elman.runs import Run

    _show(write(Run(run), number, config, prompt), print_samples, json)


@app.command
def grade(
    *runs: Path,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 10_000,
    prompt: str = "",
    strings: int = 20_000,
    by_temperature: Annotated[bool, Parameter(negative="")] = False,
    config: Annotated[SamplingConfig, Parameter(name="*")] = DRAW_AS_IS,
    json: Json = False,
) -> None:
    """Judge a language model's samples, and measure how far it is from the best possible model.

    Of the samples it counts those that are grammatical, in the generator's support, cut off (counted as wrong), novel
    and distinct, each share with its 95% interval, and holds their lengths to the generator's; beside the figures
    that depend on the number of samples stands what perfect samples show. On fresh strings it measures cross-entropy,
    floor and excess.

        elman grade runs/brackets-lstm-1
        elman grade runs/brackets-lstm-1 --prompt '((((((((((' -n 1000
        elman grade runs/brackets-lstm-1 runs/brackets-lstm-2 runs/brackets-lstm-3

    Of several runs, which should differ in their seed alone, it also prints the means over them with their intervals.

    Parameters
    ----------
    runs
        Run directories of language models on a formal language.
    number
        How many samples.
    prompt
        What each begins with.
    strings
        How many fresh strings the excess is measured on.
    by_temperature
        Judge as many samples at each of several other temperatures too.
    json
        Print the figures for a program to read: of one run its own, of several ``runs`` and ``over_runs``.
    """
    from elman.grading import grade as grade_run
    from elman.grading import over_runs
    from elman.report.terminal import print_grades, print_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run is named.", "Say, for instance: elman grade runs/brackets-lstm-1")
    graded = []
    for path in runs:
        graded.append(
            grade_run(Run(path), number, config, prompt=prompt, strings=strings, by_temperature=by_temperature)
        )
        if not json:
            print_grades(graded[-1])
    if len(runs) == 1:
        if json:
            print(dumps(graded[0], indent=2))
        return
    _show({"runs": graded, "over_runs": over_runs(graded)}, print_over_runs, json)


@app.command
def generalise(
    *runs: Path,
    factors: tuple[int, ...] = (1, 2, 4, 10, 100),
    forced_prefixes: int = 2_000_000,
    figure: Path | None = None,
    json: Json = False,
) -> None:
    """Hold a language model to its language on strings longer, and deeper, than it was trained on.

    At every prefix the model's distribution of the next symbol is compared with the generator's: mean divergence in
    nats, and how often the model tells what may follow from what may not. Where one symbol alone may follow, the step
    is forced; from the shortest strings on, every length is read until the model's most probable token is another.

        elman train brackets --max-symbols 50 --strings 150000
        elman generalise runs/brackets-lstm-1
        elman generalise runs/anbn-lstm-1 runs/anbn-lstm-2 runs/anbn-lstm-3

    Of several runs, which should differ in their seed alone, it also prints the means over them, how far each takes
    every forced step right, and which of them is the best on validation.

    Parameters
    ----------
    runs
        Run directories of language models on a formal language.
    factors
        How many times the longest training string.
    forced_prefixes
        Stop looking for a wrong forced step after so many prefixes. The default reads aⁿbⁿ to n = 1,413.
    figure
        Where to draw it, of one run. The default is figures/generalisation.svg in the run directory.
    json
        Print the figures for a program to read: of one run its own, of several ``runs`` and ``over_runs``.
    """
    from elman.generalisation import generalise as generalise_run
    from elman.generalisation import over_runs
    from elman.report.figures import generalisation_figure
    from elman.report.terminal import print_generalisation, print_generalisation_over_runs
    from elman.runs import Run

    if not runs:
        raise ConfigError("No run is named.", "Say, for instance: elman generalise runs/brackets-lstm-1")
    if figure is not None and len(runs) > 1:
        raise ConfigError(f"--figure names one picture, and there are {len(runs)} runs.", "Leave it out.")
    measured = []
    for path in runs:
        measured.append(generalise_run(Run(path), factors, forced_prefixes=forced_prefixes))
        generalisation_figure(figure or path / "figures" / "generalisation.svg", measured[-1])
        if len(runs) == 1 or not json:
            _show(measured[-1], print_generalisation, json)
    if len(runs) > 1:
        _show({"runs": measured, "over_runs": over_runs(measured)}, print_generalisation_over_runs, json)


@language_app.command(name="info")
def language_info(name: str, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Print what is known of a language: its alphabet, its entropy, the best that a model of it can do.

        elman language info brackets
        elman language info dyck:k=2,p=0.4 --max-symbols 40

    Parameters
    ----------
    name
        One of the table (a wrong one lists it), with options or without, or a .toml file.
    max_symbols
        The law on condition that a string has at most this many symbols.
    json
        Print the figures for a program to read.
    """
    from elman.languages.facts import facts
    from elman.report.terminal import print_facts

    _show(facts(_law(name, max_symbols)), print_facts, json)


@language_app.command
def check(name: str, file: Path | None = None, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Judge strings, one on each line: grammatical or not, and how probable under the generator.

        elman language check brackets strings.txt
        echo '(())' | elman language check brackets

    Parameters
    ----------
    name
        The language.
    file
        The strings; standard input where none is named. Symbols of more than one character stand between blanks.
    max_symbols
        The law on condition that a string has at most this many symbols.
    json
        Print a list for a program to read.
    """
    from elman.languages.facts import checked
    from elman.report.terminal import print_checked

    try:
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file or 'The input'} is not UTF-8 text ({error.reason}).", "Save it as UTF-8.") from error
    _show(checked(_law(name, max_symbols), text.splitlines()), print_checked, json)


@language_app.command(name="draw")
def draw_language(name: str, /, *, output: Path | None = None) -> None:
    """Draw a language's automaton, or write out its grammar, as a picture.

    Parameters
    ----------
    name
        The language.
    output
        Where to write the SVG. The default is NAME.svg.
    """
    from elman.report.drawing import draw

    path = output or Path(f"{_slug(name)}.svg")
    draw(_law(name, None), path)
    print(path)


def _dataset(name: str, options: Any) -> "Dataset":
    from elman.data.table import open_dataset

    start = _preset(name, options)
    return open_dataset(start.with_tables({"data": given(options)}, "the command line").data)


def _absolute_name(data: str) -> str:
    """A language's file by its whole path: a run must find it from wherever it is read."""
    return str(Path(data).expanduser().absolute()) if data.endswith(".toml") else data


def _absolute(tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """IMDb's place by its whole path, for the same reason."""
    if (imdb := tables["data"].get("imdb")) is not None:
        tables["data"]["imdb"] = str(Path(imdb).expanduser().absolute())
    return tables


def _preset(name: str, data_options: Any) -> "RunConfig":
    from elman.presets import preset

    chosen = given(data_options)
    return preset(name, chosen.get("task"), chosen.get("level"))


def _law(name: str, max_symbols: int | None) -> "Language":
    from elman.languages import language

    return language(name) if max_symbols is None else language(name).up_to(max_symbols)


def _slug(name: str) -> str:
    """A data set's name as a part of a path: a file's without its folder, options without colons."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", Path(name).stem if name.endswith(".toml") else name)


def main() -> None:
    """Run the command; a failure is one sentence on what is wrong and one on what to do, without a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)  # a request to end is met as Ctrl-C is
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no é
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _fail(f"{error}", "See elman --help.", USAGE_ERROR)
    except Interrupted as stop:
        _fail(stop.problem, stop.remedy, INTERRUPTED)
    except ElmanError as error:
        _fail(error.problem, error.remedy, USAGE_ERROR)
    except KeyboardInterrupt:
        _fail("Interrupted.", "Give the same command again; what was finished is kept.", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone; there is nobody to tell
        sys.exit(USAGE_ERROR)
    except OSError as error:
        _fail(f"{error.filename or 'The system'}: {error.strerror or error}.", _remedy(error), USAGE_ERROR)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail("There is not enough memory.", SMALLER, USAGE_ERROR)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (what a handler is given)
    raise KeyboardInterrupt


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
