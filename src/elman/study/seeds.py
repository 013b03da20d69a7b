"""Training several seeds of a step at the same time, in several processes of one machine."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from elman.files import try_lock
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.progress import Report
from elman.study.work import Datasets, Figures, Measure, SeedOptions, Work

CONTINUE = "Use the same elman study command to continue."


def measured(work: Work[Any], measure: Measure) -> Figures:
    """Return the figures of a step; with ``processes`` above 1 its seeds are measured at the same time.

    Parameters
    ----------
    work
        The step.
    measure
        The function of its kind.

    Raises
    ------
    Interrupted
        After Ctrl-C or a termination signal; each seed can be continued.
    ElmanError
        The error of one of the processes.
    """
    options = work.options
    if not isinstance(options, SeedOptions) or (processes := min(options.processes, len(options.seeds))) == 1:
        return measure(work)
    seconds = {seed: saved["seconds"] for seed in options.seeds if (saved := work.saved_seed(seed)) is not None}
    missing = [seed for seed in options.seeds if seed not in seconds]
    work.earlier_seconds.append(sum(seconds.values()) / processes)
    if missing:
        if work.configuration is not None:  # pretrain on all threads, before the processes share them
            pretrain(work.configuration, work.dataset(), work.report)
        shared = replace(work, options=replace(options, seeds=missing), report=print, datasets=Datasets())
        processes = min(options.processes, len(missing))
        run_in_processes(processes, partial(_measure_free_seeds, shared, measure), work.report, CONTINUE)
    return measure(replace(work, earlier_seconds=[]))  # all seeds are saved now, and this call measured their time


def _measure_free_seeds(work: Work[SeedOptions], measure: Measure, report: Report) -> None:
    """Measure one after the other the seeds that no other process measures."""
    torch.set_num_threads(1)
    for seed in work.options.seeds:
        lock = try_lock(work.directory / "runs" / f"{work.name}-{seed}.lock")
        if lock is None:
            continue
        try:
            if work.saved_seed(seed) is None:
                single = replace(work.options, seeds=[seed], processes=1)
                measure(replace(work, options=single, report=partial(_report, report, seed)))
        finally:
            lock.release()


def _report(report: Report, seed: int, line: str) -> None:
    report(f"seed {seed}  {line}")
