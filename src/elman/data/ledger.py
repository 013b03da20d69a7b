"""Every opening of a test split, for good.

A test split tells the truth once: whoever looks, changes something and looks again is choosing on it. So each opening
is written down where the data is cached, under the checksum of the data, and the second is said loudly.
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
    """One opening.

    Attributes
    ----------
    time
        When, UTC, ISO 8601.
    data, checksum
        Of what.
    run
        By which run, or which study: its directory.
    config
        SHA-256 of that run's configuration; of a study, of its hypothesis.
    earlier
        How many openings of the same data the ledger held before.
    """

    time: str
    data: str
    checksum: str
    run: str
    config: str
    earlier: int = 0


def openings(checksum: str) -> list[Opening]:
    """Return the earlier openings of the data with that checksum, oldest first.

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
            f"Line {number} of the ledger {ledger} cannot be read ({error}).",
            "Mend it, or remove that line if it is torn; it tells when the test split was opened.",
        ) from error


def record_opening(
    data: str, checksum: str, run: str, config: str, warn: Callable[[str], None] = warnings.warn
) -> Opening:
    """Write down that the test split is opened now, and say it if it is not the first time. Call it before it is read.

    Raises
    ------
    DataError
        The ledger is damaged.
    """
    cache_root().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_root() / f".{NAME}.lock"):  # of two that open it beside each other one is the second
        earlier = openings(checksum)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Opening(now, data, checksum, run, config, earlier=len(earlier))
        append_line(cache_root() / NAME, json.dumps(asdict(entry)))
    if earlier:
        times, last = "once" if len(earlier) == 1 else f"{len(earlier)} times", earlier[-1]
        warn(
            f"THE TEST SPLIT OF {data.upper()} HAS BEEN OPENED BEFORE: {times}, last at {last.time} by {last.run}."
            " If anything was chosen since by what was seen then, what is seen now is too good."
        )
    return entry


def restore_opening(entry: Opening) -> None:
    """Write down an opening that another machine's ledger holds; not twice, whatever either calls its place."""
    known = {(each.time, each.config) for each in openings(entry.checksum)}
    if (entry.time, entry.config) not in known:
        append_line(cache_root() / NAME, json.dumps(asdict(entry)))
