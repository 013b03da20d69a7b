"""Figures turned around turn the sentences around: none of them is true of every result."""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman import report
from elman.report import reflections as say
from elman.report import study_figures
from elman.report.reflections import REFLECTIONS, reflect, tested
from elman.report.reflections.comparisons import differences
from elman.report.reflections.limits import limits as limits_of
from elman.report.study_figures import PICTURES
from elman.study.kinds import KINDS

Figures = dict[str, Any]


def figure(mean: float, half: float | None = 0.01) -> Figures:
    ends = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": ends[0], "high": ends[1], "least": mean, "most": mean, "interval": "texts"}


def comparison(differences: dict[tuple[str, str], bool], order: list[str] | None = None) -> Figures:
    pairs = [
        {
            "better": better,
            "worse": worse,
            "difference": 0.0124,
            "low": 0.001 if apart else -0.001,
            "high": 0.02,
            "apart": apart,
            "smallest": 0.005,
        }
        for (better, worse), apart in differences.items()
    ]
    rows = [
        {"step": step, "model": step} for step in order or dict.fromkeys(name for pair in differences for name in pair)
    ]
    return {"measure": "val_accuracy", "better": "more", "order": rows, "pairs": pairs, "against": None}


def classifier(**changed: Any) -> Figures:
    epochs = [
        {
            "train_loss_nats": {"mean": train},
            "val_cross_entropy_nats": {"mean": val},
            "val_accuracy": {"mean": right[0] if right else 0.8},
        }
        for train, val, *right in changed.get("losses", [(0.5, 0.5), (0.4, 0.45)])
    ]
    sure, right = changed.get("sure", 0.8), changed.get("right", 0.7)
    return {
        "class_names": ["positive", "negative"],
        "summary": {
            "val_accuracy": figure(changed.get("accuracy", 0.8)),
            "val_calibration_error": figure(0.05),
        },
        "by_seed": [
            {
                "calibration": {"bins": [{"sequences": 10, "confidence": sure, "accuracy": right}]},
                "confusion": changed.get("confusion", [[8, 2], [1, 9]]),
            }
        ],
        "epochs": epochs,
        "clipped_share": changed.get("clipped_share", 0.25),
    }


def writer(**changed: Any) -> Figures:
    ten = {"samples": 10, "grammatical": changed.get("of_ten", 8)}
    return {
        "data": {"level": "char"},
        "summary": {
            "excess_nats_per_token": figure(changed.get("excess", 0.01), changed.get("half", 0.002)),
            "floor_nats_per_token": figure(0.5, None),
            "grammatical_share": figure(changed.get("share", 0.995), 0.001),
        },
        "by_seed": [{"grade": {"fresh": {"excess_low": changed.get("excess_low", 0.008)}}}],
        "samples_by_epoch": [{"epoch": 1, "shown": [], "first_ten": ten}],
        "samples_judged": 1_000,
        "temperatures": [
            {"temperature": temperature, "grammatical_share": figure(share)}
            for temperature, share in changed.get("temperatures", [(0.5, 0.9), (1.5, 0.4)])
        ],
        "generalisation": {
            "by_length": [
                {"factor": factor, "accuracy": figure(share)}
                for factor, share in changed.get("lengths", [(1, 1.0), (10, 0.5)])
            ]
        },
        "prompts": [],
        "clipped_share": None,
    }


def test_a_ranking_turned_around_turns_the_conclusion_around() -> None:
    assert say.ranking(comparison({("lstm", "mlp"): True})).startswith(
        "lstm is better than mlp by 1.24 percentage points"
    )
    assert say.ranking(comparison({("mlp", "lstm"): True})).startswith(
        "mlp is better than lstm by 1.24 percentage points"
    )
    assert say.ranking(comparison({("mlp", "lstm"): False})) == "mlp cannot be told from lstm."


def test_of_all_pairs_those_that_can_be_told_apart_are_named() -> None:
    found = comparison({("a", "b"): True, ("a", "c"): True, ("b", "c"): False})
    assert say.ranking(found) == "Of 3 pairs 2 can be told apart: the best first, a, b, c; but b cannot be told from c."
    few = comparison({("a", "b"): False, ("a", "c"): True, ("b", "c"): False})
    assert say.ranking(few) == "Of 3 pairs 1 can be told apart: a is better than c."
    pairs = dict.fromkeys([("a", "b"), ("a", "c"), ("b", "c")], False)
    assert say.ranking(comparison(pairs)) == "No two of a, b and c can be told apart."
    assert say.ranking(comparison(dict.fromkeys(pairs, True))) == "All can be told apart: the best first, a, b, c."
    against = comparison({("a", "c"): True, ("b", "c"): False}) | {"against": "c"}
    assert say.ranking(against).startswith("a is better than c by 1.24 percentage points")
    assert say.ranking(against).endswith("; b cannot be told from c.")


def test_of_those_that_cannot_be_told_apart_is_said_what_could_have_been_shown() -> None:
    found = comparison({("a", "b"): True, ("a", "c"): False, ("b", "c"): False})
    assert say.too_small_to_be_shown(found).endswith("of five cases is 0.50 percentage points.")
    found["pairs"][2]["smallest"] = 0.0123
    assert say.too_small_to_be_shown(found).endswith("between 0.50 and 1.23 percentage points, pair by pair.")
    assert say.too_small_to_be_shown(comparison({("a", "b"): True})) == ""


@pytest.mark.parametrize(
    ("better", "apart", "verdict"),
    [
        (["lstm", "elman", "mlp"], (True, True), "was found: lstm is better than elman by"),
        (["lstm", "elman", "mlp"], (True, False), "was found in part: lstm is better than elman by"),
        (["lstm", "elman", "mlp"], (False, False), "was not found: lstm cannot be told from elman; elman cannot be"),
        (["mlp", "elman", "lstm"], (True, True), "was not found: elman is better than lstm by"),
    ],
)
def test_of_the_expected_order_is_said_what_was_found(
    better: list[str], apart: tuple[bool, bool], verdict: str
) -> None:
    neighbours = {frozenset(("lstm", "elman")): apart[0], frozenset(("elman", "mlp")): apart[1]}
    pairs = {pair: neighbours.get(frozenset(pair), True) for pair in combinations(better, 2)}
    assert verdict in say.gospel(comparison(pairs))


def test_of_other_models_no_order_is_expected() -> None:
    assert say.gospel(comparison({("lstm", "mlp"): True})) == ""
    against = comparison({("lstm", "elman"): True, ("lstm", "mlp"): True}) | {"against": "lstm"}
    assert say.gospel(against) == ""
    assert (
        say.gospel(comparison({("elman", "mlp"): True, ("lstm", "mlp"): True}) | {"measure": "val_bits_per_token"})
        == ""
    )


def test_a_yardstick_that_is_not_at_the_edge_is_not_spoken_of() -> None:
    assert say.strength_at_the_edge({"a": yardstick(1.0)}) == ""


@given(accuracies=st.lists(st.floats(0, 1), min_size=2, max_size=5, unique=True))
def test_the_best_is_the_one_of_the_highest_accuracy(accuracies: list[float]) -> None:
    steps = {f"m{place}": classifier(accuracy=accuracy) for place, accuracy in enumerate(accuracies)}
    best = accuracies.index(max(accuracies))
    assert say.best_classifier(steps).startswith(f"m{best} classifies")


SLOPE = [
    {"batch_size": 1, "random": 0.0, "sorted": 0.0, "mean_longest": 5},
    {"batch_size": 9, "random": 0.5, "sorted": 0.1, "mean_longest": 10},
]
LEVEL = [{"batch_size": size, "random": 0.1, "sorted": 0.1, "mean_longest": 5} for size in (1, 9)]


def lengths(least: int, median: float, most: int) -> Figures:
    return {"splits": {"train": {"length_min": least, "length_median": median, "length_max": most}}}


def searched(*values: float, direction: str = "maximize") -> Figures:
    points = [{"trials": n + 1, "seconds": 10.0 * (n + 1), "value": value} for n, value in enumerate(values)]
    pick = max if direction == "maximize" else min
    return {
        "metric": "val_accuracy",
        "direction": direction,
        "best_so_far": points,
        "best": {"number": values.index(pick(values)), "value": pick(values)},
        "trials": [{}] * len(values),
        "seconds": 10.0 * len(values),
        "importance": None,
    }


def chosen(*poolings: str) -> list[Figures]:
    return [
        {
            "state": "complete",
            "value": 0.7 + place / 10,
            "params": {"model.pooling": pooling, "optim.learning_rate": 0.1},
        }
        for place, pooling in enumerate(poolings)
    ]


def yardstick(strength: float) -> Figures:
    return classifier() | {"tried": [{"strength": each} for each in (0.1, 1.0, 10.0)], "strength": strength}


def of_test(accuracy: float, expected: float) -> Figures:
    return {
        "summary": {"test_accuracy": figure(accuracy)},
        "expected": {"accuracy": expected, "low": expected - 0.01, "high": expected + 0.01},
        "class_names": ["positive", "negative"],
    }


def films(val: float, test: float) -> Figures:
    return {"films": {"val_by_film": 0.8, "val": {"share": val}, "test": {"share": test}}}


def ensemble(gap: float) -> Figures:
    over = {"step": "lstm", "difference": gap, "low": gap - 0.01, "high": gap + 0.01}
    return {"summary": {"test_accuracy": figure(0.8 + gap)}, "over_a_single": over}


def recurrence(
    apart: float = 1e-15, ratio: float = 2.0, lost: float = 0.3, out: int = 1, folded: float = 0.0
) -> Figures:
    return {
        "equal": {"outputs_of_the_loop": apart, "gradients_of_the_loop": 0.0},
        "times": [{"peer": "its own loop", "ratio": ratio, "ratio_least": ratio - 0.1, "ratio_most": ratio + 0.1}],
        "torch": {
            "moved_with_batch_first": 0.0,
            "moved_without_batch_first": lost,
            "logit": 200.0,
            "argmax_same": 1.0,
            "infinite_after_softmax": out,
            "infinite_in_the_loss": 0,
            "linear_against_folded": folded,
        },
    }


CONTRASTS: list[tuple[Callable[..., str], Any, Any, str, str]] = [
    (
        say.overfitting,
        {"a": classifier(losses=[(0.5, 0.4), (0.3, 0.45)])},
        {"a": classifier()},
        "a after epoch 1",
        "not begun",
    ),
    (
        say.searched_equally,
        {"a": searched(0.7, 0.8), "b": searched(0.6, 0.7, 0.9)},
        {"b": searched(0.7, 0.8), "a": searched(0.6, 0.7, 0.9)},
        "after 2 trials each a has the best trial (a 80.00% and b 70.00%); after 20 s each a has the best trial",
        "after 2 trials each b has the best trial",
    ),
    (
        say.searched_equally,  # what was tried last was no better, and so leaves no point
        {"a": searched(0.7, 0.8), "b": searched(0.6, 0.7, 0.9) | {"best_so_far": searched(0.6)["best_so_far"]}},
        {"a": searched(0.5, 0.5), "b": searched(0.6, 0.7, 0.9) | {"best_so_far": searched(0.6)["best_so_far"]}},
        "after 2 trials each a has the best trial (a 80.00% and b 60.00%)",
        "after 2 trials each b has the best trial",
    ),
    (
        say.still_rising,
        {"a": searched(0.1, 0.2, 0.3, 0.4)},
        {"a": searched(0.4, 0.4, 0.4, 0.4)},
        "a: the best came",
        "",
    ),
    (say.strength_at_the_edge, {"a": yardstick(0.1)}, {"a": yardstick(10.0)}, "is the least", "is the greatest"),
    (say.calibrated, {"a": classifier(sure=0.9)}, {"a": classifier(sure=0.6)}, "surer than", "less sure than"),
    (
        say.leaning,
        {"a": classifier(confusion=[[80, 20], [5, 95]])},
        {"a": classifier(confusion=[[95, 5], [20, 80]])},
        "a takes positive texts for negative more often (20 ×) than the other way around (5 ×)",
        "a takes negative texts for positive more often (20 ×) than the other way around (5 ×)",
    ),
    (say.leaning, {"a": classifier(confusion=[[80, 20], [5, 95]])}, {"a": classifier()}, "More than by chance", ""),
    (
        say.overfitting,
        {"a": classifier(losses=[(0.5, 0.4, 0.8), (0.3, 0.45, 0.85)])},
        {"a": classifier(losses=[(0.5, 0.4, 0.8), (0.3, 0.45, 0.75)])},
        "a after epoch 1. The accuracy of a rose on all the same",
        "",
    ),
    (
        say.nothing_better,
        {"a": searched(0.9, 0.8), "b": searched(0.7, 0.8)},
        {"a": searched(0.8, 0.9), "b": searched(0.8, 0.7)},
        "found by a.",
        "found by b.",
    ),
    (
        say.choices_settled,
        {"a": searched(0.7, 0.8, 0.9, 0.95) | {"trials": chosen("max", "max", "mean", "mean")}},
        {"a": searched(0.7, 0.8, 0.9, 0.95) | {"trials": chosen("max", "mean", "max", "mean")}},
        "in a each of 2 trials with `model.pooling` mean was better than each of 2 with max.",
        "",
    ),
    (
        say.linear_folds,
        recurrence(),
        recurrence(folded=0.5),
        "gives the same numbers (0 apart)",
        "differ by 0.5.",
    ),
    (
        say.pretrained,
        {"a": classifier() | {"pretraining": {"seconds": 90.0}}, "b": classifier()},
        {"a": classifier() | {"pretraining": None}, "b": classifier() | {"pretraining": {"seconds": 60.0}}},
        "a read texts without their labels for 1 min 30 s",
        "b read texts without their labels for 1 min 00 s",
    ),
    (
        tested.together_better,
        {"all": ensemble(0.02)},
        {"all": ensemble(0.005)},
        "is better than",
        "is not to be told from",
    ),
    (tested.together_better, {"all": ensemble(0.02)}, {"all": ensemble(-0.02)}, "95%: 1.00 to 3.00", "is worse than"),
    (
        tested.best_on_test,
        {"a": of_test(0.9, 0.9)},
        {"a": of_test(0.8, 0.9)},
        "a classifies 90.00%",
        "a classifies 80.00%",
    ),
    (
        tested.as_expected,
        {"a": of_test(0.9, 0.9), "b": of_test(0.8, 0.82)},
        {"a": of_test(0.7, 0.9), "b": of_test(0.84, 0.82)},
        "They came in the order that was expected. Of the expected intervals: a within; b below.",
        "expected: b before a (by 14.00 percentage points, not 8.00 behind). Of the expected intervals: b above; a",
    ),
    (
        tested.shifted,
        {"a": of_test(0.88, 0.9), "b": of_test(0.805, 0.82), "guess": of_test(0.5, 0.49)},
        {"a": of_test(0.92, 0.9), "b": of_test(0.835, 0.82)},
        "All that do more than guess came below what they had on validation, by 1.50 (b) to 2.00 (a) percentage points",
        "All came above what they had on validation, by 1.50 (b) to 2.00 (a) percentage points",
    ),
    (tested.shifted, {"a": of_test(0.88, 0.9), "b": of_test(0.8, 0.82)}, {"a": of_test(0.88, 0.9)}, "All came", ""),
    (  # a yardstick did not
        tested.shifted,
        {"a": of_test(0.88, 0.9), "b": of_test(0.8, 0.82), "bag": of_test(0.91, 0.905) | {"method": "yardstick"}},
        {"a": of_test(0.88, 0.9), "b": of_test(0.84, 0.82), "bag": of_test(0.91, 0.905) | {"method": "yardstick"}},
        "All networks came below what they had on validation, by 2.00",
        "",
    ),
    (  # nor did a network that learnt nothing
        tested.shifted,
        {"a": of_test(0.88, 0.9), "b": of_test(0.8, 0.82), "stuck": of_test(0.52, 0.5)},
        {"a": of_test(0.88, 0.9), "b": of_test(0.84, 0.82), "stuck": of_test(0.52, 0.5)},
        "All that do more than guess came below",
        "",
    ),
    (  # one the other way around
        tested.shifted,
        {"a": of_test(0.88, 0.9), "b": of_test(0.8, 0.82)},
        {"a": of_test(0.88, 0.9), "b": of_test(0.84, 0.82)},
        "All came",
        "",
    ),
    (  # within what was expected
        tested.shifted,
        {"a": of_test(0.88, 0.9), "b": of_test(0.8, 0.82), "c": of_test(0.7, 0.701)},
        {"a": of_test(0.88, 0.9), "b": of_test(0.815, 0.82), "c": of_test(0.7, 0.701)},
        "All came",
        "",
    ),
    (say.no_better_than_guessing, {"a": classifier(accuracy=0.505)}, {"a": classifier()}, "Of a it cannot", ""),
    (say.no_better_than_guessing, {"a": classifier(accuracy=0.3)}, {"a": classifier()}, "Of a it cannot", ""),
    (  # a network that says one class has learnt nothing; a yardstick that does so was not meant to
        say.no_better_than_guessing,
        {"a": classifier(accuracy=0.5, confusion=[[10, 0], [10, 0]])},
        {"a": classifier(accuracy=0.5, confusion=[[10, 0], [10, 0]]) | {"tried": []}},
        "Of a it cannot",
        "",
    ),
    (
        say.overfitting,
        {"a": classifier(losses=[(0.3, 0.35), (0.31, 0.38)]), "b": classifier()},  # a got worse in both
        {"a": classifier(losses=[(0.3, 0.39), (0.29, 0.38)])},
        "b had not begun",
        "a had not begun",
    ),
    (
        say.clipping_acted,
        {"a": classifier(clipped_share=None) | {"grad_clip_norm": 1.0}, "b": classifier(clipped_share=None)},
        {"a": classifier(clipped_share=None) | {"grad_clip_norm": None}, "b": classifier(clipped_share=None)},
        "The gradients of b were not",
        "The gradients of a and b were not",
    ),
    (
        say.clipping_acted,
        {"a": classifier()},
        {"a": classifier(clipped_share=None)},
        "a 25.00%",
        "of a were not clipped",
    ),
    (
        say.distance_to_floor,
        {"a": writer()},
        {"a": writer(excess_low=-0.001, half=0.02)},
        "a is 0.01000 (0.00800 to 0.01200) nats a token above the floor of 0.5000.",
        "cannot be told from the generator",
    ),
    (
        say.distance_to_floor,  # each seed by itself might be chance; all of them together are not
        {"a": writer(excess_low=-0.001)},
        {"a": writer(excess_low=-0.001, half=0.02)},
        "floor of 0.5000.",
        "cannot be told from the generator",
    ),
    (say.learnt, {"a": writer()}, {"a": writer(share=0.98)}, "99.00% of the samples or more", "Fewer than 99.00%"),
    (
        say.course_verdict,
        {"a": writer()},
        {"a": writer(of_ten=5)},
        "agrees",
        "passes after no epoch (of 1); of all 1,000 samples 99.50% are grammatical, which contradicts",
    ),
    (
        say.temperature_matters,
        {"a": writer()},
        {"a": writer(temperatures=[(0.5, 0.3), (1.5, 0.4)])},
        "at temperature 0.5 (90.00%), and 40.00% at 1.5",
        "at temperature 1.5 (40.00%).",
    ),
    (
        say.generalises,
        {"a": writer()},
        {"a": writer(lengths=[(1, 1.0), (10, 0.995)])},
        "a fails at 10 times as long as in training (50.00%)",
        "a holds up to 10 times",
    ),
    (
        say.padding_grows,
        {"mean_length": 5, "rows": SLOPE},
        {"mean_length": 5, "rows": LEVEL},
        "batches of 1 are 0.00% padding, batches of 9 50.00%",
        "does not grow",
    ),
    (
        say.padding_grows,
        {"mean_length": 5, "rows": SLOPE[::-1]},
        {"mean_length": 5, "rows": LEVEL[::-1]},
        "batches of 1 are 0.00% padding, batches of 9 50.00%",
        "does not grow",
    ),
    (say.sorting_helps, {"rows": SLOPE}, {"rows": LEVEL}, "10.00% padding instead of 50.00%", "saves nothing"),
    (
        say.leakage,
        {"duplicates": {"across_splits": 123, "val_in_train": 4}},
        {"duplicates": {"across_splits": 0, "val_in_train": 0}},
        "4 validation texts stand word for word in what is trained on, and 123 test texts",
        "No text",
    ),
    (
        say.leakage,
        {"val_in_train_share": 0.5, "most_frequent_share": 0.25},
        {"val_in_train_share": 0.0},
        "50.00% of the validation strings",
        "No validation string",
    ),
    (
        say.validation_shares_films,
        films(0.27, 0.07),
        films(0.07, 0.27),
        "trained on too, and 7.00% of the test texts. Who knows nothing but the film",
        "trained on too, and 27.00% of the test texts, so what a model remembers",
    ),
    (say.validation_shares_films, films(0.07, 0.07), {}, "on validation no more often than on the test", ""),
    (
        say.lengths,
        lengths(1, 3.0, 9),
        lengths(9, 9.0, 9),
        "Half of the training texts have 3 tokens or fewer, the longest 9",
        "none needs padding",
    ),
]


@pytest.mark.parametrize(("function", "one", "other", "said_of_one", "said_of_other"), CONTRASTS)
def test_other_figures_are_said_in_another_way(
    function: Callable[[Any], str], one: Any, other: Any, said_of_one: str, said_of_other: str
) -> None:
    assert said_of_one in function(one)
    assert said_of_one not in function(other)
    assert said_of_other in function(other)
    assert not said_of_other or said_of_other not in function(one)


def test_names_in_the_sentences_follow_the_figures() -> None:
    good, bad = classifier(accuracy=0.9, losses=[(0.5, 0.4), (0.3, 0.45)]), classifier(accuracy=0.501, sure=0.6)
    straight = " ".join(reflect("classifier", {"one": good, "two": bad}))
    swapped = " ".join(reflect("classifier", {"two": good, "one": bad}))
    exchanged = straight.replace("one", "\0").replace("two", "one").replace("\0", "two")
    assert swapped == exchanged
    assert swapped != straight


def test_of_several_seeds_their_range_is_said() -> None:
    found = classifier()
    assert say.seeds_differ({"a": found}) == ""
    found["summary"]["val_accuracy"] |= {"least": 0.7, "most": 0.9, "interval": "seeds"}
    assert "ranges from 70.00% to 90.00% (a)." in say.seeds_differ({"a": found})


def test_differences_are_those_of_the_configurations() -> None:
    def result(config: str, *precision: str) -> Figures:
        return {"config": config, "figures": {"precision": precision} if precision else {}}

    one = result('[model]\nlayer = "mlp"\nsize = 3\nrate = 0.2\n')
    other = result('[model]\nlayer = "lstm"\nsize = 3\nrate = 0.123456\nextra = true\n')
    assert differences({"a": one, "b": other}) == {
        "model.extra": ["–", "true"],
        "model.layer": ["mlp", "lstm"],
        "model.rate": ["0.2", "0.123"],
    }
    assert differences({"a": one, "b": one}) == {}
    assert differences({"a": one}) == {}
    asked = '[loop]\nprecision = "bf16"\n'
    assert differences({"a": result(asked, "float32"), "b": result(asked, "float32", "bf16")}) == {
        "loop.precision": ["float32", "float32 and bf16"]
    }


def test_of_one_epoch_nothing_is_said_of_overfitting() -> None:
    assert say.overfitting({"a": classifier(losses=[(0.5, 0.5)])}) == ""


def test_limits_are_those_of_the_results() -> None:
    def result(kind: str, seeds: list[int], status: str = "done", keep: str = "best", earlier: int = 0) -> Figures:
        return {
            "config": f'[loop]\nkeep = "{keep}"\n',
            "step": "s",
            "kind": kind,
            "status": status,
            "options": {"seeds": seeds},
            "time": "2026-02-01",
            "figures": {
                "summary": {},
                "against": None,
                "opening": {"earlier": earlier, "time": "2026-01-01"},
                "source": "t",
            },
        }

    study = {"data_missing": None}

    def limits(study: Figures, steps: list[Figures], *, opened: bool = False) -> list[str]:
        return limits_of(study, steps, opened=opened)

    one = " ".join(limits(study, [result("classifier", [0])]))
    opened = " ".join(limits(study, [result("classifier", [0]), result("final", [0], "failed")], opened=True))
    assert "were not opened" not in opened
    assert "The test texts were opened, but nothing" in opened
    assert "Trained with one seed: s." in one
    assert "An interval over seeds" not in one
    several = result("classifier", [0, 1])
    several["figures"] |= {"summary": {"val_accuracy": {"interval": "seeds"}}}
    several["figures"] |= {"by_seed": [{"accuracy_low": 0.8, "accuracy_high": 0.9}]}
    assert "(the first of s: 80.00% to 90.00%)" in " ".join(limits(study, [several]))
    described = result("data", [])
    assert "foresaw nothing" not in " ".join(limits(study, [described, result("final", [0])]))
    described["figures"] |= {"films": {}}
    assert "foresaw nothing" in " ".join(limits(study, [described, result("final", [0])]))
    assert "foresaw nothing" not in " ".join(limits(study, [described | {"time": "2025-12-31"}, result("final", [0])]))
    final, source = result("final", [0]), result("classifier", [0])
    final["figures"] |= {"precision": ["bf16"]}
    source |= {"step": "t", "figures": source["figures"] | {"precision": ["float32"]}}
    assert "s multiplied in bf16, t in float32." in " ".join(limits(study, [source, final]))
    source["figures"]["precision"] = ["bf16"]
    assert "multiplied" not in " ".join(limits(study, [source, final]))
    assert "test texts were not opened" in one
    assert "The best epoch of s was chosen" in one
    assert "best epoch" not in " ".join(limits(study, [result("classifier", [0], keep="last")]))
    tested = " ".join(limits(study, [result("classifier", [0]), result("final", [0])]))
    assert "opened before" not in tested
    assert "had been opened before (3 ×" in " ".join(
        limits(study, [result("final", [0]), result("final", [0], earlier=3)])
    )
    assert "not opened" not in tested
    assert "of the same source" in tested
    assert "Settings were chosen on validation" in " ".join(limits(study, [result("yardstick", [0])]))
    assert "Settings were chosen on validation" not in one
    assert "one pretraining" not in one
    begun = result("classifier", [0, 1])
    begun["figures"] |= {"pretraining": {"seconds": 1.0}}
    assert "All seeds of s begin from one pretraining" in " ".join(limits(study, [begun]))
    here, there = result("classifier", [0, 1]), result("classifier", [0, 1])
    here["figures"] |= {"device": ["cpu"]}
    assert "another device" not in " ".join(limits(study, [here]))
    there |= {"step": "t", "figures": there["figures"] | {"device": ["cuda:0 (A)"]}}
    assert "another device than the rest (cpu): t on cuda:0 (A)" in " ".join(limits(study, [here, here, there]))
    there["figures"]["device"] = ["cpu", "cuda:0 (A)"]
    assert "t (in part) on cuda:0 (A)" in " ".join(limits(study, [here, here, there]))
    assert "one seed" not in " ".join(limits(study, [result("classifier", [0, 1])]))
    assert "Not here: s." in " ".join(limits(study, [result("classifier", [0], "missing")]))
    assert "generated" in limits({"data_missing": "No IMDb."}, [])[0]
    assert limits(study, []) == []


def test_every_kind_of_step_has_its_place_in_the_report() -> None:
    templates = Path(report.__file__).parent / "templates"
    assert set(KINDS) == set(PICTURES) == set(REFLECTIONS)
    assert all((templates / f"{kind}.md.j2").exists() for kind in KINDS)


def test_who_guesses_does_not_make_the_others_small(tmp_path: Path) -> None:
    steps = {
        name: of_test(accuracy, accuracy) | {"by_seed": [{"accuracy": accuracy}]}
        for name, accuracy in (("lstm", 0.9), ("majority", 0.5))
    }
    assert study_figures.tested_and_expected(tmp_path / "tested.svg", steps)
    drawn = (tmp_path / "tested.svg").read_text()
    assert "<!-- lstm -->" in drawn
    assert "<!-- majority -->" not in drawn
    assert study_figures.tested_and_expected(tmp_path / "guesses.svg", {"majority": steps["majority"]})


def test_real_figures_are_reflected_on_in_every_way(smoke_study: Path) -> None:
    """What the engine writes is what the sentences read."""
    said: dict[str, list[str]] = {}
    for path in smoke_study.glob("results/*.json"):
        result = json.loads(path.read_text())
        said.setdefault(result["kind"], []).extend(reflect(result["kind"], {result["step"]: result["figures"]}))
    assert set(said) == set(KINDS)
    assert all(sentence.endswith(".") for sentences in said.values() for sentence in sentences)
