"""The data sets by name. A new source is a file beside this one and a line here."""

from collections.abc import Callable

from elman.config import DataConfig
from elman.data.dataset import Dataset
from elman.data.imdb import open_imdb
from elman.data.synthetic import synthetic_reviews
from elman.errors import ConfigError

DATASETS: dict[str, Callable[[DataConfig], Dataset]] = {
    "imdb": open_imdb,
    "synth-reviews": synthetic_reviews,
    "negation": synthetic_reviews,
}


def open_dataset(config: DataConfig) -> Dataset:
    """Open what ``config`` names, with the vocabulary and the length that it sets.

    Raises
    ------
    ConfigError
        No data set has that name, or it has no such level.
    DataError
        It cannot be found or read.
    """
    if config.name not in DATASETS:
        raise ConfigError(f"There is no data set {config.name!r}.", f"There are: {', '.join(DATASETS)}.")
    dataset = DATASETS[config.name](config)
    if dataset.level != config.level:
        raise ConfigError(f"{config.name} has no level {config.level!r}.", f"Take --level {dataset.level}.")
    return dataset.limited(config.vocab_size, config.max_length)
