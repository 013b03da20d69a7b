"""The command and its groups, and what several commands share."""

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from elman import __version__
from elman.config import SamplingConfig
from elman.errors import ConfigError
from elman.options import DataOptions, RunOptions, passed_tables, passed_values

if TYPE_CHECKING:
    from elman.config import RunConfig
    from elman.data.dataset import Dataset
    from elman.progress import Report
    from elman.runs import Run

HELP = """Train recurrent sequence models, and measure what they have learned.

Each training writes a run directory, which the other commands read:

    elman train imdb --model lstm        train a classifier of film reviews
    elman evaluate runs/imdb-lstm-1      measure it on the validation set
    elman train brackets                 train a language model of brackets
    elman sample runs/brackets-lstm-1    let it write
    elman study --profile quick          run several trainings, write a report

`elman COMMAND --help` explains a command.
`elman --install-completion` makes the Tab key complete commands and options in your shell.

Environment variables:

    ELMAN_CACHE           folder of downloaded and prepared data; the default
                          is in your user's cache folder
    ELMAN_IMDB            path of IMDb: archive, unpacked folder, or pickle
    ELMAN_PROGRESS=off    show no progress

The exit code is 0 for success, 1 for a finding or a failed step of a study, 2 for an error, and 130 after Ctrl-C.
"""


def convert(kind: type, tokens: Any) -> Any:
    """Convert the text of an argument. Unlike cyclopts alone, do not round 2.5 where a whole number is needed."""
    for token in tokens if kind is int or int in get_args(kind) else ():
        with suppress(ValueError):  # not a number; cyclopts refuses it
            if not float(token.value).is_integer():
                raise cyclopts.CoercionError(token=token, target_type=int)
    return cyclopts.convert(kind, tokens)


app = cyclopts.App(
    name="elman",
    help=HELP,
    version=__version__,
    default_parameter=Parameter(negative_iterable="", converter=convert),
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(help="Install completion of commands and options for your shell.")
data_app = cyclopts.App(name="data", help="List the data sets, and show what they contain.")
app.command(data_app)

language_app = cyclopts.App(name="language", help="Show facts about a formal language, and check strings.")
app.command(language_app)

FINDINGS = 1
"""The exit code of a check that found something."""

NO_DATA_OPTIONS, NO_RUN_OPTIONS, DRAW_AS_IS = DataOptions(), RunOptions(), SamplingConfig()
Json = Annotated[bool, Parameter(negative="", show_default=False)]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False)]


def named_dataset(name: str, options: Any) -> "Dataset":
    """Open the data set of that name, with the options that were passed."""
    from elman.data.table import open_dataset

    start = preset_of(name, options)
    return open_dataset(start.with_tables({"data": passed_values(options)}, "the command line").data)


def absolute_name(data: str) -> str:
    """Return the absolute path of a language's file, so that a run can be read from any folder; else the name."""
    from elman.languages import own_file

    own = own_file(data)
    return str(own.expanduser().absolute()) if own else data


def absolute_tables(options: Any) -> dict[str, dict[str, Any]]:
    """Return the options that were passed; the path of IMDb is absolute, so that a run can be read from any folder."""
    tables = passed_tables(options)
    if (imdb := tables["data"].get("imdb")) is not None:
        tables["data"]["imdb"] = str(Path(imdb).expanduser().absolute())
    return tables


def configured(start: "RunConfig", options: Any) -> "RunConfig":
    """Return ``start`` with the options that were passed."""
    return start.with_tables(absolute_tables(options), "the command line")


def preset_of(name: str, data_options: Any) -> "RunConfig":
    """Return the preset of a data set, for the task and the level that were passed."""
    from elman.presets import preset

    values = passed_values(data_options)
    return preset(name, values.get("task"), values.get("level"))


def config_of_run(path: Path) -> "RunConfig":
    """Read a run's config.toml. If a language's file was deleted since, name the copy that the run has."""
    from elman.config import read_config
    from elman.languages import own_file
    from elman.runs import kept_language

    config = read_config(path)
    own, copy = own_file(config.data.name), kept_language(path.parent, config.data.name)
    if own is None or own.is_file() or copy is None:
        return config
    return config.with_tables({"data": {"name": absolute_name(str(copy))}}, "the run")


def slug(name: str) -> str:
    """Return a data set's name as a part of a path: without the folder of a file and the colons of options."""
    from elman.languages import own_file

    own = own_file(name)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", own.stem if own else name)


def reporter(quiet: bool, to_stderr: bool = False) -> "Report":
    """Return the function that prints a line on how the work is going; with ``quiet``, one that prints nothing."""
    from elman.progress import switch_off

    if quiet:
        switch_off()
        return lambda _: None
    return lambda line: print(line, file=sys.stderr if to_stderr else sys.stdout, flush=True)


def suggest_gpu(config: "RunConfig", quiet: bool) -> None:
    """Tell the user if a GPU is available but not used."""
    import torch

    name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    if name and config.loop.accelerator == "cpu" and not quiet:
        warn(f"NOTE: this machine has a GPU; --device {name} uses it.")


def warn_unfinished(run: "Run") -> None:
    """Warn if the training of a run is not finished, so that its figures are not taken for final ones."""
    if not run.finished:
        done = len(run.metrics("epoch"))
        warn(f"NOTE: the training of {run.path} is not finished: epoch {done} of {run.config.loop.epochs}.")


def svg(path: Path) -> Path:
    """Return ``path`` if it names an SVG, the only kind of picture that is drawn.

    Raises
    ------
    ConfigError
        It has another suffix.
    """
    if path.suffix.lower() != ".svg":
        raise ConfigError(
            f"{path} does not name an SVG, the only format for pictures.", "Use a name that ends in .svg."
        )
    return path


def warn(text: str) -> None:
    """Print a note to standard error."""
    Console(stderr=True).print(f"[bold yellow]{escape(text)}[/bold yellow]", highlight=False)


def show_figures(figures: dict[str, Any], as_tables: Callable[[dict[str, Any]], None], as_json: bool) -> None:
    """Print figures as tables for a person, or as JSON for a program."""
    print(dumps(figures, indent=2)) if as_json else as_tables(figures)
