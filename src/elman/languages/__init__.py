"""Formal languages with known probabilities: how far a model is from the best possible one can be said exactly.

`language("brackets")` returns one by name, `language("path/to/mine.toml")` one from a file; `LANGUAGES` is the table
of names. What each can answer is in `elman.languages.base.Language`; its distribution is written out in the
docstring of its class or builder. What it leaves out: natural language, and any law that can only be sampled from.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

from elman.errors import LanguageError
from elman.languages.base import END, Entropy, Language, Reader, String
from elman.languages.brackets import Brackets, Dyck
from elman.languages.counter import EqualBlocks, SumBlocks
from elman.languages.file import from_file, own_file
from elman.languages.regular import Ndfa, parity, tomita
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


def _tomita(number: int) -> Callable[..., Language]:
    return lambda stop=0.1: tomita(number, stop)


LANGUAGES: dict[str, Callable[..., Language]] = {
    "ndfa": Ndfa,
    "brackets": Brackets,
    "toy": toy,
    "toy-words": toy_words,
    "toy2": lambda: toy(2),
    "toy2-words": lambda: toy_words(2),
    "dyck": Dyck,
    "dyck1": lambda p=0.3: Dyck(1, p),
    "dyck2": lambda p=0.3: Dyck(2, p),
    "anbn": lambda p=0.9: EqualBlocks("ab", p),
    "anbncn": lambda p=0.9: EqualBlocks("abc", p),
    "anbncndn": lambda p=0.9: EqualBlocks("abcd", p),
    "anbmcnm": lambda p=0.8: SumBlocks(p),
    "parity": parity,
    **{f"tomita{number}": _tomita(number) for number in range(1, 8)},
}


def is_language(name: str) -> bool:
    """Return whether ``name`` can be meant for `language`: one of the table, with options or without, or a file."""
    return own_file(name) is not None or name.partition(":")[0] in LANGUAGES


def language(name: str, **options: Any) -> Language:
    """Return the language of that name, or the one in a file whose name ends in ``.toml``.

    Options can stand in the name too: ``dyck:k=2,p=0.4`` is ``language("dyck", k=2, p=0.4)``.

    Raises
    ------
    LanguageError
        There is none of that name, the options do not fit it, or the file is refused.

    Examples: ``language("dyck", k=2, p=0.4)``, ``language("toy", version=2)``, ``language("anbn", p=0.8)``.
    """
    if file := own_file(name):
        if options:
            raise LanguageError(f"A language from a file takes no options ({', '.join(options)}).", "Leave them out.")
        return from_file(file)
    name, separator, written = name.partition(":")
    if name not in LANGUAGES:
        raise LanguageError(f"There is no language {name!r}.", f"Choose {', '.join(LANGUAGES)}, or a .toml file.")
    given = [_option(name, part) for part in written.split(",")] if separator else []
    for option, value in given:
        if option in options:
            raise LanguageError(f"{name} has its option {option} twice.", "Leave one of the two out.")
        options[option] = value
    known = signature(LANGUAGES[name]).parameters
    for option, value in options.items():
        if option not in known:
            has = f"It has {', '.join(known)}." if known else "It has none."
            raise LanguageError(f"{name} has no option {option}.", has)
        if isinstance(known[option].default, int) and not isinstance(value, int):
            raise LanguageError(f"{option} of {name} is a whole number, not {value!r}.", f"Write {name}:{option}=2.")
    return LANGUAGES[name](**options)


def _option(name: str, part: str) -> tuple[str, int | float]:
    option, _, value = part.partition("=")
    try:
        return option.strip(), int(value) if value.strip().isdigit() else float(value)
    except ValueError as error:
        raise LanguageError(f"{name} has an option {part!r} that is no number.", f"Write {name}:p=0.4.") from error
