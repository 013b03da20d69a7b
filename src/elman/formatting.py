"""Number formats, one for each kind of figure, and the few text formats that go with them.

Every number in a report is written by one of these functions, so a reader can trace it to a result file.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from elman.progress import seconds


def percent(share: float) -> str:
    """Format a share: ``87.20%``."""
    return f"{share:.2%}"


def points(difference: float) -> str:
    """Format a difference of shares in percentage points: ``1.24``."""
    return f"{100 * difference:.2f}"


def count(number: float) -> str:
    """Format a count: ``20,000``."""
    return f"{number:,.0f}"


def tenths(number: float) -> str:
    """Format a mean of counts: ``1,087.3``."""
    return f"{number:,.1f}"


def nats(value: float) -> str:
    """Format a cross-entropy: ``0.3199``."""
    return f"{value:.4f}"


def excess(value: float) -> str:
    """Format a small difference of cross-entropies: ``0.00028``."""
    return f"{value:.5f}"


def plain(value: float) -> str:
    """Format a number that a person chose, with all its digits: ``0.002``."""
    return f"{value:g}"


def digits(value: float) -> str:
    """Format a number with three significant digits: ``0.00213``."""
    return f"{value:.3g}"


def times(ratio: float) -> str:
    """Format a ratio: ``1.40``."""
    return f"{ratio:,.2f}"


def setting(value: Any) -> str:
    """Format the value of an option: ``true``, ``max``, ``300``, ``0.00213``; an absent one as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return digits(value) if isinstance(value, float) else str(value)


def probability(p: float | None) -> str:
    """Format a p-value: ``0.0314`` or ``< 0.0001``; an absent one as a dash."""
    return "–" if p is None else f"{p:.4f}" if p >= 0.00005 else "< 0.0001"


def moment(time: str) -> str:
    """Format an ISO time to the minute: ``2026-11-26 13:01``."""
    return time[:16].replace("T", " ")


def interval(figure: dict[str, Any], write: Callable[[float], str] = percent) -> str:
    """Format the ends of a figure's 95% interval: ``86.25% to 88.10%``."""
    return "–" if figure["low"] is None else f"{write(figure['low'])} to {write(figure['high'])}"


def with_interval(figure: dict[str, Any], write: Callable[[float], str] = percent) -> str:
    """Format a figure with its 95% interval: ``87.20% (86.25% to 88.10%)``."""
    return write(figure["mean"]) + (f" ({interval(figure, write)})" if figure["low"] is not None else "")


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence: ``mlp, rnn and lstm``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def with_names(sentence: str, names: Sequence[str]) -> str:
    """Insert names into a sentence at ``{}``; without names there is no sentence."""
    return sentence.format(listed(names)) if names else ""


def by_group(groups: dict[str, list[str]]) -> str:
    """Join the names that a label holds for: ``higher for mlp and rnn; lower for lstm``; empty groups are left out."""
    return "; ".join(f"{label} for {listed(names)}" for label, names in groups.items() if names)


def spread(figures: dict[str, float], write: Callable[[float], str]) -> str:
    """Format the range of named figures: ``0.99% (mlp) to 64.14% (rnn)``."""
    least, most = (pick(figures, key=lambda name: figures[name]) for pick in (min, max))
    low, high = write(figures[least]), write(figures[most])
    return f"{low} ({listed(list(figures))})" if low == high else f"{low} ({least}) to {high} ({most})"


def escaped(text: str) -> str:
    """Escape a line of text for Markdown; a line break becomes ⏎."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text).replace("\n", " ⏎ ")


FILTERS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        percent,
        points,
        count,
        tenths,
        nats,
        excess,
        plain,
        digits,
        setting,
        times,
        probability,
        interval,
        moment,
        with_interval,
        listed,
        escaped,
        seconds,
    )
}
"""The formats by name, as templates and the texts of a study's questions use them."""
