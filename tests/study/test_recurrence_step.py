"""The step on the network itself measures what is so, and sees a fault that is planted."""

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


def test_it_is_equal_and_an_omission_is_shown() -> None:
    found = measured()
    assert max(found["equal"].values()) < 1e-12
    assert [row["peer"] for row in found["times"]] == ["a slice-and-cat loop", "nn.RNN"]
    assert found["torch"]["moved_with_batch_first"] == 0 < found["torch"]["moved_without_batch_first"]
    assert found["torch"]["linear_against_folded"] < 1e-5
    assert (found["torch"]["infinite_after_softmax"], found["torch"]["infinite_in_the_loss"]) == (1, 0)
    assert found["torch"]["argmax_same"] == 1


def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = recurrences.torch_copy

    def wrong(elman: Elman) -> torch.nn.RNN:
        network = right(elman)
        with torch.no_grad():
            network.weight_hh_l0.mul_(1.01)
        return network

    monkeypatch.setattr(recurrences, "torch_copy", wrong)
    assert measured()["equal"]["states_through_the_output_layer"] > 1e-6
