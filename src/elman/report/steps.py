"""What a report knows of the steps of a study."""

from typing import Any

Figures = dict[str, Any]
"""What a step measured, as its result file has it."""

Steps = dict[str, Figures]
"""Step → its figures."""
