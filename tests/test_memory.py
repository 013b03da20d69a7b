"""Freed memory stays with the process within the block, and is returned to the system after it."""

import platform
import resource

import pytest
import torch

from elman.memory import kept_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the thresholds are those of glibc")

NUMBERS = 16_000_000  # 64 MB


def page_faults(times: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(NUMBERS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_freed_memory_is_kept_within_the_block_and_returned_after_it() -> None:
    without = page_faults(5)
    with kept_memory():
        page_faults(20)  # aligned blocks are reused only after some calls
        assert page_faults(5) < without / 5
        with kept_memory():
            page_faults(1)
        assert page_faults(5) < without / 5
        resident = resident_bytes()
    assert resident_bytes() < resident - 2 * NUMBERS
