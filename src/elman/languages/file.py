"""Languages from TOML files: a weighted automaton, or a probabilistic context-free grammar.

    kind = "automaton"            kind = "grammar"
    alphabet = ["0", "1"]         alphabet = ["x", "+"]
    start = "even"                start = "S"

    [states.even]                 [rules.S]
    stop = 0.5                    "S + S" = 0.2
    "0 -> even" = "1/4"           "x" = 0.8
    "1 -> odd" = "1/4"

    [states.odd]
    "1 -> even" = 1

A weight is a number, or a fraction in quotes. A grammar with ``spelled = true`` is a language of characters: its words
with blanks between them. The right-hand side ``""`` is the empty string. Every error names the line. Out of scope:
includes, and normalizing the weights: a sum other than one is usually a mistake.
"""

import math
import re
import tomllib
from collections.abc import Callable, Collection, Hashable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from elman.errors import LanguageError, reason
from elman.languages.base import Language
from elman.languages.grammar import Grammar
from elman.languages.regular import Automaton
from elman.languages.spelling import Spelled

Key = TypeVar("Key", bound=Hashable)
Table = dict[str, Any]
WEIGHT = re.compile(r"\d{1,18}(\.\d{1,18})?(/\d{1,18})?")
KEYS = {
    "automaton": ("kind", "name", "alphabet", "start", "states"),
    "grammar": ("kind", "name", "alphabet", "start", "spelled", "rules"),
}


def own_file(name: str) -> Path | None:
    """Return the file that a language's name is the path of, or None if the name is not a path to a file."""
    return Path(name) if name.endswith(".toml") else None


def from_file(path: str | Path) -> Language:
    """Read a language from a file.

    Raises
    ------
    LanguageError
        The file cannot be read, is not TOML, or does not describe a distribution over finite strings of finite mean
        length. The message names the file and the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LanguageError(f"{path} cannot be read ({reason(error)}).", "Pass the TOML file of a language.") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _raise_toml_error(path, text, error)
    try:
        return _build(table, path.stem)
    except LanguageError as error:
        line = _line(text, error.place)
        raise LanguageError(f"{path}, line {line}: {error.problem}", error.remedy, error.place) from error


def _raise_toml_error(path: Path, text: str, error: tomllib.TOMLDecodeError) -> NoReturn:
    reason = str(error)
    position = re.search(r" \(at line (\d+), column \d+\)| \(at end of document\)", reason)
    line = position[1] if position and position[1] else str(text.count("\n") + 1)
    reason = reason.replace(position[0], "") if position else reason
    raise LanguageError(f"{path}, line {line}: this is not TOML: {reason}.", "Correct the line.") from error


def _build(table: Table, stem: str) -> Language:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KEYS:
        problem = "The key 'kind' is missing." if kind is None else f"{kind!r} is not a kind of language."
        raise LanguageError(problem, 'Write kind = "automaton" or kind = "grammar".', ("kind",))
    for key in table:
        if key not in KEYS[kind]:
            raise LanguageError(
                f"The key {key!r} is unknown in a file of the kind {kind!r}.", f"Use {', '.join(KEYS[kind])}.", (key,)
            )
    name = _expect(table, "name", str, stem)
    start = _expect(table, "start", str)
    alphabet = _expect(table, "alphabet", list)
    if not all(isinstance(symbol, str) for symbol in alphabet):
        raise LanguageError("The alphabet contains a value that is not a string.", "Put it in quotes.", ("alphabet",))
    if kind == "automaton":
        return _automaton(name, alphabet, start, _expect(table, "states", dict))
    grammar = Grammar(name, alphabet, start, _weights(_expect(table, "rules", dict), "rules", _single_blanks))
    return Spelled(grammar) if _expect(table, "spelled", bool, False) else grammar


def _expect(table: Table, key: str, kind: type, default: Any = None) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        problem = f"{key} is missing." if value is None else f"{key} is {value!r}."
        names = {str: "a string in quotes", list: "a list in brackets", dict: "a table", bool: "true or false"}
        raise LanguageError(problem, f"Use {names[kind]}.", (key,))
    return value


def _automaton(name: str, alphabet: list[str], start: str, states: Table) -> Automaton:
    weights = _weights(states, "states", partial(_symbol_and_target, alphabet=alphabet, states=states))
    stops = {state: keys.pop(("stop",), 0.0) for state, keys in weights.items()}
    arcs: dict[str, list[tuple[str, str, float]]] = {state: [] for state in weights}
    for state, keys in weights.items():
        for key, weight in keys.items():
            if len(key) != 2:
                raise LanguageError(
                    f"{key[0]!r} is neither an arc nor a stop.",
                    'Write "symbol -> state" = weight, or stop = weight.',
                    ("states", state, key[0]),
                )
            arcs[state].append((key[0], key[1], weight))
    return Automaton(name, alphabet, start, arcs, stops)


def _weights(tables: Table, kind: str, parse: Callable[[str], Key]) -> dict[str, dict[Key, float]]:
    """Return the weights of every state or nonterminal, by parsed keys."""
    weights: dict[str, dict[Key, float]] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or not table:
            problem = f"{name!r} has no weights."
            raise LanguageError(problem, f"Write [{kind}.{name}], and the weights below it.", (kind, name))
        weights[name] = {}
        for text, value in table.items():
            key, place = parse(text), (kind, name, text)
            if key in weights[name]:
                raise LanguageError(f"{text!r} is given twice.", "Write it once, with the sum of the weights.", place)
            weights[name][key] = _weight(value, place)
    return weights


def _single_blanks(text: str) -> str:
    return " ".join(text.split())


def _symbol_and_target(key: str, alphabet: Collection[str], states: Collection[str]) -> tuple[str, ...]:
    """Return the symbol and the target of an arc's key, or the key alone if it is not an arc.

    The symbol can be a blank, and symbols and states can contain ``->``: of all ways to split the key, the first one
    into a known symbol and a known state is meant.
    """
    arcs: list[tuple[str, ...]] = []
    for arrow in re.finditer("->", key):
        before, target = key[: arrow.start()], key[arrow.end() :].strip()
        symbol = " " if " " in alphabet and before.isspace() else before.strip()
        arcs.append((symbol, target))
    return max(arcs, key=lambda arc: (arc[0] in alphabet, arc[1] in states, arc[0] != ""), default=(key.strip(),))


def _weight(value: Any, place: tuple[str, ...]) -> float:
    if isinstance(value, str) and WEIGHT.fullmatch(value) and not re.search(r"\..*/|/0+$", value):
        weight = float(Fraction(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        weight = float(value) if abs(value) <= 1 else math.inf
    else:
        raise LanguageError(f"The weight {value!r} is not a number.", 'Write 0.25 or "1/4".', place)
    if not 0 < weight <= 1:
        raise LanguageError(f"The weight {value!r} is not above 0 and at most 1.", "Correct it.", place)
    return weight


def _line(text: str, place: tuple[str, ...]) -> int:
    """Return the line of ``place``, or of the table that contains it, or 1 if the file contains neither."""
    lines = _lines(text)
    place = _comparable(place)
    while place:
        matches = [line for path, line in lines.items() if path[: len(place)] == place]
        if matches:
            return min(matches)
        place = place[:-1]
    return 1


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every table and key. Each statement is parsed by itself, under the table that contains it."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    statement, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        first = number if not statement else first
        statement += line + "\n"
        try:
            value = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # the statement continues on the next line
        paths = _paths(value)
        if statement.lstrip().startswith("["):
            table = paths[-1]
            lines.setdefault(table, first)
        else:
            for path in paths:
                lines.setdefault(_comparable((*table, *path)), first)
        statement = ""
    return lines


def _paths(value: Table) -> list[tuple[str, ...]]:
    """Return the keys from the top to every value and every table."""
    paths: list[tuple[str, ...]] = []
    for key, below in value.items():
        paths.append((key,))
        if isinstance(below, dict):
            paths.extend((key, *path) for path in _paths(below))
    return paths


def _comparable(place: tuple[str, ...]) -> tuple[str, ...]:
    """Return a place with the blanks of an arc or a rule as errors write them."""
    if len(place) != 3 or place[0] not in ("states", "rules"):
        return place
    return (*place[:2], "".join(place[2].split()) if place[0] == "states" else _single_blanks(place[2]))
