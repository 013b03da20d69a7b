"""The default configurations: sizes and learning rates that suit the data and the task.

A formal language has about ten symbols and reviews have fifty thousand different words, so one set of defaults cannot
serve both. Options on the command line replace values of the preset; the run's ``config.toml`` holds the result.
"""

from typing import Any

from elman.config import Level, RunConfig, Task
from elman.errors import ConfigError
from elman.languages import is_language, language

FORMAL_LANGUAGE: dict[str, dict[str, Any]] = {
    "data": {"task": "language-model"},
    "batches": {"tokens_per_batch": 3_000, "length_multiple": 1, "length_noise": 0.1},
    "model": {
        "embedding_size": 32,
        "hidden_size": 16,
        "embedding_scale": 1.0,
        "embedding_dropout": 0.0,
        "top_dropout": 0.0,
    },
    "optim": {"learning_rate": 0.04, "ema_decay": 0.99, "row_wise_embedding": False},
    "loop": {"epochs": 3},
}

CHARACTERS_OF_TEXT: dict[str, dict[str, Any]] = {
    "data": {"task": "language-model", "level": "char"},
    "batches": {"tokens_per_batch": 10_000, "bptt": 128, "length_multiple": 128},
    "model": {
        "embedding_size": 64,
        "hidden_size": 512,
        "embedding_dropout": 0.0,
        "top_dropout": 0.0,
    },
    "optim": {"learning_rate": 0.003, "row_wise_embedding": False},
    "loop": {"samples": 3, "max_new_tokens": 300},
}

WORDS_OF_TEXT: dict[str, dict[str, Any]] = {
    "data": {"task": "language-model", "vocab_size": 8_000},
    "batches": {"tokens_per_batch": 2_000, "bptt": 64, "length_multiple": 64},
    "model": {"embedding_dropout": 0.1, "top_dropout": 0.1},
    "optim": {"row_wise_embedding": False},
    "loop": {"samples": 3, "max_new_tokens": 60},
}

PRETRAINING: dict[str, dict[str, Any]] = {
    "model": {"embedding_dropout": 0.1, "top_dropout": 0.1},
    "optim": {"learning_rate": 0.004},
    "loop": {"keep": "last"},
}
"""Dropout is low, because there is far more text than labels."""


def preset(name: str, task: Task | None = None, level: Level | None = None) -> RunConfig:
    """Return the default configuration of a data set.

    Parameters
    ----------
    name
        The data set.
    task
        What to train; the default is language-model for a formal language and classification for all other data.
    level
        What a token is.

    Raises
    ------
    ConfigError
        The task is classification, but the strings of a formal language have no classes.
    """
    tables: dict[str, dict[str, Any]] = {}
    if is_language(name):
        if task == "classification":
            raise ConfigError(
                f"A classifier cannot be trained on {name}: the strings of a formal language have no classes.",
                "Leave out --task to train a language model.",
            )
        tables = FORMAL_LANGUAGE
        level = level or language(name).level
    elif task == "language-model":
        tables = CHARACTERS_OF_TEXT if level == "char" else WORDS_OF_TEXT
    elif task == "pretraining":
        tables = PRETRAINING
    config = RunConfig.from_tables(tables, "preset")
    data: dict[str, Any] = {"name": name} | ({"task": task} if task else {}) | ({"level": level} if level else {})
    return config.with_tables({"data": data}, "preset")
