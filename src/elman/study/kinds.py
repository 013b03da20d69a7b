"""The kinds of steps by name.

A new kind is a file with its options and a function from :class:`Work` to figures, and one entry in :data:`KINDS`. Its
part of the report is in :mod:`elman.report`.
"""

import tomllib
from typing import Any, Literal, NamedTuple

import tomli_w

from elman.config import RunConfig, Task
from elman.study.baselines import BaselineOptions, measure_baseline
from elman.study.classifiers import train_classifiers
from elman.study.comparing import CompareOptions, compare
from elman.study.describing import PaddingOptions, describe_data, measure_padding
from elman.study.ensembles import combine
from elman.study.language_models import LanguageModelOptions, train_language_models
from elman.study.preregistration import write_preregistration
from elman.study.recurrences import RecurrenceOptions, measure_recurrence
from elman.study.searching import SearchOptions, search
from elman.study.test_evaluation import evaluate_on_test
from elman.study.work import Measure, NoOptions, SeedOptions


class Kind(NamedTuple):
    """One kind of step.

    Attributes
    ----------
    work
        Does the step and returns its figures, ready for JSON.
    options
        A dataclass of its options, which a study file sets beside the sections of a run.
    reads
        The configuration that it takes: that of a run for this task, of a run for "any" task, or that of its "source",
        another step. None if it reads only the results of other steps.
    sections
        The sections of that configuration that its figures depend on. A change in another section does not repeat it.
    group
        The part of ``results.json`` that holds its main figures; None if it has none there.
    """

    work: Measure
    options: Any
    reads: Task | Literal["any", "source"] | None
    sections: tuple[str, ...] = ()
    group: Literal["classification", "language_models"] | None = None

    def configuration(self, config: RunConfig | None) -> str | None:
        """Return those sections as TOML, without the device, which repeats no step; None without a configuration."""
        if config is None:
            return None
        tables = tomllib.loads(config.to_toml())
        del tables["loop"]["accelerator"]
        return tomli_w.dumps({section: tables[section] for section in self.sections})


WHOLE_RUN = ("data", "batches", "model", "optim", "loop")


KINDS: dict[str, Kind] = {
    "data": Kind(describe_data, NoOptions, "any", ("data",)),
    "padding": Kind(measure_padding, PaddingOptions, "any", ("data", "batches")),
    "classifier": Kind(train_classifiers, SeedOptions, "classification", WHOLE_RUN, "classification"),
    "language-model": Kind(train_language_models, LanguageModelOptions, "language-model", WHOLE_RUN, "language_models"),
    "baseline": Kind(measure_baseline, BaselineOptions, "classification", ("data",), "classification"),
    "search": Kind(search, SearchOptions, "any", WHOLE_RUN),
    "preregistration": Kind(write_preregistration, NoOptions, None),
    "test-evaluation": Kind(evaluate_on_test, SeedOptions, "source", WHOLE_RUN, "classification"),
    "ensemble": Kind(combine, NoOptions, None, (), "classification"),
    "recurrence": Kind(measure_recurrence, RecurrenceOptions, None),
    "comparison": Kind(compare, CompareOptions, None),
}
