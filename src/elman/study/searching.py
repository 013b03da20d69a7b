"""A step that searches for the settings that a model learns best with; later steps use them by ``from = "STEP"``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elman.errors import DataError, RunError
from elman.files import read_json
from elman.study.work import Figures, Work, check_positive, identity
from elman.tuning import Search, best_so_far, default_space, parse_space, tune
from elman.tuning.space import configured

TRIAL_KEYS = ("number", "state", "value", "params", "seconds")
"""What a result file holds of each trial."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How long to search, and in which space."""

    trials: int = 20
    """The total number of trials, including those of earlier calls."""
    seconds: float | None = None
    """Start no trial when all trials together have taken this long."""
    processes: int = 1
    """Trials that run at the same time, each on one thread unless the configuration sets ``threads``."""
    space: dict[str, Any] = field(default_factory=dict)
    """Section → field → values or a range. The default is the default space of the model (``elman tune``)."""

    def __post_init__(self) -> None:
        check_positive("trials and processes", [self.trials, self.processes])
        check_positive("seconds", [] if self.seconds is None else [self.seconds])


def search(work: Work[SearchOptions]) -> Figures:
    """Search until the number of trials is reached or the time is spent; continue a search that was interrupted.

    The log is saved in ``results/STEP/trials.json`` after each trial, so an interruption costs only the trials that
    were running.

    Returns
    -------
    ``best_so_far``: after each epoch of each trial the number of ``trials`` that had begun, the ``seconds`` spent and
    the best ``value`` on validation, so that searches can be compared at equal trials and at equal time. ``trials``:
    settings, values and times of each. ``chosen``: the whole configuration of the best trial, as TOML.

    Raises
    ------
    RunError
        No trial was completed.
    """
    options = work.options
    space = parse_space(options.space, f"the space of {work.name}") if options.space else default_space(work.config)
    config = work.config
    if options.processes > 1 and config.loop.threads is None:
        config = config.with_tables({"loop": {"threads": 1}}, work.name)
    log_path = work.directory / "results" / work.name / "trials.json"
    directory = work.directory / "runs" / f"{work.name}-{work.unit[:8]}"
    work.earlier_seconds.append(_seconds_logged(log_path, directory.name) / options.processes)
    log = tune(
        Search(
            config=config,
            space=space,
            directory=directory,
            trials=options.trials,
            hours=None if options.seconds is None else options.seconds / 3600,
            processes=options.processes,
            log=log_path,
        ),
        work.report,
    )
    if log["best"] is None:
        raise RunError(f"No trial of {work.name} was completed.", "Use more trials or more seconds.")
    best = log["trials"][log["best"]]
    points = [point._asdict() for point in best_so_far(log)]
    return {
        "data": identity(work.dataset()),
        "metric": log["metric"],
        "direction": log["direction"],
        "space": {name: str(domain) for name, domain in space.items()},
        "seconds": log["seconds"],
        "best": best,
        "importance": log["importance"],
        "trials": [{key: trial[key] for key in TRIAL_KEYS} for trial in log["trials"]],
        "pruned": sum(trial["state"] == "pruned" for trial in log["trials"]),
        "best_so_far": [point for i, point in enumerate(points) if _is_informative(points, i)],
        "chosen": configured(work.config, best["params"]).to_toml(),
    }


def _seconds_logged(path: Path, study: str) -> float:
    """Return the duration of the trials of earlier calls; ``tune`` reports a damaged log."""
    try:
        log = read_json(path)
        return float(log["seconds"]) if log["study"] == study else 0.0
    except (DataError, KeyError, TypeError, ValueError):
        return 0.0


def _is_informative(points: list[Figures], i: int) -> bool:
    """Return whether a point is the first with its value, or the last of its trial; the others follow from these."""
    return i in (0, len(points) - 1) or (
        points[i]["value"] != points[i - 1]["value"] or points[i]["trials"] != points[i + 1]["trials"]
    )
