"""Where is searched: for each knob a range, or a few values to choose from.

Every model has a space here, in the form that a file of one's own takes too::

    [optim]
    learning_rate = { low = 5e-4, high = 1e-2, log = true }
    [model]
    hidden_size = [150, 300, 450]

What stands in no space is fixed, by the preset or on the command line. The ranges lie around the defaults; the plain
recurrences get lower learning rates than those with gates.
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
    """All numbers from ``low`` to ``high``, both included; whole ones where both are. ``log``: as many between 1 and 2
    as between 10 and 20.
    """

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that any other lies between."""
        return (self.low, self.high)

    def __contains__(self, value: Value) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', by orders of magnitude' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """One of these."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """All of them."""
        return self.values

    def __contains__(self, value: Value) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in self.values)


Space = dict[str, Range | Choice]
"""``section.field`` → where it is searched."""

DROPOUT = {"low": 0.0, "high": 0.6}
GATED_RATE = {"low": 5e-4, "high": 1e-2, "log": True}
PLAIN_RATE = {"low": 2e-4, "high": 5e-3, "log": True}

CLASSIFIER: Tables = {
    "optim": {"ema_decay": [0.0, 0.99, 0.998]},
    "model": {
        "pooling": ["max", "mean"],
        "embedding_dropout": DROPOUT,
        "top_dropout": DROPOUT,
        "word_dropout": {"low": 0.0, "high": 0.2},
    },
}
RECURRENT_CLASSIFIER: Tables = {"model": {"hidden_size": [150, 300, 450], "bidirectional": [False, True]}}
CLASSIFIERS: dict[str, list[Tables]] = {
    "mlp": [CLASSIFIER, {"model": {"hidden_size": [150, 300, 600]}, "optim": {"learning_rate": GATED_RATE}}],
    "elman": [CLASSIFIER, RECURRENT_CLASSIFIER, {"optim": {"learning_rate": PLAIN_RATE}}],
    "rnn": [CLASSIFIER, RECURRENT_CLASSIFIER, {"optim": {"learning_rate": PLAIN_RATE}}],
    "gru": [CLASSIFIER, RECURRENT_CLASSIFIER, {"optim": {"learning_rate": GATED_RATE}}],
    "lstm": [CLASSIFIER, RECURRENT_CLASSIFIER, {"optim": {"learning_rate": GATED_RATE}}],
}

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
FORMAL_RATE = {"gated": {"low": 5e-3, "high": 1e-1, "log": True}, "plain": {"low": 2e-3, "high": 4e-2, "log": True}}
RATE_ON_TEXTS = {"gated": {"low": 5e-4, "high": 1e-2, "log": True}, "plain": {"low": 2e-4, "high": 4e-3, "log": True}}


def default_space(config: RunConfig) -> Space:
    """Return the space that suits a configuration's task and model."""
    layer = config.model.layer
    if config.data.task == "classification":
        return _joined(CLASSIFIERS[layer])
    formal = is_language(config.data.name)
    kind = "gated" if layer in ("gru", "lstm") else "plain"
    rate = (FORMAL_RATE if formal else RATE_ON_TEXTS)[kind]
    return _joined([FORMAL_LANGUAGE if formal else LANGUAGE_OF_TEXTS, {"optim": {"learning_rate": rate}}])


def parse_space(tables: Tables, where: str) -> Space:
    """Read a space from section → field → ``[values]`` or ``{low, high, log}``.

    Parameters
    ----------
    tables
        As a TOML file has them.
    where
        What to call their source in an error.

    Raises
    ------
    ConfigError
        There is nothing in it, or something is neither a list nor a range.
    """
    space = {
        f"{section}.{field}": _domain(found, f"{where} [{section}] {field}")
        for section, fields in tables.items()
        for field, found in (fields.items() if isinstance(fields, dict) else [("", fields)])
    }
    if not space:
        raise ConfigError(f"{where} has nothing to search.", "Give at least one field a list or a range.")
    return dict(sorted(space.items()))


def narrowed(space: Space, given: Tables) -> Space:
    """Return the space without the fields that were given a value.

    Raises
    ------
    ConfigError
        Nothing is left.
    """
    left = {name: domain for name, domain in space.items() if name not in flat(given)}
    if not left:
        raise ConfigError("All that would be searched has a value on the command line.", "Leave some of it out.")
    return left


def already(config: RunConfig, space: Space) -> dict[str, Value]:
    """Return the values that a configuration has without any search, of those that lie in the space."""
    values = flat(asdict(config))
    return {name: values[name] for name, domain in space.items() if values[name] in domain}


def configured(config: RunConfig, values: dict[str, Value]) -> RunConfig:
    """Return the configuration with ``section.field`` → value put in."""
    tables: Tables = {}
    for name, value in values.items():
        section, _, field = name.partition(".")
        tables.setdefault(section, {})[field] = value
    return config.with_tables(tables, "the search space")


def check(space: Space, config: RunConfig) -> None:
    """Refuse a space that holds configurations that cannot be, before anything is trained.

    Every end of every range and every choice is tried with every one of each other knob, two at a time; the rest
    being at their first values.

    Raises
    ------
    ConfigError
        One cannot be; the message names it.
    """
    first = {name: domain.ends[0] for name, domain in space.items()}
    for names in chain(combinations(space, 1), combinations(space, 2)):
        for values in product(*(space[name].ends for name in names)):
            configured(config, first | dict(zip(names, values, strict=True)))


def flat(tables: Tables) -> dict[str, Any]:
    """Return ``section.field`` → value."""
    return {f"{section}.{field}": value for section, fields in tables.items() for field, value in fields.items()}


def fixed(config: RunConfig, space: Space) -> dict[str, Any]:
    """Return ``section.field`` → value of all that is not searched."""
    return {name: value for name, value in flat(asdict(config)).items() if name not in space}


def differences(mine: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each entry in which two dictionaries differ."""
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            yield f"{name}: {theirs.get(name, 'absent')} there, {mine.get(name, 'absent')} here"


def _joined(parts: list[Tables]) -> Space:
    merged: Tables = {}
    for part in parts:
        for section, fields in part.items():
            merged[section] = {**merged.get(section, {}), **fields}
    return parse_space(merged, "the space")


def _domain(found: Any, where: str) -> Range | Choice:
    if isinstance(found, list) and found:
        return Choice(tuple(found))
    if isinstance(found, dict) and {"low", "high"} <= set(found) <= {"low", "high", "log"}:
        low, high, log = found["low"], found["high"], found.get("log", False)
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if numbers and low < high and isinstance(log, bool) and (low > 0 or not log):
            return Range(low, high, log)
    raise ConfigError(
        f"{where} cannot be searched in {found!r}.",
        "Give a list of values, or { low = …, high = … } with low below high; with log = true, low above 0.",
    )
