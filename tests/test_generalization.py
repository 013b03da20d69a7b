"""Length generalization: exact for known models, with divergence zero for the generator itself."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import generalization, scoring
from elman.config import ModelConfig, SamplingConfig
from elman.data.table import open_dataset
from elman.errors import ConfigError, LanguageError
from elman.generalization import (
    depth_of,
    divergence,
    forced_steps,
    generalize,
    next_log_probs,
    of_length,
    over_runs,
    separates,
)
from elman.grading import grade, write
from elman.languages import Language, language
from elman.languages.regular import Automaton
from elman.models.fast.models import LanguageModel
from elman.presets import preset
from elman.runs import Run
from elman.text.vocab import PAD, START, UNKNOWN, Vocab
from elman.training import train

TWO = """
kind = "automaton"
alphabet = ["a", "b"]
start = "p"
[states.p]
"a -> q" = 1
[states.q]
"b -> r" = 0.5
stop = 0.5
[states.r]
stop = 1
"""


def test_divergence_of_small_examples() -> None:
    truth = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    model = np.log(np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]]))
    np.testing.assert_allclose(divergence(truth, model), [0.5 * math.log(2), math.log(2)])
    assert (divergence(truth, np.log(np.maximum(truth, 1e-30))) == 0).all()


def test_separating_possible_from_impossible_symbols() -> None:
    truth = np.array([[0.8, 0.2, 0.0]] * 4)
    model = np.array([[0.7, 0.29, 0.01], [0.95, 0.05, 0.0], [0.5, 0.3, 0.2], [0.86, 0.1, 0.04]])
    assert separates(truth, np.log(model + 1e-30)).tolist() == [True, False, False, True]


def test_reading_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(embedding_size=4, hidden_size=5), 8).eval()
    ids = torch.randint(3, 8, (23,)).tolist()
    whole = model(torch.tensor([[START, *ids]]))[0][0].log_softmax(-1)
    monkeypatch.setattr(scoring, "STEPS_AT_ONCE", 4)
    np.testing.assert_allclose(next_log_probs(model, ids), whole.detach().numpy(), rtol=1.3e-6, atol=1e-5)


def test_depth_of_brackets() -> None:
    assert [depth_of(s) for s in ("", "()", "(()(()))", "([{}])")] == [0, 1, 3, 3]


class KnownModel:
    """A model that predicts a most probable symbol of the language, but .unk at the prefixes that are ``wrong``."""

    bias = torch.zeros(1)

    def __init__(self, law: Language, vocab: Vocab, wrong: Callable[[str], bool]) -> None:
        self.law, self.vocab, self.wrong = law, vocab, wrong

    def __call__(self, ids: torch.Tensor, states: list[str] | None) -> tuple[torch.Tensor, list[str]]:
        states = states or [""] * len(ids)
        logits = torch.zeros(*ids.shape, len(self.vocab))
        for row, tokens in enumerate(ids.tolist()):
            for step, token in enumerate(tokens):
                if token != PAD:
                    states[row] += "" if token == START else self.vocab.tokens[token]
                    logits[row, step, self.next(states[row])] = 1
        return logits, states

    def next(self, prefix: str) -> int:
        law = self.law.next_symbol_distribution(prefix)
        return UNKNOWN if self.wrong(prefix) else self.vocab.ids[max(law, key=law.__getitem__)]


def forced_steps_of(
    name: str, wrong: Callable[[str], bool], longest: int = 40, prefixes: int = 100_000
) -> dict[str, int | None] | None:
    law = language(name)
    vocab = Vocab.from_counts(dict.fromkeys(law.alphabet, 1))
    model = KnownModel(law, vocab, wrong)
    return forced_steps(model, law, vocab, longest=longest, prefixes=prefixes, generator=random.Random(0))


@pytest.mark.parametrize("at_once", [1, 60, 100_000])
def test_forced_steps_are_followed_to_the_first_wrong_one(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalization, "PREFIXES_AT_ONCE", at_once)
    monkeypatch.setattr(scoring, "STEPS_AT_ONCE", 7)
    for n in (1, 2, 3, 12):
        for prefix in ("a" * n + "b" * n, "a" * n + "b"):  # the end is wrong, or a b
            figures = forced_steps_of("anbn", prefix.__eq__)
            assert figures == {"to_length": 2 * n - 2, "wrong_at_length": 2 * n, "to_n": n - 1}
    assert forced_steps_of("anbn", "aaa".__eq__) == {
        "to_length": 40,
        "wrong_at_length": None,
        "to_n": 20,
    }  # b may follow too
    assert forced_steps_of("anbn", "".__eq__) == {"to_length": 0, "wrong_at_length": 2, "to_n": 0}
    assert forced_steps_of("anbn", "x".__eq__, prefixes=60)["to_length"] == {1: 14, 60: 14, 100_000: 40}[at_once]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "to_length", "wrong_at"),
    [("brackets", 8, 10), ("anbmcnm", 8, 10), ("anbncn", 6, 9), ("tomita2", 8, 10), ("ndfa", 6, 10)],
)
def test_forced_steps_of_several_languages_end_before_the_first_wrong_one(
    name: str, to_length: int, wrong_at: int
) -> None:
    figures = forced_steps_of(name, lambda prefix: len(prefix) > 8)
    assert (figures["to_length"], figures["wrong_at_length"]) == (to_length, wrong_at)
    assert ("to_n" in figures) == (name == "anbncn")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parity", "dyck1"])
def test_languages_without_forced_steps(name: str) -> None:
    assert forced_steps_of(name, "".__eq__, longest=1_000) is None


def test_validation_chooses_among_several_runs() -> None:
    def measured(run: str, nats: float | None, accuracy: float) -> dict[str, object]:
        row = {"factor": 2, "length": 40, "kl_nats": 1 - accuracy, "accuracy": accuracy}
        return {"run": run, "data": "checksum", "val_cross_entropy_nats": nats, "by_length": [row]}

    two = [measured("first", 0.4, 0.5), measured("second", 0.3, 1.0)]
    over = over_runs(two)
    assert over["chosen"] == "second"
    [row] = over["by_length"]
    assert (row["factor"], row["length"]) == (2, 40)
    assert row["accuracy"]["mean"] == 0.75
    assert (row["kl_nats"]["least"], row["kl_nats"]["most"]) == (0, 0.5)
    assert over_runs([*two, measured("unfinished", None, 1.0)])["chosen"] is None
    with pytest.raises(ConfigError, match="different strings"):
        over_runs([*two, {**two[0], "data": "other"}])


@pytest.mark.slow
def test_a_run_is_compared_with_the_language_without_a_length_limit(tmp_path: Path) -> None:
    tables = {
        "data": {"strings": 10_000, "held_out_strings": 100, "max_symbols": 20},
        "loop": {"epochs": 4, "threads": 1, "samples": 10, "max_new_tokens": 50},
        "batches": {"tokens_per_batch": 500},
    }
    config = preset("brackets").with_tables(tables, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    train(run, run.open_dataset(), report=lambda _: None)
    figures = generalize(run, (1, 3))
    assert figures["trained_to_length"] == 20
    assert [row["length"] for row in figures["by_length"]] == [20, 60]
    assert [row["depth"] for row in figures["by_depth"]] == [factor * figures["trained_to_depth"] for factor in (1, 3)]
    near, far = figures["by_length"]
    assert near["prefixes"] == 20 * 21
    assert 0 < near["kl_nats"] < 0.1  # four seeds: 0.037 to 0.046, with accuracies of at least 0.998
    assert near["accuracy"] > 0.95
    # The distribution of the training strings depends on the limit, so it differs from that of the language.
    law = language("brackets")
    string = law.sample_of_length(1, 20, random.Random(0))[0]
    limited = law.up_to(20).distribution_matrix(string)
    assert divergence(law.distribution_matrix(string), np.log(np.maximum(limited, 1e-9))).max() > 0.1
    assert far["kl_nats"] > 0
    assert figures["forced"]["to_length"] >= 2  # after () the end is the most frequent token
    assert figures["val_cross_entropy_nats"] == run.result("training")["val_cross_entropy_nats"]


def test_lengths_without_strings_are_skipped() -> None:
    rare = {"s": [("s", "x", 1.0)], "x": [("a", "1", 0.5)], **{str(i): [("b", str(i + 1), 1.0)] for i in range(1, 6)}}
    rare["6"] = [("b", "x", 1.0)]
    every_sixth = Automaton("every sixth", "sab", "s", rare, {"x": 0.5})
    assert {len(string) for string in of_length(every_sixth, 523, random.Random(0))} == {526}
    finite = Automaton("finite", "a", "p", {"p": [("a", "q", 1.0)], "q": []}, {"q": 1.0})
    assert of_length(finite, 1, random.Random(0)) != []
    assert of_length(finite, 2, random.Random(0)) == []
    with pytest.raises(LanguageError, match="cannot be drawn"):
        of_length(language("toy-words"), 5, random.Random(0))


def test_a_finite_language_is_compared_only_at_its_lengths(tmp_path: Path) -> None:
    own = tmp_path / "two.toml"
    own.write_text(TWO, encoding="utf-8")
    tables = {
        "data": {"strings": 200, "held_out_strings": 20},
        "loop": {"epochs": 1, "threads": 1, "samples": 10, "max_new_tokens": 20},
    }
    config = preset(str(own)).with_tables(tables, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    train(run, run.open_dataset(), report=lambda _: None)
    own.write_text(TWO.replace("b", "c"), encoding="utf-8")  # the run uses its copy of the language
    assert [row["factor"] for row in generalize(run, (1, 2))["by_length"]] == [1]
    assert grade(run, 10, strings=10)["samples"] == 10
    own.unlink()
    assert len(write(run, 3, SamplingConfig(max_new_tokens=5), "ab")["samples"]) == 3


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    config = preset("synth-reviews").with_tables({"data": {"synthetic_size": 20}}, "test")
    run = Run.create(tmp_path / "run", config, open_dataset(config.data))
    with pytest.raises(ConfigError, match="not trained on a formal language"):
        generalize(run)
