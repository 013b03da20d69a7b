"""What a search has found so far, in a form that can be cut at a number of trials or at a time.

Trials count in the order of their numbers. Time is what the trials took, one after another: where several ran beside
each other it is the sum over processes. So two searches can be compared whatever they ran on, if on like processors.
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
"""Complete trials; of fewer nobody can tell which knob mattered."""

Log = dict[str, Any]


class Point(NamedTuple):
    """The best so far, after an epoch of a trial.

    Attributes
    ----------
    trials
        How many had begun, this one among them.
    seconds
        Spent until then.
    value
        The best on validation.
    """

    trials: int
    seconds: float
    value: float


def read_log(study: Study) -> Log:
    """Return the search's log, ready for JSON: what was searched, every trial, the best of them, and what mattered."""
    trials = [_entry(trial) for trial in study.get_trials(deepcopy=False)]
    maximize = study.direction == StudyDirection.MAXIMIZE
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = (max if maximize else min)(complete, key=lambda trial: trial["value"]) if complete else None
    return {
        "study": study.study_name,
        "metric": study.user_attrs["metric"],
        "direction": "maximize" if maximize else "minimize",
        "search": study.user_attrs["search"],
        "seconds": sum(trial["seconds"] for trial in trials),
        "best": best and best["number"],
        "importance": _importance(study, len(complete)),
        "trials": trials,
    }


def best_so_far(log: Log) -> Iterator[Point]:
    """Yield the best value after every epoch of every complete trial; of others, never chosen, the time counts.

    Where the weights after the last epoch are what is kept, only the end of a trial counts.
    """
    better = max if log["direction"] == "maximize" else min
    last_alone = log.get("search", {}).get("loop.keep") == "last"
    best: float | None = None
    begun, spent = 0, 0.0
    for trial in log["trials"]:
        if trial["state"] == "running":
            continue
        begun += 1
        counted = trial["epochs"] if trial["state"] == "complete" else []
        if last_alone:
            counted = counted[-1:]
        for epoch in counted:
            best = epoch["value"] if best is None else better(best, epoch["value"])
            yield Point(begun, spent + epoch["seconds"], best)
        spent += trial["seconds"]


def best_after_trials(log: Log, count: int) -> float | None:
    """Return the best value on validation that the first ``count`` trials reached; None if they reached none.

    >>> epochs = [[{"epoch": 1, "value": value, "seconds": 8.0}] for value in (0.8, 0.9)]
    >>> trials = [{"state": "complete", "seconds": 9.0, "epochs": each} for each in epochs]
    >>> best_after_trials({"direction": "maximize", "trials": trials}, 1)
    0.8
    """
    return _last(point for point in best_so_far(log) if point.trials <= count)


def best_after_seconds(log: Log, seconds: float) -> float | None:
    """Return the best value on validation that the first ``seconds`` reached; None if they reached none.

    >>> epochs = [[{"epoch": 1, "value": value, "seconds": 8.0}] for value in (0.8, 0.9)]
    >>> trials = [{"state": "complete", "seconds": 9.0, "epochs": each} for each in epochs]
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


def trial_of(entry: dict[str, Any], domains: dict[str, BaseDistribution]) -> FrozenTrial:
    """Return the trial that a log's entry was made of; one that had not ended is lost, and counts as failed.

    Parameters
    ----------
    entry
        Of ``log["trials"]``.
    domains
        Where each knob was searched.

    Raises
    ------
    ValueError
        A setting is in no such place.
    """
    notes = {name: entry[name] for name in ("best_epoch", "seconds", "reason", "epochs")} | {"best": entry["value"]}
    ended = {name: state for state, name in NAMES.items() if state.is_finished()}
    state = ended.get(entry["state"], TrialState.FAIL)
    return create_trial(
        state=state,
        value=entry["value"] if state == TrialState.COMPLETE else None,
        params=entry["params"],
        distributions={name: domains[name] for name in entry["params"]},
        user_attrs={name: note for name, note in notes.items() if note is not None},
        intermediate_values={epoch["epoch"]: epoch["value"] for epoch in entry["epochs"]},
    )


def _importance(study: Study, complete: int) -> dict[str, float] | None:
    """The share of the spread between good and poor trials that each knob explains (Watanabe et al., IJCAI 2023)."""
    if complete < TRIALS_FOR_IMPORTANCE:
        return None
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # takes two seconds

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except UserWarning:  # too many trials are equally good for some to be called better
            return None
