"""A trial of a search: a training with the settings that were drawn, until its end or until others are better."""

import time
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from elman.config import KeptEpoch
from elman.data.dataset import Dataset
from elman.errors import ElmanError, Interrupted, NonFiniteLoss
from elman.formatting import setting
from elman.pretraining import pretrain
from elman.progress import Report
from elman.runs import Run
from elman.training import train
from elman.tuning.database import PRUNED_FROM_EPOCH

Direction = Literal["maximize", "minimize"]
METRICS: dict[str, tuple[str, Direction]] = {
    "classification": ("val_accuracy", "maximize"),
    "language-model": ("val_cross_entropy_nats", "minimize"),
}
CONTINUE = "Continue with the same elman tune."


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

    def say(line: str) -> None:
        report(f"trial {trial.number}  {line}")

    report(f"trial {trial.number}: {', '.join(f'{name} {setting(value)}' for name, value in trial.params.items())}")
    try:
        start = pretrain(run.config, dataset, say)
        note.start()  # behind it: whichever trial comes first pretrains for all that have its sizes
        for figures in run.metrics("epoch"):  # taken up: what an earlier sitting had no time to say
            after_epoch(figures)
        train(run, dataset, say, after_epoch, start)
        note.end()
        study.tell(trial, trial.user_attrs["best"], skip_if_finished=True)
    except optuna.TrialPruned:
        note.end("pruned: worse than the median")
        say("stopped: worse than the median of the others after as many epochs")
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except NonFiniteLoss as error:
        note.end(error.problem)
        say(f"stopped: {error.problem}")
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        say("stopped: another machine took it to be lost")
    except Interrupted as stop:
        note.end()
        raise Interrupted(stop.problem, CONTINUE) from stop
    except (ElmanError, MemoryError, RuntimeError) as error:
        note.end(str(error))
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    run.keep_only_metrics()


class _Notes:
    """What a trial leaves in the database: its epochs with their times, the one whose weights are kept, the seconds."""

    def __init__(self, study: optuna.Study, trial: Trial, metric: str, keep: KeptEpoch) -> None:
        self._trial, self._metric, self._keep = trial, metric, keep
        self._better = max if study.direction == optuna.study.StudyDirection.MAXIMIZE else min
        # A process may be killed between the two places that an epoch is noted in.
        self._reported = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self._before: float = trial.user_attrs.get("seconds", 0.0)
        self._started: float | None = None

    def start(self) -> None:
        """Count the seconds from now on."""
        self._started = time.monotonic()

    @property
    def _spent(self) -> float:
        return self._before + (0.0 if self._started is None else time.monotonic() - self._started)

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
