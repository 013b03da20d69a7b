"""Confidence intervals of a figure, and tests of whether two models differ."""

from elman.statistics.comparison import (
    Difference,
    PairedCounts,
    holm,
    mcnemar,
    paired_bootstrap,
    paired_over_seeds,
    welch_over_seeds,
)
from elman.statistics.intervals import (
    NORMAL_95,
    SHARE,
    Estimate,
    mean_over_seeds,
    over_seeds,
    ratio,
    wilson,
)
from elman.statistics.power import (
    mcnemar_power,
    smallest_detectable_difference,
    smallest_difference_by_student,
    student_power,
)

__all__ = [
    "NORMAL_95",
    "SHARE",
    "Difference",
    "Estimate",
    "PairedCounts",
    "holm",
    "mcnemar",
    "mcnemar_power",
    "mean_over_seeds",
    "over_seeds",
    "paired_bootstrap",
    "paired_over_seeds",
    "ratio",
    "smallest_detectable_difference",
    "smallest_difference_by_student",
    "student_power",
    "welch_over_seeds",
    "wilson",
]
