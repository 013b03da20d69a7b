"""The command and its groups, and what several commands share."""

import re
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from elman import __version__
from elman.config import SamplingConfig
from elman.errors import ConfigError
from elman.options import DataOptions, RunOptions, given

if TYPE_CHECKING:
    from elman.config import RunConfig
    from elman.data.dataset import Dataset
    from elman.runs import Run

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


def named_dataset(name: str, options: Any) -> "Dataset":
    from elman.data.table import open_dataset

    start = preset_of(name, options)
    return open_dataset(start.with_tables({"data": given(options)}, "the command line").data)


def absolute_name(data: str) -> str:
    """A language's file by its whole path: a run must find it from wherever it is read."""
    from elman.languages import own_file

    own = own_file(data)
    return str(own.expanduser().absolute()) if own else data


def absolute(tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """IMDb's place by its whole path, for the same reason."""
    if (imdb := tables["data"].get("imdb")) is not None:
        tables["data"]["imdb"] = str(Path(imdb).expanduser().absolute())
    return tables


def preset_of(name: str, data_options: Any) -> "RunConfig":
    from elman.presets import preset

    chosen = given(data_options)
    return preset(name, chosen.get("task"), chosen.get("level"))


def slug(name: str) -> str:
    """A data set's name as a part of a path: a file's without its folder, options without colons."""
    from elman.languages import own_file

    own = own_file(name)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", own.stem if own else name)


def warn_unfinished(run: "Run") -> None:
    """Say it where a training is not at its end, so that its figures are not taken for those of the end."""
    if not run.finished:
        done = len(run.metrics("epoch"))
        warn(f"NOTE: the training of {run.path} is not finished: epoch {done} of {run.config.loop.epochs}.")


def svg(path: Path) -> Path:
    """Refuse a picture of another kind than is drawn."""
    if path.suffix.lower() != ".svg":
        raise ConfigError(f"{path} is to be an SVG, and its name says otherwise.", "End it in .svg.")
    return path


def warn(text: str) -> None:
    Console(stderr=True).print(f"[bold yellow]{escape(text)}[/bold yellow]", highlight=False)


def show_figures(figures: dict[str, Any], as_tables: Callable[[dict[str, Any]], None], as_json: bool) -> None:
    print(dumps(figures, indent=2)) if as_json else as_tables(figures)
