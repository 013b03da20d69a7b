"""The kinds of steps by name. A new kind is a function from :class:`Work` to figures, its options, and a line here."""

import tomllib
from typing import Any, Literal, NamedTuple

import tomli_w

from elman.config import RunConfig, Task
from elman.study.classifiers import train_classifiers
from elman.study.comparing import CompareOptions, compare
from elman.study.describing import PaddingOptions, describe_data, measure_padding
from elman.study.ensembles import combine
from elman.study.finals import measure_finally, write_hypothesis
from elman.study.language_models import LanguageModelOptions, train_language_models
from elman.study.recurrences import RecurrenceOptions, measure_recurrence
from elman.study.searching import SearchOptions, search
from elman.study.work import Measure, NoOptions, SeedOptions
from elman.study.yardsticks import YardstickOptions, measure_yardstick


class Kind(NamedTuple):
    """One kind of step.

    Attributes
    ----------
    work
        Does the step; its figures are ready for JSON.
    options
        A dataclass: what the kind can be told, beside the sections of a run.
    reads
        What it takes: a run's configuration for this task ("any" for whatever the data is, "source" for that of
        another step), or None where it reads other steps' results alone.
    sections
        The sections of that configuration which its figures follow from; a change elsewhere does not repeat it.
    """

    work: Measure
    options: Any
    reads: Task | Literal["any", "source"] | None
    sections: tuple[str, ...] = ()

    def configuration(self, config: RunConfig | None) -> str | None:
        """Return those sections as TOML, or None where it takes none; the device is left out: it repeats no step."""
        if config is None:
            return None
        tables = tomllib.loads(config.to_toml())
        del tables["loop"]["accelerator"]
        return tomli_w.dumps({section: tables[section] for section in self.sections})


WHOLE_RUN = ("data", "batches", "model", "optim", "loop")


KINDS: dict[str, Kind] = {
    "data": Kind(describe_data, NoOptions, "any", ("data",)),
    "padding": Kind(measure_padding, PaddingOptions, "any", ("data", "batches")),
    "classifier": Kind(train_classifiers, SeedOptions, "classification", WHOLE_RUN),
    "language-model": Kind(train_language_models, LanguageModelOptions, "language-model", WHOLE_RUN),
    "yardstick": Kind(measure_yardstick, YardstickOptions, "classification", ("data",)),
    "search": Kind(search, SearchOptions, "any", WHOLE_RUN),
    "hypothesis": Kind(write_hypothesis, NoOptions, None),
    "final": Kind(measure_finally, SeedOptions, "source", WHOLE_RUN),
    "ensemble": Kind(combine, NoOptions, None),
    "recurrence": Kind(measure_recurrence, RecurrenceOptions, None),
    "comparison": Kind(compare, CompareOptions, None),
}
