"""Sentences about the figures of a study: functions from figures to text.

The figures choose each sentence: if they are swapped between two models, the conclusion is swapped too. A difference is
called significant only if its interval excludes zero.
"""

from collections.abc import Callable
from typing import Any

from elman.report.reflections import classifiers, comparisons, data, language_models, recurrences, searches, tested
from elman.report.results import Steps

REFLECTIONS: dict[str, tuple[Callable[[Any], str], ...]] = {
    "data": (data.shared_films, data.leakage, data.lengths, data.vocabulary),
    "padding": (data.padding_by_batch_size, data.sorting_by_length),
    "classifier": (
        classifiers.best_classifier,
        classifiers.no_better_than_guessing,
        classifiers.pretraining,
        classifiers.range_over_seeds,
        classifiers.overfitting,
        classifiers.calibration,
        classifiers.more_frequent_error,
        classifiers.clipping,
    ),
    "recurrence": (
        recurrences.equality_with_torch,
        recurrences.speed,
        recurrences.batch_first,
        recurrences.folded_linear,
        recurrences.softmax_in_the_loss,
    ),
    "preregistration": (tested.expected_order,),
    "test-evaluation": (
        tested.best_on_test,
        tested.agreement_with_expectation,
        tested.shift_from_validation,
        classifiers.pretraining,
        classifiers.range_over_seeds,
    ),
    "ensemble": (tested.ensembles_against_single_seeds,),
    "search": (
        searches.best_trials,
        searches.initial_settings_best,
        searches.equal_budgets,
        searches.best_in_last_quarter,
        searches.most_important_options,
        searches.settled_choices,
    ),
    "baseline": (classifiers.best_baseline, classifiers.no_better_than_guessing, classifiers.strength_at_range_limit),
    "language-model": (
        language_models.distance_to_floor,
        language_models.grammatical_share,
        language_models.course_check,
        language_models.best_temperature,
        language_models.continued_prompts,
        language_models.length_generalization,
        classifiers.clipping,
    ),
    "comparison": (comparisons.course_order, comparisons.ranking, comparisons.smallest_detectable),
}
"""The sentences on each kind of step, in order; an empty one is left out."""

TOGETHER = ("classifier", "language-model", "baseline", "search", "preregistration", "test-evaluation", "ensemble")
"""Kinds whose sentences are about all steps of a question together."""


def reflect(kind: str, steps: Steps) -> list[str]:
    """Return the sentences on the steps of one kind; the first is the main finding."""
    if not steps:
        return []
    groups: list[Any] = [steps] if kind in TOGETHER else list(steps.values())
    return [sentence for group in groups for function in REFLECTIONS[kind] if (sentence := function(group))]
