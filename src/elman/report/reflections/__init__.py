"""What the figures say, in sentences: functions from figures to text, and nothing else.

No sentence here is true of every result. Each is chosen by the figures, so that a ranking turned around turns the
conclusion around. Two figures are called different only where the interval of their difference leaves zero out.
"""

from collections.abc import Callable
from typing import Any

from elman.report.reflections.classifiers import (
    best_classifier,
    best_yardstick,
    calibrated,
    leaning,
    no_better_than_guessing,
    strength_at_the_edge,
)
from elman.report.reflections.comparisons import gospel, ranking, too_small_to_be_shown
from elman.report.reflections.data import (
    leakage,
    lengths,
    padding_grows,
    sorting_helps,
    validation_shares_films,
    vocabulary,
)
from elman.report.reflections.language_models import (
    course_verdict,
    distance_to_floor,
    generalises,
    learnt,
    prompts_continued,
    temperature_matters,
)
from elman.report.reflections.recurrences import (
    batch_first,
    elman_equals_torch,
    faster_than_the_loop,
    linear_folds,
    softmax_in_the_loss,
)
from elman.report.reflections.searches import (
    choices_settled,
    found_best,
    nothing_better,
    searched_equally,
    still_rising,
    what_mattered,
)
from elman.report.reflections.tested import as_expected, best_on_test, expectation, shifted, together_better
from elman.report.reflections.trainings import clipping_acted, overfitting, pretrained, seeds_differ
from elman.report.steps import Steps

REFLECTIONS: dict[str, tuple[Callable[[Any], str], ...]] = {
    "data": (validation_shares_films, leakage, lengths, vocabulary),
    "padding": (padding_grows, sorting_helps),
    "classifier": (
        best_classifier,
        no_better_than_guessing,
        pretrained,
        seeds_differ,
        overfitting,
        calibrated,
        leaning,
        clipping_acted,
    ),
    "recurrence": (elman_equals_torch, faster_than_the_loop, batch_first, linear_folds, softmax_in_the_loss),
    "hypothesis": (expectation,),
    "final": (best_on_test, as_expected, shifted, pretrained, seeds_differ),
    "ensemble": (together_better,),
    "search": (found_best, nothing_better, searched_equally, still_rising, what_mattered, choices_settled),
    "yardstick": (best_yardstick, no_better_than_guessing, strength_at_the_edge),
    "language-model": (
        distance_to_floor,
        learnt,
        course_verdict,
        temperature_matters,
        prompts_continued,
        generalises,
        clipping_acted,
    ),
    "comparison": (gospel, ranking, too_small_to_be_shown),
}
"""What is said of each kind; of classifiers and language models of all steps together, of the others of each."""

TOGETHER = ("classifier", "language-model", "yardstick", "search", "hypothesis", "final", "ensemble")


def reflect(kind: str, steps: Steps) -> list[str]:
    """Return the sentences on steps of one kind; the first is the finding."""
    if not steps:
        return []
    about: list[Any] = [steps] if kind in TOGETHER else list(steps.values())
    return [said for figures in about for function in REFLECTIONS[kind] if (said := function(figures))]
