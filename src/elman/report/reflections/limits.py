"""What the results cannot show."""

import tomllib
from collections.abc import Sequence
from typing import Any

from elman.report.steps import Figures
from elman.report.wording import count, listed


def limits(study: dict[str, Any], steps: Sequence[Figures], *, opened: bool) -> list[str]:
    """Say what the results cannot show.

    Parameters
    ----------
    study
        As it was declared.
    steps
        Whole results.
    opened
        Whether the test split was, as the ledger or the seeds say.
    """
    said = []
    done = [step for step in steps if step["status"] == "done"]
    single = [
        step["step"]
        for step in done
        if len(step["options"].get("seeds", [0, 1])) == 1 and step["figures"].get("method") != "yardstick"
    ]
    if study["data_missing"]:
        said.append("The reviews are generated. What is found on them need not hold for reviews that people wrote.")
    if single:
        said.append(
            f"{listed(single)}: one seed each. Their intervals say how far chance in the choice of texts can move a"
            " figure, not how far another seed would."
        )
    classifiers = [step for step in done if step["kind"] == "classifier"]
    tested = any(step["kind"] == "final" for step in done)
    best = [step["step"] for step in classifiers if tomllib.loads(step["config"])["loop"]["keep"] == "best"]
    if best:
        said.append(
            f"The best epoch of {listed(best)} was chosen on the validation texts that the accuracy is measured on, so"
            " it is a little too good."
        )
    begun = [step["step"] for step in done if step["figures"].get("pretraining")]
    if begun:
        said.append(
            f"All seeds of {listed(begun)} begin from one pretraining; how another would have done, no interval says."
        )
    if any(step["kind"] in ("search", "yardstick") for step in done):
        said.append(
            "Settings were chosen on validation: of what was chosen so, the figures there are a little too good."
        )
    if opened and not tested:
        said.append("The test texts were opened, but nothing that was measured on them came to its end.")
    elif classifiers and not tested:
        said.append("The test texts were not opened.")
    openings = {step["step"]: step["figures"]["opening"]["earlier"] for step in done if step["kind"] == "final"}
    if any(openings.values()):
        said.append(
            f"The test texts had been opened before ({count(max(openings.values()))} ×, by the ledger). If anything was"
            " chosen since by what was seen then, what the test says is too good."
        )
    if tested:
        said.append("The test texts are of the same source as those of training; of other texts they say nothing.")
    compared = [pair for step in done if step["kind"] == "comparison" for pair in step["figures"]["pairs"]]
    if any(pair["test"] is None for pair in compared):
        said.append("Pairs of one seed each were compared one by one; the more, the likelier that one is chance.")
    if any("grammatical_share" in step["figures"].get("summary", {}) for step in done):
        said.append("Samples show what a model mostly writes; on strings that are rare they say little.")
    absent = [step["step"] for step in steps if step["status"] != "done"]
    if absent:
        said.append(f"Not here: {listed(absent)}. What rests on them is left out.")
    return said
