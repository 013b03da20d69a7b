"""Record every evaluation on a test split, permanently.

A figure on the test split is unbiased only once: after that, every change chosen with its help fits the test split. So
each opening is recorded in the data cache, under the checksum of the data, and from the second one on there is a
warning.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from elman.data.imdb import cache_root
from elman.errors import DataError
from elman.files import append_line

NAME = "ledger.jsonl"


@dataclass(frozen=True)
class Opening:
    """An entry of the ledger: one opening of a test split.

    Attributes
    ----------
    time
        The time in UTC, ISO 8601.
    data, checksum
        The name and the checksum of the data.
    run
        The directory of the run or the study that opened it.
    config
        SHA-256 of the run's configuration, or of the study's preregistration.
    earlier
        Number of earlier openings of the same data in the ledger.
    """

    time: str
    data: str
    checksum: str
    run: str
    config: str
    earlier: int = 0


def openings(checksum: str) -> list[Opening]:
    """Return the openings of the data with this checksum, oldest first.

    Raises
    ------
    DataError
        The ledger is damaged.
    """
    ledger = cache_root() / NAME
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    entries = [_entry(line, number, ledger) for number, line in enumerate(lines, start=1)]
    return [entry for entry in entries if entry.checksum == checksum]


def _entry(line: str, number: int, ledger: Path) -> Opening:
    try:
        return Opening(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"Line {number} of the ledger {ledger}, which records openings of the test split, is damaged ({error}).",
            "Fix the line, or remove it if it is incomplete.",
        ) from error


def record_opening(
    data: str, checksum: str, run: str, config: str, warn: Callable[[str], None] = warnings.warn
) -> Opening:
    """Record that the test split is opened now, and warn if it was opened before. Call this before reading the split.

    Parameters
    ----------
    data, checksum, run, config
        As in :class:`Opening`.
    warn
        Function that is called with the warning.

    Raises
    ------
    DataError
        The ledger is damaged.
    """
    cache_root().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_root() / f".{NAME}.lock"):  # of two at the same time, one is the second
        earlier = openings(checksum)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Opening(now, data, checksum, run, config, earlier=len(earlier))
        append_line(cache_root() / NAME, json.dumps(asdict(entry)))
    if earlier:
        times, last = "once" if len(earlier) == 1 else f"{len(earlier)} times", earlier[-1]
        warn(
            f"THE TEST SPLIT OF {data.upper()} HAS BEEN OPENED BEFORE: {times}, last at {last.time} by {last.run}."
            " If the earlier result influenced any choice since, the new result is too optimistic."
        )
    return entry


def restore_opening(entry: Opening) -> None:
    """Add an opening from another machine's ledger, unless one with the same time and configuration is there."""
    recorded = {(opening.time, opening.config) for opening in openings(entry.checksum)}
    if (entry.time, entry.config) not in recorded:
        append_line(cache_root() / NAME, json.dumps(asdict(entry)))
