"""Progress lines: when they appear, what they say, and that they can be switched off."""

import time

import pytest

from elman.progress import SWITCH, Meter, seconds, switch_off

Output = pytest.CaptureFixture[str]


class Clock:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Switch progress on, and replace the time."""
    monkeypatch.delenv(SWITCH)
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_a_line_appears_after_two_seconds_and_then_every_half_minute(clock: Clock, capsys: Output) -> None:
    with Meter("epoch 1/2", 100, "tokens") as meter:
        shown = []
        for _ in range(70):
            clock.now += 1
            meter.advance(1, loss=0.5)
            shown.append(bool(capsys.readouterr().err))
    assert [second for second, is_shown in enumerate(shown, 1) if is_shown] == [2, 32, 62]


def test_a_line_has_share_figures_speed_and_remaining_time(clock: Clock, capsys: Output) -> None:
    with Meter("epoch 1/2", 1_000, "tokens") as meter:
        clock.now += 10
        meter.advance(250, train_loss=0.5)
    assert capsys.readouterr().err == "epoch 1/2   25%  train loss 0.5  25 tokens/s  30 s left\n"


@pytest.mark.parametrize(("after", "done", "is_estimated"), [(3, 10, False), (3, 20, True), (5, 10, True)])
def test_the_remaining_time_is_estimated_after_two_percent_or_five_seconds(
    clock: Clock, capsys: Output, after: float, done: int, is_estimated: bool
) -> None:
    with Meter("sampling", 1_000, "samples") as meter:
        clock.now += after
        meter.advance(done)
    assert (" left" in capsys.readouterr().err) == is_estimated


def test_progress_can_be_switched_off(clock: Clock, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "on")
    switch_off()
    with Meter("epoch 1/2", 100, "tokens") as meter:
        clock.now += 10
        meter.advance(50)
    assert (meter.done, capsys.readouterr().err) == (50, "")


def test_finished_work_has_no_line(clock: Clock, capsys: Output) -> None:
    with Meter("epoch 1/2", 100, "tokens") as meter:
        clock.now += 10
        meter.advance(100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min")],
)
def test_durations_are_written_for_people(duration: float, text: str) -> None:
    assert seconds(duration) == text
