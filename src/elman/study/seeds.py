"""The seeds of a step beside each other, in several processes of one machine."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from elman.files import try_lock
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.progress import Report
from elman.study.work import Datasets, Measure, SeedOptions, Work

CONTINUE = "Continue with the same elman study."


def measured(work: Work, measure: Measure) -> dict[str, Any]:
    """Return the figures of a step; its seeds are measured beside each other, where its options say so.

    Parameters
    ----------
    work
        The step.
    measure
        Does the work of its kind.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; each seed goes on from where it was.
    ElmanError
        What one of the processes met.
    """
    options = work.options
    if not isinstance(options, SeedOptions) or (beside := min(options.processes, len(options.seeds))) == 1:
        return measure(work)
    there = {seed: kept["seconds"] for seed in options.seeds if (kept := work.kept(seed)) is not None}
    missing = [seed for seed in options.seeds if seed not in there]
    work.earlier.append(sum(there.values()) / beside)
    if missing:
        if work.configuration is not None:
            pretrain(work.configuration, work.dataset(), work.report)  # on all threads, while nothing runs beside it
        every_seed = replace(work, options=replace(options, seeds=missing), report=print, datasets=Datasets())
        run_in_processes(
            min(options.processes, len(missing)), partial(_take_seeds, every_seed, measure), work.report, CONTINUE
        )
    return measure(replace(work, earlier=[]))  # all are kept now; their time was this one's


def _take_seeds(work: Work, measure: Measure, report: Report) -> None:
    """Do one seed after the other that nobody else is at."""
    torch.set_num_threads(1)
    for seed in work.options.seeds:
        lock = try_lock(work.directory / "runs" / f"{work.name}-{seed}.lock")
        if lock is None:
            continue
        try:
            if work.kept(seed) is None:
                one = replace(work.options, seeds=[seed], processes=1)
                measure(replace(work, options=one, report=partial(_report, report, seed)))
        finally:
            lock.release()


def _report(report: Report, seed: int, line: str) -> None:
    report(f"seed {seed}  {line}")
