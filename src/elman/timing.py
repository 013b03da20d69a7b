"""Two ways to do the same work, timed in turn in one process: A B A B …, for the ratio of each pair.

A machine's speed drifts; the ratio of neighbors does not.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from elman.progress import Meter

TURNS, WARM_UP = 5, 1

Work = Callable[[], int]
"""Do some work, the same amount at every call, and return how many units it was."""


def speeds_in_pairs(
    ours: Work,
    theirs: Work,
    description: str,
    turns: int = TURNS,
    around_ours: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[tuple[float, float]]:
    """Return the speeds of both, in units per second, for each of ``turns`` pairs after one that warms up.

    ``around_ours`` makes a context that ours runs in.
    """
    pairs = []
    with Meter(description, turns + WARM_UP, "pairs") as meter:
        for turn in range(turns + WARM_UP):
            with around_ours():
                speed = _speed(ours)
            pair = speed, _speed(theirs)
            if turn >= WARM_UP:
                pairs.append(pair)
            meter.advance(1)
    return pairs


def _speed(work: Work) -> float:
    started = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - started)
