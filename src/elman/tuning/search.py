"""Search: run trial after trial, until there are enough or the time is spent.

    DIRECTORY/trials.db             the database, unless PostgreSQL is used
              results.json          the log of all trials (see elman.tuning.log); a lost database is restored from it
              figures/search.svg    the best value, by trials and by time
              trial-0003/           a run directory; of a finished trial, only its configuration and metrics

A process claims a trial by a lock on its folder. It continues interrupted trials, each from its last checkpoint, before
it begins new ones. So several processes can work on one search, and any of them can end at any moment.
"""

from functools import partial
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.trial import Trial, TrialState

from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError
from elman.files import try_lock, write_json
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.progress import Report, seconds
from elman.runs import Run, refuse_run
from elman.tuning.database import distributions, heartbeat, is_lost, open_database
from elman.tuning.log import Log, best_so_far, read_log
from elman.tuning.settings import CONTINUE, Search
from elman.tuning.space import configured, current_values
from elman.tuning.trial import run_trial

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""The states of trials that count towards ``Search.trials``; failed ones do not."""


def tune(search: Search, report: Report = print) -> Log:
    """Search until there are enough trials or the time is spent, and return the log, which is saved too.

    Parameters
    ----------
    search
        The search and its budget.
    report
        Function that is called with lines on the progress.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM; the next call continues every trial.
    ConfigError
        The database belongs to another search (the message names the differences), or the directory is a run's.
    DataError
        The data or the database cannot be reached or read.
    """
    refuse_run(search.directory)
    search.directory.mkdir(parents=True, exist_ok=True)
    dataset = open_dataset(search.config.data)
    with open_database(search, dataset.fingerprint) as optuna_study:
        for name, domain in search.space.items():
            report(f"search {name}: {domain}")
        if _trials(optuna_study, TrialState.RUNNING) or not _is_complete(search, optuna_study):
            pretrain(search.config, dataset, report)  # with all threads, before any trial runs
        if search.processes == 1:
            run_trials(search, optuna_study, dataset, report)
        else:
            run_in_processes(search.processes, partial(_run_worker, search), report, CONTINUE)
        with search.lock():
            log = _write_log(search, optuna_study)
    if points := list(best_so_far(log)):
        from elman.report.figures import search_figure  # loads matplotlib, which the processes do not need

        search_figure(search.directory / "figures" / "search.svg", log, points)
    return log


def run_trials(search: Search, optuna_study: optuna.Study, dataset: Dataset, report: Report) -> None:
    """Run trials in this process, until there are none left to begin or to continue.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM.
    """
    _remove_weights(search, optuna_study)
    while (claim := _claim(search, optuna_study, dataset)) is not None:
        trial, run, lock = claim
        try:
            with heartbeat(trial):
                run_trial(optuna_study, trial, run, dataset, report)
        finally:
            lock.release()
        with search.lock():
            log = _write_log(search, optuna_study)
        report(_status(search, log))


def _run_worker(search: Search, report: Report) -> None:
    dataset = open_dataset(search.config.data)
    with open_database(search, dataset.fingerprint) as optuna_study:
        run_trials(search, optuna_study, dataset, report)


def _remove_weights(search: Search, optuna_study: optuna.Study) -> None:
    """Remove the weights of finished trials, which a killed process may have left."""
    for trial in _trials(optuna_study, *FINISHED):
        path = search.trial_path(trial.number)
        if (path / "vocab.json").exists() and (lock := _lock(path)) is not None:
            Run(path).keep_only_metrics()
            lock.release()


def _claim(search: Search, optuna_study: optuna.Study, dataset: Dataset) -> tuple[Trial, Run, FileLock] | None:
    """Claim an interrupted trial, or begin a new one; return None if the search is complete."""
    with search.lock():
        for interrupted in _trials(optuna_study, TrialState.RUNNING):
            path = search.trial_path(interrupted.number)
            if (path / "config.toml").exists():
                if (lock := _lock(path)) is not None:
                    return Trial(optuna_study, interrupted._trial_id), Run(path), lock
            elif search.storage is None or is_lost(interrupted):  # a trial of this machine that never got a folder
                optuna_study.tell(interrupted.number, state=TrialState.FAIL, skip_if_finished=True)
        if _is_complete(search, optuna_study):
            return None
        if not _trials(optuna_study, *COUNTED, TrialState.WAITING):
            # The first trial has the settings that a training without a search would have.
            optuna_study.enqueue_trial(current_values(search.config, search.space))
        trial = optuna_study.ask(fixed_distributions=distributions(search.space))
        try:
            config = configured(search.config, trial.params)
        except ConfigError:  # the space was checked, but not every combination in it
            optuna_study.tell(trial, state=TrialState.FAIL)
            raise
        run = Run.create(search.trial_path(trial.number), config, dataset)
        lock = _lock(run.path)
        assert lock is not None  # the folder is new
        _write_log(search, optuna_study)  # so that a database restored from the log knows the trial of this folder
        return trial, run, lock


def _trials(optuna_study: optuna.Study, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
    return optuna_study.get_trials(deepcopy=False, states=states)


def _is_complete(search: Search, optuna_study: optuna.Study) -> bool:
    """Return whether no further trial may begin."""
    spent = sum(trial.user_attrs.get("seconds", 0.0) for trial in optuna_study.get_trials(deepcopy=False))
    has_time = search.hours is None or spent < 3600 * search.hours
    return not has_time or len(_trials(optuna_study, *COUNTED)) >= search.trials


def _lock(trial: Path) -> FileLock | None:
    return try_lock(trial / ".trial.lock")


def _write_log(search: Search, optuna_study: optuna.Study) -> Log:
    """Write the log and return it; hold ``search.lock()`` meanwhile."""
    log = read_log(optuna_study)
    write_json(search.log_path, log)
    return log


def _status(search: Search, log: Log) -> str:
    """Return a line with the number of trials, the best one, the time spent and the time left."""
    finished = [trial for trial in log["trials"] if trial["state"] in ("complete", "pruned")]
    mean_seconds = sum(trial["seconds"] for trial in finished) / max(len(finished), 1)
    remaining = max(search.trials - len(finished), 0) * mean_seconds
    if search.hours is not None:
        remaining = min(remaining, max(3600 * search.hours - log["seconds"], 0.0))
    best = "none complete yet"
    if log["best"] is not None:
        best = f"best {log['metric'].replace('_', ' ')} {log['trials'][log['best']]['value']:.4f} (trial {log['best']})"
    return (
        f"{len(finished)} of {search.trials} trials  {best}  {seconds(log['seconds'])} in trials"
        f"  {seconds(remaining / search.processes)} left"
    )
