"""What the results cannot show: a function from a study's results to a sentence, or to none, for each limit."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elman.formatting import count, listed, percent
from elman.report.steps import Figures


@dataclass(frozen=True)
class Findings:
    """What a study came to.

    Attributes
    ----------
    study
        As it was declared.
    steps
        Whole results, those of steps that failed or are missing among them.
    opened
        Whether the test split was, as the ledger or the seeds say.
    """

    study: dict[str, Any]
    steps: Sequence[Figures]
    opened: bool

    def done(self, *kinds: str) -> Iterator[Figures]:
        """Yield the results that are there, of those kinds or of all."""
        return (step for step in self.steps if step["status"] == "done" and (not kinds or step["kind"] in kinds))


def generated(found: Findings) -> str:
    """Say that the reviews are not real."""
    said = "The reviews are generated. What is found on them need not hold for reviews that people wrote."
    return said if found.study["data_missing"] else ""


def single_seeds(found: Findings) -> str:
    """Name the steps of one seed."""
    single = [
        step["step"]
        for step in found.done()
        if len(step["options"].get("seeds", [0, 1])) == 1 and step["figures"].get("method") != "yardstick"
    ]
    return (
        f"Trained with one seed: {listed(single)}. There an interval says how far other texts would move a figure, not"
        " how far another seed would."
        if single
        else ""
    )


def texts_as_given(found: Findings) -> str:
    """Say what an interval over seeds leaves out, and how much that is for the last of them."""
    over = [
        step
        for step in found.done("classifier", "final")
        if any(part["interval"] == "seeds" for part in step["figures"]["summary"].values())
    ]
    if not over:
        return ""
    over.sort(key=lambda step: bool(step["kind"] == "final"))  # of the test, where there is one
    run = over[-1]["figures"]["by_seed"][0]
    ends = f"{percent(run['accuracy_low'])} to {percent(run['accuracy_high'])}"
    return (
        "An interval over seeds takes the texts as given. How far other texts would move an accuracy, that of a single"
        f" run says (the first of {over[-1]['step']}: {ends}). What is expected of the test, and what is said of the"
        " difference of two classifiers, reckons with both where there are several seeds."
    )


def best_epochs(found: Findings) -> str:
    """Name the classifiers whose epoch was chosen on the texts that measure them."""
    kept = {step["step"]: tomllib.loads(step["config"])["loop"]["keep"] for step in found.done("classifier")}
    best = [name for name, which in kept.items() if which == "best"]
    return (
        f"The best epoch of {listed(best)} was chosen on the validation texts that the accuracy is measured on, so it"
        " is a little too good."
        if best
        else ""
    )


def one_pretraining(found: Findings) -> str:
    """Name the steps whose seeds share a beginning."""
    begun = [step["step"] for step in found.done() if step["figures"].get("pretraining")]
    return (
        f"All seeds of {listed(begun)} begin from one pretraining; how another would have done, no interval says."
        if begun
        else ""
    )


def several_devices(found: Findings) -> str:
    """Name the steps whose times do not compare with those of the others."""
    trained: dict[str, list[str]] = {}
    for step in found.done():
        devices = step["figures"].get("device", [])
        for device in devices:
            trained.setdefault(device, []).append(step["step"] + (" (in part)" if len(devices) > 1 else ""))
    most = max(trained, key=lambda device: len(trained[device]), default=None)
    elsewhere = [f"{listed(steps)} on {device}" for device, steps in trained.items() if device != most]
    return (
        f"Trained on another device than the rest ({most}): {listed(elsewhere)}. Times compare on one device alone,"
        " and only with as many trainings beside each other."
        if elsewhere
        else ""
    )


def other_precision(found: Findings) -> str:
    """Name what was tested after a training whose products were rounded otherwise than those of its validation."""
    multiplied = {step["step"]: step["figures"].get("precision", []) for step in found.done()}
    said = [
        f"{step['step']} multiplied in {listed(here)}, {source} in {listed(there)}"
        for step in found.done("final")
        if (here := multiplied[step["step"]]) != (there := multiplied.get(source := step["figures"]["source"], here))
    ]
    return f"What was expected of a test rests on a training of another precision: {listed(said)}." if said else ""


def explained_afterwards(found: Findings) -> str:
    """Say that the data were described after the test texts had been opened."""
    opened = min((step["figures"]["opening"]["time"] for step in found.done("final")), default=None)
    late = [
        step["step"] for step in found.done("data") if opened and step["time"] > opened and "films" in step["figures"]
    ]
    return (
        f"Which texts of {listed(late)} tell of the same films was measured after the test texts had been opened: it"
        " may explain what was found there, and foresaw nothing."
        if late
        else ""
    )


def chosen_on_validation(found: Findings) -> str:
    """Say that settings were chosen."""
    said = "Settings were chosen on validation: of what was chosen so, the figures there are a little too good."
    return said if any(found.done("search", "yardstick")) else ""


def test_not_measured(found: Findings) -> str:
    """Say whether the test texts are still closed, where nothing was measured on them."""
    if any(found.done("final")):
        return ""
    if found.opened:
        return "The test texts were opened, but nothing that was measured on them came to its end."
    return "The test texts were not opened." if any(found.done("classifier")) else ""


def opened_before(found: Findings) -> str:
    """Say how often the test texts had been opened before this study."""
    earlier = max((step["figures"]["opening"]["earlier"] for step in found.done("final")), default=0)
    return (
        f"The test texts had been opened before ({count(earlier)} ×, by the ledger). If anything was chosen since by"
        " what was seen then, what the test says is too good."
        if earlier
        else ""
    )


def one_source(found: Findings) -> str:
    """Say which texts a test speaks of."""
    said = "The test texts are of the same source as those of training; of other texts they say nothing."
    return said if any(found.done("final")) else ""


def untested_pairs(found: Findings) -> str:
    """Say that comparisons without a test were not corrected for their number."""
    pairs = (pair for step in found.done("comparison") for pair in step["figures"]["pairs"])
    said = "Pairs of one seed each were compared one by one; the more, the likelier that one is chance."
    return said if any(pair["test"] is None for pair in pairs) else ""


def rare_strings(found: Findings) -> str:
    """Say what samples do not show."""
    graded = any("grammatical_share" in step["figures"].get("summary", {}) for step in found.done())
    return "Samples show what a model mostly writes; on strings that are rare they say little." if graded else ""


def absent_steps(found: Findings) -> str:
    """Name what is not there."""
    absent = [step["step"] for step in found.steps if step["status"] != "done"]
    return f"Not here: {listed(absent)}. What rests on them is left out." if absent else ""


LIMITS: tuple[Callable[[Findings], str], ...] = (
    generated,
    single_seeds,
    texts_as_given,
    best_epochs,
    one_pretraining,
    several_devices,
    other_precision,
    explained_afterwards,
    chosen_on_validation,
    test_not_measured,
    opened_before,
    one_source,
    untested_pairs,
    rare_strings,
    absent_steps,
)


def limits(study: dict[str, Any], steps: Sequence[Figures], *, opened: bool) -> list[str]:
    """Say what the results cannot show; the parameters are those of :class:`Findings`."""
    found = Findings(study, steps, opened)
    return [said for limit in LIMITS if (said := limit(found))]
