"""The test split is opened once, under a preregistration, and the saved probabilities give all its figures."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from elman.config import DataConfig
from elman.data.ledger import Opening, openings
from elman.data.table import open_dataset
from elman.errors import RunError
from elman.study import engine, parse_study, run_study
from elman.study.classifiers import packed, packed_labels
from elman.study.preregistration import _prediction
from elman.study.probabilities import all_probabilities, rounded_probabilities
from elman.study.test_evaluation import with_validation_in_training
from elman.study.work import NoOptions, Work
from elman.text.sequences import Sequences

TEXT = """
[bases.reviews]
data = { name = "synth-reviews", synthetic_size = 200 }
batches = { tokens_per_batch = 400 }
model = { layer = "mlp", embedding_size = 8, hidden_size = 8 }
loop = { epochs = EPOCHS, threads = 1 }
[[questions]]
base = "reviews"
steps = [
  { name = "mlp", kind = "classifier" },
  { name = "nb-svm", kind = "baseline", strengths = [1.0] },
  { name = "expected", kind = "preregistration", base = "reviews", needs = ["mlp", "nb-svm"] },
  { name = "final-mlp", kind = "test-evaluation", from = "mlp", seeds = [0, 1], needs = ["expected"] },
  { name = "final-nb-svm", kind = "test-evaluation", from = "nb-svm", needs = ["expected"] },
  { name = "both", kind = "ensemble", base = "reviews", needs = ["final-mlp", "final-nb-svm", "mlp", "nb-svm"] },
]
"""


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "write_report", lambda directory: directory / "report.html")


def run(directory: Path, epochs: int = 1) -> list[str]:
    lines: list[str] = []
    run_study(parse_study(TEXT.replace("EPOCHS", str(epochs)), "study"), directory, lines.append)
    return lines


def result(directory: Path, step: str) -> dict[str, Any]:
    return json.loads((directory / "results" / f"{step}.json").read_text())


def ledger() -> list[Opening]:
    return openings(open_dataset(DataConfig(name="synth-reviews", synthetic_size=200)).checksum)


def entries() -> int:
    return len(ledger())


LOG_PROBS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(2, 4)), elements=st.floats(-20, 20, width=32)
).map(lambda logits: logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


@given(LOG_PROBS)
def test_saved_probabilities_have_three_digits(log_probs: Any) -> None:
    rounded = rounded_probabilities(log_probs)
    assert rounded.dtype == np.float16
    np.testing.assert_allclose(all_probabilities(rounded), np.exp(log_probs), atol=2e-3)


@given(st.floats(-1e-3, 1e-3).filter(lambda odds: abs(odds) > 1e-6))
def test_rounding_keeps_the_more_probable_class_near_a_tie(odds: float) -> None:
    log_probs = np.array([[odds / 2, -odds / 2]], np.float32) - np.float32(np.log(2))
    assert all_probabilities(rounded_probabilities(log_probs)).argmax() == log_probs.argmax() == (odds < 0)


def test_validation_texts_are_appended_to_the_training_texts() -> None:
    dataset = open_dataset(DataConfig(name="negation", synthetic_size=40))
    train, val = dataset.split("train"), dataset.split("val")
    joined = with_validation_in_training(dataset).split("train")
    assert [ids.tolist() for ids in joined] == [ids.tolist() for part in (train, val) for ids in part]
    assert joined.labels.tolist() == [*train.labels.tolist(), *val.labels.tolist()]


def test_joining_sequences_equals_joining_lists() -> None:
    first, second = [[1, 2], [3]], [[4], [5, 6, 7]]
    joined = Sequences.from_lists(first, [0, 1]).joined(Sequences.from_lists(second, [1, 0]).select(np.array([1, 0])))
    assert [ids.tolist() for ids in joined] == [[1, 2], [3], [5, 6, 7], [4]]
    assert joined.labels.tolist() == [0, 1, 0, 1]


def test_one_opening_names_the_preregistration_and_saved_probabilities_give_the_figures(tmp_path: Path) -> None:
    run(tmp_path / "study")
    content = (tmp_path / "study" / "preregistrations" / "expected.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert entries() == 1
    [opening] = json.loads((tmp_path / "study" / "ledger.json").read_text())
    assert opening["config"] == digest == result(tmp_path / "study", "expected")["figures"]["sha256"]
    labels = open_dataset(DataConfig(name="synth-reviews", synthetic_size=200)).split("test", final=True).labels
    probabilities = []
    for name in ("final-mlp", "final-nb-svm", "both"):
        for seed in result(tmp_path / "study", name)["figures"]["by_seed"]:
            saved = np.load(tmp_path / "study" / "results" / name / f"seed-{seed['seed']}.npy")
            assert saved.dtype == np.float16
            assert (all_probabilities(saved).argmax(axis=1) == labels).mean() == seed["accuracy"]
            probabilities.append(all_probabilities(saved))
    both = result(tmp_path / "study", "both")["figures"]
    mixture = both["weight"] * (probabilities[0] + probabilities[1]) / 2 + (1 - both["weight"]) * probabilities[2]
    np.testing.assert_allclose(probabilities[3], mixture, atol=1e-3)
    best = max(row["accuracy"] for row in both["tried"])
    assert {row["accuracy"] for row in both["tried"] if row["weight"] == both["weight"]} == {best}
    assert not list((tmp_path / "study").glob("runs/final-*/weights.safetensors"))
    main = json.loads((tmp_path / "study" / "results.json").read_text())["classification"]
    assert main["mlp"]["seeds"] == [0, 1]
    assert main["mlp"]["val_seeds"] == [0]
    accuracies = [seed["accuracy"] for seed in result(tmp_path / "study", "final-mlp")["figures"]["by_seed"]]
    assert main["mlp"]["test_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    for name in ("mlp", "nb-svm", "both"):
        assert main[name]["test_accuracy_low"] <= main[name]["test_accuracy_mean"] <= main[name]["test_accuracy_high"]


def test_another_machine_continues_from_the_saved_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tmp_path / "study"
    run(study)
    before = result(study, "final-mlp")["figures"]["by_seed"]
    shutil.rmtree(study / "runs")
    (study / "results" / "final-mlp.json").unlink()
    (study / "results" / "final-mlp" / "seed-1.npy").unlink()
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "other-machine"))
    lines = run(study)
    trained = [line for line in lines if line.startswith("training:")]
    assert len(trained) == 1
    assert trained[0].endswith("(seed 1)")
    assert [seed["accuracy"] for seed in result(study, "final-mlp")["figures"]["by_seed"]] == [
        seed["accuracy"] for seed in before
    ]
    assert entries() == 1  # the opening came along with the study


@pytest.mark.slow
def test_parallel_seeds_give_the_same_probabilities_under_one_opening(tmp_path: Path) -> None:
    run(tmp_path / "study")
    text = TEXT.replace("EPOCHS", "1").replace("seeds = [0, 1]", "seeds = [0, 1], processes = 2")
    lines: list[str] = []
    run_study(parse_study(text, "study"), tmp_path / "parallel", lines.append)
    assert entries() == 2  # one for each study
    assert {line[:6] for line in lines if "training:" in line and "final-mlp" in line} == {"seed 0", "seed 1"}
    one, other = (result(tmp_path / name, "final-mlp") for name in ("study", "parallel"))
    assert [seed["probabilities"] for seed in one["figures"]["by_seed"]] == [
        seed["probabilities"] for seed in other["figures"]["by_seed"]
    ]
    seeds = [json.loads(path.read_text()) for path in tmp_path.glob("parallel/results/final-mlp/seed-*.json")]
    assert max(seed["seconds"] for seed in seeds) < other["seconds"]


def test_a_lost_ledger_is_restored_from_the_evaluated_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    ledger = (tmp_path / "ledger.json").read_text()
    opening = result(tmp_path, "final-mlp")["figures"]["opening"]
    for lost in ("ledger.json", "results/final-mlp.json"):
        (tmp_path / lost).unlink()
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "other-machine"))
    run(tmp_path)
    assert (tmp_path / "ledger.json").read_text() == ledger
    assert result(tmp_path, "final-mlp")["figures"]["opening"] == opening
    assert entries() == 1  # on this machine too
    (tmp_path / "ledger.json").unlink()
    with pytest.raises(RunError, match="expected, final-mlp, final-nb-svm, both"):
        run(tmp_path, epochs=3)
    assert "under another preregistration" in result(tmp_path, "expected")["problem"]


@pytest.mark.slow
def test_the_figures_hold_the_time_of_the_opening_and_the_number_of_earlier_ones(tmp_path: Path) -> None:
    for earlier, name in enumerate(["first", "second"]):
        lines = run(tmp_path / name)
        [opening] = json.loads((tmp_path / name / "ledger.json").read_text())
        for step in ("final-mlp", "final-nb-svm"):
            assert result(tmp_path / name, step)["figures"]["opening"] == {"time": opening["time"], "earlier": earlier}
        assert opening["run"] == name  # published files hold no path of this machine
        assert ledger()[-1].run == str(tmp_path / name)
        run(tmp_path / name)
        assert entries() == earlier + 1
        assert any("HAS BEEN OPENED BEFORE" in line for line in lines) == bool(earlier)


@pytest.mark.slow
def test_the_same_study_in_two_directories_is_two_openings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        run(Path("runs/study"))
    assert [entry.earlier for entry in ledger()] == [0, 1]
    assert len({entry.config for entry in ledger()}) == 1  # the predictions are deterministic


@pytest.mark.slow
def test_probabilities_of_other_figures_are_refused(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "results" / "final-mlp" / "seed-0.npy"
    np.save(path, 1 - np.load(path))
    (tmp_path / "results" / "both.json").unlink()
    with pytest.raises(RunError, match="both"):
        run(tmp_path)
    assert "seed-0.npy" in result(tmp_path, "both")["problem"]
    (tmp_path / "results" / "final-mlp.json").unlink()  # as the message says
    run(tmp_path)


@pytest.mark.slow
def test_two_datasets_are_two_openings(tmp_path: Path) -> None:
    run(tmp_path)
    other = TEXT.replace("EPOCHS", "1").replace("synthetic_size = 200", "synthetic_size = 240")
    run_study(parse_study(other, "study"), tmp_path, lambda _: None)
    assert len({entry["checksum"] for entry in json.loads((tmp_path / "ledger.json").read_text())}) == 2


def test_a_predicted_interval_stays_between_zero_and_one() -> None:
    seeds = [np.arange(500) < count for count in (485, 500)]
    log_probs = [np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]).astype(np.float32)) for right in seeds]
    figures = {
        "labels": packed_labels(np.zeros(500, np.int64)),
        "class_names": ["one", "other"],
        "summary": {},
        "by_seed": [{"log_odds": packed(run)} for run in log_probs],
    }
    needs = {"mlp": {"kind": "classifier", "config": "", "figures": figures}}
    expected = _prediction(Work("expected", NoOptions(), None, needs, Path(), print), "mlp")
    assert expected["accuracy"] == pytest.approx(0.985)
    assert 0 < expected["low"] < expected["accuracy"] < expected["high"] <= 1


@pytest.mark.parametrize(("content", "word"), [(None, "missing"), ("{}", "changed")])
def test_a_missing_or_changed_preregistration_keeps_the_test_split_closed(
    tmp_path: Path, content: str | None, word: str
) -> None:
    study = parse_study(TEXT.replace("EPOCHS", "1"), "study")
    path = tmp_path / "preregistrations" / "expected.json"

    def tamper(line: str) -> None:
        if "] final-" in line:
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content)

    with pytest.raises(RunError, match="3 of 6 steps failed: final-mlp, final-nb-svm, both"):
        run_study(study, tmp_path, tamper)
    assert word in result(tmp_path, "final-mlp")["problem"]
    assert entries() == 0
    assert not (tmp_path / "ledger.json").exists()


@pytest.mark.slow
def test_no_other_preregistration_is_written_after_the_opening(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(RunError, match="expected, final-mlp, final-nb-svm, both"):
        run(tmp_path, epochs=3)
    assert "under another preregistration" in result(tmp_path, "expected")["problem"]
    assert entries() == 1
