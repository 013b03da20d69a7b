"""Compare the speed and the memory of the fast forms with what they replace, and print the ratios.

    python benchmarks/bench.py [--only lstm] [--json build/bench.json]

A ratio is the median of pairs, with the smallest and the largest; of speeds more is better, of memory less. Memory is
measured with each side in a process of its own. IMDb is needed; it takes about ten minutes, and nothing else should run
at the same time. ``comparisons.py`` has the comparisons.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from elman.environment import set_openmp_defaults

set_openmp_defaults()  # before torch is imported: for both sides, as the command does

import torch  # noqa: E402
from comparison import Comparison, MemoryComparison  # noqa: E402

from elman.errors import ConfigError  # noqa: E402
from elman.files import write_json  # noqa: E402
from elman.memory import kept_memory  # noqa: E402
from elman.progress import Meter  # noqa: E402
from elman.timing import TURNS, speeds_in_pairs  # noqa: E402

PEAK_SIZE, PEAK_TURNS = 2_048, 9
PROCESS_STATUS = Path("/proc/self/status")
"""Where Linux tells a process its memory; elsewhere none is compared."""
MEGABYTE = 1e6


def measure(comparison: Comparison, peak: float, turns: int = TURNS) -> dict[str, Any]:
    """Return, ready for JSON, both speeds (medians), and the ratio (median of pairs, with the least and the most).

    Parameters
    ----------
    comparison
        The two sides.
    peak
        The machine's matrix products, in floating-point operations a second.
    turns
        How many pairs are timed, after one that warms up.

    Raises
    ------
    ElmanError
        The two sides compute different things; nothing was timed.
    """
    if comparison.alike is not None:
        comparison.alike()
    # kept_memory as our training has it; the peer runs as in a script of its own.
    speeds = speeds_in_pairs(comparison.ours(), comparison.theirs(), comparison.name, turns, kept_memory)
    row = _row(comparison, speeds, better="more", unit=f"{comparison.unit}/s")
    share = None if comparison.plain_flops is None else row["value"] * comparison.plain_flops / peak
    return row | {"share_of_peak": share}


def measure_memory(comparison: MemoryComparison, path: Path, turns: int = TURNS) -> dict[str, Any]:
    """Return, ready for JSON, both peaks above import (medians, in megabytes) and the ratio.

    Parameters
    ----------
    comparison
        The two sides.
    path
        The file of the comparison; a new process reads it for each side at every turn.
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


def peak_above_import(module: Any, name: str, side: str) -> float:
    """Do one side's work once, and return how far this process's memory rose above what it was after its imports.

    Parameters
    ----------
    module
        Has the comparisons.
    name
        Which of them.
    side
        "ours" or "theirs".

    Returns
    -------
    Megabytes.
    """
    [comparison] = [each for each in module.COMPARISONS if each.name == name]
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


def run(comparisons: Iterable[Comparison | MemoryComparison], path: Path, only: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row for each comparison whose name contains ``only``; of memory on Linux.

    ``path`` is the file of the comparisons, which other processes read.

    Raises
    ------
    ConfigError
        None has such a name.
    """
    chosen = [comparison for comparison in comparisons if only in comparison.name]
    if not chosen:
        raise ConfigError(f"No comparison has {only!r} in its name.", "Leave out --only to see all.")
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


def print_row(row: dict[str, Any]) -> None:
    """Print a comparison on one line."""
    share = "" if row["share_of_peak"] is None else f", {row['share_of_peak']:.0%} of the matrix-product peak"
    print(
        f"{row['name']} : {row['peer']}  {row['ratio']:.2f} × ({row['ratio_least']:.2f} to {row['ratio_most']:.2f};"
        f" aim {row['aim']:g} × or {row['better']})  {row['value']:,.0f} {row['unit']} against"
        f" {row['peer_value']:,.0f}{share}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the fast forms with what they replace.")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    import comparisons

    rows = []
    for row in run(comparisons.COMPARISONS, Path(comparisons.__file__), arguments.only):
        print_row(row)
        rows.append(row)
    if arguments.json is not None:
        write_json(arguments.json, {"rows": rows})


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
    code = f"import json, sys; sys.path[:0] = [{str(path.parent)!r}, {str(Path(__file__).parent)!r}]; import bench;"
    code += f" import {path.stem}; print(json.dumps(bench.peak_above_import({path.stem}, *sys.argv[1:])))"
    command = [sys.executable, "-c", code, name, side]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(json.loads(printed))


def _memory(field: str) -> int:
    """Bytes, from a line such as "VmHWM:   12345 kB"."""
    [line] = [line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith(f"{field}:")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
