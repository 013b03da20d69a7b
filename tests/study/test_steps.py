"""The figures of the steps equal independent computations of the same figures."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from elman.config import RunConfig
from elman.data.table import open_dataset
from elman.errors import ConfigError
from elman.languages import language
from elman.statistics import holm, mcnemar, paired_bootstrap, smallest_difference_by_student, welch_over_seeds
from elman.study.classifiers import packed, packed_labels, unpacked, unpacked_labels
from elman.study.comparing import CompareOptions, compare
from elman.study.describing import PaddingOptions, describe_data, measure_padding
from elman.study.language_models import first_impossible
from elman.study.summary import figure_over_seeds
from elman.study.work import NoOptions, Work


def figures(study: Path, step: str) -> dict[str, Any]:
    return json.loads((study / "results" / f"{step}.json").read_text())["figures"]


LOGITS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(2, 4)), elements=st.floats(-30, 30, width=32)
)


@given(LOGITS)
def test_packed_log_probabilities_have_three_digits(logits: Any) -> None:
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    back = unpacked(packed(log_probs), log_probs.shape[1])
    np.testing.assert_allclose(back, log_probs, rtol=2e-3, atol=5e-2)
    np.testing.assert_allclose(np.exp(back).sum(axis=1), 1, atol=1e-5)


@given(st.floats(-1e-3, 1e-3).filter(lambda odds: abs(odds) > 1e-6))
def test_packing_keeps_the_more_probable_class_near_a_tie(odds: float) -> None:
    log_probs = np.array([[odds / 2, -odds / 2]], np.float32) - np.float32(math.log(2))
    assert unpacked(packed(log_probs), 2).argmax() == log_probs.argmax() == (odds < 0)


@given(st.lists(st.integers(0, 300), min_size=1))
def test_unpacking_returns_the_packed_labels(labels: list[int]) -> None:
    assert unpacked_labels(packed_labels(np.array(labels))).tolist() == labels


def test_the_saved_log_odds_give_the_measured_figures(smoke_study: Path) -> None:
    for name in ("mlp", "elman", "rnn", "lstm"):
        measured = figures(smoke_study, name)
        labels = unpacked_labels(measured["labels"])
        log_probs = unpacked(measured["by_seed"][0]["log_odds"], 2)
        assert (log_probs.argmax(axis=1) == labels).mean() == measured["by_seed"][0]["accuracy"]
        nats = -log_probs[np.arange(len(labels)), labels].mean()
        assert nats == pytest.approx(measured["by_seed"][0]["cross_entropy_nats"], rel=2e-3)


def test_the_interval_is_over_seeds_or_for_one_seed_over_texts() -> None:
    several = figure_over_seeds([0.8, 0.9])
    assert several["mean"] == pytest.approx(0.85)
    assert (several["least"], several["most"], several["interval"]) == (0.8, 0.9, "seeds")
    assert several["high"] > 1 > figure_over_seeds([0.8, 0.9], bounds=(0, 0.99))["high"]
    one = figure_over_seeds([0.8], (0.7, 0.9))
    assert (one["low"], one["high"], one["interval"]) == (0.7, 0.9, "texts")
    unknown = figure_over_seeds([0.8])
    assert (unknown["low"], unknown["high"], unknown["interval"]) == (None, None, None)
    assert figure_over_seeds([0.8, 0.9], (0.0, 0.0))["low"] != 0.0  # with several seeds not over texts


def test_curves_are_means_over_the_seeds(smoke_study: Path) -> None:
    measured = figures(smoke_study, "clipped")
    assert [curve["seed"] for curve in measured["curves"]] == [0, 1]
    for epoch, entry in enumerate(measured["epochs"]):
        values = [curve["epochs"][epoch]["val_cross_entropy_nats"] for curve in measured["curves"]]
        over_seeds = entry["val_cross_entropy_nats"]
        assert over_seeds == {"mean": pytest.approx(np.mean(values)), "least": min(values), "most": max(values)}
    for curve in measured["curves"]:
        assert 0 < len(curve["steps"]["grad_norm"]) <= 100
        seconds = [entry["seconds_so_far"] for entry in curve["epochs"]]
        assert seconds == sorted(seconds)
        assert seconds[-1] == pytest.approx(sum(entry["seconds"] for entry in curve["epochs"]), rel=1e-4)


def test_published_figures_hold_only_the_file_name_of_the_data(archive: Path, tmp_path: Path) -> None:
    config = RunConfig.from_tables({"data": {"name": "imdb", "imdb": str(archive)}}, "test")
    assert describe_data(Work("data", NoOptions(), config, {}, tmp_path, print))["source"] == archive.name


def test_padding_equals_a_computation_by_hand(tmp_path: Path) -> None:
    tables = {"data": {"name": "brackets", "strings": 50, "held_out_strings": 5}, "batches": {"length_multiple": 1}}
    tables["data"] |= {"task": "language-model", "level": "char"}
    config = RunConfig.from_tables(tables, "test")
    work = Work("padding", PaddingOptions(batch_sizes=[1, 50]), config, {}, tmp_path, print)
    one, whole = measure_padding(work)["rows"]
    lengths = open_dataset(config.data).split("train").lengths
    assert one["random"] == one["sorted"] == 0
    assert whole["random"] == whole["sorted"] == pytest.approx(1 - lengths.sum() / (50 * lengths.max()))
    assert one["mean_longest"] == pytest.approx(lengths.mean())
    assert whole["mean_longest"] == lengths.max()


@pytest.mark.parametrize("name", ["brackets", "ndfa", "toy-words"])
def test_all_tokens_before_the_first_impossible_one_have_a_probability(name: str) -> None:
    law, chance = language(name), random.Random(0)
    for string in law.sample(20, chance):
        assert first_impossible(law, string) == len(string)
        start = chance.randrange(len(string))
        changed = [*string[:start], *(chance.choice(law.alphabet) for _ in range(3))]
        impossible = first_impossible(law, changed)
        for position in range(impossible):
            assert law.next_symbol_distribution(changed[:position])[changed[position]] > 0
        if impossible < len(changed):
            assert law.next_symbol_distribution(changed[:impossible])[changed[impossible]] == 0


def test_the_shown_parts_of_a_sample_make_up_the_sample(smoke_study: Path) -> None:
    law = language("brackets")
    groups = figures(smoke_study, "clipped")["samples"]
    assert [group["temperature"] for group in groups] == [0.5, 1.0, 1.5]
    for string in (string for group in groups for string in group["strings"]):
        if "…" in string["right"] + string["rest"] or string["cut_off"]:
            continue
        wrong = "" if string["wrong"] == ".end" else string["wrong"]
        text = string["right"] + wrong + string["rest"]
        assert string["grammatical"] == law.is_member(text)
        assert (string["wrong"] == "") == law.in_support(text)


def classifier(right: list[list[int]], checksum: str = "a", level: str = "word", **data: str) -> dict[str, Any]:
    """Return the result of a classifier whose runs were right (1) or wrong (0) on each text."""
    accuracies = [float(np.mean(run)) for run in right]
    log_probs = [np.log(np.array([[0.9, 0.1] if text else [0.1, 0.9] for text in run], np.float32)) for run in right]
    return {
        "kind": "classifier",
        "figures": {
            "data": {"checksum": checksum, "level": level, **data},
            "labels": packed_labels(np.zeros(len(right[0]), np.int64)),
            "class_names": ["one", "other"],
            "summary": {"val_accuracy": figure_over_seeds(accuracies, (0.0, 1.0))},
            "by_seed": [
                {"accuracy": accuracy, "log_odds": packed(run)}
                for accuracy, run in zip(accuracies, log_probs, strict=True)
            ],
        },
    }


BY_STUDENT = ("difference", "low", "high", "p", "standard_error", "freedom")


def compared(needs: dict[str, Any], against: str = "") -> dict[str, Any]:
    return compare(Work("ranking", CompareOptions(against=against), None, needs, Path(), print))


def test_a_comparison_pairs_texts() -> None:
    """Accuracies of 51% and 49% differ significantly if the models differ only on the texts of that difference."""
    base = [1] * 490 + [0] * 490
    good, bad = classifier([base + [1] * 20]), classifier([base + [0] * 20])
    comparison = compared({"bad": bad, "good": good})
    assert [row["step"] for row in comparison["order"]] == ["good", "bad"]
    [pair] = comparison["pairs"]
    assert (pair["better"], pair["worse"], pair["significant"]) == ("good", "bad", True)
    assert pair["difference"] == pytest.approx(0.02)
    assert 0 < pair["low"] < 0.02 < pair["high"]
    swapped = compared({"bad": good, "good": bad})
    assert [swapped["pairs"][0][key] for key in ("better", "worse")] == ["bad", "good"]


def test_a_difference_is_not_significant_if_the_seeds_disagree() -> None:
    first = classifier([[1] * 900 + [0] * 100, [1] * 500 + [0] * 500])
    second = classifier([[1] * 480 + [0] * 520, [1] * 860 + [0] * 140])
    [pair] = compared({"first": first, "second": second})["pairs"]
    assert (pair["test"], pair["significant"]) == ("bootstrap", False)
    assert pair["mcnemar"]["p"] < 1e-9  # the first seeds alone would suggest a difference
    assert pair["p"] == pair["p_holm"] > 0.05


@pytest.mark.slow
def test_all_pairs_are_tested_and_corrected_together() -> None:
    """The figures of each pair equal those of the statistics, computed pair by pair."""
    chance = np.random.default_rng(0)
    right = {name: chance.random((3, 400)) < share for name, share in (("a", 0.9), ("b", 0.8), ("c", 0.79))}
    pairs = compared({name: classifier(runs.astype(int).tolist()) for name, runs in right.items()})["pairs"]
    assert len(pairs) == 3
    raw = []
    for pair in pairs:
        expected = paired_bootstrap(right[pair["better"]], right[pair["worse"]])
        assert [pair[key] for key in BY_STUDENT] == list(expected)
        assert pair["smallest"] == smallest_difference_by_student(*expected[-2:], alpha=0.05 / 3)
        first_seeds = mcnemar(right[pair["better"]][0], right[pair["worse"]][0])
        assert pair["mcnemar"]["p"] == first_seeds.difference.p
        raw.append(expected.p)
    assert [pair["p_holm"] for pair in pairs] == holm(raw)
    assert {(pair["better"], pair["worse"]) for pair in pairs if pair["significant"]} >= {("a", "b"), ("a", "c")}


def test_a_significant_pair_may_not_be_significant_among_many() -> None:
    """Sixteen of twenty texts give p = 0.012, which is not significant after correction for six pairs."""
    base, middle = [1] * 100, [1] * 16 + [0] * 4
    good, bad = classifier([base + middle]), classifier([base + [1 - right for right in middle]])
    assert compared({"good": good, "bad": bad})["pairs"][0]["significant"] is True
    others = {f"same-{number}": bad for number in range(2)}
    among = compared({"good": good, "bad": bad, **others})["pairs"]
    pair = next(pair for pair in among if (pair["better"], pair["worse"]) == ("good", "bad"))
    assert (pair["p"] < 0.05, pair["p_holm"] > 0.05, pair["significant"]) == (True, True, False)


def test_against_compares_all_steps_with_one() -> None:
    needs = {name: classifier([[1] * right + [0] * (100 - right)]) for name, right in (("a", 50), ("b", 90), ("c", 70))}
    pairs = compared(needs, against="a")["pairs"]
    assert [(pair["better"], pair["worse"]) for pair in pairs] == [("b", "a"), ("c", "a")]
    with pytest.raises(ConfigError, match="'d' is not among"):
        compared(needs, against="d")


def writer(low: float, mean: float, high: float, values: list[float] | None = None) -> dict[str, Any]:
    """Return the result of a language model with this excess."""
    interval = "texts" if values is None else "seeds"
    excess = {"mean": mean, "low": low, "high": high, "interval": interval, "values": values}
    data = {"checksum": "a", "level": "char"}
    return {"kind": "language-model", "figures": {"data": data, "summary": {"excess_nats_per_token": excess}}}


def test_less_excess_is_better_and_overlapping_intervals_are_not_significant() -> None:
    comparison = compared({"far": writer(0.4, 0.5, 0.6), "near": writer(0.1, 0.2, 0.3)})
    assert [row["step"] for row in comparison["order"]] == ["near", "far"]
    assert comparison["pairs"][0]["significant"] is True
    assert comparison["pairs"][0]["low"] == pytest.approx(0.1)
    assert compared({"far": writer(0.2, 0.5, 0.8), "near": writer(0.1, 0.2, 0.3)})["pairs"][0]["significant"] is False


def test_several_seeds_of_language_models_are_compared_by_welch() -> None:
    far, near = [0.31, 0.33, 0.29], [0.1, 0.12, 0.11]
    [pair] = compared({"far": writer(0.26, 0.31, 0.36, far), "near": writer(0.08, 0.11, 0.14, near)})["pairs"]
    expected = welch_over_seeds(far, near)
    assert (pair["test"], pair["better"]) == ("welch", "near")
    assert [pair[key] for key in BY_STUDENT] == list(expected)
    assert pair["smallest"] == smallest_difference_by_student(*expected[-2:])
    assert pair["significant"] is True


def reader(vocab_size: int = 8_000, tokens: int = 100) -> dict[str, Any]:
    """Return the result of a language model of texts that no known language generated."""
    bits = {"mean": 7.0, "low": None, "high": None, "interval": None, "values": [7.0]}
    figures = {
        "data": {"checksum": "a", "level": "word", "vocab_size": vocab_size},
        "summary": {"val_bits_per_token": bits},
        "by_seed": [{"val": {"tokens": tokens}}],
    }
    return {"kind": "language-model", "figures": figures}


def test_bits_per_token_are_compared_only_with_equal_tokens() -> None:
    """A vocabulary of 500 words makes most targets ``.unk``, which is easy to predict."""
    assert compared({"a": reader(), "b": reader()})["measure"] == "val_bits_per_token"
    for other in (reader(vocab_size=500), reader(tokens=50)):
        with pytest.raises(ConfigError, match="compar"):
            compared({"a": reader(), "b": other})


def test_steps_on_different_data_are_not_compared() -> None:
    one = classifier([[1, 0]])
    for needs in (
        {"a": one},
        {"a": one, "b": classifier([[1, 0]], "b")},
        {"a": one, "b": classifier([[1, 0]], level="char")},  # whose texts are in another order
        {"a": one, "b": classifier([[1, 0]], held_out="films")},  # which are other texts
        {"a": one, "b": {"kind": "data", "figures": {}}},
    ):
        with pytest.raises(ConfigError, match="compar"):
            compared(needs)


def test_the_interval_of_a_difference_is_that_of_paired_texts(smoke_study: Path) -> None:
    pair = figures(smoke_study, "ranking")["pairs"][-1]
    assert pair["worse"] == "mlp"
    runs = [figures(smoke_study, pair[side])["by_seed"] for side in ("better", "worse")]
    labels = unpacked_labels(figures(smoke_study, "mlp")["labels"])
    right = [np.array([unpacked(run["log_odds"], 2).argmax(axis=1) == labels for run in seeds]) for seeds in runs]
    expected = mcnemar(right[0][0], right[1][0])
    assert [pair[key] for key in BY_STUDENT] == list(expected.difference)
    assert pair["smallest"] is not None
