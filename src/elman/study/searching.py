"""A step that searches for the settings a model learns best with; later steps take what it found (``from = "…"``)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elman.errors import DataError, RunError
from elman.files import read_json
from elman.study.work import Work, check_positive, identity
from elman.tuning import Search, best_so_far, default_space, parse_space, tune
from elman.tuning.space import configured

KEPT = ("number", "state", "value", "params", "seconds")
"""Of a trial."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How much is searched, and where."""

    trials: int = 20
    """Trials that there are to be."""
    seconds: float | None = None
    """Begin no trial when all together have taken so long."""
    processes: int = 1
    """That work on it beside each other, each with one thread unless the configuration says otherwise."""
    space: dict[str, Any] = field(default_factory=dict)
    """Section → field → values or a range; without it, the space that suits the model (``elman tune``)."""

    def __post_init__(self) -> None:
        check_positive("trials and processes", [self.trials, self.processes])
        check_positive("seconds", [] if self.seconds is None else [self.seconds])


def search(work: Work) -> dict[str, Any]:
    """Search until there are enough trials or the time is spent; go on with a search that was stopped.

    The log is kept in ``results/STEP/trials.json`` after each trial: a machine that is lost costs the trials that were
    running on it.

    Returns
    -------
    ``best_so_far``: after each epoch of each trial how many ``trials`` had begun, the ``seconds`` spent and the best
    ``value`` on validation, so that searches can be cut at equal trials and at equal time. ``trials``: settings,
    values and times of each. ``chosen``: the whole configuration of the best, as TOML.

    Raises
    ------
    RunError
        No trial came to its end.
    """
    options = work.options
    space = parse_space(options.space, f"the space of {work.name}") if options.space else default_space(work.config)
    config = work.config
    if options.processes > 1 and config.loop.threads is None:
        config = config.with_tables({"loop": {"threads": 1}}, work.name)
    kept = work.directory / "results" / work.name / "trials.json"
    directory = work.directory / "runs" / f"{work.name}-{work.unit[:8]}"
    work.earlier.append(_seconds_logged(kept, directory.name) / options.processes)
    log = tune(
        Search(
            config=config,
            space=space,
            directory=directory,
            trials=options.trials,
            hours=None if options.seconds is None else options.seconds / 3600,
            processes=options.processes,
            log=kept,
        ),
        work.report,
    )
    if log["best"] is None:
        raise RunError(f"No trial of {work.name} came to its end.", "Give it more trials or more time.")
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
        "trials": [{key: trial[key] for key in KEPT} for trial in log["trials"]],
        "pruned": sum(trial["state"] == "pruned" for trial in log["trials"]),
        "best_so_far": [point for i, point in enumerate(points) if _tells(points, i)],
        "chosen": configured(work.config, best["params"]).to_toml(),
    }


def _seconds_logged(path: Path, study: str) -> float:
    """Return what the trials of earlier sittings took; that a log is damaged is for ``tune`` to say."""
    try:
        log = read_json(path)
        return float(log["seconds"]) if log["study"] == study else 0.0
    except (DataError, KeyError, TypeError, ValueError):
        return 0.0


def _tells(points: list[dict[str, Any]], i: int) -> bool:
    """Whether a point is the first with its value, or the last of its trial; the others follow from these."""
    return i in (0, len(points) - 1) or (
        points[i]["value"] != points[i - 1]["value"] or points[i]["trials"] != points[i + 1]["trials"]
    )
