"""Keep freed memory in the process, for training steps that allocate large tensors over and over.

Glibc's malloc requests each block of more than 32 MiB from the system, and returns it when it is freed. The system
clears every page of a new block, which for a training step with arrays of a hundred megabytes takes as long as the
arithmetic on them. Within :func:`kept_memory`, freed blocks stay with the process (see mallopt(3); jemalloc and
tcmalloc do so by default). With another C library it does nothing.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, from malloc.h."""

MAX_BLOCK_BYTES = 2**30
DEFAULT_BYTES = 32 * 2**20
"""The size that glibc's own threshold grows to once a block of that size was freed."""

_depth = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory within the block, and return it to the system after the outermost block."""
    global _depth  # noqa: PLW0603 (the thresholds belong to the process)
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_THRESHOLD, MAX_BLOCK_BYTES)
    libc.mallopt(TRIM_THRESHOLD, MAX_BLOCK_BYTES)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            libc.mallopt(MMAP_THRESHOLD, DEFAULT_BYTES)
            libc.mallopt(TRIM_THRESHOLD, 2 * DEFAULT_BYTES)
            libc.malloc_trim(0)
