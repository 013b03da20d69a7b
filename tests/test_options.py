"""Options of the command line: only what is given goes before what the preset says."""

from dataclasses import fields
from pathlib import Path

import pytest

from elman.config import BatchConfig, DataConfig, LoopConfig, ModelConfig, OptimConfig, RunConfig
from elman.errors import ConfigError
from elman.options import DataOptions, RunOptions, given, given_tables, optional
from elman.presets import preset


def test_nothing_is_given_until_it_is() -> None:
    assert all(table == {} for table in given_tables(RunOptions()).values())
    assert given(DataOptions(level="char")) == {"level": "char"}
    assert given(optional(LoopConfig)(patience=None)) == {"patience": None}


@pytest.mark.parametrize("section", [DataConfig, BatchConfig, ModelConfig, OptimConfig, LoopConfig])
def test_every_field_is_an_option(section: type) -> None:
    names = {item.name for item in fields(section)} - ({"name"} if section is DataConfig else set())
    assert {item.name for item in fields(optional(section))} == names


def test_a_value_that_is_a_default_elsewhere_is_still_given() -> None:
    start = preset("brackets")
    default = ModelConfig().embedding_size
    assert start.model.embedding_size != default
    options = RunOptions(model=optional(ModelConfig)(embedding_size=default))
    assert start.with_tables(given_tables(options), "test").model.embedding_size == default


def test_presets_suit_the_data() -> None:
    assert preset("imdb") == RunConfig()
    assert preset("brackets").data.task == preset("imdb", "language-model").data.task == "language-model"
    assert preset("imdb", "pretraining").optim.learning_rate > preset("imdb").optim.learning_rate
    own = str(Path(__file__).parents[1] / "docs" / "languages" / "weather.toml")
    assert (preset(own).data.name, preset("toy-words").data.level, preset("toy").data.level) == (own, "word", "char")
    assert preset("dyck:k=2,p=0.4").data.task == "language-model"
    characters = preset("imdb", "language-model", "char")
    assert (characters.data.level, characters.data.vocab_size) == ("char", None)
    assert preset("imdb", "language-model", "word").data.vocab_size == 8_000
    with pytest.raises(ConfigError, match="unknown"):
        preset("imdb").with_tables({"model": {"size": 3}}, "test")
