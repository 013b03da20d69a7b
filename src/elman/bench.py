"""Two ways to do the same work, timed in turn in one process: A B A B …, and the ratio pair by pair.

A machine's speed drifts; a ratio of neighbours does not. This file measures; what is compared stands in
``benchmarks/comparisons.py`` of the source tree, with the peers.
"""

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elman.errors import ConfigError
from elman.memory import kept_memory
from elman.progress import Meter

TURNS, WARM_UP = 5, 1
PEAK_SIZE, PEAK_TURNS = 2_048, 9

Work = Callable[[], int]
"""Do some work, the same amount at every call, and return how many units it was."""


@dataclass(frozen=True)
class Comparison:
    """What is held to what.

    Attributes
    ----------
    name, peer
        What is measured, and what it is measured against.
    unit
        What a speed counts, in the plural: "tokens".
    aim
        The ratio that is hoped for.
    ours, theirs
        Make the work ready; what they return does it. Nothing of it is timed but the work itself.
    plain_flops
        Floating-point operations that the plain form needs for a unit; None where that is not asked.
    """

    name: str
    peer: str
    unit: str
    aim: float
    ours: Callable[[], Work]
    theirs: Callable[[], Work]
    plain_flops: float | None = None


def measure(comparison: Comparison, peak: float, turns: int = TURNS) -> dict[str, Any]:
    """Return, ready for JSON, both speeds (medians), and the ratio (median of pairs, with the least and the most).

    Parameters
    ----------
    comparison
        What is held to what.
    peak
        The machine's matrix products, in floating-point operations a second.
    turns
        How many pairs are timed, after one that warms up.
    """
    ours, theirs = comparison.ours(), comparison.theirs()
    speeds: list[tuple[float, float]] = []
    with Meter(comparison.name, turns + WARM_UP, "pairs") as meter:
        for turn in range(turns + WARM_UP):
            with kept_memory():  # as our training has it; the peer runs as in a script of its own
                mine = _speed(ours)
            pair = mine, _speed(theirs)
            if turn >= WARM_UP:
                speeds.append(pair)
            meter.advance(1)
    ratios = sorted(mine / other for mine, other in speeds)
    speed = statistics.median(mine for mine, _ in speeds)
    return {
        "name": comparison.name,
        "peer": comparison.peer,
        "unit": comparison.unit,
        "ratio": statistics.median(ratios),
        "ratio_least": ratios[0],
        "ratio_most": ratios[-1],
        "aim": comparison.aim,
        "per_second": speed,
        "peer_per_second": statistics.median(other for _, other in speeds),
        "share_of_peak": None if comparison.plain_flops is None else speed * comparison.plain_flops / peak,
    }


def matrix_product_peak() -> float:
    """Return the machine's floating-point operations a second in a large float32 matrix product."""
    a, b = torch.randn(PEAK_SIZE, PEAK_SIZE), torch.randn(PEAK_SIZE, PEAK_SIZE)
    spent = []
    for _ in range(PEAK_TURNS):
        started = time.perf_counter()
        a @ b
        spent.append(time.perf_counter() - started)
    return 2 * PEAK_SIZE**3 / min(spent)


def run(directory: Path, only: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row for each comparison whose name holds ``only``.

    Raises
    ------
    ConfigError
        There are no comparisons in ``directory``, or none has such a name.
    """
    path = directory / "comparisons.py"
    if not path.is_file():
        raise ConfigError(
            f"The peers to compare with are not in {directory}.", "Run this in the source tree, or name its benchmarks."
        )
    chosen = [comparison for comparison in _loaded(path).COMPARISONS if only in comparison.name]
    if not chosen:
        raise ConfigError(f"No comparison is called {only!r}.", "Leave --only out to see all.")
    torch.set_flush_denormal(True)
    peak = matrix_product_peak()
    for comparison in chosen:
        yield measure(comparison, peak)


def _speed(work: Work) -> float:
    started = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - started)


def _loaded(path: Path) -> Any:
    """The module of that file; its neighbours are found as it finds them when it is run as a script."""
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None  # the name ends in .py
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
