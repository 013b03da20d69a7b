"""A language from a TOML file: a weighted automaton, or a probabilistic context-free grammar.

    kind = "automaton"            kind = "grammar"
    alphabet = ["0", "1"]         alphabet = ["x", "+"]
    start = "even"                start = "S"

    [states.even]                 [rules.S]
    stop = 0.5                    "S + S" = 0.2
    "0 -> even" = "1/4"           "x" = 0.8
    "1 -> odd" = "1/4"

    [states.odd]
    "1 -> even" = 1

A weight is a number, or a fraction in quotes. A grammar with ``spelled = true`` is a language of characters, its
words written out with blanks between. Every refusal names the line. What it leaves out: includes, and weights that
are normalised for the writer: a sum that is not one is more often a slip than a wish.
"""

import math
import re
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from elman.errors import LanguageError
from elman.languages.base import Language
from elman.languages.grammar import Grammar
from elman.languages.regular import Automaton
from elman.languages.spelling import Spelled

Table = dict[str, Any]
WEIGHT = re.compile(r"\d{1,18}(\.\d{1,18})?(/\d{1,18})?")
KEYS = {
    "automaton": ("kind", "name", "alphabet", "start", "states"),
    "grammar": ("kind", "name", "alphabet", "start", "spelled", "rules"),
}


def own_file(name: str) -> Path | None:
    """Return the file that a language's name is the path of; None for a name of the table, and for all other data."""
    return Path(name) if name.endswith(".toml") else None


def from_file(path: str | Path) -> Language:
    """Read a language.

    Raises
    ------
    LanguageError
        The file cannot be read, is not TOML, or does not describe a law over finite strings of finite mean length.
        The sentence names the file and the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LanguageError(f"{path} cannot be read ({error}).", "Name a TOML file of a language.") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse_toml(path, text, error)
    try:
        return _build(table, path.stem)
    except LanguageError as error:
        line = _line(text, error.place)
        raise LanguageError(f"{path}, line {line}: {error.problem}", error.remedy, error.place) from error


def _refuse_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> NoReturn:
    found = re.search(r" \(at line (\d+), column \d+\)| \(at end of document\)", str(error))
    line = found[1] if found and found[1] else str(text.count("\n") + 1)
    said = str(error).replace(found[0], "") if found else str(error)
    raise LanguageError(f"{path}, line {line}: this is not TOML: {said}.", "Correct the line.") from error


def _build(table: Table, stem: str) -> Language:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KEYS:
        problem = "The file does not say its kind." if kind is None else f"There is no kind {kind!r}."
        raise LanguageError(problem, 'Write kind = "automaton" or kind = "grammar".', ("kind",))
    for key in table:
        if key not in KEYS[kind]:
            raise LanguageError(
                f"The key {key!r} means nothing in a file of the kind {kind!r}.",
                f"Use {', '.join(KEYS[kind])}.",
                (key,),
            )
    name = _expect(table, "name", str, stem)
    start = _expect(table, "start", str)
    alphabet = _expect(table, "alphabet", list)
    if not all(isinstance(symbol, str) for symbol in alphabet):
        raise LanguageError("The alphabet holds something that is no string.", "Put it in quotes.", ("alphabet",))
    if kind == "automaton":
        return _automaton(name, alphabet, start, _expect(table, "states", dict))
    grammar = Grammar(name, alphabet, start, _tables(_expect(table, "rules", dict), "rules", _plain))
    return Spelled(grammar) if _expect(table, "spelled", bool, False) else grammar


def _expect(table: Table, key: str, kind: type, default: Any = None) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        problem = f"{key} is missing." if value is None else f"{key} is {value!r}."
        names = {str: "a string in quotes", list: "a list in brackets", dict: "a table", bool: "true or false"}
        raise LanguageError(problem, f"Give {names[kind]}.", (key,))
    return value


def _automaton(name: str, alphabet: list[str], start: str, states: Table) -> Automaton:
    weights = _tables(states, "states", _arc_key)
    stops = {state: ways.pop("stop", 0.0) for state, ways in weights.items()}
    arcs: dict[str, list[tuple[str, str, float]]] = {}
    for state, ways in weights.items():
        arcs[state] = []
        for key, weight in ways.items():
            symbol, arrow, target = key.partition(" -> ")
            if not arrow:
                raise LanguageError(
                    f"{key!r} is neither an arc nor a stop.",
                    'Write "symbol -> state" = weight, or stop = weight.',
                    ("states", state, key),
                )
            arcs[state].append((symbol, target, weight))
    return Automaton(name, alphabet, start, arcs, stops)


def _tables(tables: Table, kind: str, normal: Callable[[str], str]) -> dict[str, dict[str, float]]:
    """Return the weights of every state or nonterminal, by keys in their normal form."""
    weights: dict[str, dict[str, float]] = {}
    for name, ways in tables.items():
        if not isinstance(ways, dict) or not ways:
            raise LanguageError(f"{name!r} has no weights.", f"Write [{kind}.{name}], and weights below.", (kind, name))
        weights[name] = {}
        for key, value in ways.items():
            place = (kind, name, normal(key))
            if normal(key) in weights[name]:
                raise LanguageError(f"{normal(key)!r} is given twice.", "Join the two.", place)
            weights[name][normal(key)] = _weight(value, place)
    return weights


def _plain(key: str) -> str:
    return " ".join(key.split())


def _arc_key(key: str) -> str:
    return " -> ".join(part.strip() for part in key.split("->", 1))


def _weight(value: Any, place: tuple[str, ...]) -> float:
    if isinstance(value, str) and WEIGHT.fullmatch(value) and not re.search(r"\..*/|/0+$", value):
        weight = float(Fraction(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        weight = float(value) if abs(value) <= 1 else math.inf
    else:
        raise LanguageError(f"The weight {value!r} is no number.", 'Write 0.25 or "1/4".', place)
    if not 0 < weight <= 1:
        raise LanguageError(f"The weight {value!r} is not above 0 and at most 1.", "Correct it.", place)
    return weight


def _line(text: str, place: tuple[str, ...]) -> int:
    """Return the line where ``place`` stands, or else what holds it; 1 for what is missing from the top."""
    lines = _lines(text)
    while place:
        at = [line for path, line in lines.items() if path[: len(place)] == place]
        if at:
            return min(at)
        place = place[:-1]
    return 1


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every table and key: each statement is read by itself, under the table it stands in."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    statement, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        first = number if not statement else first
        statement += line + "\n"
        try:
            value = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        paths = _paths(value)
        if statement.lstrip().startswith("["):
            table = paths[-1]
            lines.setdefault(table, first)
        else:
            for path in paths:
                lines.setdefault(_normal((*table, *path)), first)
        statement = ""
    return lines


def _paths(value: Table) -> list[tuple[str, ...]]:
    """Return the keys down to every value, and to every table on the way."""
    found: list[tuple[str, ...]] = []
    for key, below in value.items():
        found.append((key,))
        if isinstance(below, dict):
            found.extend((key, *path) for path in _paths(below))
    return found


def _normal(path: tuple[str, ...]) -> tuple[str, ...]:
    normal = {"states": _arc_key, "rules": _plain}.get(path[0])
    return (*path[:2], normal(path[2])) if normal and len(path) == 3 else path
