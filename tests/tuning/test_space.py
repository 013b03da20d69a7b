"""Search spaces: built from tables, valid for every model, without fixed fields, and refused if invalid."""

import shlex
import tomllib
from dataclasses import replace
from typing import Any, get_args

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import cli
from elman.config import ModelName, RunConfig
from elman.errors import ConfigError
from elman.options import command_line, passed_tables
from elman.presets import preset
from elman.tuning import Choice, Range, default_space, parse_space
from elman.tuning.database import distributions
from elman.tuning.space import check, configured, current_values, differences, fixed_values, narrowed

TASKS = [("imdb", None, None), ("negation", None, None), ("brackets", None, None), ("imdb", "language-model", "char")]


def starts() -> list[RunConfig]:
    """Return the preset of every model for every kind of data that it can be trained on."""
    return [
        preset(*task).with_tables({"model": {"layer": layer}}, "test")
        for task in TASKS
        for layer in get_args(ModelName)
        if layer != "mlp" or preset(*task).data.task == "classification"
    ]


@pytest.mark.parametrize("config", starts(), ids=lambda c: f"{c.data.name}-{c.data.task}-{c.model.layer}")
def test_every_model_has_a_valid_default_space(config: RunConfig) -> None:
    space = default_space(config)
    check(space, config)
    rate = space["optim.learning_rate"]
    assert isinstance(rate, Range)
    assert rate.log
    assert len(space) >= 5
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        configured(config, optuna_study.ask(distributions(space)).params)


def test_current_values_are_those_inside_the_space() -> None:
    config = RunConfig()
    space = {
        "model.hidden_size": Choice((150, 300)),
        "model.num_layers": Range(2, 3),
        "model.bidirectional": Choice((True,)),
        "optim.learning_rate": Range(1e-4, 2e-3, log=True),
    }
    assert current_values(config, space) == {"model.hidden_size": 300, "optim.learning_rate": 2e-3}
    for config in starts():  # the first trial of a default search has the settings of the preset
        assert current_values(config, default_space(config)).keys() == default_space(config).keys()


def test_default_learning_rate_is_inside_the_space_of_models_with_gates() -> None:
    for config in starts():
        if config.model.layer in ("gru", "lstm", "mlp"):
            rate = default_space(config)["optim.learning_rate"]
            assert rate.low < config.optim.learning_rate < rate.high


def test_space_is_built_from_toml() -> None:
    text = """
    [optim]
    learning_rate = { low = 1e-3, high = 1e-1, log = true }
    [model]
    hidden_size = { low = 8, high = 64 }
    bidirectional = [false, true]
    """
    space = parse_space(tomllib.loads(text), "mine.toml")
    assert space == {
        "model.bidirectional": Choice((False, True)),
        "model.hidden_size": Range(8, 64),
        "optim.learning_rate": Range(1e-3, 1e-1, log=True),
    }
    assert {name: str(domain) for name, domain in space.items()} == {
        "model.bidirectional": "false or true",
        "model.hidden_size": "8 to 64",
        "optim.learning_rate": "0.001 to 0.1, by orders of magnitude",
    }
    params = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask(distributions(space)).params
    assert isinstance(params["model.hidden_size"], int)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({}, "nothing to search"),
        ({"optim": {"learning_rate": 0.1}}, r"mine \[optim\] learning_rate cannot be searched in 0.1"),
        ({"optim": {"learning_rate": []}}, "cannot be searched"),
        ({"optim": {"learning_rate": {"low": 1.0, "high": 0.1}}}, "low below high"),
        ({"optim": {"learning_rate": {"low": 0.0, "high": 0.1, "log": True}}}, "low above 0"),
        ({"optim": {"learning_rate": {"low": 0.1, "hihg": 1.0}}}, "hihg"),
        ({"optim": 3}, "cannot be searched in 3"),
    ],
)
def test_malformed_space_is_refused(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_space(tables, "mine")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"optim": {"learning_rates": [0.1, 0.2]}}, "unknown field 'learning_rates'"),
        ({"model": {"top_dropout": {"low": 0.0, "high": 1.0}}}, "--top-dropout must be at least 0 and below 1"),
        ({"model": {"hidden_size": ["many", 8]}}, "hidden_size cannot be 'many'"),
        ({"model": {"layer": ["mlp", "lstm"], "bidirectional": [False, True]}}, "--model mlp cannot be bidirectional"),
        (
            {
                "model": {"layer": ["gru"], "bidirectional": [False, True], "num_layers": [1, 2]},
                "loop": {"pretrain_epochs": [1]},
            },
            "Several bidirectional layers",
        ),
    ],
)
def test_space_with_invalid_configurations_is_refused(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(parse_space(tables, "mine"), RunConfig())


def test_fields_with_a_value_are_not_searched() -> None:
    space = default_space(RunConfig())
    remaining = narrowed(space, {"optim": {"learning_rate": 0.1}, "data": {"max_length": 9}})
    assert set(space) - set(remaining) == {"optim.learning_rate"}
    assert "optim.learning_rate" in fixed_values(RunConfig(), remaining)
    assert "model.hidden_size" not in fixed_values(RunConfig(), remaining)
    with pytest.raises(ConfigError, match="Every field of the search space"):
        narrowed({"optim.learning_rate": Range(0.1, 0.2)}, {"optim": {"learning_rate": 0.1}})


def test_differences_are_listed_one_by_one() -> None:
    assert list(differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})) == [
        "b: 3 there, 2 here",
        "c: 4 there, absent here",
    ]


@pytest.mark.slow
@settings(max_examples=25)
@given(st.sampled_from(starts()), st.integers(0, 10_000))
def test_command_line_reproduces_the_configuration(config: RunConfig, seed: int) -> None:
    """The command line is parsed by the parser of the command itself."""
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    expected = configured(config, optuna_study.ask(distributions(default_space(config))).params)
    expected = replace(expected, loop=replace(expected.loop, epochs=7, seed=seed))
    arguments = shlex.split(shlex.join(["train", *command_line(expected)]))
    _, bound, _ = cli.app.parse_args(arguments, exit_on_error=False, print_error=False)
    options = bound.arguments["options"]
    start = cli.apps.preset_of(bound.args[0], options.data)
    assert start.with_tables(passed_tables(options), "test") == expected
