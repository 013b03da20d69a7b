"""``elman language``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.cli.apps import FINDINGS, Json, language_app, show_figures, slug, svg
from elman.config import DataConfig
from elman.errors import DataError
from elman.extras import require

if TYPE_CHECKING:
    from elman.languages import Language


@language_app.command(name="list")
def list_languages(*, json: Json = False) -> None:
    """List the formal languages, with their options and defaults.

    Parameters
    ----------
    json
        Print JSON.
    """
    from elman.languages.facts import table

    show_figures(table(), _print_languages, json)


@language_app.command(name="info")
def language_info(name: str, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Print a language's alphabet and entropy, and the lowest cross-entropy that a model can reach.

        elman language info brackets
        elman language info dyck:k=2,p=0.4 --max-symbols 40

    Parameters
    ----------
    name
        A language of `elman language list`, options after a colon, or a .toml file.
    max_symbols
        Condition the language on strings of at most this many symbols.
    json
        Print JSON.
    """
    from elman.languages.facts import facts
    from elman.report.terminal import print_facts

    show_figures(facts(_language(name, max_symbols)), print_facts, json)


@language_app.command
def check(name: str, file: Path | None = None, /, *, max_symbols: int | None = None, json: Json = False) -> None:
    """Check strings, one on each line: grammatical or not, unknown symbols, the probability under the generator.

        elman language check brackets strings.txt
        echo '(())' | elman language check brackets

    Symbols of several characters must be separated by blanks; single characters can be. Blanks at the ends of a line
    are ignored. An empty line is the empty string. The exit code is 1 if a string is not grammatical.

    Parameters
    ----------
    name
        A language of `elman language list`, options after a colon, or a .toml file.
    file
        A UTF-8 file of strings. The default is standard input.
    max_symbols
        Condition the language on strings of at most this many symbols.
    json
        Print JSON.
    """
    from elman.languages.facts import judgments
    from elman.report.terminal import print_checked

    language = _language(name, max_symbols)
    if file is None and sys.stdin.isatty():
        print("Reading strings from standard input, one on each line. End with Ctrl-D.", file=sys.stderr)
    try:
        text = (sys.stdin.buffer.read() if file is None else file.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = "Standard input" if file is None else file
        raise DataError(f"{source} is not UTF-8 text ({error.reason}).", "Save it as UTF-8.") from error
    checked = judgments(language, text.splitlines())
    show_figures(checked, print_checked, json)
    if not all(string["grammatical"] for string in checked["strings"]):
        sys.exit(FINDINGS)


@language_app.command(name="draw")
def draw_language(name: str, /, *, output: Path | None = None) -> None:
    """Draw the automaton of a language, or the rules of its grammar, as an SVG file.

    Parameters
    ----------
    name
        A language of `elman language list`, options after a colon, or a .toml file.
    output
        The file to write. The default is NAME.svg.
    """
    require("report")
    from elman.report.drawing import draw

    path = svg(output or Path(f"{slug(name)}.svg"))
    draw(_language(name), path)
    print(path)


def _print_languages(table: dict[str, Any]) -> None:
    from elman.report.terminal import print_table

    rows = []
    for language in table["languages"]:
        options = ",".join(f"{option}={default}" for option, default in language["options"].items())
        rows.append([language["name"], options, language["description"]])
    print_table(["language", "options", "strings"], rows)


def _language(name: str, max_symbols: int | None = None) -> "Language":
    from elman.data.languages import law_of

    return law_of(DataConfig(name=name, max_symbols=max_symbols))
