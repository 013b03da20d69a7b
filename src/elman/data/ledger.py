"""Every opening of a test split, for good.

A test split tells the truth once: whoever looks, changes something and looks again is choosing on it. So each opening
is written down where the data is cached, under the checksum of the data, and the second is said loudly.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

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


def record_opening(data: str, checksum: str, run: str, config: str) -> Opening:
    """Write down that the test split is opened now. Call it before the split is read."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Opening(now, data, checksum, run, config, earlier=len(openings(checksum)))
    append_line(cache_root() / NAME, json.dumps(asdict(entry)))
    return entry


def restore_opening(entry: Opening) -> None:
    """Write down an opening that another machine's ledger holds; not twice."""
    if entry not in openings(entry.checksum):
        append_line(cache_root() / NAME, json.dumps(asdict(entry)))
