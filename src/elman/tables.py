"""Checked conversion of plain tables, such as those of a TOML file, to dataclasses."""

import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from elman.errors import ConfigError


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML.

    Raises
    ------
    ConfigError
        The text is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML ({error}).", "Fix that line.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        The file is not TOML, or not UTF-8.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error}).", "Save it as UTF-8.") from error


def check_tables(tables: Any, where: str) -> None:
    """Check that ``tables`` is a table of tables.

    Raises
    ------
    ConfigError
        It is not a table, or one of its values is not.
    """
    for name, table in {"": tables, **(tables if isinstance(tables, dict) else {})}.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f"{where}{f' {name}' if name else ''} is not a table.",
                'Write a table, for instance model = { layer = "lstm" }.',
            )


def build(section: Any, table: Any, where: str) -> Any:
    """Build a dataclass from a table of plain values; fields that the table omits keep their defaults.

    Raises
    ------
    ConfigError
        A field is unknown, or a value has the wrong type.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is not a table.", "Write it as [section], one field on a line.")
    hints = get_type_hints(section)
    check_names(table, hints, "field", where)
    for name, value in table.items():
        if not _fits(value, hints[name]):
            raise ConfigError(f"{where}: {name} cannot be {value!r}.", f"Use {_type_name(hints[name])}.")
    return section(**table)


def check_names(names: Any, known_names: Any, kind: str, where: str) -> None:
    """Check that every name is known.

    Parameters
    ----------
    names, known_names
        Names, or tables by name.
    kind
        What is named, for the error: "field".
    where
        Where the names come from, for the error.

    Raises
    ------
    ConfigError
        A name is unknown.
    """
    for name in names:
        if name not in known_names:
            raise ConfigError(f"{where} has an unknown {kind} {name!r}.", f"Use one of {', '.join(known_names)}.")


def _fits(value: Any, hint: Any) -> bool:
    options = get_args(hint)
    if not options:
        exact = value.__class__ is hint
        return exact or (hint is float and value.__class__ is int)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(item, options[0]) for item in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict)
    if all(isinstance(option, str) for option in options):  # a Literal
        return value in options
    return any(_fits(value, option) for option in options)


def _type_name(hint: Any) -> str:
    options = get_args(hint)
    if not options:
        return "nothing" if hint is type(None) else str(hint.__name__)
    if get_origin(hint) is list:
        return f"a list of {_type_name(options[0])}"
    if get_origin(hint) is dict:
        return "a table"
    return " or ".join(option if isinstance(option, str) else _type_name(option) for option in options)
