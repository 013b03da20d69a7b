"""Figures of an evaluation against their definitions, the locked test split, and the ledger."""

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.data.ledger import openings, record_opening
from elman.errors import DataError, RunError, TestSplitLocked
from elman.evaluation import accuracy_and_loss, calibration, confusion, evaluate
from elman.losses import FEW_CLASSES, correct, cross_entropy_nats
from elman.runs import Run
from elman.statistics import wilson
from elman.training import train

LOG_PROBS = np.log(np.array([[0.91, 0.09], [0.17, 0.83], [0.65, 0.35], [0.45, 0.55], [0.05, 0.95]], np.float32))
LABELS = np.array([0, 1, 1, 1, 0])


@pytest.fixture
def run(tmp_path: Path, config: RunConfig, dataset: Dataset) -> Run:
    run = Run.create(tmp_path / "run", config, dataset)
    train(run, dataset, report=lambda _: None)
    return run


def test_figures_follow_their_definitions() -> None:
    figures = accuracy_and_loss(LOG_PROBS, LABELS)
    assert figures["accuracy"] == 0.6
    expected = -(math.log(0.91) + math.log(0.83) + math.log(0.35) + math.log(0.55) + math.log(0.05)) / 5
    assert figures["cross_entropy_nats"] == pytest.approx(expected, rel=1e-6)
    assert confusion(LOG_PROBS, LABELS) == [[1, 1], [1, 2]]
    assert confusion(LOG_PROBS[:4, ::-1], LABELS[:4]) == [[0, 1], [2, 1]]


def test_calibration_follows_its_definition() -> None:
    figures = calibration(LOG_PROBS, LABELS)
    assert [(b["from"], b["sequences"], b["accuracy"]) for b in figures["bins"]] == [
        (0.5, 1, 1.0), (0.6, 1, 0.0), (0.8, 1, 1.0), (0.9, 2, 0.5),
    ]  # fmt: skip
    expected = (0.45 + 0.65 + 0.17 + 2 * abs((0.91 + 0.95) / 2 - 0.5)) / 5
    assert figures["expected_calibration_error"] == pytest.approx(expected, rel=1e-6)


def test_wilson_follows_its_formula() -> None:
    n, p, z = 50, 0.9, 1.959963984540054
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(45, 50) == pytest.approx((0.9, middle - half, middle + half))


def test_scores_of_parts_add_up_to_the_score_of_the_whole() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    whole, parts = cross_entropy_nats(logits, labels), [(0, 2), (2, 6)]
    split = [cross_entropy_nats(logits[a:b], labels[a:b]) for a, b in parts]
    torch.testing.assert_close(sum(part.sum for part in split), whole.sum)
    assert sum(part.count for part in split) == whole.count == 6
    assert int(correct(logits, labels).sum) == sum(int(row.argmax() == label) for row, label in zip(logits, labels))  # noqa: B905


@pytest.mark.parametrize("classes", [1, 2, FEW_CLASSES - 1, FEW_CLASSES, 40])
def test_cross_entropy_and_its_gradient_follow_the_definition(classes: int) -> None:
    torch.manual_seed(classes)
    logits = (50 * torch.randn(7, classes)).requires_grad_()
    labels = torch.randint(classes, (7,)).index_fill(0, torch.tensor([2, 5]), -1)
    loss = cross_entropy_nats(logits, labels, ignored=-1)
    loss.sum.backward()
    labeled = [0, 1, 3, 4, 6]
    exact = logits.detach().double()[labeled]
    nats = exact.logsumexp(1) - exact[range(5), labels[labeled]]
    assert loss.count == 5
    torch.testing.assert_close(loss.sum.detach().double(), nats.sum())
    expected = torch.zeros(7, classes, dtype=torch.float64)
    expected[labeled] = exact.softmax(1)
    expected[labeled, labels[labeled]] -= 1
    torch.testing.assert_close(logits.grad, expected.float())


def test_evaluation_equals_the_last_validation(run: Run) -> None:
    figures = evaluate(run, "val")
    summary = run.result("training")
    for name in ("accuracy", "accuracy_low", "accuracy_high", "cross_entropy_nats", "sequences"):
        assert figures[name] == pytest.approx(summary[f"val_{name}"], rel=1e-9)
    assert sum(map(sum, figures["confusion"])) == figures["sequences"] == 50
    assert run.result("val") == figures


def test_mistakes_are_wrong_and_sorted_by_confidence(run: Run, dataset: Dataset) -> None:
    figures = evaluate(run, "train")
    labels = dataset.split("train").labels
    assert figures["mistakes"]
    for mistake in figures["mistakes"]:
        assert mistake["label"] != mistake["predicted"]
        assert mistake["label"] == dataset.class_names[labels[mistake["index"]]]
        words = dataset.vocab.decode(dataset.split("train")[mistake["index"]])
        assert mistake["text"] == " ".join(words)
    confidence = [mistake["probability"] for mistake in figures["mistakes"]]
    assert confidence == sorted(confidence, reverse=True)
    assert min(confidence) > 0.5  # with two classes, the predicted one has more than half the probability


def test_a_full_disk_leaves_no_partial_line_in_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    record_opening("imdb", "sum", "first", "")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="full"):
            record_opening("imdb", "sum", "second", "", quiet)
    record_opening("imdb", "sum", "third", "", quiet)
    assert [entry.run for entry in openings("sum")] == ["first", "third"]


def test_a_damaged_line_of_the_ledger_is_an_error(own_cache: Path) -> None:
    record_opening("imdb", "sum", "first", "")
    with (own_cache / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"time": "2026\n')
    with pytest.raises(DataError, match=r"Line 2 of the ledger"):
        openings("sum")


def test_a_line_is_added_to_a_ledger_without_a_final_newline(own_cache: Path) -> None:
    record_opening("imdb", "sum", "first", "")
    ledger = own_cache / "ledger.jsonl"
    ledger.write_text(ledger.read_text().rstrip())
    record_opening("imdb", "sum", "second", "", quiet)
    assert [entry.run for entry in openings("sum")] == ["first", "second"]


def quiet(_: str) -> None:
    pass


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_the_locked_test_split_is_refused_before_anything_is_loaded(
    run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "open_dataset", lambda _: pytest.fail("the data was loaded"))
    with pytest.raises(TestSplitLocked, match="--final"):
        evaluate(run, "test")
    assert openings(dataset.checksum) == []


def test_every_opening_of_the_test_split_is_recorded(run: Run, dataset: Dataset) -> None:
    warnings: list[str] = []
    figures = evaluate(run, "test", final=True, warn=warnings.append)
    assert (figures["openings_before"], warnings) == (0, [])
    (entry,) = openings(dataset.checksum)
    assert (entry.data, entry.run, entry.time) == ("synth-reviews", str(run.path), figures["opened"])
    again = evaluate(run, "test", final=True, warn=warnings.append)
    assert again["openings_before"] == 1
    assert "HAS BEEN OPENED BEFORE: once" in warnings[0]
    assert len(openings(dataset.checksum)) == 2
    assert openings("other data") == []


def test_an_unknown_split_and_damaged_weights_are_errors(run: Run) -> None:
    with pytest.raises(DataError, match="no split 'unlabelled'"):
        evaluate(run, "unlabelled")
    run.weights_path.write_bytes(run.weights_path.read_bytes()[:100])
    with pytest.raises(RunError, match="no weights to read"):
        evaluate(run, "val")


def test_evaluation_refuses_other_data_than_that_of_the_training(run: Run) -> None:
    text = (run.path / "config.toml").read_text()
    (run.path / "config.toml").write_text(text.replace("synthetic_size = 200", "synthetic_size = 220"))
    with pytest.raises(RunError, match="trained on other data"):
        evaluate(Run(run.path), "val")
