"""What a report knows of the steps of a study."""

from typing import Any

Figures = dict[str, Any]
"""What a step measured, as its result file has it."""

Steps = dict[str, Figures]
"""Step → its figures."""


def better_than_guessing(figure: Figures, found: Figures) -> bool:
    """Return whether an accuracy, with the ends of its interval, lies above that of a step that guesses a class."""
    return figure["low"] is None or figure["low"] > 1 / len(found["class_names"])
