"""Search for the settings that a model learns best with."""

from elman.tuning.log import best_after_seconds, best_after_trials, best_so_far
from elman.tuning.search import tune
from elman.tuning.settings import Search
from elman.tuning.space import Choice, Range, Space, default_space, parse_space

__all__ = [
    "Choice",
    "Range",
    "Search",
    "Space",
    "best_after_seconds",
    "best_after_trials",
    "best_so_far",
    "default_space",
    "parse_space",
    "tune",
]
