"""One seed, many named generators.

Every random choice has a name ("weights", "batches of epoch 3", "step 117"), and its generator is made from the
run's seed and that name alone. So a run that is interrupted and resumed draws what it would have drawn, without
any generator's state being saved; and a change in one place (one more dropout) moves no choice in another.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive(seed: int, *name: str | int) -> int:
    """Return a seed of 63 bits for what ``name`` names: the first bytes of a SHA-256."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *name: str | int) -> np.random.Generator:
    """Return the NumPy generator of that name."""
    return np.random.default_rng(derive(seed, *name))


@contextmanager
def torch_seeded(seed: int, *name: str | int) -> Iterator[None]:
    """Let torch draw from the generator of that name within the block, and as before after it."""
    import torch  # here, so that a command without a model need not load it

    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]  # torch's
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed: where there is no GPU it notes each call, with its stack, for one that might come.
        torch.default_generator.manual_seed(derive(seed, *name))
        if cuda:
            torch.cuda.manual_seed_all(derive(seed, *name))
        if torch.backends.mps.is_available():
            torch.mps.manual_seed(derive(seed, *name))
        yield
