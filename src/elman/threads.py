"""How many CPU threads a training uses, and how they wait for each other.

Two OpenMP threads that wait for each other by spinning lose nearly all their speed as soon as another program takes a
core. The variables of :data:`WAIT_POLICY` make them sleep after a short while; OpenMP reads them when torch is loaded,
so the command sets them first of all. A program that imports elman sets them itself, before it imports torch.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from elman.config import ModelConfig, RunConfig
from elman.progress import Report

THREADS_PER_CORE = 4
"""More threads only wait for each other."""

SEVERAL_THREADS_FROM = {"mlp": 64, "elman": 512, "rnn": 512, "gru": 512, "lstm": 64}
"""The hidden size from which a training uses several threads by default.

Below it several threads wait longer for each other than they compute. For the recurrences that go step by step this is
so at a hidden size of 300: a second thread makes a step 1.1 times as fast on an idle machine, and 0.7 times as fast
when another program takes one of the two cores.
"""

PROBE_PAIRS = 3
CLEARLY_FASTER = 1.3


@contextmanager
def compute_threads(config: RunConfig, report: Report) -> Iterator[None]:
    """Within the block use the threads that the run asks for, or that suit its model; numbers near zero count as zero.

    Denormal numbers cost a hundred times as much as others. The flag is per thread: worker threads that were made
    before it was set keep computing with such numbers.
    """
    before = torch.get_num_threads()
    threads = config.loop.threads or default_threads(config.model, before)
    most = THREADS_PER_CORE * (os.cpu_count() or 1)
    if threads > most:  # the run may have been started on a larger machine
        report(f"NOTE: this machine computes with at most {most} threads, not with {threads}.")
    torch.set_num_threads(min(threads, most))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def default_threads(model: ModelConfig, most: int) -> int:
    """Return how many of at most ``most`` threads suit a model."""
    return most if model.hidden_size >= SEVERAL_THREADS_FROM[model.layer] else 1


def faster_thread_count(work: Callable[[], object], cores: int) -> tuple[int, float] | None:
    """Time ``work`` with the current number of threads and with the other choice, one thread or one per core, in pairs.

    Returns
    -------
    The other number of threads and how many times faster it is (the median of the pairs), or None where it is not
    clearly faster.
    """
    now = torch.get_num_threads()
    other = cores if now == 1 else 1
    ratios = []
    try:
        for _ in range(PROBE_PAIRS):
            seconds = []
            for threads in (now, other):
                torch.set_num_threads(threads)
                started = time.perf_counter()
                work()
                seconds.append(time.perf_counter() - started)
            ratios.append(seconds[0] / seconds[1])
    finally:
        torch.set_num_threads(now)
    ratio = statistics.median(ratios)
    return (other, ratio) if other != now and ratio >= CLEARLY_FASTER else None
