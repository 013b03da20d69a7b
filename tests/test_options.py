"""Options of the command line: only options that were passed replace values of the preset."""

from dataclasses import fields
from pathlib import Path

import pytest

from elman.config import (
    BatchConfig,
    DataConfig,
    DataKind,
    LoopConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    SamplingConfig,
    Task,
    scopes,
)
from elman.data.table import DATASETS, data_kind, open_dataset
from elman.errors import ConfigError
from elman.options import DataOptions, RunOptions, passed_tables, passed_values, section_options
from elman.presets import preset

SECTIONS = {"data": DataConfig, "batches": BatchConfig, "model": ModelConfig, "optim": OptimConfig, "loop": LoopConfig}

OTHER_VALUES = {
    "hold_out": "films",
    "imdb": "reviews.tar.gz",
    "level": "char",
    "stack": "sum",
    "pooling": "mean",
    "folds": 2,
    "fold": 1,
    "word_dropout": 0.1,
    "synthetic_noise": 0.1,
}
"""A valid value of each limited option whose type does not suggest one."""


def test_only_passed_options_have_values() -> None:
    assert all(table == {} for table in passed_tables(RunOptions()).values())
    assert passed_values(DataOptions(level="char")) == {"level": "char"}
    assert passed_values(section_options(LoopConfig)(patience=None)) == {"patience": None}


@pytest.mark.parametrize("section", SECTIONS.values())
def test_every_field_is_an_option(section: type) -> None:
    names = {item.name for item in fields(section)} - ({"name"} if section is DataConfig else set())
    assert {item.name for item in fields(section_options(section))} == names


def test_a_passed_value_that_equals_the_default_replaces_the_preset() -> None:
    start = preset("brackets")
    default = ModelConfig().embedding_size
    assert start.model.embedding_size != default
    options = RunOptions(model=section_options(ModelConfig)(embedding_size=default))
    assert start.with_tables(passed_tables(options), "test").model.embedding_size == default


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


def other_value(section: type, name: str) -> object:
    """Return a valid value of an option that is not its default."""
    default = getattr(section, name)
    if isinstance(default, bool):
        return not default
    return OTHER_VALUES.get(name, 7 if default is None else default + 1 if isinstance(default, int) else None)


LIMITED_BY_TASK = [
    (section, name, task)
    for section, kind in SECTIONS.items()
    for name, applies in scopes(kind).items()
    for task in ("classification", "language-model", "pretraining")
    if task not in applies.tasks
]


@pytest.mark.parametrize(("section", "name", "task"), LIMITED_BY_TASK)
def test_an_option_of_another_task_is_refused(section: str, name: str, task: Task) -> None:
    tables = {section: {name: other_value(SECTIONS[section], name)}}
    with pytest.raises(ConfigError, match="applies only to") as refusal:
        preset("imdb", task).with_tables(tables, "test")
    assert f"the task here is {task}." in str(refusal.value)


LIMITED_BY_DATA = [
    (name, data)
    for name, applies in scopes(DataConfig).items()
    for data in (*DATASETS, "brackets", "toy-words")
    if data_kind(data) not in applies.data
]


@pytest.mark.parametrize(("name", "data"), LIMITED_BY_DATA)
def test_an_option_of_other_data_is_refused(name: str, data: str) -> None:
    value = other_value(DataConfig, name)
    if name == "level" and preset(data).data.level == "char":
        value = "word"
    values = {name: value, **({"folds": 2} if name == "fold" else {})}
    with pytest.raises(ConfigError, match="applies only to") as refusal:
        open_dataset(preset(data).with_tables({"data": values}, "test").data)
    assert f"{data} does not use it" in str(refusal.value)


def test_every_option_applies_to_some_data_and_some_task() -> None:
    kinds: set[DataKind] = {data_kind(name) for name in (*DATASETS, "brackets")}
    for section in (*SECTIONS.values(), SamplingConfig):
        assert all(set(applies.data) <= kinds and applies.tasks for applies in scopes(section).values())
