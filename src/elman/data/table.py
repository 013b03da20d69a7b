"""The data sets by name. A new source is a file beside this one and a line here."""

from collections.abc import Callable

from elman.config import DataConfig
from elman.data.dataset import Dataset
from elman.data.imdb import open_imdb
from elman.data.languages import open_language
from elman.data.synthetic import synthetic_reviews
from elman.errors import ConfigError
from elman.languages import LANGUAGES, is_language

DATASETS: dict[str, Callable[[DataConfig], Dataset]] = {
    "imdb": open_imdb,
    "synth-reviews": synthetic_reviews,
    "negation": synthetic_reviews,
}


READ_FROM = {
    "imdb": ("imdb", "hold_out"),
    "generated reviews": ("synthetic_size", "synthetic_sentences", "synthetic_noise"),
    "formal languages": ("strings", "held_out_strings", "folds", "fold", "data_seed", "max_symbols"),
}
"""Which options one kind of data alone reads."""


def open_dataset(config: DataConfig) -> Dataset:
    """Open what ``config`` names, with the vocabulary and the length that it sets.

    Raises
    ------
    ConfigError
        No data set has that name, or it has no such level or task, or an option is for other data.
    DataError
        It cannot be found or read.
    """
    if is_language(config.name):
        _refuse_unread(config, "formal languages")
        return open_language(config)
    if config.name not in DATASETS:
        known = ", ".join([*DATASETS, *LANGUAGES])
        raise ConfigError(f"There is no data set {config.name!r}.", f"There are: {known}; or a language's .toml file.")
    _refuse_unread(config, "imdb" if config.name == "imdb" else "generated reviews")
    return DATASETS[config.name](config).limited(config.vocab_size, config.max_length)


def _refuse_unread(config: DataConfig, kind: str) -> None:
    plain = DataConfig(name=config.name)
    for other, names in READ_FROM.items():
        for name in names:
            if other != kind and getattr(config, name) != getattr(plain, name):
                raise ConfigError(
                    f"--{name.replace('_', '-')} is for {other}; {config.name} does not read it.", "Leave it out."
                )
