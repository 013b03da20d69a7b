"""Define search spaces: for each field that is searched, a range of numbers or a list of values.

Every model has a default space here. A TOML file of your own has the same form::

    [optim]
    learning_rate = { low = 5e-4, high = 1e-2, log = true }
    [model]
    hidden_size = [150, 300, 450]

All other fields are fixed, by the preset or on the command line. The ranges contain the defaults of the presets; models
without gates get lower learning rates than those with gates.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, combinations, product
from typing import Any

from elman.config import RunConfig
from elman.errors import ConfigError
from elman.languages import is_language

Value = int | float | bool | str | None
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``, both included; integers if both are.

    With ``log``, the logarithm is uniform: 1 to 2 is as probable as 10 to 20.
    """

    low: float
    high: float
    log: bool = False

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The smallest and the largest value."""
        return (self.low, self.high)

    def __contains__(self, value: Value) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', by orders of magnitude' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """A list of values."""

    values: tuple[Value, ...]

    @property
    def extremes(self) -> tuple[Value, ...]:
        """All values."""
        return self.values

    def __contains__(self, value: Value) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in self.values)


Space = dict[str, Range | Choice]
"""``section.field`` → its domain."""

DROPOUT = {"low": 0.0, "high": 0.6}

CLASSIFIER: Tables = {
    "optim": {"ema_decay": [0.0, 0.99, 0.998]},
    "model": {
        "pooling": ["max", "mean"],
        "embedding_dropout": DROPOUT,
        "top_dropout": DROPOUT,
        "word_dropout": {"low": 0.0, "high": 0.2},
    },
}
MLP: Tables = {"model": {"hidden_size": [150, 300, 600]}}
RECURRENT_CLASSIFIER: Tables = {"model": {"hidden_size": [150, 300, 450], "bidirectional": [False, True]}}
FORMAL_LANGUAGE: Tables = {
    "optim": {"ema_decay": [0.0, 0.9, 0.99]},
    "model": {"hidden_size": [16, 32, 64], "num_layers": [1, 2]},
    "batches": {"tokens_per_batch": [1_500, 3_000, 6_000], "length_noise": {"low": 0.0, "high": 0.3}},
}
LANGUAGE_OF_TEXTS: Tables = {
    "optim": {"ema_decay": [0.0, 0.99, 0.998]},
    "model": {
        "hidden_size": [256, 512],
        "embedding_dropout": {"low": 0.0, "high": 0.4},
        "top_dropout": {"low": 0.0, "high": 0.5},
    },
}
NOT_GATED = ("elman", "rnn")


def default_space(config: RunConfig) -> Space:
    """Return the space that suits a configuration's task and model."""
    layer = config.model.layer
    if config.data.task == "classification":
        tables = [CLASSIFIER, MLP if layer == "mlp" else RECURRENT_CLASSIFIER]
        low, high = (2e-4, 5e-3) if layer in NOT_GATED else (5e-4, 1e-2)
    elif is_language(config.data.name):
        tables = [FORMAL_LANGUAGE]
        low, high = (2e-3, 4e-2) if layer in NOT_GATED else (5e-3, 1e-1)
    else:
        tables = [LANGUAGE_OF_TEXTS]
        low, high = (2e-4, 4e-3) if layer in NOT_GATED else (5e-4, 1e-2)
    merged: Tables = {"optim": {"learning_rate": {"low": low, "high": high, "log": True}}}
    for table in tables:
        for section, fields in table.items():
            merged[section] = {**merged.get(section, {}), **fields}
    return parse_space(merged, "the space")


def parse_space(tables: Tables, where: str) -> Space:
    """Build a space from section → field → ``[values]`` or ``{low, high, log}``.

    Parameters
    ----------
    tables
        The tables, as parsed from TOML.
    where
        The name of their source, for error messages.

    Raises
    ------
    ConfigError
        The tables are empty, or a domain is neither a list nor a range.
    """
    space = {
        f"{section}.{field}": _domain(value, f"{where} [{section}] {field}")
        for section, fields in tables.items()
        for field, value in (fields.items() if isinstance(fields, dict) else [("", fields)])
    }
    if not space:
        raise ConfigError(f"{where} has nothing to search.", "Add at least one field with a list or a range.")
    return dict(sorted(space.items()))


def narrowed(space: Space, tables: Tables) -> Space:
    """Return the space without the fields that have a value in ``tables``.

    Raises
    ------
    ConfigError
        No field is left.
    """
    remaining = {name: domain for name, domain in space.items() if name not in flatten(tables)}
    if not remaining:
        raise ConfigError("Every field of the search space has a value on the command line.", "Leave some of them out.")
    return remaining


def current_values(config: RunConfig, space: Space) -> dict[str, Value]:
    """Return ``section.field`` → value of a configuration, for the fields whose value is in the space."""
    values = flatten(asdict(config))
    return {name: values[name] for name, domain in space.items() if values[name] in domain}


def configured(config: RunConfig, values: dict[str, Value]) -> RunConfig:
    """Return the configuration with the values of ``section.field`` → value."""
    tables: Tables = {}
    for name, value in values.items():
        section, _, field = name.partition(".")
        tables.setdefault(section, {})[field] = value
    return config.with_tables(tables, "the search space")


def check(space: Space, config: RunConfig) -> None:
    """Refuse a space with invalid configurations, before any trial is trained.

    All pairs of fields are checked, with all pairs of their extreme values; the other fields have their first values.

    Raises
    ------
    ConfigError
        A configuration is invalid; the message names it.
    """
    first = {name: domain.extremes[0] for name, domain in space.items()}
    for names in chain(combinations(space, 1), combinations(space, 2)):
        for values in product(*(space[name].extremes for name in names)):
            configured(config, first | dict(zip(names, values, strict=True)))


def flatten(tables: Tables) -> dict[str, Any]:
    """Return ``section.field`` → value."""
    return {f"{section}.{field}": value for section, fields in tables.items() for field, value in fields.items()}


def fixed_values(config: RunConfig, space: Space) -> dict[str, Any]:
    """Return ``section.field`` → value for the fields that are not searched."""
    return {name: value for name, value in flatten(asdict(config)).items() if name not in space}


def differences(mine: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each key in which two dictionaries differ."""
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            yield f"{name}: {theirs.get(name, 'absent')} there, {mine.get(name, 'absent')} here"


def _domain(value: Any, where: str) -> Range | Choice:
    if isinstance(value, list) and value:
        return Choice(tuple(value))
    if isinstance(value, dict) and {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        low, high, log = value["low"], value["high"], value.get("log", False)
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if numbers and low < high and isinstance(log, bool) and (low > 0 or not log):
            return Range(low, high, log)
    raise ConfigError(
        f"{where} cannot be searched in {value!r}.",
        "Use a list of values, or { low = …, high = … } with low below high; with log = true, low above 0.",
    )
