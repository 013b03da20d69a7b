"""Memory for large tensors that the process keeps instead of asking the system for it at every step.

Glibc's malloc takes blocks of more than 32 MiB from the system one by one and gives each back when it is freed. The
system clears every page anew, and for a step that makes a few arrays of a hundred megabytes this costs as much as the
arithmetic on them. Within :func:`kept_memory` freed blocks stay with the process. (mallopt(3); jemalloc and tcmalloc do
the same unasked.) Where the C library is another, nothing happens.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, as malloc.h numbers them."""

LARGEST = 2**30
_blocks: list[object] = []  # those that are entered
AS_BEFORE = 32 * 2**20
"""What glibc's own threshold has grown to once a block of that size was freed."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory within the block; behind it, give it back to the system."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc, block = ctypes.CDLL(None), object()
    libc.mallopt(MMAP_THRESHOLD, LARGEST)
    libc.mallopt(TRIM_THRESHOLD, LARGEST)
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)
        if not _blocks:  # none is around this one
            libc.mallopt(MMAP_THRESHOLD, AS_BEFORE)
            libc.mallopt(TRIM_THRESHOLD, 2 * AS_BEFORE)
            libc.malloc_trim(0)
