"""Limits of the results: for each limit, a function from a study's results to a sentence, or to an empty string."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elman.formatting import count, listed, percent, with_names
from elman.report.results import Figures, is_baseline


@dataclass(frozen=True)
class Findings:
    """The results of a study.

    Attributes
    ----------
    study
        The declaration of the study.
    steps
        Whole results, including those of failed and missing steps.
    opened
        Whether the test split was opened, according to the ledger or the seeds.
    """

    study: dict[str, Any]
    steps: Sequence[Figures]
    opened: bool

    def done(self, *kinds: str) -> Iterator[Figures]:
        """Yield the results of the completed steps of these kinds, or of all kinds."""
        return (step for step in self.steps if step["status"] == "done" and (not kinds or step["kind"] in kinds))


Limit = Callable[[Findings], str]


def steps_with(condition: Callable[[Figures], Any], sentence: str, *kinds: str) -> Limit:
    """Return a limit with the names of the completed steps that satisfy a condition; of these kinds, or of all."""
    return lambda findings: with_names(sentence, [step["step"] for step in findings.done(*kinds) if condition(step)])


single_seeds = steps_with(
    lambda step: len(step["options"].get("seeds", [0, 1])) == 1 and not is_baseline(step["figures"]),
    "Trained with one seed: {}. Their intervals cover other texts, but not other seeds.",
)
best_epochs = steps_with(
    lambda step: tomllib.loads(step["config"])["loop"]["keep"] == "best",
    "The best epoch of {} was chosen on the same validation texts that measure the accuracy, so this accuracy is"
    " slightly too high.",
    "classifier",
)
one_pretraining = steps_with(
    lambda step: step["figures"].get("pretraining"),
    "All seeds of {} start from one pretraining. No interval covers other pretrainings.",
)
chosen_on_validation = steps_with(
    bool,
    "Settings were chosen on validation, so the validation figures of these models are slightly too good.",
    "search",
    "baseline",
)
one_source = steps_with(
    bool,
    "The test texts have the same source as the training texts. The results may not hold for other texts.",
    "test-evaluation",
)
uncorrected_pairs = steps_with(
    lambda step: any(pair["test"] is None for pair in step["figures"]["pairs"]),
    "Pairs without several seeds of both models were compared without a test, and without a correction for the number"
    " of pairs: the more pairs, the more likely one difference is due to chance.",
    "comparison",
)
rare_strings = steps_with(
    lambda step: "grammatical_share" in step["figures"].get("summary", {}),
    "Samples show what a model writes frequently; they show little about rare strings.",
)


def generated(findings: Findings) -> str:
    """Say that the reviews are not real."""
    sentence = "The reviews are generated. Results on them need not hold for reviews that people wrote."
    return sentence if findings.study["data_missing"] else ""


def fixed_texts(findings: Findings) -> str:
    """Say that intervals over seeds do not cover other texts, and give the interval of one run as a comparison."""
    steps = [
        step
        for step in findings.done("classifier", "test-evaluation")
        if any(part["interval"] == "seeds" for part in step["figures"]["summary"].values())
    ]
    if not steps:
        return ""
    last = sorted(steps, key=lambda step: bool(step["kind"] == "test-evaluation"))[-1]  # on the test, if there is one
    run = last["figures"]["by_seed"][0]
    ends = f"{percent(run['accuracy_low'])} to {percent(run['accuracy_high'])}"
    return (
        "An interval over seeds holds for a fixed set of texts. The interval of a single run shows how much other texts"
        f" would change an accuracy (the first run of {last['step']}: {ends}). The accuracies expected on the test, and"
        " the differences of two classifiers, account for both if there are several seeds."
    )


def several_devices(findings: Findings) -> str:
    """Name the steps that were not trained on the most frequent device."""
    trained: dict[str, list[str]] = {}
    for step in findings.done():
        devices = step["figures"].get("device", [])
        for device in devices:
            trained.setdefault(device, []).append(step["step"] + (" (in part)" if len(devices) > 1 else ""))
    most = max(trained, key=lambda device: len(trained[device]), default=None)
    others = [f"{listed(steps)} on {device}" for device, steps in trained.items() if device != most]
    return (
        f"Trained on another device than the other models ({most}): {listed(others)}. Training times are comparable"
        " only on the same device and with the same number of simultaneous trainings."
        if others
        else ""
    )


def other_precision(findings: Findings) -> str:
    """Name the tested models that were trained in another precision than for validation."""
    precision = {step["step"]: step["figures"].get("precision", []) for step in findings.done()}
    parts = [
        f"{step['step']} was trained in {listed(here)}, and {source} in {listed(there)}"
        for step in findings.done("test-evaluation")
        if (here := precision[step["step"]]) != (there := precision.get(source := step["figures"]["source"], here))
    ]
    return (
        f"The expected test accuracy comes from a training in another precision: {'; '.join(parts)}." if parts else ""
    )


def described_after_opening(findings: Findings) -> str:
    """Name the data whose shared films were counted after the test split had been opened."""
    opened = min((step["figures"]["opening"]["time"] for step in findings.done("test-evaluation")), default=None)
    names = [
        step["step"]
        for step in findings.done("data")
        if opened and step["time"] > opened and "films" in step["figures"]
    ]
    return with_names(
        "The shared films of {} were counted after the test split had been opened. They may explain the"
        " test results, but did not predict them.",
        names,
    )


def test_not_measured(findings: Findings) -> str:
    """Say whether the test split was opened, if nothing was measured on it."""
    if any(findings.done("test-evaluation")):
        return ""
    if findings.opened:
        return "The test split was opened, but no measurement on it was completed."
    return "The test split was not opened." if any(findings.done("classifier")) else ""


def opened_before(findings: Findings) -> str:
    """Say how often the test split had been opened before this study."""
    earlier = max((step["figures"]["opening"]["earlier"] for step in findings.done("test-evaluation")), default=0)
    return (
        f"The test split had been opened before this study (number of openings in the ledger: {count(earlier)}). If a"
        " choice since then was based on its results, the test figures are too good."
        if earlier
        else ""
    )


def missing_steps(findings: Findings) -> str:
    """Name the missing steps."""
    names = [step["step"] for step in findings.steps if step["status"] != "done"]
    return with_names("Missing steps: {}. Everything that depends on them is left out.", names)


LIMITS: tuple[Limit, ...] = (
    generated,
    single_seeds,
    fixed_texts,
    best_epochs,
    one_pretraining,
    several_devices,
    other_precision,
    described_after_opening,
    chosen_on_validation,
    test_not_measured,
    opened_before,
    one_source,
    uncorrected_pairs,
    rare_strings,
    missing_steps,
)


def limits(study: dict[str, Any], steps: Sequence[Figures], *, opened: bool) -> list[str]:
    """Return a sentence for each limit of the results; the parameters are those of :class:`Findings`."""
    findings = Findings(study, steps, opened)
    return [sentence for limit in LIMITS if (sentence := limit(findings))]
