"""What is known of a language, and of given strings of it, as figures that a program can read."""

import math
import random
from collections.abc import Sequence
from typing import Any

from elman.languages.base import Language

EXAMPLES = 8


def facts(law: Language) -> dict[str, Any]:
    """Return a language's alphabet, entropy, mean length and floor, and a few strings (of seed 0)."""
    entropy, tokens = law.entropy(), law.mean_tokens()
    low, high = (nats / math.log(2) for nats in entropy.interval)
    return {
        "name": law.name,
        "alphabet": list(law.alphabet),
        "entropy_bits_per_string": entropy.bits_per_string,
        "entropy_bits_low": low,
        "entropy_bits_high": high,
        "floor_kind": entropy.kind,
        "entropy_samples": entropy.samples,
        "mean_tokens_per_string": tokens,
        "floor_nats_per_token": law.floor_nats_per_token(),
        "floor_nats_low": entropy.interval[0] / tokens,
        "floor_nats_high": entropy.interval[1] / tokens,
        "floor_perplexity": math.exp(law.floor_nats_per_token()),
        "examples": [law.to_text(string) for string in law.sample(EXAMPLES, random.Random(0))],
    }


def checked(law: Language, lines: Sequence[str]) -> dict[str, Any]:
    """Return of each string the answer to every question that the language knows to ask, and its probability."""
    strings = []
    for line in lines:
        string = law.from_text(line)
        log_prob = law.log_prob(string)
        possible = log_prob > -math.inf
        strings.append(
            {
                "text": line,
                **law.judge(string),
                "log_prob": log_prob if possible else None,
                "probability": math.exp(log_prob) if possible else 0.0,
            }
        )
    return {"language": law.name, "strings": strings}
