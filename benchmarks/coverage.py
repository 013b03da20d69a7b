"""How often a 95% interval of the difference between two equally good models holds zero, on fresh seeds and texts; and
how often its p-value is below a fifteenth of 0.05, where the first of fifteen that are corrected together must lie.

    python benchmarks/coverage.py

Two models classify 1,000 texts. A text is right where a sum is positive: how easy it is (mean 1.6, deviation 1), how it
suits the model (0.4), how lucky the seed is (the table's second column), and noise (0.4). About 87% are right.
"""

import numpy as np
from numpy.typing import NDArray

from elman.statistics import Difference, paired_bootstrap, welch_over_seeds

DRAWS = 1_000
TEXTS = 1_000
RESAMPLES = 400


def draw(seeds: int, luck: float, chance: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Return (seeds, texts) for each of the two models."""
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
    print("seeds  deviation of a seed  bootstrap: covers, width, p < 0.05 / 15   Welch over seeds: the same")
    for seeds in (3, 5, 8):
        for luck in (0.0, 0.03, 0.1, 0.3):
            found: list[list[Difference]] = []
            for number in range(DRAWS):
                a, b = draw(seeds, luck, np.random.default_rng((seeds, round(100 * luck), number)))
                means = [scores.mean(axis=1).tolist() for scores in (a, b)]
                found.append([paired_bootstrap(a, b, seed=number, resamples=RESAMPLES), welch_over_seeds(*means)])
            covers = [np.mean([each.low <= 0 <= each.high for each in test]) for test in zip(*found, strict=True)]
            width = [np.mean([each.high - each.low for each in test]) for test in zip(*found, strict=True)]
            tail = [np.mean([each.p < 0.05 / 15 for each in test]) for test in zip(*found, strict=True)]
            each_test = [f"{a:.1%}, {b:.4f}, {c:.2%}" for a, b, c in zip(covers, width, tail, strict=True)]
            print(f"{seeds:5}  {luck:19}  {each_test[0]:>39}   {each_test[1]:>26}", flush=True)


if __name__ == "__main__":
    main()
