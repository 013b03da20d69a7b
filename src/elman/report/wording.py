"""How a report writes a figure. Every number in a report goes through one of these, so that it can be traced."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from elman.progress import seconds


def percent(share: float) -> str:
    """Write a share: ``87.20%``."""
    return f"{share:.2%}"


def points(difference: float) -> str:
    """Write a difference of shares, in percentage points: ``1.24``."""
    return f"{100 * difference:.2f}"


def count(number: float) -> str:
    """Write how many: ``20,000``."""
    return f"{number:,.0f}"


def tenths(number: float) -> str:
    """Write a mean of counts: ``1,087.3``."""
    return f"{number:,.1f}"


def nats(value: float) -> str:
    """Write a cross-entropy: ``0.3199``."""
    return f"{value:.4f}"


def excess(value: float) -> str:
    """Write a small difference of cross-entropies: ``0.00028``."""
    return f"{value:.5f}"


def plain(value: float) -> str:
    """Write a number that was given, as it was given: ``0.002``."""
    return f"{value:g}"


def digits(value: float) -> str:
    """Write a number that was drawn, with three digits: ``0.00213``."""
    return f"{value:.3g}"


def times(ratio: float) -> str:
    """Write how many times: ``1.40``."""
    return f"{ratio:,.2f}"


def setting(value: str | bool | float) -> str:
    """Write what an option was set to: ``true``, ``max``, ``0.00213``."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else digits(value)


def probability(p: float | None) -> str:
    """Write a p-value: ``0.0314``; very small ones as less than the last digit, and one that is not there as a dash."""
    return "–" if p is None else f"{p:.4f}" if p >= 0.00005 else "< 0.0001"


def moment(time: str) -> str:
    """Write a time to the minute: ``2026-11-26 13:01``."""
    return time[:16].replace("T", " ")


def interval(figure: dict[str, Any], write: Callable[[float], str] = percent) -> str:
    """Write the ends of a figure's 95% interval: ``86.25% to 88.10%``."""
    return "–" if figure["low"] is None else f"{write(figure['low'])} to {write(figure['high'])}"


def with_interval(figure: dict[str, Any], write: Callable[[float], str] = percent) -> str:
    """Write a figure with its 95% interval: ``87.20% (86.25% to 88.10%)``."""
    return write(figure["mean"]) + (f" ({interval(figure, write)})" if figure["low"] is not None else "")


def listed(names: Sequence[str]) -> str:
    """Write names as a person lists them: ``mlp, rnn and lstm``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def escaped(text: str) -> str:
    """Write a text, within a line, so that no sign in it means anything to Markdown; a line's end is written as ⏎."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text).replace("\n", " ⏎ ")


FILTERS = {
    "percent": percent,
    "points": points,
    "count": count,
    "tenths": tenths,
    "nats": nats,
    "excess": excess,
    "plain": plain,
    "digits": digits,
    "setting": setting,
    "times": times,
    "probability": probability,
    "interval": interval,
    "moment": moment,
    "with_interval": with_interval,
    "listed": listed,
    "escaped": escaped,
    "seconds": seconds,
}
