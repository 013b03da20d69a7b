"""Plain values in sections, as a TOML file has them, into dataclasses: every name known, every value of its type."""

import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from elman.errors import ConfigError


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML.

    Raises
    ------
    ConfigError
        It is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML ({error}).", "Mend that line.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        It is not TOML, or not UTF-8.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error}).", "Save it as UTF-8.") from error


def check_tables(tables: Any, where: str) -> None:
    """Refuse what is not a table of tables.

    Raises
    ------
    ConfigError
        The whole, or one of its sections, is something else.
    """
    for name, found in {"": tables, **(tables if isinstance(tables, dict) else {})}.items():
        if not isinstance(found, dict):
            raise ConfigError(
                f"{where}{f' {name}' if name else ''} is no table.", 'Write, for instance, model = { layer = "lstm" }.'
            )


def build(section: Any, table: Any, where: str) -> Any:
    """Build a dataclass from a table of plain values; a field that is not named has its default.

    Raises
    ------
    ConfigError
        A field is unknown, or a value cannot be.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is no table.", "Write it as [section] with a line a field.")
    hints = get_type_hints(section)
    known(table, hints, "field", where)
    for name, value in table.items():
        if not _fits(value, hints[name]):
            raise ConfigError(f"{where}: {name} cannot be {value!r}.", f"It takes {_type_name(hints[name])}.")
    return section(**table)


def known(given: Any, known: Any, kind: str, where: str) -> None:
    """Refuse a name that nothing has.

    Parameters
    ----------
    given, known
        Names, or tables by name.
    kind
        What they are names of: "field".
    where
        What to call their source in an error.

    Raises
    ------
    ConfigError
        Of the first that is unknown.
    """
    for name in given:
        if name not in known:
            raise ConfigError(f"{where} has an unknown {kind} {name!r}.", f"Known are: {', '.join(known)}.")


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


def shown(value: Any) -> str:
    """Write a setting for a person, as TOML would but for the digits: ``0.002138``, ``true``, ``300``."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
