"""The data sets by name. A new source is a file beside this one and a line here."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from elman.config import DataConfig, DataKind, option_name, scopes
from elman.errors import ConfigError
from elman.languages import LANGUAGES, is_language
from elman.presets import preset

if TYPE_CHECKING:  # a table that only names the data sets needs neither torch nor numpy
    from elman.data.dataset import Dataset


class Source(NamedTuple):
    """A data set that is not a formal language."""

    kind: DataKind
    description: str
    open: Callable[[DataConfig], "Dataset"]


def _imdb(config: DataConfig) -> "Dataset":
    from elman.data.imdb import open_imdb

    return open_imdb(config)


def _generated_reviews(config: DataConfig) -> "Dataset":
    from elman.data.synthetic import synthetic_reviews

    return synthetic_reviews(config)


DATASETS: dict[str, Source] = {
    "imdb": Source("IMDb", "50,000 film reviews, positive or negative, and 50,000 without a label", _imdb),
    "synth-reviews": Source(
        "generated reviews", "generated reviews; the label depends on two words together", _generated_reviews
    ),
    "negation": Source("generated reviews", "generated reviews; the label depends on word order", _generated_reviews),
}


def data_kind(name: str) -> DataKind:
    """Return the kind of a data set, which decides the options that apply to it.

    Raises
    ------
    ConfigError
        There is no data set of that name.
    """
    if is_language(name):
        return "formal languages"
    if name not in DATASETS:
        names = [*DATASETS, *LANGUAGES]
        nearest = get_close_matches(name, names, n=1)
        suggestion = f" Did you mean {nearest[0]}?" if nearest else ""
        raise ConfigError(
            f"There is no data set {name!r}.{suggestion}",
            f"Use one of {', '.join(names)}, or the .toml file of a formal language.",
        )
    return DATASETS[name].kind


def listed() -> list[dict[str, Any]]:
    """Return name, kind, description and availability of all data sets, ready for JSON."""
    from elman.data.imdb import is_here

    rows: list[tuple[str, DataKind, str]] = [
        (name, source.kind, source.description) for name, source in DATASETS.items()
    ]
    rows += [(name, "formal languages", f"language: {entry.description}") for name, entry in LANGUAGES.items()]
    return [
        {"name": name, "kind": kind, "description": description, "available": kind != "IMDb" or is_here()}
        for name, kind, description in rows
    ]


def open_dataset(config: DataConfig) -> "Dataset":
    """Open the data set that ``config`` names, with its vocabulary size and maximum length.

    Raises
    ------
    ConfigError
        There is no data set of that name, or an option does not apply to it.
    DataError
        The data cannot be found or read.
    """
    kind = data_kind(config.name)
    _refuse_other_data(config, kind)
    if kind == "formal languages":
        from elman.data.languages import open_language

        return open_language(config)
    return DATASETS[config.name].open(config).limited(config.vocab_size, config.max_length)


def _refuse_other_data(config: DataConfig, kind: DataKind) -> None:
    start = preset(config.name).data
    for name, applies in scopes(DataConfig).items():
        if kind not in applies.data and getattr(config, name) != getattr(start, name):
            raise ConfigError(
                f"{option_name(DataConfig, name)} applies only to {applies}; {config.name} does not use it.",
                f"Leave it out. `elman train {config.name} --help` lists the options of {config.name}.",
            )
