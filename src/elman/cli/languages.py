"""``elman language``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elman.cli.apps import Json, language_app, show_figures, slug, svg
from elman.config import DataConfig
from elman.errors import DataError
from elman.extras import require

if TYPE_CHECKING:
    from elman.languages import Language


@language_app.command(name="info")
def language_info(name: str, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Print what is known of a language: its alphabet, its entropy, the best that a model of it can do.

    Options of a language stand in its name.

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

    show_figures(facts(_law(name, max_symbols)), print_facts, json)


@language_app.command
def check(name: str, file: Path | None = None, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Judge strings, one on each line: grammatical or not, and how probable under the generator.

    They are read from a file, or from standard input.

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
        text = (sys.stdin.buffer.read() if file is None else file.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file or 'The input'} is not UTF-8 text ({error.reason}).", "Save it as UTF-8.") from error
    show_figures(checked(_law(name, max_symbols), text.splitlines()), print_checked, json)


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
    require("report")
    from elman.report.drawing import draw

    path = svg(output or Path(f"{slug(name)}.svg"))
    draw(_law(name), path)
    print(path)


def _law(name: str, max_symbols: int | None = None) -> "Language":
    from elman.data.languages import law_of

    return law_of(DataConfig(name=name, max_symbols=max_symbols))
