"""The help of every command: it fits 80 columns, explains every option, and shows only the options that apply."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import cyclopts
import pytest
from rich.console import Console

from elman import cli

Help = Callable[..., str]


def commands(app: cyclopts.App, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, those of groups included."""
    for name in app:
        if not name.startswith("-"):
            yield (*words, name)
            yield from commands(app[name], *words, name)


COMMANDS = [*commands(cli.app)]


@pytest.fixture
def help_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Help:
    """Return what ``elman … --help`` prints on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(cli.app, "_console", Console(width=80))  # a command keeps the console of its first help

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["elman", *words, "--help"])
        with suppress(SystemExit):  # cyclopts leaves by an exit after its help
            cli.main()
        out, err = capsys.readouterr()
        assert not err
        return out

    return run


def options(text: str) -> set[str]:
    """Return the options in the tables of a help text: the first name of each, without dashes."""
    return set(re.findall(r"^│ (?:\*  )?--([a-z0-9-]+)", text, re.MULTILINE))


def test_every_command_is_tested() -> None:
    assert {("train",), ("evaluate",), ("tune",), ("data", "list"), ("language", "info")} <= set(COMMANDS)


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_help_fits_80_columns(help_of: Help, command: tuple[str, ...]) -> None:
    text = help_of(*command)
    assert text.startswith(" ".join(["Usage: elman", *command]))
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search("[A-Za-z]…", text)  # a word that was cut


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_argument_and_option_is_explained(command: tuple[str, ...]) -> None:
    app = cli.app
    for word in command:
        app = app[word]
    assert app.help or app.default_command.__doc__
    if app.default_command:
        arguments = app.assemble_argument_collection(parse_docstring=True)
        assert [argument.name for argument in arguments if argument.show and not argument.parameter.help] == []


LANGUAGE_MODEL = {"stack", "tied", "packed", "bptt", "mask-padding", "samples", "max-new-tokens"}
CLASSIFIER = {"bidirectional", "pooling", "pretrain-epochs"}
REVIEWS = {"vocab-size", "max-length"}
GENERATED_REVIEWS = {"synthetic-size", "synthetic-sentences", "synthetic-noise"}
IMDB = {"imdb", "hold-out", "level"}
FORMAL_LANGUAGE = {"strings", "held-out-strings", "folds", "fold", "data-seed", "max-symbols"}
LIMITED = LANGUAGE_MODEL | CLASSIFIER | REVIEWS | GENERATED_REVIEWS | IMDB | FORMAL_LANGUAGE


@pytest.mark.parametrize("command", ["train", "tune"])
@pytest.mark.parametrize(
    ("arguments", "applying"),
    [
        (["brackets"], LANGUAGE_MODEL | FORMAL_LANGUAGE),
        (["synth-reviews"], CLASSIFIER | REVIEWS | GENERATED_REVIEWS),
        (["imdb", "--task", "language-model"], LANGUAGE_MODEL | REVIEWS | IMDB),
    ],
)
def test_the_help_of_a_data_set_shows_the_options_that_apply(
    help_of: Help, command: str, arguments: list[str], applying: set[str]
) -> None:
    everything = options(help_of(command))
    assert everything >= LIMITED | {"model", "epochs", "learning-rate", "embedding-size", "batch-size"}
    assert options(help_of(command, *arguments)) == everything - LIMITED | applying


def test_the_help_of_data_info_shows_the_options_that_apply(help_of: Help) -> None:
    assert options(help_of("data", "info")) == LIMITED - LANGUAGE_MODEL - CLASSIFIER | {"task", "json"}
    assert options(help_of("data", "info", "brackets")) == FORMAL_LANGUAGE | {"task", "json"}


def test_the_help_of_a_data_set_shows_the_defaults_of_its_preset(help_of: Help) -> None:
    def default(option: str, *arguments: str) -> str:
        row = help_of("train", *arguments).partition(f"│ --{option} ")[2]
        return re.search(r"\[default:[\s│]*([^]]*)\]", row)[1]

    assert default("hidden-size") == "300"
    assert default("hidden-size", "brackets") == "16"
    assert default("vocab-size", "imdb", "--task", "language-model") == "8000"
    assert default("row-wise-embedding", "imdb") == "true"


def test_the_help_without_a_data_set_says_what_options_are_for(help_of: Help) -> None:
    text = " ".join(re.sub("[│\n]", " ", help_of("train")).split())
    assert "Seed of the strings. Only for formal languages." in text
    assert "Only for language models." in text
    assert "Only for" not in help_of("train", "brackets")


def test_the_help_of_an_unknown_data_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["elman", "train", "imbd", "--help"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()


def test_the_help_names_the_environment_variables(help_of: Help) -> None:
    assert {"ELMAN_CACHE", "ELMAN_IMDB", "ELMAN_PROGRESS"} <= set(re.findall("ELMAN_[A-Z]+", help_of()))
