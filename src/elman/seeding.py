"""Named random generators derived from one seed.

Every random choice has a name ("weights", "batches of epoch 3", "step 117"), and its generator depends only on the
run's seed and that name. A resumed run therefore draws the same numbers as an uninterrupted one, although no generator
state is saved. A change in one place, such as one more dropout, does not affect the random choices in another.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive(seed: int, *name: str | int) -> int:
    """Return the 63-bit seed for ``name``: the first eight bytes of a SHA-256, shifted right by one bit."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *name: str | int) -> np.random.Generator:
    """Return the NumPy generator for ``name``."""
    return np.random.default_rng(derive(seed, *name))


@contextmanager
def torch_seeded(seed: int, *name: str | int) -> Iterator[None]:
    """Seed torch's generators for ``name`` within the block, and restore their states after it."""
    import torch  # imported here because commands without a model do not need it

    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]  # torch's
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed: without a GPU it stores every call, with its stack, for a later CUDA initialization.
        torch.default_generator.manual_seed(derive(seed, *name))
        if cuda:
            torch.cuda.manual_seed_all(derive(seed, *name))
        if torch.backends.mps.is_available():
            torch.mps.manual_seed(derive(seed, *name))
        yield
