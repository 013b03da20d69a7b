"""Run one trial of a search: train with the settings drawn for it, to the end or until other trials are better."""

import time
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from elman.data.dataset import Dataset
from elman.errors import ElmanError, Interrupted, NonFiniteLoss
from elman.formatting import setting
from elman.pretraining import start_of
from elman.progress import Report
from elman.runs import Run
from elman.training import train
from elman.tuning.database import PRUNED_FROM_EPOCH
from elman.tuning.settings import CONTINUE, METRICS


def run_trial(optuna_study: optuna.Study, trial: Trial, run: Run, dataset: Dataset, report: Report) -> None:
    """Train a trial to its end, or until it is worse than the median; then keep only its figures.

    A trial that diverges counts as pruned, so that the search avoids such settings.

    Raises
    ------
    Interrupted
        After Ctrl-C or SIGTERM; the trial can be continued.
    ElmanError, MemoryError, RuntimeError
        The training failed; the trial counts as failed.
    """
    record = _Record(optuna_study, trial, run)
    epochs = run.config.loop.epochs

    def after_epoch(figures: dict[str, Any]) -> None:
        record.add_epoch(figures)
        if PRUNED_FROM_EPOCH <= figures["epoch"] < epochs and trial.should_prune():
            raise optuna.TrialPruned

    def report_line(line: str) -> None:
        report(f"trial {trial.number}  {line}")

    report(f"trial {trial.number}: {', '.join(f'{name} {setting(value)}' for name, value in trial.params.items())}")
    try:
        start = start_of(run, dataset, report_line)
        record.start()  # after pretraining, which one trial does for all others of the same sizes
        for figures in run.metrics("epoch"):  # those that an interrupted process did not record
            after_epoch(figures)
        train(run, dataset, report_line, after_epoch, start)
        record.end()
        optuna_study.tell(trial, trial.user_attrs["best"], skip_if_finished=True)
    except optuna.TrialPruned:
        record.end("pruned: worse than the median")
        report_line("stopped: worse than the median of the other trials after as many epochs")
        optuna_study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except NonFiniteLoss as error:
        record.end(error.problem)
        report_line(f"stopped: {error.problem}")
        optuna_study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        report_line("stopped: another machine counted it as lost")
    except Interrupted as error:
        record.end()
        raise Interrupted(error.problem, CONTINUE) from error
    except (ElmanError, MemoryError, RuntimeError) as error:
        record.end(str(error))
        optuna_study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    run.keep_only_metrics()


class _Record:
    """Records a trial in the database: its epochs with their times, its best epoch, and its total time."""

    def __init__(self, optuna_study: optuna.Study, trial: Trial, run: Run) -> None:
        self._trial, self._keep = trial, run.config.loop.keep
        self._metric = METRICS[run.config.data.task][0]
        self._better = max if optuna_study.direction == optuna.study.StudyDirection.MAXIMIZE else min
        # Optuna's values and ours are written one after the other, and a process may be killed in between.
        self._reported = set(optuna_study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self._earlier_seconds: float = trial.user_attrs.get("seconds", 0.0)
        self._started: float | None = None

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    @property
    def _seconds(self) -> float:
        return self._earlier_seconds + (0.0 if self._started is None else time.monotonic() - self._started)

    def add_epoch(self, figures: dict[str, Any]) -> None:
        """Record the figures of an epoch, unless they are recorded already."""
        epochs = list(self._trial.user_attrs.get("epochs", []))
        number, value = figures["epoch"], figures[self._metric]
        if number not in self._reported:
            self._trial.report(value, number)
            self._reported.add(number)
        if any(epoch["epoch"] == number for epoch in epochs):
            return
        epochs.append({"epoch": number, "value": value, "seconds": self._seconds})
        best = epochs[-1] if self._keep == "last" else self._better(epochs, key=lambda epoch: epoch["value"])
        self._trial.set_user_attr("best", best["value"])
        self._trial.set_user_attr("best_epoch", best["epoch"])
        self._trial.set_user_attr("epochs", epochs)
        self._trial.set_user_attr("seconds", self._seconds)

    def end(self, reason: str | None = None) -> None:
        """Record the time, and the reason why the trial ended early if it did."""
        self._trial.set_user_attr("seconds", self._seconds)
        if reason is not None:
            self._trial.set_user_attr("reason", reason)
