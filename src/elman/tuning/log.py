"""Log the trials of a search, so that searches can be compared at equal numbers of trials or at equal time.

Trials count in the order of their numbers. Time is the sum of the trials' times, also if several processes ran them at
once, so it does not depend on the number of processes.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

NAMES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
TRIALS_FOR_IMPORTANCE = 10
"""Number of complete trials that an estimate of the importance of the settings needs."""

Log = dict[str, Any]


class Point(NamedTuple):
    """The best value of a search at one moment: after an epoch of a trial.

    Attributes
    ----------
    trials
        Number of trials begun, including this one.
    seconds
        Time spent.
    value
        The best validation metric.
    """

    trials: int
    seconds: float
    value: float


def read_log(optuna_study: Study) -> Log:
    """Return the search's log, ready for JSON: settings, all trials, the best one, and the importance of settings."""
    trials = [_entry(trial) for trial in optuna_study.get_trials(deepcopy=False)]
    maximize = optuna_study.direction == StudyDirection.MAXIMIZE
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = (max if maximize else min)(complete, key=lambda trial: trial["value"]) if complete else None
    return {
        "study": optuna_study.study_name,
        "metric": optuna_study.user_attrs["metric"],
        "direction": "maximize" if maximize else "minimize",
        "search": optuna_study.user_attrs["search"],
        "seconds": sum(trial["seconds"] for trial in trials),
        "best": best and best["number"],
        "importance": _importance(optuna_study, len(complete)),
        "trials": trials,
    }


def best_so_far(log: Log) -> Iterator[Point]:
    """Yield the best value after every epoch of every complete trial; of other trials only the time counts.

    With ``--keep last``, only the last epoch of a trial counts.
    """
    better = max if log["direction"] == "maximize" else min
    only_last = log.get("search", {}).get("loop.keep") == "last"
    best: float | None = None
    trials, seconds = 0, 0.0
    for trial in log["trials"]:
        if trial["state"] == "running":
            continue
        trials += 1
        epochs = trial["epochs"] if trial["state"] == "complete" else []
        for epoch in epochs[-1:] if only_last else epochs:
            best = epoch["value"] if best is None else better(best, epoch["value"])
            yield Point(trials, seconds + epoch["seconds"], best)
        seconds += trial["seconds"]


def best_after_trials(log: Log, count: int) -> float | None:
    """Return the best validation value of the first ``count`` trials; None if none of them is complete.

    >>> epochs = [[{"epoch": 1, "value": value, "seconds": 8.0}] for value in (0.8, 0.9)]
    >>> trials = [{"state": "complete", "seconds": 9.0, "epochs": epoch} for epoch in epochs]
    >>> best_after_trials({"direction": "maximize", "trials": trials}, 1)
    0.8
    """
    return _last(point for point in best_so_far(log) if point.trials <= count)


def best_after_seconds(log: Log, seconds: float) -> float | None:
    """Return the best validation value within the first ``seconds``; None if there was none yet.

    >>> epochs = [[{"epoch": 1, "value": value, "seconds": 8.0}] for value in (0.8, 0.9)]
    >>> trials = [{"state": "complete", "seconds": 9.0, "epochs": epoch} for epoch in epochs]
    >>> [best_after_seconds({"direction": "maximize", "trials": trials}, seconds) for seconds in (7.0, 16.0, 17.0)]
    [None, 0.8, 0.9]
    """
    return _last(point for point in best_so_far(log) if point.seconds <= seconds)


def _last(points: Iterator[Point]) -> float | None:
    values = [point.value for point in points]
    return values[-1] if values else None


def _entry(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": NAMES[trial.state],
        "value": trial.user_attrs.get("best"),
        "best_epoch": trial.user_attrs.get("best_epoch"),
        "params": trial.params,
        "seconds": trial.user_attrs.get("seconds", 0.0),
        "reason": trial.user_attrs.get("reason"),
        "epochs": trial.user_attrs.get("epochs", []),
    }


def restore_trial(entry: dict[str, Any], distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """Return the trial of an entry in ``log["trials"]``; a trial that had not ended counts as failed.

    Raises
    ------
    ValueError
        A setting is outside its distribution.
    """
    attributes = {name: entry[name] for name in ("best_epoch", "seconds", "reason", "epochs")} | {
        "best": entry["value"]
    }
    finished = {name: state for state, name in NAMES.items() if state.is_finished()}
    state = finished.get(entry["state"], TrialState.FAIL)
    return create_trial(
        state=state,
        value=entry["value"] if state == TrialState.COMPLETE else None,
        params=entry["params"],
        distributions={name: distributions[name] for name in entry["params"]},
        user_attrs={name: value for name, value in attributes.items() if value is not None},
        intermediate_values={epoch["epoch"]: epoch["value"] for epoch in entry["epochs"]},
    )


def _importance(optuna_study: Study, complete: int) -> dict[str, float] | None:
    """Return the share of the variance that each setting explains, by PED-ANOVA (Watanabe et al., IJCAI 2023)."""
    if complete < TRIALS_FOR_IMPORTANCE:
        return None
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # the import takes two seconds

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return get_param_importances(optuna_study, evaluator=PedAnovaImportanceEvaluator())
        except UserWarning:  # too many trials have the same value
            return None
