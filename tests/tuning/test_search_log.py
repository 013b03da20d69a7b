"""The best value in the log of a search, after a number of trials or after a time; the importance of settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.report.figures import search_figure
from elman.tuning import best_after_seconds, best_after_trials, best_so_far, log


def trial(number: int, state: str, seconds: float, *epochs: tuple[float, float]) -> dict[str, Any]:
    entries = [{"epoch": i, "value": value, "seconds": time} for i, (value, time) in enumerate(epochs, start=1)]
    best = max((value for value, _ in epochs), default=None)
    return {"number": number, "state": state, "seconds": seconds, "epochs": entries, "value": best}


LOG = {
    "metric": "val_accuracy",
    "direction": "maximize",
    "trials": [
        trial(0, "complete", 10.0, (0.6, 4.0), (0.8, 9.0)),
        trial(1, "running", 99.0, (0.99, 50.0)),
        trial(2, "pruned", 5.0, (0.98, 4.5)),  # a pruned trial is never chosen
        trial(3, "failed", 2.0),
        trial(4, "complete", 10.0, (0.85, 4.0), (0.82, 9.0)),
    ],
}


def test_best_values_agree_with_a_count_by_hand() -> None:
    assert [tuple(point) for point in best_so_far(LOG)] == [
        (1, 4.0, 0.6),
        (1, 9.0, 0.8),
        (4, 21.0, 0.85),
        (4, 26.0, 0.85),
    ]
    assert [best_after_trials(LOG, count) for count in (0, 1, 3, 4, 9)] == [None, 0.8, 0.8, 0.85, 0.85]
    assert [best_after_seconds(LOG, seconds) for seconds in (3.9, 4.0, 20.9, 21.0)] == [None, 0.6, 0.8, 0.85]
    minimized = {**LOG, "direction": "minimize"}
    assert best_after_trials(minimized, 4) == 0.6


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 100)), max_size=8), st.sampled_from(["maximize", "minimize"]))
def test_best_value_never_gets_worse(outcomes: list[tuple[float, float]], direction: str) -> None:
    trials = [trial(i, "complete", spent, (value, spent)) for i, (value, spent) in enumerate(outcomes)]
    sign = 1 if direction == "maximize" else -1
    points = list(best_so_far({"direction": direction, "trials": trials}))
    values = [sign * point.value for point in points]
    assert values == sorted(values)
    assert [point.seconds for point in points] == sorted(point.seconds for point in points)
    if outcomes:
        assert values[-1] == max(sign * value for value, _ in outcomes)


def test_importance_needs_ten_trials_with_different_values() -> None:
    def importance(value: Callable[[optuna.Trial], float], trials: int) -> Any:
        optuna_study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        optuna_study.set_user_attr("metric", "val_accuracy")
        optuna_study.set_user_attr("search", {})
        optuna_study.optimize(value, n_trials=trials)
        return log.read_log(optuna_study)["importance"]

    def by_one(trial: optuna.Trial) -> float:
        trial.suggest_float("other", 0, 1)
        trial.set_user_attr("best", 0.5)
        return trial.suggest_float("one", 0, 1)

    shares = importance(by_one, 12)
    assert shares["one"] > 2 * shares["other"]
    assert importance(by_one, 9) is None
    assert importance(lambda trial: 0 * by_one(trial), 12) is None


def test_figure_shows_the_best_value_by_trials_and_by_time(tmp_path: Path) -> None:
    search_figure(tmp_path / "search.svg", LOG, list(best_so_far(LOG)))
    drawn = (tmp_path / "search.svg").read_text()
    for text in ("trials", "validation accuracy (%)", "best so far", "pruned trial", "total time of the trials (min)"):
        assert f"<!-- {text} -->" in drawn or text in drawn


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_log_without_trials_has_no_best_value(direction: str) -> None:
    assert best_after_trials({"direction": direction, "trials": []}, 5) is None
