"""Two ways to do the same work, timed in turn in one process: A B A B …, and the ratio pair by pair.

A machine's speed drifts; a ratio of neighbours does not. Memory is measured with each side in a process of its own,
where nothing of the other's is left. This file measures; what is compared stands in ``benchmarks/comparisons.py`` of
the source tree, with the peers.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elman.errors import ConfigError
from elman.memory import kept_memory
from elman.progress import Meter

TURNS, WARM_UP = 5, 1
PEAK_SIZE, PEAK_TURNS = 2_048, 9
PROCESS_STATUS = Path("/proc/self/status")
"""Where Linux tells a process its memory; elsewhere none is compared."""
MEGABYTE = 1e6

Work = Callable[[], int]
"""Do some work, the same amount at every call, and return how many units it was."""


@dataclass(frozen=True)
class Comparison:
    """Whose speed is held to whose.

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
    alike
        Raises an error where the two do not compute the same; None where they do not claim to.
    """

    name: str
    peer: str
    unit: str
    aim: float
    ours: Callable[[], Work]
    theirs: Callable[[], Work]
    plain_flops: float | None = None
    alike: Callable[[], None] | None = None


@dataclass(frozen=True)
class MemoryComparison:
    """Whose peak memory is held to whose; less is better.

    Attributes
    ----------
    name, peer
        What is measured, and what it is measured against. No other comparison has the name.
    aim
        The ratio that is hoped for.
    ours, theirs
        Make the work ready; what they return does it. All of this counts, the making too, but no import.
    """

    name: str
    peer: str
    aim: float
    ours: Callable[[], Work]
    theirs: Callable[[], Work]


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

    Raises
    ------
    ElmanError
        The two are not alike; nothing was timed.
    """
    if comparison.alike is not None:
        comparison.alike()
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
    row = _row(comparison, speeds, better="more", unit=f"{comparison.unit}/s")
    share = None if comparison.plain_flops is None else row["value"] * comparison.plain_flops / peak
    return row | {"share_of_peak": share}


def measure_memory(comparison: MemoryComparison, path: Path, turns: int = TURNS) -> dict[str, Any]:
    """Return, ready for JSON, both peaks above import (medians, in megabytes) and the ratio.

    Parameters
    ----------
    comparison
        What is held to what.
    path
        The file that it stands in; a process of its own reads it for each side at every turn.
    turns
        How many pairs there are.
    """
    peaks: list[tuple[float, float]] = []
    with Meter(comparison.name, turns, "pairs") as meter:
        for _ in range(turns):
            mine = _peak_elsewhere(path, comparison.name, "ours")
            peaks.append((mine, _peak_elsewhere(path, comparison.name, "theirs")))
            meter.advance(1)
    return _row(comparison, peaks, better="less", unit="MB") | {"share_of_peak": None}


def peak_above_import(path: Path, name: str, side: str) -> float:
    """Do one side's work once, and return how far this process's memory rose above what it was after its imports.

    Parameters
    ----------
    path
        The file of the comparisons.
    name
        Which of them.
    side
        "ours" or "theirs".

    Returns
    -------
    Megabytes.
    """
    [comparison] = [each for each in _loaded(path).COMPARISONS if each.name == name]
    imported = _memory("VmRSS")
    with kept_memory() if side == "ours" else nullcontext():
        getattr(comparison, side)()()
    return (_memory("VmHWM") - imported) / MEGABYTE


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
    """Yield a row for each comparison whose name holds ``only``; of memory where the system tells it, on Linux.

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
    torch.set_flush_denormal(True)  # as our training has it
    try:
        peak = matrix_product_peak()
        for comparison in chosen:
            if isinstance(comparison, Comparison):
                yield measure(comparison, peak)
            elif PROCESS_STATUS.exists():
                yield measure_memory(comparison, path)
    finally:
        torch.set_flush_denormal(False)


def _speed(work: Work) -> float:
    started = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - started)


def _row(
    comparison: Comparison | MemoryComparison, pairs: list[tuple[float, float]], better: str, unit: str
) -> dict[str, Any]:
    ratios = sorted(mine / other for mine, other in pairs)
    return {
        "name": comparison.name,
        "peer": comparison.peer,
        "better": better,
        "ratio": statistics.median(ratios),
        "ratio_least": ratios[0],
        "ratio_most": ratios[-1],
        "aim": comparison.aim,
        "unit": unit,
        "value": statistics.median(mine for mine, _ in pairs),
        "peer_value": statistics.median(other for _, other in pairs),
    }


def _peak_elsewhere(path: Path, name: str, side: str) -> float:
    code = "import json, sys; from elman import bench; from pathlib import Path;"
    code += " print(json.dumps(bench.peak_above_import(Path(sys.argv[1]), *sys.argv[2:])))"
    command = [sys.executable, "-c", code, str(path), name, side]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(json.loads(printed))


def _memory(field: str) -> int:
    """Bytes, from a line such as "VmHWM:   12345 kB"."""
    [line] = [line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith(f"{field}:")]
    return 1024 * int(line.split()[1])


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
