"""Freed memory stays with the process within the block, and goes back behind it."""

import platform
import resource
import time

import pytest
import torch

from elman.memory import kept_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told what to keep")

NUMBERS = 16_000_000  # 64 MB


def page_faults(times: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(NUMBERS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_memory_is_kept_within_and_given_back_behind() -> None:
    without = page_faults(5)
    with kept_memory():
        page_faults(20)  # aligned blocks settle only after a while
        assert page_faults(5) < without / 5
        with kept_memory():
            page_faults(1)
        assert page_faults(5) < without / 5
        kept = resident_bytes()
    time.sleep(0.01)
    assert resident_bytes() < kept - 2 * NUMBERS
