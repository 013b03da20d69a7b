"""The search: trial after trial, until there are enough or the time is spent.

    DIRECTORY/trials.db             the database, unless it is kept elsewhere
              results.json          the log of all trials (see elman.tuning.log); a lost database is made from it
              figures/search.svg    the best so far, by trials and by time
              trial-0003/           a run directory; of a finished trial its configuration and metrics alone

A trial is claimed by a lock on its folder. Whoever comes first takes up what was interrupted or killed, from its last
checkpoint on; only then new trials begin. So any number of processes may work on one search, and any may end at any
moment.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, Trial, TrialState

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError
from elman.files import try_lock, write_json
from elman.pretraining import pretrain
from elman.processes import run_in_processes
from elman.progress import Report, seconds
from elman.runs import Run, refuse_run
from elman.tuning.database import (
    begun,
    distributions,
    heartbeat,
    is_lost,
    opened,
    running,
)
from elman.tuning.log import Log, best_so_far, read_log
from elman.tuning.space import Space, already, check, configured, fixed
from elman.tuning.trial import CONTINUE, METRICS, run_trial, trial_path

ELSEWHERE = {"data.imdb", "loop.threads", "loop.accelerator"}
"""What may differ between two machines: the same data may lie in another place (its checksum is compared), and another
device may compute. A trial that is taken up keeps its own.
"""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, where it is kept, and how much may be spent on it.

    Attributes
    ----------
    config
        What is fixed.
    space
        What is not.
    directory
        Where the trials are kept.
    trials
        How many there are to be, those of earlier sittings and of other processes among them.
    hours
        Begin no trial when all together have taken so long, summed over processes and sittings.
    storage
        ``postgresql://…`` where several machines share the search; None for SQLite in ``directory``.
    processes
        How many of this machine work on it beside each other.
    log
        Where the log is kept; None for ``results.json`` in ``directory``.
    """

    config: RunConfig
    space: Space
    directory: Path
    trials: int = 20
    hours: float | None = None
    storage: str | None = None
    processes: int = 1
    log: Path | None = None

    @property
    def log_path(self) -> Path:
        """Where the log is kept."""
        return self.log or self.directory / "results.json"

    def __post_init__(self) -> None:
        for name in ("trials", "processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} must be 1 or more, not {getattr(self, name)}.", "Choose another value.")
        if self.hours is not None and not 0 < self.hours < float("inf"):
            raise ConfigError(f"--hours must be positive, not {self.hours}.", "Choose another value.")
        if self.config.data.task not in METRICS:
            raise ConfigError(
                "Which pretraining is better, the classifiers that begin with it can say.",
                "Search those: --pretrain-epochs instead of --task pretraining.",
            )
        check(self.space, self.config)


def tune(search: Search, report: Report = print) -> Log:
    """Search until there are enough trials or the time is spent; return the log, which is kept too.

    Parameters
    ----------
    search
        What, where and how much.
    report
        What to do with the lines that say how it goes.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end; every trial goes on from where it was with the next call.
    ConfigError
        The database is of another search, which the message tells from this one; or the directory is a run's.
    DataError
        The data or the database cannot be reached or read.
    """
    refuse_run(search.directory)
    dataset = open_dataset(search.config.data)
    with _opened(search, dataset) as study:
        for name, domain in search.space.items():
            report(f"search {name}: {domain}")
        if running(study) or not _enough(search, study):
            pretrain(search.config, dataset, report)  # on all threads, while no trial runs
        if search.processes == 1:
            work(search, study, dataset, report)
        else:
            run_in_processes(search.processes, partial(_worker, search), report, CONTINUE)
        log = _write_log(search, study)
    if points := list(best_so_far(log)):
        from elman.report.figures import search_figure  # loads matplotlib, which the processes need not

        search_figure(search.directory / "figures" / "search.svg", log, points)
    return log


def _opened(search: Search, dataset: Dataset) -> AbstractContextManager[optuna.Study]:
    metric, direction = METRICS[search.config.data.task]
    settings = {name: value for name, value in fixed(search.config, search.space).items() if name not in ELSEWHERE}
    searched = {f"{name} (searched)": str(domain) for name, domain in search.space.items()}
    identity = {"checksum of the data": dataset.fingerprint, **settings, **searched}
    search.directory.mkdir(parents=True, exist_ok=True)
    return opened(
        search.directory,
        search.storage,
        identity,
        seed=search.config.loop.seed,
        direction=direction,
        metric=metric,
        turn=_turn(search),
        space=search.space,
        log=search.log_path,
    )


def work(search: Search, study: optuna.Study, dataset: Dataset, report: Report) -> None:
    """Run trials in this process, until none is to be begun or taken up.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal to end.
    """
    _sweep(search, study)
    while (claimed := _claim(search, study, dataset)) is not None:
        trial, run, lock = claimed
        try:
            with heartbeat(trial):
                run_trial(study, trial, run, dataset, report)
        finally:
            lock.release()
        report(_standing(search, _write_log(search, study)))


def _sweep(search: Search, study: optuna.Study) -> None:
    """Drop the weights of trials that ended, if a process was killed before it could."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)):
        path = trial_path(search.directory, trial.number)
        if (path / "vocab.json").exists() and (lock := _lock(path)) is not None:
            Run(path).keep_only_metrics()
            lock.release()


@contextmanager
def _turn(search: Search) -> Iterator[None]:
    """Let one process of this machine at a time claim trials and write the log."""
    with FileLock(search.directory / ".turn.lock"):
        yield


def _claim(search: Search, study: optuna.Study, dataset: Dataset) -> tuple[Trial, Run, FileLock] | None:
    """Take up a trial that nobody works on, or begin one; None where enough have begun."""
    with _turn(search):
        for stale in running(study):
            path = trial_path(search.directory, stale.number)
            if (path / "config.toml").exists():
                if (lock := _lock(path)) is not None:
                    return Trial(study, stale._trial_id), Run(path), lock
            elif search.storage is None or is_lost(stale):  # of this machine it never came to a folder
                study.tell(stale.number, state=TrialState.FAIL, skip_if_finished=True)
        if _enough(search, study):
            return None
        if begun(study) == 0 and not study.get_trials(
            states=(TrialState.WAITING,)
        ):  # the first is what one would have trained without a search
            study.enqueue_trial(already(search.config, search.space))
        trial = study.ask(fixed_distributions=distributions(search.space))
        try:
            config = configured(search.config, trial.params)
        except ConfigError:  # the space was checked, but not every combination in it
            study.tell(trial, state=TrialState.FAIL)
            raise
        run = Run.create(trial_path(search.directory, trial.number), config, dataset)
        lock = _lock(run.path)
        assert lock is not None  # the folder is new
        _logged(search, study)  # so that a database made from the log knows whose folder it is
        return trial, run, lock


def _enough(search: Search, study: optuna.Study) -> bool:
    """Return whether no other trial is to be begun."""
    return begun(study) >= search.trials or _spent(study) >= 3600 * (search.hours or float("inf"))


def _lock(trial: Path) -> FileLock | None:
    return try_lock(trial / ".trial.lock")


def _spent(study: optuna.Study) -> float:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False)
    return float(sum(trial.user_attrs.get("seconds", 0.0) for trial in trials))


def _write_log(search: Search, study: optuna.Study) -> Log:
    with _turn(search):
        return _logged(search, study)


def _logged(search: Search, study: optuna.Study) -> Log:
    log = read_log(study)
    write_json(search.log_path, log)
    return log


def _standing(search: Search, log: Log) -> str:
    """How many trials, the best of them, the time spent and left."""
    ended = [trial for trial in log["trials"] if trial["state"] in ("complete", "pruned")]
    left = max(search.trials - len(ended), 0) * sum(trial["seconds"] for trial in ended) / max(len(ended), 1)
    if search.hours is not None:
        left = min(left, max(3600 * search.hours - log["seconds"], 0.0))
    best = "none complete yet"
    if log["best"] is not None:
        best = f"best {log['metric'].replace('_', ' ')} {log['trials'][log['best']]['value']:.4f} (trial {log['best']})"
    return (
        f"{len(ended)} of {search.trials} trials  {best}  {seconds(log['seconds'])} in trials"
        f"  {seconds(left / search.processes)} left"
    )


def _worker(search: Search, report: Report) -> None:
    dataset = open_dataset(search.config.data)
    with _opened(search, dataset) as study:
        work(search, study, dataset, report)
