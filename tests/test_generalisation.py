"""Divergence and accuracy by length: exact for models that are known, and zero for the generator itself."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import generalisation
from elman.config import ModelConfig
from elman.data.table import open_dataset
from elman.errors import ConfigError
from elman.generalisation import depth_of, divergence, generalise, next_log_probs, tells
from elman.languages import language
from elman.models.language_model import LanguageModel
from elman.presets import preset
from elman.runs import Run
from elman.training import train
from elman.vocab import START


def test_divergence_by_hand() -> None:
    truth = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    model = np.log(np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]]))
    np.testing.assert_allclose(divergence(truth, model), [0.5 * math.log(2), math.log(2)])
    assert (divergence(truth, np.log(np.maximum(truth, 1e-30))) == 0).all()


def test_telling_what_may_follow() -> None:
    truth = np.array([[0.8, 0.2, 0.0]] * 4)
    model = np.array([[0.7, 0.29, 0.01], [0.95, 0.05, 0.0], [0.5, 0.3, 0.2], [0.86, 0.1, 0.04]])
    assert tells(truth, np.log(model + 1e-30)).tolist() == [True, False, False, True]


def test_prefixes_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(embedding_size=4, hidden_size=5), 8).eval()
    ids = torch.randint(3, 8, (23,)).tolist()
    whole = model(torch.tensor([[START, *ids]]))[0][0].log_softmax(-1)
    monkeypatch.setattr(generalisation, "STEPS_AT_ONCE", 4)
    torch.testing.assert_close(next_log_probs(model, ids), whole.detach())


def test_depth() -> None:
    assert [depth_of(s) for s in ("", "()", "(()(()))", "([{}])")] == [0, 1, 3, 3]


def test_a_run_is_held_to_the_language_without_its_limit(tmp_path: Path) -> None:
    tables = {
        "data": {"strings": 10_000, "held_out_strings": 100, "max_symbols": 20},
        "loop": {"epochs": 4, "threads": 1, "samples": 10, "max_new_tokens": 50},
        "batches": {"tokens_per_batch": 500},
    }
    config = preset("brackets").with_tables(tables, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    train(run, run.open_dataset(), report=lambda _: None)
    figures = generalise(run, (1, 3))
    assert figures["trained_to_length"] == 20
    assert [row["length"] for row in figures["by_length"]] == [20, 60]
    assert [row["depth"] for row in figures["by_depth"]] == [factor * figures["trained_to_depth"] for factor in (1, 3)]
    near, far = figures["by_length"]
    assert near["prefixes"] == 20 * 21
    assert 0 < near["kl_nats"] < 0.1  # four seeds came to 0.037 to 0.046, and to an accuracy of 0.998 or more
    assert near["accuracy"] > 0.95
    # The training's law knows that the limit is near, the language does not: so even here q is not p.
    law = language("brackets")
    string = law.sample_of_length(1, 20, random.Random(0))[0]
    limited = law.up_to(20).distribution_matrix(string)
    assert divergence(law.distribution_matrix(string), np.log(np.maximum(limited, 1e-9))).max() > 0.1
    assert far["kl_nats"] > 0


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    config = preset("synth-reviews").with_tables({"data": {"synthetic_size": 20}}, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    with pytest.raises(ConfigError, match="no formal language"):
        generalise(run)
