"""The database of a search: where it is, that it belongs to this search, and which trials in it nobody works on.

SQLite in the search's own folder, or PostgreSQL for several machines. Optuna keeps no state of its sampler, so each
trial is drawn by a sampler that follows from the search's seed and the trial's number: one process that is stopped and
started again draws what it would have drawn.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from elman.errors import ConfigError, DataError
from elman.extras import require
from elman.files import read_json
from elman.seeding import derive
from elman.tuning.log import Log, trial_of
from elman.tuning.space import Choice, Space, differences

RANDOM_TRIALS = 8
"""Drawn at random, before what was found guides the draws."""

PRUNED_FROM_EPOCH = 2
PRUNED_AFTER_TRIALS = 5
"""Complete trials that there must be before one is stopped for being worse than their median."""

BEAT_SECONDS = 60.0
LOST_AFTER_SECONDS = 15 * 60.0
"""A trial of another machine that has not said for so long that it is alive is taken to be lost."""

LOCK_SECONDS = 60.0
"""How long a process waits for another that writes to the same SQLite file."""


class SeededSampler(BaseSampler):
    """A tree-structured Parzen estimator (Bergstra et al., NIPS 2011) whose draws follow from seed and trial alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _of(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        seed = derive(self._seed, "trial", trial.number, name) % 2**32
        return TPESampler(n_startup_trials=RANDOM_TRIALS, multivariate=True, seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the knobs that are drawn together."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw them."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a knob alone, as the first trials do."""
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def opened(
    directory: Path,
    storage: str | None,
    identity: dict[str, Any],
    *,
    seed: int,
    direction: Literal["maximize", "minimize"],
    metric: str,
    turn: AbstractContextManager[None],
    space: Space,
    log: Path,
) -> Iterator[optuna.Study]:
    """Yield the search's study from its database, made if it is not there; within the block its errors are ours.

    One in the folder that was lost is made from the log.

    Parameters
    ----------
    directory
        The search's folder; the search is called as it is.
    storage
        ``postgresql://…``, or None for SQLite in the folder.
    identity
        What makes this search this search.
    seed
        That the draws follow from.
    direction, metric
        What to do with which figure.
    turn
        Keeps others from making the database at the same time.
    space
        What is searched.
    log
        Where the log of an earlier sitting may be.

    Raises
    ------
    ConfigError
        The database is of another search, or of a kind that is unknown or lacks its driver.
    DataError
        It cannot be reached, or is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_url(directory, storage)
    options = {"connect_args": {"timeout": LOCK_SECONDS}} if storage is None else {"pool_pre_ping": True}
    with _answering(url), ExitStack() as at_end:
        with turn:
            database = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
            at_end.callback(database.engine.dispose)
            at_end.callback(database.remove_session)
            study = optuna.create_study(
                storage=database,
                sampler=SeededSampler(seed),
                pruner=optuna.pruners.MedianPruner(PRUNED_AFTER_TRIALS, n_warmup_steps=PRUNED_FROM_EPOCH),
                study_name=directory.name,
                direction=direction,
                load_if_exists=True,
            )
            made = "search" in study.user_attrs
            earlier = _earlier(study, log) if storage is None and not made else None
            begun_as = earlier["search"] if earlier else study.user_attrs.get("search", identity)
            _refuse_other_settings(study, identity, begun_as, directory)
            if not made:
                for entry in earlier["trials"][len(study.trials) :] if earlier else []:
                    study.add_trial(trial_of(entry, distributions(space)))
                study.set_user_attr("metric", metric)
                study.set_user_attr("search", begun_as)
            _refuse_trials_of_another(study, directory)
        yield study


def _earlier(study: optuna.Study, path: Path) -> Log | None:
    """Return the log that there is of this search, if there is one."""
    if not path.exists():
        return None
    log: Log = read_json(path)
    return log if log["study"] == study.study_name else None


def _refuse_other_settings(
    study: optuna.Study, identity: dict[str, Any], begun_as: dict[str, Any], directory: Path
) -> None:
    found = list(differences(identity, begun_as))
    if found:
        raise ConfigError(
            f"The search {study.study_name} was begun with other settings: {'; '.join(found)}.",
            f"Give the same, or begin another search with --directory (this one is {directory}).",
        )


def _refuse_trials_of_another(study: optuna.Study, directory: Path) -> None:
    known = {trial.number for trial in study.get_trials(deepcopy=False)}
    for path in sorted(directory.glob("trial-*")):
        if not path.name.removeprefix("trial-").isdigit() or int(path.name.removeprefix("trial-")) not in known:
            raise ConfigError(f"{path} belongs to no trial of this search's database.", "Name another --directory.")


def database_url(directory: Path, storage: str | None) -> URL:
    """Return where the database is.

    Raises
    ------
    ConfigError
        Its kind is unknown, or the driver for it is not installed.
    """
    if storage is None:
        return URL.create("sqlite", database=str((directory / "trials.db").absolute()))
    try:
        url = make_url(storage)
    except SQLAlchemyError as error:
        raise ConfigError("--storage is no address of a database.", "Give postgresql://USER@HOST/DATABASE.") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(
            f"A search is not kept in {url.get_backend_name()}.",
            "Give --storage postgresql://USER@HOST/DATABASE, or leave it out for SQLite.",
        )
    require("postgres")
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def _answering(url: URL) -> Iterator[None]:
    """Turn the database's own errors within the block into one that says what to do; a password is not shown."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise DataError(
            f"The database {url.set(drivername=url.get_backend_name())} does not work ({cause}).",
            "Mend it and give the same command again; trials that were begun go on.",
        ) from error


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space in Optuna's terms."""
    found: dict[str, BaseDistribution] = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            found[name] = CategoricalDistribution(domain.values)
        elif isinstance(domain.low, int) and isinstance(domain.high, int):
            found[name] = IntDistribution(domain.low, domain.high, log=domain.log)
        else:
            found[name] = FloatDistribution(domain.low, domain.high, log=domain.log)
    return found


def running(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that have begun and not ended, whether or not anybody works on them."""
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def begun(study: optuna.Study) -> int:
    """Return how many trials there are, those that failed apart."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return len(study.get_trials(deepcopy=False, states=states))


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial of another machine has been silent for too long."""
    assert trial.datetime_start is not None  # it runs
    alive: float = trial.user_attrs.get("alive", trial.datetime_start.timestamp())
    return time.time() - alive > LOST_AFTER_SECONDS


@contextmanager
def heartbeat(trial: Trial) -> Iterator[None]:
    """Say now and then, within the block, that somebody works on this trial."""
    stop = threading.Event()
    trial.set_user_attr("alive", time.time())

    def beat() -> None:
        while not stop.wait(BEAT_SECONDS):
            with suppress(
                SQLAlchemyError, StorageInternalError, UpdateFinishedTrialError
            ):  # the trial will meet it too
                trial.set_user_attr("alive", time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
