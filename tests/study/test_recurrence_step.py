"""The recurrence step finds equal implementations equal, and detects a wrong one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from elman.models.fast.tanh import Elman
from elman.study import recurrences
from elman.study.recurrences import RecurrenceOptions, measure_recurrence
from elman.study.work import Work


def measured() -> dict[str, Any]:
    options = RecurrenceOptions(batch_size=3, tokens=5, size=4, turns=1)
    return measure_recurrence(Work("own-elman", options, None, {}, Path(), print))


def test_equal_implementations_are_equal_and_omissions_have_an_effect() -> None:
    figures = measured()
    assert max(figures["equal"].values()) < 1e-12
    assert [row["peer"] for row in figures["times"]] == ["a slice-and-cat loop", "nn.RNN"]
    torch_figures = figures["torch"]
    assert torch_figures["moved_with_batch_first"] == 0 < torch_figures["moved_without_batch_first"]
    assert torch_figures["linear_against_folded"] < 1e-5
    assert (torch_figures["infinite_after_softmax"], torch_figures["infinite_in_the_loss"]) == (1, 0)
    assert torch_figures["argmax_same"] == 1


def test_a_wrong_weight_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recurrences.torch_copy

    def wrong(elman: Elman) -> torch.nn.RNN:
        network = right(elman)
        with torch.no_grad():
            network.weight_hh_l0.mul_(1.01)
        return network

    monkeypatch.setattr(recurrences, "torch_copy", wrong)
    assert measured()["equal"]["states_through_the_output_layer"] > 1e-6
