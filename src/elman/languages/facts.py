"""Figures of a language and judgments of strings, ready for JSON."""

import math
import random
from collections.abc import Sequence
from typing import Any

from elman.languages import LANGUAGES
from elman.languages.base import Language, String

EXAMPLES = 8


def table() -> dict[str, Any]:
    """Return the name, the description, and the options with their defaults of every language in the table."""
    return {
        "languages": [
            {"name": name, "description": entry.description, "options": entry.options}
            for name, entry in LANGUAGES.items()
        ]
    }


def facts(language: Language) -> dict[str, Any]:
    """Return a language's alphabet, entropy, mean length and floor, and examples of its strings (of seed 0)."""
    entropy, tokens = language.entropy(), language.mean_tokens()
    low, high = (nats / math.log(2) for nats in entropy.interval)
    return {
        "name": language.name,
        "alphabet": list(language.alphabet),
        "entropy_bits_per_string": entropy.bits_per_string,
        "entropy_bits_low": low,
        "entropy_bits_high": high,
        "floor_kind": entropy.kind,
        "entropy_samples": entropy.samples,
        "mean_tokens_per_string": tokens,
        "floor_nats_per_token": language.floor_nats_per_token(),
        "floor_nats_low": entropy.interval[0] / tokens,
        "floor_nats_high": entropy.interval[1] / tokens,
        "floor_perplexity": math.exp(language.floor_nats_per_token()),
        "examples": [language.to_text(string) for string in language.sample(EXAMPLES, random.Random(0))],
    }


def judgments(language: Language, lines: Sequence[str]) -> dict[str, Any]:
    """Return, for the string on each line, its unknown symbols, the results of the language's tests, its probability.

    Blanks may separate the symbols (:meth:`Language.from_text`). Blanks at the ends of a line are ignored, unless the
    language contains the string with them.
    """
    strings = []
    for line in lines:
        string = _string_of(language, line)
        log_prob = language.log_prob(string)
        possible = log_prob > -math.inf
        strings.append(
            {
                "text": line,
                "unknown_symbols": [symbol for symbol in dict.fromkeys(string) if symbol not in language.alphabet],
                **language.judge(string),
                "log_prob": log_prob if possible else None,
                "probability": math.exp(log_prob) if possible else 0.0,
            }
        )
    return {"language": language.name, "alphabet": list(language.alphabet), "strings": strings}


def _string_of(language: Language, line: str) -> String:
    string = language.from_text(line)
    return string if language.is_member(string) else language.from_text(line.strip())
