"""The search: trial after trial, until there are enough or the time is spent.

    DIRECTORY/trials.db             the database, unless it is kept elsewhere
              results.json          the log of all trials (see elman.tuning.log); a lost database is made from it
              figures/search.svg    the best so far, by trials and by time
              trial-0003/           a run directory; of a finished trial its configuration and metrics alone

A trial is claimed by a lock on its folder. Whoever comes first takes up what was interrupted or killed, from its last
checkpoint on; only then new trials begin. So any number of processes may work on one search, and any may end at any
moment.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from elman.config import Kept, RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.errors import ConfigError, ElmanError, Interrupted, NonFiniteLoss
from elman.files import write_json
from elman.processes import beside_each_other
from elman.progress import seconds
from elman.report.figures import search_figure
from elman.runs import Run
from elman.training import train
from elman.tuning.database import (
    PRUNED_FROM_EPOCH,
    begun,
    distributions,
    heartbeat,
    is_lost,
    opened,
    running,
)
from elman.tuning.log import Log, best_so_far, read_log
from elman.tuning.space import Space, already, check, configured, fixed

Report = Callable[[str], None]

Direction = Literal["maximize", "minimize"]
METRICS: dict[str, tuple[str, Direction]] = {
    "classification": ("val_accuracy", "maximize"),
    "language-model": ("val_cross_entropy_nats", "minimize"),
}
CONTINUE = "Continue with the same elman tune."
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
        The database is of another search, which the message tells from this one.
    DataError
        The data or the database cannot be reached or read.
    """
    dataset = open_dataset(search.config.data)
    with _opened(search, dataset) as study:
        for name, domain in search.space.items():
            report(f"search {name}: {domain}")
        if search.processes == 1:
            work(search, study, dataset, report)
        else:
            beside_each_other(search.processes, partial(_worker, search), report, CONTINUE)
        log = _write_log(search, study)
    if points := list(best_so_far(log)):
        search_figure(search.directory / "figures" / "search.svg", log, points)
    return log


def _opened(search: Search, dataset: Dataset) -> AbstractContextManager[optuna.Study]:
    metric, direction = METRICS[search.config.data.task]
    settings = {name: value for name, value in fixed(search.config, search.space).items() if name not in ELSEWHERE}
    searched = {f"{name} (searched)": str(domain) for name, domain in search.space.items()}
    identity = {"checksum of the data": dataset.checksum, **settings, **searched}
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
        if (path / "vocab.json").exists() and (lock := _locked(path)) is not None:
            Run(path).keep_figures_alone()
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
                if (lock := _locked(path)) is not None:
                    return Trial(study, stale._trial_id), Run(path), lock
            elif search.storage is None or is_lost(stale):  # of this machine it never came to a folder
                study.tell(stale.number, state=TrialState.FAIL, skip_if_finished=True)
        if begun(study) >= search.trials or _spent(study) >= 3600 * (search.hours or float("inf")):
            return None
        if begun(study) == 0 and not study.get_trials(
            states=(TrialState.WAITING,)
        ):  # the first is what one would have trained without a search
            study.enqueue_trial(already(search.config, search.space))
        trial = study.ask(fixed_distributions=distributions(search.space))
        config = configured(search.config, trial.params)
        run = Run.create(trial_path(search.directory, trial.number), config, dataset)
        lock = _locked(run.path)
        assert lock is not None  # the folder is new
        _logged(search, study)  # so that a database made from the log knows whose folder it is
        return trial, run, lock


def _locked(path: Path) -> FileLock | None:
    lock = FileLock(path / ".trial.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def trial_path(directory: Path, number: int) -> Path:
    """Where a trial's run directory is."""
    return directory / f"trial-{number:04d}"


def run_trial(study: optuna.Study, trial: Trial, run: Run, dataset: Dataset, report: Report) -> None:
    """Train a trial to its end, or until it is worse than the median of others; drop all but its figures.

    A training that diverges ends its trial as one that is pruned: the search learns to keep away from there.
    """
    metric, _ = METRICS[run.config.data.task]
    note = _Notes(study, trial, metric, run.config.loop.keep)
    epochs = run.config.loop.epochs

    def after_epoch(figures: dict[str, Any]) -> None:
        note.epoch(figures)
        if PRUNED_FROM_EPOCH <= figures["epoch"] < epochs and trial.should_prune():
            raise optuna.TrialPruned

    report(f"trial {trial.number}: {', '.join(f'{name} {_shown(value)}' for name, value in trial.params.items())}")
    try:
        for figures in run.metrics("epoch"):  # taken up: what an earlier sitting had no time to say
            after_epoch(figures)
        train(run, dataset, lambda line: report(f"trial {trial.number}  {line}"), after_epoch)
        note.end()
        study.tell(trial, trial.user_attrs["best"], skip_if_finished=True)
    except optuna.TrialPruned:
        note.end("pruned: worse than the median")
        report(f"trial {trial.number}  stopped: worse than the median of the others after as many epochs")
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except NonFiniteLoss as error:
        note.end(error.problem)
        report(f"trial {trial.number}  stopped: {error.problem}")
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        report(f"trial {trial.number}  stopped: another machine took it to be lost")
    except Interrupted as stop:
        note.end()
        raise Interrupted(stop.problem, CONTINUE) from stop
    except (ElmanError, MemoryError, RuntimeError) as error:
        note.end(str(error))
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    run.keep_figures_alone()


class _Notes:
    """What a trial leaves in the database: its epochs with their times, the one whose weights are kept, the seconds."""

    def __init__(self, study: optuna.Study, trial: Trial, metric: str, keep: Kept) -> None:
        self._trial, self._metric, self._keep = trial, metric, keep
        self._better = max if study.direction == optuna.study.StudyDirection.MAXIMIZE else min
        # A process may be killed between the two places that an epoch is noted in.
        self._reported = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self._before, self._started = trial.user_attrs.get("seconds", 0.0), time.monotonic()

    @property
    def _spent(self) -> float:
        return float(self._before + time.monotonic() - self._started)

    def epoch(self, figures: dict[str, Any]) -> None:
        """Note the figures of an epoch, unless they are there already."""
        epochs = list(self._trial.user_attrs.get("epochs", []))
        number, value = figures["epoch"], figures[self._metric]
        if number not in self._reported:
            self._trial.report(value, number)
            self._reported.add(number)
        if any(noted["epoch"] == number for noted in epochs):
            return
        epochs.append({"epoch": number, "value": value, "seconds": self._spent})
        best = epochs[-1] if self._keep == "last" else self._better(epochs, key=lambda noted: noted["value"])
        self._trial.set_user_attr("best", best["value"])
        self._trial.set_user_attr("best_epoch", best["epoch"])
        self._trial.set_user_attr("epochs", epochs)
        self._trial.set_user_attr("seconds", self._spent)

    def end(self, reason: str | None = None) -> None:
        """Note the time, and why the trial ended."""
        self._trial.set_user_attr("seconds", self._spent)
        if reason is not None:
            self._trial.set_user_attr("reason", reason)


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


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _worker(search: Search, report: Report) -> None:
    dataset = open_dataset(search.config.data)
    with _opened(search, dataset) as study:
        work(search, study, dataset, report)
