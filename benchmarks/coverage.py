"""Measure the coverage of 95% intervals and the error rate of p-values for two equally good models.

    python benchmarks/coverage.py

Each draw has new seeds and texts. The table shows how often the interval of the difference contains zero, its mean
width, and how often p < 0.05 / 15, the threshold that Holm's correction sets for the first of fifteen tests.

Two models classify 1,000 texts. A model is right about a text if this sum is positive: the ease of the text (mean 1.6,
deviation 1), how well it suits the model (0.4), the luck of the seed (second column of the table), and noise (0.4).
About 87% are right.
"""

import numpy as np
from numpy.typing import NDArray

from elman.statistics import Difference, paired_bootstrap, welch_over_seeds

DRAWS = 1_000
TEXTS = 1_000
RESAMPLES = 400


def draw(seeds: int, luck: float, chance: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Return which texts are classified correctly, (seeds, texts), for each of the two models."""
    ease = 1.6 + chance.normal(size=TEXTS)
    return [
        ease
        + 0.4 * chance.normal(size=TEXTS)
        + luck * chance.normal(size=(seeds, 1))
        + 0.4 * chance.normal(size=(seeds, TEXTS))
        > 0
        for _ in range(2)
    ]


def main() -> None:
    """Print the table."""
    print("seeds  deviation of a seed  bootstrap: coverage, width, p < 0.05 / 15   Welch over seeds: the same")
    for seeds in (3, 5, 8):
        for luck in (0.0, 0.03, 0.1, 0.3):
            differences: list[list[Difference]] = []
            for number in range(DRAWS):
                a, b = draw(seeds, luck, np.random.default_rng((seeds, round(100 * luck), number)))
                means = [scores.mean(axis=1).tolist() for scores in (a, b)]
                differences.append([paired_bootstrap(a, b, seed=number, resamples=RESAMPLES), welch_over_seeds(*means)])
            columns = []
            for results in zip(*differences, strict=True):
                coverage = np.mean([result.low <= 0 <= result.high for result in results])
                width = np.mean([result.high - result.low for result in results])
                small = np.mean([result.p < 0.05 / 15 for result in results])
                columns.append(f"{coverage:.1%}, {width:.4f}, {small:.2%}")
            print(f"{seeds:5}  {luck:19}  {columns[0]:>41}   {columns[1]:>26}", flush=True)


if __name__ == "__main__":
    main()
