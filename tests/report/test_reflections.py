"""The figures choose the sentences: each test checks the names, the figures and the direction of a sentence."""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman import report
from elman.report import study_figures
from elman.report.former_names import KINDS as CURRENT_KINDS
from elman.report.reflections import (
    REFLECTIONS,
    classifiers,
    comparisons,
    data,
    language_models,
    limits,
    recurrences,
    reflect,
    searches,
    tested,
)
from elman.report.results import read_result, read_study
from elman.report.study_figures import PICTURES
from elman.study.kinds import KINDS

Figures = dict[str, Any]


def mentions(sentence: str, words: str) -> bool:
    """Return whether these words and figures occur in the sentence in this order, with any others between them."""
    tokens = iter(token.strip(".,;:()`") for token in sentence.split())
    return all(word in tokens for word in words.split())


def figure(mean: float, half: float | None = 0.01) -> Figures:
    ends = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": ends[0], "high": ends[1], "least": mean, "most": mean, "interval": "texts"}


def comparison(significant: dict[tuple[str, str], bool], **changes: Any) -> Figures:
    pairs = [
        {"better": better, "worse": worse, "difference": 0.0124, "low": 0.001 if is_significant else -0.001}
        | {"high": 0.02, "significant": is_significant, "smallest": 0.005}
        for (better, worse), is_significant in significant.items()
    ]
    order = [{"step": step, "model": step} for step in dict.fromkeys(name for pair in significant for name in pair)]
    return {"measure": "val_accuracy", "better": "more", "order": order, "pairs": pairs, "against": None} | changes


def classifier(
    *,
    accuracy: float = 0.8,
    losses: Sequence[tuple[float, ...]] = ((0.5, 0.5), (0.4, 0.45)),
    confidence: float = 0.8,
    confusion: Sequence[Sequence[int]] = ((8, 2), (1, 9)),
    clipped: float | None = 0.25,
    **more: Any,
) -> Figures:
    """Return figures of a classifier; ``losses`` are those of training and validation, and an accuracy, by epoch."""
    return {
        "class_names": ["positive", "negative"],
        "summary": {"val_accuracy": figure(accuracy), "val_calibration_error": figure(0.05)},
        "by_seed": [
            {
                "calibration": {"bins": [{"sequences": 10, "confidence": confidence, "accuracy": 0.7}]},
                "confusion": confusion,
            }
        ],
        "epochs": [
            {
                "train_loss_nats": {"mean": train},
                "val_cross_entropy_nats": {"mean": val},
                "val_accuracy": {"mean": right[0] if right else 0.8},
            }
            for train, val, *right in losses
        ],
        "clipped_share": clipped,
        **more,
    }


def baseline(strength: float = 1.0, **changes: Any) -> Figures:
    return classifier(**changes) | {"tried": [{"strength": c} for c in (0.1, 1.0, 10.0)], "strength": strength}


def language_model(
    *,
    excess: Figures | None = None,
    excess_low: float = 0.008,
    share: float = 0.995,
    of_ten: int = 8,
    temperatures: Sequence[tuple[float, float]] = ((0.5, 0.9), (1.5, 0.4)),
    lengths: Sequence[tuple[int, float]] = ((1, 1.0), (10, 0.5)),
) -> Figures:
    return {
        "data": {"level": "char"},
        "summary": {
            "excess_nats_per_token": excess or figure(0.01, 0.002),
            "floor_nats_per_token": figure(0.5, None),
            "grammatical_share": figure(share, 0.001),
        },
        "by_seed": [{"grade": {"fresh": {"excess_low": excess_low}}}],
        "samples_by_epoch": [{"epoch": 1, "shown": [], "first_ten": {"samples": 10, "grammatical": of_ten}}],
        "samples_judged": 1_000,
        "temperatures": [
            {"temperature": temperature, "grammatical_share": figure(right)} for temperature, right in temperatures
        ],
        "generalisation": {"by_length": [{"factor": factor, "accuracy": figure(right)} for factor, right in lengths]},
        "prompts": [{"symbols": 10, "grammatical_share": figure(0.75)}],
        "clipped_share": None,
    }


def search(*values: float, **changes: Any) -> Figures:
    points = [{"trials": n + 1, "seconds": 10.0 * (n + 1), "value": value} for n, value in enumerate(values)]
    return {
        "metric": "val_accuracy",
        "direction": "maximize",
        "best_so_far": points,
        "best": {"number": values.index(max(values)), "value": max(values)},
        "trials": [{}] * len(values),
        "seconds": 10.0 * len(values),
        "importance": None,
    } | changes


def pooling_search(*poolings: str) -> Figures:
    trials = [
        {"state": "complete", "value": 0.7 + place / 10, "params": {"model.pooling": pooling, "optim.rate": 0.1}}
        for place, pooling in enumerate(poolings)
    ]
    return search(0.7, 0.8, 0.9, 0.95, trials=trials)


def on_test(accuracy: float, expected: float, **more: Any) -> Figures:
    return {
        "summary": {"test_accuracy": figure(accuracy)},
        "expected": {"accuracy": expected, "low": expected - 0.01, "high": expected + 0.01},
        "class_names": ["positive", "negative"],
        **more,
    }


def ensemble(gap: float) -> Figures:
    return {"over_a_single": {"step": "lstm", "difference": gap, "low": gap - 0.01, "high": gap + 0.01}}


def recurrence(*, difference: float = 1e-15, ratio: float = 2.0, moved: float = 0.3, infinite: int = 1) -> Figures:
    return {
        "equal": {"outputs_of_the_loop": difference, "gradients_of_the_loop": 0.0},
        "times": [{"peer": "a loop", "ratio": ratio, "ratio_least": ratio - 0.1, "ratio_most": ratio + 0.1}],
        "torch": {
            "moved_with_batch_first": 0.0,
            "moved_without_batch_first": moved,
            "logit": 200.0,
            "argmax_same": 1.0,
            "infinite_after_softmax": infinite,
            "infinite_in_the_loss": 0,
            "linear_against_folded": difference,
        },
    }


def padding(*rows: tuple[int, float, float]) -> Figures:
    return {
        "mean_length": 5,
        "rows": [
            {"batch_size": size, "random": random, "sorted": by_length, "mean_longest": 10}
            for size, random, by_length in rows
        ],
    }


def lengths(least: int, median: float, most: int) -> Figures:
    return {"splits": {"train": {"length_min": least, "length_median": median, "length_max": most}}}


def films(val: float, test: float) -> Figures:
    return {"films": {"val_by_film": 0.8, "val": {"share": val}, "test": {"share": test}}}


RISING = [(0.5, 0.4, 0.8), (0.3, 0.45, 0.85)]
FALLING = [(0.5, 0.4, 0.8), (0.3, 0.45, 0.75)]
CONSTANT = classifier(accuracy=0.5, confusion=[[10, 0], [10, 0]])
LOWER = [on_test(0.88, 0.9), on_test(0.805, 0.82)]
NEUTRAL = on_test(0.7, 0.701)

OF_ONE_STEP = {module.__name__ for module in (data, recurrences, comparisons)}

CONTRASTS: list[tuple[Callable[..., str], Any, Any, str, str]] = [
    (classifiers.best_classifier, [classifier(accuracy=0.9), classifier()], classifier(), "a 90.00% b", "a 80.00%"),
    (classifiers.best_baseline, baseline(accuracy=0.9), baseline(), "a 90.00% 89.00% 91.00%", "a 80.00%"),
    (classifiers.strength_at_range_limit, baseline(0.1), baseline(10.0), "smallest a 0.1", "largest a 10"),
    (classifiers.strength_at_range_limit, baseline(0.1), baseline(1.0), "smallest a 0.1", ""),
    (classifiers.no_better_than_guessing, classifier(accuracy=0.505), classifier(), "a not", ""),
    (classifiers.no_better_than_guessing, classifier(accuracy=0.3), classifier(), "a not", ""),
    (classifiers.no_better_than_guessing, CONSTANT, CONSTANT | {"strength": 1.0}, "a not", ""),
    (classifiers.calibration, classifier(confidence=0.9), classifier(confidence=0.6), "higher a", "lower a"),
    (
        classifiers.more_frequent_error,
        classifier(confusion=[[80, 20], [5, 95]]),
        classifier(confusion=[[95, 5], [20, 80]]),
        "a positive more negative 20 5",
        "a negative more positive 20 5",
    ),
    (classifiers.more_frequent_error, classifier(confusion=[[80, 20], [5, 95]]), classifier(), "a", ""),
    (classifiers.overfitting, classifier(losses=RISING), classifier(), "Overfitting a 1", "No overfitting a"),
    (classifiers.overfitting, classifier(losses=RISING), classifier(losses=FALLING), "a 1 a rose nevertheless", "a 1"),
    (  # a is worse in both losses
        classifiers.overfitting,
        [classifier(losses=[(0.3, 0.35), (0.31, 0.38)]), classifier()],
        classifier(losses=[(0.3, 0.39), (0.29, 0.38)]),
        "No b",
        "No a",
    ),
    (classifiers.overfitting, classifier(), classifier(losses=[(0.5, 0.5)]), "No a", ""),
    (
        classifiers.pretraining,
        [classifier(pretraining={"seconds": 90.0}), classifier()],
        [classifier(pretraining=None), classifier(pretraining={"seconds": 60.0})],
        "1 min 30 s a",
        "1 min 00 s b",
    ),
    (classifiers.clipping, classifier(), classifier(clipped=None), "25.00% a", "a not"),
    (
        classifiers.clipping,
        [classifier(clipped=None, grad_clip_norm=1.0), classifier(clipped=None)],
        [classifier(clipped=None), classifier(clipped=None, grad_clip_norm=1.0)],
        "gradients of b",
        "gradients of a",
    ),
    (
        searches.best_trials,
        [search(0.7, 0.8), search(0.6)],
        [search(0.5), search(0.6)],
        "60.00% b 80.00% a",
        "50.00% a 60.00% b",
    ),
    (
        searches.equal_budgets,
        [search(0.7, 0.8), search(0.6, 0.7, 0.9)],
        [search(0.6, 0.7, 0.9), search(0.7, 0.8)],
        "a 2 trials 80.00% a 20 s 80.00%",
        "b 2 trials 80.00% b 20 s 80.00%",
    ),
    (  # the last trials were not better, so they have no points
        searches.equal_budgets,
        [search(0.7, 0.8), search(0.6, 0.7, 0.9, best_so_far=search(0.6)["best_so_far"])],
        [search(0.5, 0.5), search(0.6, 0.7, 0.9, best_so_far=search(0.6)["best_so_far"])],
        "a 2 trials 80.00%",
        "b 2 trials 60.00%",
    ),
    (searches.best_in_last_quarter, search(0.1, 0.2, 0.3, 0.4), search(0.4, 0.4, 0.4, 0.4), "a", ""),
    (
        searches.initial_settings_best,
        [search(0.9, 0.8), search(0.7, 0.8)],
        [search(0.8, 0.9), search(0.8, 0.7)],
        "in a",
        "in b",
    ),
    (
        searches.settled_choices,
        pooling_search("max", "max", "mean", "mean"),
        pooling_search("max", "mean", "max", "mean"),
        "a 2 model.pooling mean better 2 max",
        "",
    ),
    (
        searches.most_important_options,
        search(0.1, importance={"x": 0.75, "y": 0.25}),
        search(0.1, importance={"x": 0.25, "y": 0.75}),
        "x a 75.00%",
        "y a 75.00%",
    ),
    (tested.best_on_test, on_test(0.9, 0.9), on_test(0.8, 0.9), "a 90.00%", "a 80.00%"),
    (
        tested.expected_order,
        {"expected": [{"step": "a"}, {"step": "b"}]},
        {"expected": [{"step": "b"}, {"step": "a"}]},
        "a b",
        "b a",
    ),
    (
        tested.agreement_with_expectation,
        [on_test(0.9, 0.9), on_test(0.8, 0.82)],
        [on_test(0.7, 0.9), on_test(0.84, 0.82)],
        "in the expected order within a below b",
        "differs b 14.00 above a 8.00 below above b below a",
    ),
    (
        tested.shift_from_validation,
        [*LOWER, on_test(0.5, 0.49)],
        [on_test(0.92, 0.9), on_test(0.835, 0.82)],
        "better than guessing lower 1.50 b 2.00 a too high",
        "All models have higher 1.50 b 2.00 a too low",
    ),
    (tested.shift_from_validation, LOWER, on_test(0.88, 0.9), "All models lower", ""),
    (tested.shift_from_validation, LOWER, [LOWER[0], on_test(0.84, 0.82)], "All models lower", ""),
    (  # a baseline moved in the other direction
        tested.shift_from_validation,
        [*LOWER, on_test(0.91, 0.905, method="baseline")],
        [LOWER[0], on_test(0.84, 0.82), on_test(0.91, 0.905, method="baseline")],
        "All networks lower 1.50 b 2.00 a",
        "",
    ),
    (  # a network that learned nothing moved in the other direction
        tested.shift_from_validation,
        [*LOWER, on_test(0.52, 0.5)],
        [LOWER[0], on_test(0.84, 0.82), on_test(0.52, 0.5)],
        "All models better than guessing lower",
        "",
    ),
    (  # only a is outside its expected interval
        tested.shift_from_validation,
        [*LOWER, NEUTRAL],
        [LOWER[0], on_test(0.815, 0.82), NEUTRAL],
        "All models lower",
        "",
    ),
    (tested.ensembles_against_single_seeds, ensemble(0.02), ensemble(-0.02), "higher a", "lower a"),
    (tested.ensembles_against_single_seeds, ensemble(0.02), ensemble(0.005), "higher a", "not significantly a"),
    (
        language_models.distance_to_floor,
        language_model(),
        language_model(excess=figure(0.01, 0.02), excess_low=-0.001),
        "a floor 0.50000 0.01000 0.00800 0.01200",
        "a not significant",
    ),
    (  # each seed alone may be chance, all of them together are not
        language_models.distance_to_floor,
        language_model(excess_low=-0.001),
        language_model(excess=figure(0.01, 0.02), excess_low=-0.001),
        "a 0.00800",
        "a not significant",
    ),
    (
        language_models.distance_to_floor,
        [language_model(), language_model(excess=figure(0.02))],
        {"data": {"level": "char"}, "summary": {"val_bits_per_token": figure(2.5, None)}},
        "0.01000 a 0.02000 b nats",
        "a 2.5000 bits per character",
    ),
    (
        language_models.grammatical_share,
        language_model(),
        language_model(share=0.98),
        "at least 99.00% a",
        "below 99.00% a",
    ),
    (
        language_models.course_check,
        language_model(),
        language_model(of_ten=5),
        "after epoch 1 of 1 a agrees 1,000 a",
        "never a contradicts 1,000 a",
    ),
    (
        language_models.best_temperature,
        language_model(),
        language_model(temperatures=[(0.5, 0.3), (1.5, 0.4)]),
        "temperature 0.5 a 40.00% a",
        "temperature 1.5 a 40.00% a",
    ),
    (
        language_models.length_generalization,
        language_model(),
        language_model(lengths=[(1, 1.0), (10, 0.995)]),
        "not at 10 length 50.00% a",
        "up to 10 length a",
    ),
    (language_models.continued_prompts, language_model(), {}, "75.00% 74.00% 76.00% 10 a", ""),
    (
        data.padding_by_batch_size,
        padding((9, 0.5, 0.1), (1, 0.0, 0.0)),
        padding((9, 0.1, 0.1), (1, 0.1, 0.1)),
        "0.00% 1 50.00% 9 10.0 5.0",
        "not 10.00% 1 10.00% 9",
    ),
    (data.sorting_by_length, padding((9, 0.5, 0.1)), padding((9, 0.1, 0.1)), "50.00% 10.00% 9", "not 10.00% 10.00% 9"),
    (
        data.leakage,
        {"duplicates": {"across_splits": 123, "val_in_train": 4}},
        {"duplicates": {"across_splits": 0, "val_in_train": 0}},
        "4 validation 123 test",
        "No",
    ),
    (
        data.leakage,
        {"val_in_train_share": 0.5, "most_frequent_share": 0.25},
        {"val_in_train_share": 0.0},
        "50.00% validation 25.00%",
        "No",
    ),
    (
        data.shared_films,
        films(0.27, 0.07),
        films(0.07, 0.27),
        "27.00% validation 7.00% test 80.00% too high",
        "7.00% validation 27.00% test no more often on validation",
    ),
    (data.shared_films, films(0.07, 0.07), {}, "no more often on validation", ""),
    (data.lengths, lengths(1, 3.0, 9), lengths(9, 9.0, 9), "Half at most 3 longest 9", "All 9 none"),
    (
        data.vocabulary,
        {"vocab_size": 50, "level": "word", "splits": {"test": {}}},
        {"vocab_size": 50, "level": "char", "splits": {}},
        "50 word test only the test",
        "50 symbol",
    ),
    (recurrences.equality_with_torch, recurrence(), recurrence(difference=0.5), "same 1e-15", "differs 0.5"),
    (recurrences.speed, recurrence(), recurrence(ratio=0.5), "2.00 times as fast as a loop", "slower 0.50 a loop"),
    (recurrences.speed, recurrence(), recurrence(ratio=1.0), "2.00 times as fast", "not measurably a loop"),
    (recurrences.batch_first, recurrence(), recurrence(moved=0.0), "Without changes 0.3", "0 with 0 without"),
    (
        recurrences.softmax_in_the_loss,
        recurrence(),
        recurrence(infinite=0),
        "200 rounds to 0 100.00%",
        "200 no more infinite 100.00%",
    ),
    (recurrences.folded_linear, recurrence(), recurrence(difference=0.5), "same 1e-15", "differ 0.5"),
    (
        comparisons.ranking,
        comparison({("a", "b"): True}),
        comparison({("b", "a"): True}),
        "a better b 1.24",
        "b better a 1.24",
    ),
    (comparisons.ranking, comparison({("a", "b"): True}), comparison({("a", "b"): False}), "better 1.24", "a b not"),
]


@pytest.mark.parametrize(("function", "one", "other", "words_of_one", "words_of_other"), CONTRASTS)
def test_the_sentence_follows_the_figures(
    function: Callable[[Any], str], one: Any, other: Any, words_of_one: str, words_of_other: str
) -> None:
    if function.__module__ not in OF_ONE_STEP:  # others get several steps, a and b
        one, other = (
            dict(zip("abc", figures if isinstance(figures, list) else [figures], strict=False))
            for figures in (one, other)
        )
    assert mentions(function(one), words_of_one)
    assert not mentions(function(other), words_of_one)
    assert mentions(function(other), words_of_other)
    assert bool(function(other)) == bool(words_of_other)
    assert function(one).endswith(".")


@pytest.mark.parametrize(
    ("significant", "words"),
    [
        ((True, True, True), "All best a b c"),
        ((True, True, False), "2 of 3 best a b c But b c not"),
        ((False, True, False), "1 of 3 a better c"),
        ((False, False, False), "No a b c"),
    ],
)
def test_a_ranking_names_the_significant_pairs(significant: tuple[bool, ...], words: str) -> None:
    pairs = dict(zip([("a", "b"), ("a", "c"), ("b", "c")], significant, strict=True))
    assert mentions(comparisons.ranking(comparison(pairs)), words)


def test_a_ranking_against_one_step_names_every_pair() -> None:
    against = comparison({("a", "c"): True, ("b", "c"): False}, against="c")
    assert mentions(comparisons.ranking(against), "a better c 1.24 b c not")


def test_the_smallest_detectable_difference_is_that_of_the_other_pairs() -> None:
    figures = comparison({("a", "b"): True, ("a", "c"): False, ("b", "c"): False})
    assert mentions(comparisons.smallest_detectable(figures), "80% is 0.50 percentage points")
    figures["pairs"][2]["smallest"] = 0.0123
    assert mentions(comparisons.smallest_detectable(figures), "80% between 0.50 and 1.23 percentage points")
    assert comparisons.smallest_detectable(comparison({("a", "b"): True})) == ""


@pytest.mark.parametrize(
    ("order", "significant", "words"),
    [
        (["lstm", "elman", "mlp"], (True, True), "is confirmed lstm better elman elman better mlp"),
        (["lstm", "elman", "mlp"], (True, False), "in part lstm better elman elman mlp not"),
        (["lstm", "elman", "mlp"], (False, False), "is not confirmed lstm elman not elman mlp not"),
        (["mlp", "elman", "lstm"], (True, True), "is not confirmed elman better lstm mlp better elman"),
    ],
)
def test_the_order_of_the_course_is_compared_with_the_result(
    order: list[str], significant: tuple[bool, bool], words: str
) -> None:
    neighbors = {frozenset(("lstm", "elman")): significant[0], frozenset(("elman", "mlp")): significant[1]}
    pairs = {pair: neighbors.get(frozenset(pair), True) for pair in combinations(order, 2)}
    assert mentions(comparisons.course_order(comparison(pairs)), words)


@pytest.mark.parametrize(
    "figures",
    [
        comparison({("lstm", "mlp"): True}),
        comparison({("lstm", "elman"): True, ("lstm", "mlp"): True}, against="lstm"),
        comparison({("elman", "mlp"): True, ("lstm", "mlp"): True}, measure="val_bits_per_token"),
    ],
)
def test_other_comparisons_say_nothing_about_the_order_of_the_course(figures: Figures) -> None:
    assert comparisons.course_order(figures) == ""


@given(accuracies=st.lists(st.floats(0, 1), min_size=2, max_size=5, unique=True))
def test_the_best_classifier_has_the_highest_accuracy(accuracies: list[float]) -> None:
    steps = {f"m{place}": classifier(accuracy=accuracy) for place, accuracy in enumerate(accuracies)}
    best = accuracies.index(max(accuracies))
    assert classifiers.best_classifier(steps).split()[0] == f"m{best}"


def test_swapped_figures_swap_the_names() -> None:
    good, bad = classifier(accuracy=0.9, losses=RISING), classifier(accuracy=0.501, confidence=0.6)
    straight = " ".join(reflect("classifier", {"one": good, "two": bad}))
    swapped = " ".join(reflect("classifier", {"two": good, "one": bad}))
    assert swapped == straight.replace("one", "\0").replace("two", "one").replace("\0", "two")
    assert swapped != straight


def test_the_range_over_seeds_is_that_of_the_most_variable_model() -> None:
    assert classifiers.range_over_seeds({"a": classifier()}) == ""
    steps = {"a": classifier(), "b": classifier()}
    for name, least in (("a", 0.8), ("b", 0.7)):
        steps[name]["summary"]["val_accuracy"] |= {"least": least, "most": 0.9, "interval": "seeds"}
    assert mentions(classifiers.range_over_seeds(steps), "70.00% 90.00% b")


def test_differences_are_those_of_the_configurations() -> None:
    def result(config: str, *precision: str) -> Figures:
        return {"config": config, "figures": {"precision": precision} if precision else {}}

    one = result('[model]\nlayer = "mlp"\nsize = 3000\nrate = 0.2\n')
    other = result('[model]\nlayer = "lstm"\nsize = 3000\nrate = 0.123456\nextra = true\n')
    assert comparisons.differences({"a": one, "b": other}) == {
        "model.extra": ["–", "true"],
        "model.layer": ["mlp", "lstm"],
        "model.rate": ["0.2", "0.123"],
    }
    assert comparisons.differences({"a": one, "b": one}) == {}
    assert comparisons.differences({"a": one}) == {}
    config = '[loop]\nprecision = "bf16"\n'
    assert comparisons.differences({"a": result(config, "float32"), "b": result(config, "float32", "bf16")}) == {
        "loop.precision": ["float32", "float32 and bf16"]
    }


def result(kind: str = "classifier", step: str = "s", *, seeds: int = 2, **changes: Any) -> Figures:
    figures = {"summary": {}, "opening": {"earlier": 0, "time": "2026-01-01"}, "source": "t"}
    keys = ("status", "config", "time")
    return {
        "config": f'[loop]\nkeep = "{changes.pop("keep", "last")}"\n',
        "step": step,
        "kind": kind,
        "status": "done",
        "options": {"seeds": list(range(seeds))},
        "time": "2026-02-01",
        "figures": figures | {name: value for name, value in changes.items() if name not in keys},
    } | {name: value for name, value in changes.items() if name in keys}


OVER_SEEDS = {
    "summary": {"val_accuracy": {"interval": "seeds"}},
    "by_seed": [{"accuracy_low": 0.8, "accuracy_high": 0.9}],
}
TESTED = "test-evaluation"


@pytest.mark.parametrize(
    ("limit", "steps", "words", "others"),
    [
        (limits.single_seeds, [result(seeds=1)], "s", [result(seeds=2)]),
        (limits.single_seeds, [result(TESTED, seeds=1)], "s", [result(TESTED, seeds=1, method="baseline")]),
        (limits.fixed_texts, [result(**OVER_SEEDS)], "s 80.00% 90.00%", [result()]),
        (limits.best_epochs, [result(keep="best")], "s", [result(keep="last")]),
        (limits.one_pretraining, [result(pretraining={"seconds": 1.0})], "s", [result()]),
        (
            limits.several_devices,
            [result(device=["cpu"]), result(device=["cpu"]), result(step="t", device=["cuda"])],
            "cpu t on cuda",
            [result(device=["cpu"])],
        ),
        (
            limits.several_devices,
            [result(device=["cpu"]), result(step="t", device=["cpu", "cuda"])],
            "t in part on cuda",
            [result(), result(device=["cpu"])],
        ),
        (
            limits.other_precision,
            [result(TESTED, precision=["bf16"]), result(step="t", precision=["float32"])],
            "s bf16 t float32",
            [result(TESTED, precision=["bf16"]), result(step="t", precision=["bf16"])],
        ),
        (
            limits.described_after_opening,
            [result("data", "d", films={}), result(TESTED)],
            "d after",
            [result("data", "d", films={}, time="2025-12-31"), result(TESTED)],
        ),
        (
            limits.described_after_opening,
            [result("data", "d", films={}), result(TESTED)],
            "d after",
            [result("data", "d"), result(TESTED)],
        ),
        (limits.chosen_on_validation, [result("baseline")], "chosen", [result()]),
        (limits.test_not_measured, [result()], "not opened", [result(), result(TESTED)]),
        (
            limits.opened_before,
            [result(TESTED), result(TESTED, opening={"earlier": 3, "time": "2026-01-01"})],
            "before 3",
            [result(TESTED)],
        ),
        (limits.one_source, [result(TESTED)], "same source", [result()]),
        (
            limits.uncorrected_pairs,
            [result("comparison", pairs=[{"test": None}])],
            "without",
            [result("comparison", pairs=[{"test": "welch"}])],
        ),
        (limits.rare_strings, [result(summary={"grammatical_share": {}})], "rare", [result()]),
        (limits.missing_steps, [result(status="missing")], "s", [result()]),
    ],
)
def test_limits_follow_the_results(
    limit: Callable[[limits.Findings], str], steps: list[Figures], words: str, others: list[Figures]
) -> None:
    study = {"data_missing": None}
    assert limit in limits.LIMITS
    assert mentions(limit(limits.Findings(study, steps, opened=False)), words)
    assert limit(limits.Findings(study, others, opened=False)) == ""


def test_limits_of_an_opened_test_split_without_results_and_of_generated_data() -> None:
    steps = [result(), result(TESTED, status="failed")]
    assert mentions(limits.test_not_measured(limits.Findings({}, steps, opened=True)), "was opened no")
    [sentence] = limits.limits({"data_missing": "No IMDb."}, [], opened=False)
    assert mentions(sentence, "generated")
    assert limits.limits({"data_missing": None}, [], opened=False) == []


def test_the_interval_of_a_single_run_is_that_of_the_last_on_test() -> None:
    steps = [result(TESTED, "a", **OVER_SEEDS), result(TESTED, "b", **OVER_SEEDS), result(step="c", **OVER_SEEDS)]
    assert mentions(limits.fixed_texts(limits.Findings({}, steps, opened=False)), "b 80.00%")


def test_every_kind_of_step_has_sentences_pictures_and_a_template() -> None:
    templates = Path(report.__file__).parent / "templates"
    assert {CURRENT_KINDS.get(kind, kind) for kind in KINDS} == set(PICTURES) == set(REFLECTIONS)
    assert all((templates / f"{kind}.md.j2").exists() for kind in REFLECTIONS)


def test_a_model_that_guesses_is_not_drawn_with_the_others(tmp_path: Path) -> None:
    steps = {
        name: on_test(accuracy, accuracy, by_seed=[{"accuracy": accuracy}])
        for name, accuracy in (("lstm", 0.9), ("majority", 0.5))
    }
    assert study_figures.tested_and_expected(tmp_path / "tested.svg", steps)
    svg = (tmp_path / "tested.svg").read_text()
    assert "<!-- lstm -->" in svg
    assert "<!-- majority -->" not in svg
    assert study_figures.tested_and_expected(tmp_path / "guesses.svg", {"majority": steps["majority"]})


def test_the_results_of_a_study_have_the_figures_that_the_sentences_need(smoke_study: Path) -> None:
    sentences: dict[str, list[str]] = {}
    for question in read_study(smoke_study)["questions"]:
        for step in question["steps"]:
            figures = read_result(smoke_study, step)["figures"]
            sentences.setdefault(step["kind"], []).extend(reflect(step["kind"], {step["name"]: figures}))
    assert set(sentences) == set(REFLECTIONS)
    assert all(sentence.endswith(".") for of_kind in sentences.values() for sentence in of_kind)
