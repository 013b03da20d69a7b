"""Formal languages with known probabilities, so that a model's distance from the best possible model is known.

`language("brackets")` returns a language by name, `language("path/to/mine.toml")` one from a file; `LANGUAGES` is the
table of names. `elman.languages.base.Language` is the interface of all languages. The docstring of each class or
builder defines the distribution. Out of scope: natural language, and distributions that can only be sampled from.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

from elman.errors import LanguageError
from elman.languages.base import END, Language, Reader, String
from elman.languages.brackets import Brackets, Dyck
from elman.languages.counter import EqualBlocks, SumBlocks
from elman.languages.entropy import Entropy
from elman.languages.file import from_file, own_file
from elman.languages.regular import TOMITA, Ndfa, parity, tomita
from elman.languages.toy import toy, toy_words

__all__ = [
    "END",
    "LANGUAGES",
    "Entropy",
    "Language",
    "Reader",
    "String",
    "from_file",
    "is_language",
    "language",
    "own_file",
]


class Entry(NamedTuple):
    """A language of the table: how to build it, and what its strings are."""

    build: Callable[..., Language]
    description: str

    @property
    def options(self) -> dict[str, Any]:
        """The options of the language and their defaults."""
        return {name: parameter.default for name, parameter in signature(self.build).parameters.items()}


def _tomita(number: int) -> Callable[..., Language]:
    return lambda stop=0.1: tomita(number, stop)


LANGUAGES: dict[str, Entry] = {
    "ndfa": Entry(Ndfa, "s, then abc!, uvw! or klm! any number of times, then s"),
    "brackets": Entry(Brackets, "balanced brackets of one kind inside a pair of brackets"),
    "toy": Entry(toy, "English-like sentences of a small grammar, by characters"),
    "toy-words": Entry(toy_words, "the sentences of toy, by words"),
    "toy2": Entry(lambda: toy(2), "the sentences of toy with more words, by characters"),
    "toy2-words": Entry(lambda: toy_words(2), "the sentences of toy2, by words"),
    "dyck": Entry(Dyck, "balanced brackets of k kinds"),
    "dyck1": Entry(lambda p=0.3: Dyck(1, p), "balanced brackets of one kind"),
    "dyck2": Entry(lambda p=0.3: Dyck(2, p), "balanced brackets of two kinds"),
    "anbn": Entry(lambda p=0.9: EqualBlocks("ab", p), "n a, then n b"),
    "anbncn": Entry(lambda p=0.9: EqualBlocks("abc", p), "n a, then n b, then n c"),
    "anbncndn": Entry(lambda p=0.9: EqualBlocks("abcd", p), "n a, then n b, then n c, then n d"),
    "anbmcnm": Entry(lambda p=0.8: SumBlocks(p), "n a, then m b, then n + m c"),
    "parity": Entry(parity, "0 and 1 with an even number of 1s"),
    **{
        f"tomita{number}": Entry(_tomita(number), f"Tomita's grammar {number} over 0 and 1: {grammar.strings}")
        for number, grammar in TOMITA.items()
    },
}


def is_language(name: str) -> bool:
    """Return whether ``name`` is a language of the table, with options or without, or a language's file."""
    return own_file(name) is not None or name.partition(":")[0] in LANGUAGES


def language(name: str, **options: Any) -> Language:
    """Return the language of that name, or the one in a file whose name ends in ``.toml``.

    The name can include options: ``dyck:k=2,p=0.4`` is ``language("dyck", k=2, p=0.4)``.

    Raises
    ------
    LanguageError
        The name or an option is unknown, a value is not possible, or the file does not describe a language.

    Examples: ``language("dyck", k=2, p=0.4)``, ``language("toy", version=2)``, ``language("anbn", p=0.8)``.
    """
    if file := own_file(name):
        if options:
            raise LanguageError(f"A language from a file has no options ({', '.join(options)}).", "Remove them.")
        return from_file(file)
    name, separator, text = name.partition(":")
    if name not in LANGUAGES:
        raise LanguageError(f"{name!r} is not a language.", f"Use {', '.join(LANGUAGES)}, or a .toml file.")
    for option, value in [_option(name, part) for part in text.split(",")] if separator else []:
        if option in options:
            raise LanguageError(f"The option {option} of {name} is given twice.", "Remove one of the two.")
        options[option] = value
    entry = LANGUAGES[name]
    for option, value in options.items():
        if option not in entry.options:
            remedy = f"It has {', '.join(entry.options)}." if entry.options else "It has none."
            raise LanguageError(f"{name} has no option {option}.", remedy)
        if isinstance(entry.options[option], int) and not isinstance(value, int):
            raise LanguageError(f"{option} of {name} is a whole number, not {value!r}.", f"Write {name}:{option}=2.")
    return entry.build(**options)


def _option(name: str, part: str) -> tuple[str, int | float]:
    option, _, value = part.partition("=")
    try:
        return option.strip(), int(value) if value.strip().isdigit() else float(value)
    except ValueError as error:
        problem = f"{name} has an option {part!r} whose value is not a number."
        raise LanguageError(problem, f"Write {name}:p=0.4.") from error
