"""Former names in the files of a study, and the names that replace them: older studies can still be read."""

from typing import Any

KINDS = {"yardstick": "baseline", "hypothesis": "preregistration", "final": "test-evaluation"}
"""Kinds of steps, and the method of a baseline."""

KEYS = {"apart": "significant", "hypothesis": "preregistration"}
"""Keys of result files."""

FORMER_KINDS = {new: old for old, new in KINDS.items()}
"""The names that digests and the files of figures still use, so that renaming a kind changed neither."""


def with_current_names(content: Any) -> Any:
    """Return the content of ``study.json`` or of a result file with each former name replaced."""
    if isinstance(content, list):
        return [with_current_names(item) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        KEYS.get(key, key): KINDS.get(value, value)
        if key in {"kind", "method"} and isinstance(value, str)
        else with_current_names(value)
        for key, value in content.items()
    }
