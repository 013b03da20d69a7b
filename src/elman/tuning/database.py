"""Keep the trials of a search in a database: SQLite in the search's folder, or PostgreSQL for several machines.

Optuna calls the trials of one search a study; here that object is named ``optuna_study``, because a study of this
package is something else. Optuna does not save the state of its sampler. So each trial is drawn by a sampler whose seed
follows from the search's seed and the trial's number: a search that is stopped and continued by one process draws the
same trials as without the interruption.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

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
from optuna.trial import FrozenTrial, Trial
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from elman.errors import ConfigError, DataError
from elman.extras import require
from elman.files import read_json
from elman.seeding import derive
from elman.tuning.log import Log, restore_trial
from elman.tuning.settings import Search
from elman.tuning.space import Choice, Range, Space, differences

RANDOM_TRIALS = 8
"""Number of trials that are drawn at random, before earlier results guide the draws."""

PRUNED_FROM_EPOCH = 2
PRUNED_AFTER_TRIALS = 5
"""A trial can be pruned, for being worse than the median, after this many trials are complete."""

BEAT_SECONDS = 60.0
LOST_AFTER_SECONDS = 15 * 60.0
"""A trial of another machine without a heartbeat for this long counts as lost."""

LOCK_SECONDS = 60.0
"""Timeout while another process writes to the same SQLite file."""


class SeededSampler(BaseSampler):
    """A tree-structured Parzen estimator (Bergstra et al., NIPS 2011) with a seed for each trial."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _sampler(self, trial: FrozenTrial, name: str = "") -> TPESampler:
        seed = derive(self._seed, "trial", trial.number, name) % 2**32
        return TPESampler(n_startup_trials=RANDOM_TRIALS, multivariate=True, seed=seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the settings that are drawn together."""
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw these settings."""
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one setting independently, as for the first trials."""
        return self._sampler(trial, param_name).sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def open_database(search: Search, fingerprint: str) -> Iterator[optuna.Study]:
    """Yield the search's trials from its database; create it if it is missing, from the log if there is one.

    Errors of the database within the block are raised as ours.

    Parameters
    ----------
    search
        The search; the last part of its directory is its name in the database.
    fingerprint
        The fingerprint of the data.

    Raises
    ------
    ConfigError
        The database belongs to another search, its kind is not supported, or its driver is not installed.
    DataError
        The database cannot be reached, or is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_url(search.directory, search.storage)
    options = {"connect_args": {"timeout": LOCK_SECONDS}} if search.storage is None else {"pool_pre_ping": True}
    with _errors_as_ours(url), ExitStack() as at_end:
        with search.lock():
            storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
            at_end.callback(storage.engine.dispose)
            at_end.callback(storage.remove_session)
            optuna_study = optuna.create_study(
                storage=storage,
                sampler=SeededSampler(search.config.loop.seed),
                pruner=optuna.pruners.MedianPruner(PRUNED_AFTER_TRIALS, n_warmup_steps=PRUNED_FROM_EPOCH),
                study_name=search.directory.name,
                direction=search.direction,
                load_if_exists=True,
            )
            _check_or_fill(optuna_study, search, search.identity(fingerprint))
        yield optuna_study


def _check_or_fill(optuna_study: optuna.Study, search: Search, identity: dict[str, Any]) -> None:
    """Refuse the database of another search; fill a new one, with the log's trials if there is a log."""
    is_new = "search" not in optuna_study.user_attrs
    log = _earlier_log(search) if search.storage is None and is_new else None
    stored = log["search"] if log else optuna_study.user_attrs.get("search", identity)
    if different := list(differences(identity, stored)):
        raise ConfigError(
            f"The search {search.directory.name} began with other settings: {'; '.join(different)}.",
            f"Use the same settings, or begin another search with --directory (this one is {search.directory}).",
        )
    if is_new:
        for entry in log["trials"][len(optuna_study.trials) :] if log else []:
            optuna_study.add_trial(restore_trial(entry, distributions(search.space)))
        optuna_study.set_user_attr("metric", search.metric)
        optuna_study.set_user_attr("search", stored)
    paths = {search.trial_path(trial.number) for trial in optuna_study.get_trials(deepcopy=False)}
    for path in sorted(search.directory.glob("trial-*")):
        if path not in paths:
            raise ConfigError(f"{path} is not a trial in this search's database.", "Use another --directory.")


def _earlier_log(search: Search) -> Log | None:
    if not search.log_path.exists():
        return None
    log: Log = read_json(search.log_path)
    return log if log["study"] == search.directory.name else None


def database_url(directory: Path, storage: str | None) -> URL:
    """Return the address of the database.

    Raises
    ------
    ConfigError
        Its kind is not supported, or the driver for it is not installed.
    """
    if storage is None:
        return URL.create("sqlite", database=str((directory / "trials.db").absolute()))
    try:
        url = make_url(storage)
    except SQLAlchemyError as error:
        raise ConfigError(
            "--storage is not the address of a database.", "Use postgresql://USER@HOST/DATABASE."
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError(
            f"A search cannot be kept in {url.get_backend_name()}.",
            "Use --storage postgresql://USER@HOST/DATABASE, or leave it out for SQLite.",
        )
    require("postgres")
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def _errors_as_ours(url: URL) -> Iterator[None]:
    """Raise errors of the database within the block as a DataError, without the password."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise DataError(
            f"The database {url.set(drivername=url.get_backend_name())} does not work ({cause}).",
            "Fix it and use the same command again; interrupted trials continue.",
        ) from error


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space as Optuna's distributions."""
    return {name: _distribution(domain) for name, domain in space.items()}


def _distribution(domain: Range | Choice) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def is_lost(trial: FrozenTrial) -> bool:
    """Return whether a trial of another machine has had no heartbeat for too long."""
    assert trial.datetime_start is not None  # a running trial has a start
    last_beat: float = trial.user_attrs.get("alive", trial.datetime_start.timestamp())
    return time.time() - last_beat > LOST_AFTER_SECONDS


@contextmanager
def heartbeat(trial: Trial) -> Iterator[None]:
    """Record regularly, within the block, that a process works on this trial."""
    stop = threading.Event()
    trial.set_user_attr("alive", time.time())

    def beat() -> None:
        while not stop.wait(BEAT_SECONDS):
            # The main thread meets the same error with its next write.
            with suppress(SQLAlchemyError, StorageInternalError, UpdateFinishedTrialError):
                trial.set_user_attr("alive", time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
