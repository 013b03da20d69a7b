"""The test is opened once, under an expectation that was written before, and what is kept of it tells all."""

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
from elman.study.finals import _expected, everything
from elman.study.tested import kept, whole_probabilities
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
  { name = "nb-svm", kind = "yardstick", strengths = [1.0] },
  { name = "expected", kind = "hypothesis", base = "reviews", needs = ["mlp", "nb-svm"] },
  { name = "final-mlp", kind = "final", from = "mlp", seeds = [0, 1], needs = ["expected"] },
  { name = "final-nb-svm", kind = "final", from = "nb-svm", needs = ["expected"] },
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
def test_probabilities_are_kept_to_three_digits(log_probs: Any) -> None:
    assert kept(log_probs).dtype == np.float16
    np.testing.assert_allclose(whole_probabilities(kept(log_probs)), np.exp(log_probs), atol=2e-3)


@given(st.floats(-1e-3, 1e-3).filter(lambda odds: abs(odds) > 1e-6))
def test_near_a_tie_the_more_probable_class_stays_so(odds: float) -> None:
    log_probs = np.array([[odds / 2, -odds / 2]], np.float32) - np.float32(np.log(2))
    assert whole_probabilities(kept(log_probs)).argmax() == log_probs.argmax() == (odds < 0)


def test_everything_is_training_and_validation() -> None:
    dataset = open_dataset(DataConfig(name="negation", synthetic_size=40))
    train, val = dataset.split("train"), dataset.split("val")
    whole = everything(dataset).split("train")
    assert [ids.tolist() for ids in whole] == [ids.tolist() for part in (train, val) for ids in part]
    assert whole.labels.tolist() == [*train.labels.tolist(), *val.labels.tolist()]


def test_joining_what_shares_no_tokens_equals_joining_lists() -> None:
    first, second = [[1, 2], [3]], [[4], [5, 6, 7]]
    joined = Sequences.from_lists(first, [0, 1]).joined(Sequences.from_lists(second, [1, 0]).select(np.array([1, 0])))
    assert [ids.tolist() for ids in joined] == [[1, 2], [3], [5, 6, 7], [4]]
    assert joined.labels.tolist() == [0, 1, 0, 1]


def test_one_opening_names_the_hypothesis_and_what_is_kept_gives_the_figures(tmp_path: Path) -> None:
    run(tmp_path / "study")
    content = (tmp_path / "study" / "hypotheses" / "expected.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert entries() == 1
    [opening] = json.loads((tmp_path / "study" / "ledger.json").read_text())
    assert opening["config"] == digest == result(tmp_path / "study", "expected")["figures"]["sha256"]
    labels = open_dataset(DataConfig(name="synth-reviews", synthetic_size=200)).split("test", final=True).labels
    judged = []
    for name in ("final-mlp", "final-nb-svm", "both"):
        for seed in result(tmp_path / "study", name)["figures"]["by_seed"]:
            found = np.load(tmp_path / "study" / "results" / name / f"seed-{seed['seed']}.npy")
            assert found.dtype == np.float16
            assert (whole_probabilities(found).argmax(axis=1) == labels).mean() == seed["accuracy"]
            judged.append(whole_probabilities(found))
    both = result(tmp_path / "study", "both")["figures"]
    mixed = both["weight"] * (judged[0] + judged[1]) / 2 + (1 - both["weight"]) * judged[2]
    np.testing.assert_allclose(judged[3], mixed, atol=1e-3)
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


def test_seed_by_seed_it_goes_on_from_the_small_files_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_seeds_beside_each_other_come_to_the_same_under_one_opening(tmp_path: Path) -> None:
    run(tmp_path / "study")
    text = TEXT.replace("EPOCHS", "1").replace("seeds = [0, 1]", "seeds = [0, 1], processes = 2")
    lines: list[str] = []
    run_study(parse_study(text, "study"), tmp_path / "beside", lines.append)
    assert entries() == 2  # one of each study
    assert {line[:6] for line in lines if "training:" in line and "final-mlp" in line} == {"seed 0", "seed 1"}
    one, other = (result(tmp_path / name, "final-mlp") for name in ("study", "beside"))
    assert [seed["probabilities"] for seed in one["figures"]["by_seed"]] == [
        seed["probabilities"] for seed in other["figures"]["by_seed"]
    ]
    took = [json.loads(path.read_text())["seconds"] for path in tmp_path.glob("beside/results/final-mlp/seed-*.json")]
    assert max(took) < other["seconds"]


def test_where_the_ledger_was_lost_the_seeds_that_were_tested_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert "would come too late" in result(tmp_path, "expected")["problem"]


def test_the_figures_say_when_it_was_opened_and_how_often_before(tmp_path: Path) -> None:
    for earlier, name in enumerate(["first", "second"]):
        lines = run(tmp_path / name)
        [opening] = json.loads((tmp_path / name / "ledger.json").read_text())
        for step in ("final-mlp", "final-nb-svm"):
            assert result(tmp_path / name, step)["figures"]["opening"] == {"time": opening["time"], "earlier": earlier}
        assert opening["run"] == name  # what is published does not say where it lay
        assert ledger()[-1].run == str(tmp_path / name)
        run(tmp_path / name)
        assert entries() == earlier + 1
        assert any("HAS BEEN OPENED BEFORE" in line for line in lines) == bool(earlier)


def test_like_studies_in_two_places_are_two_openings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        run(Path("runs/study"))
    assert [entry.earlier for entry in ledger()] == [0, 1]
    assert len({entry.config for entry in ledger()}) == 1  # deterministic: they expect the same


def test_probabilities_that_are_not_those_of_the_figures_are_refused(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "results" / "final-mlp" / "seed-0.npy"
    np.save(path, 1 - np.load(path))
    (tmp_path / "results" / "both.json").unlink()
    with pytest.raises(RunError, match="both"):
        run(tmp_path)
    assert "seed-0.npy" in result(tmp_path, "both")["problem"]
    (tmp_path / "results" / "final-mlp.json").unlink()  # as the message says
    run(tmp_path)


def test_two_data_sets_are_opened_each_under_its_own_hypothesis(tmp_path: Path) -> None:
    run(tmp_path)
    other = TEXT.replace("EPOCHS", "1").replace("synthetic_size = 200", "synthetic_size = 240")
    run_study(parse_study(other, "study"), tmp_path, lambda _: None)
    assert len({entry["checksum"] for entry in json.loads((tmp_path / "ledger.json").read_text())}) == 2


def test_no_accuracy_is_expected_that_cannot_be() -> None:
    seeds = [np.arange(500) < right for right in (485, 500)]
    sure = [np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]).astype(np.float32)) for right in seeds]
    figures = {
        "labels": packed_labels(np.zeros(500, np.int64)),
        "class_names": ["one", "other"],
        "summary": {},
        "by_seed": [{"log_odds": packed(each)} for each in sure],
    }
    needs = {"mlp": {"kind": "classifier", "config": "", "figures": figures}}
    expected = _expected(Work("expected", NoOptions(), None, needs, Path(), print), "mlp")
    assert expected["accuracy"] == pytest.approx(0.985)
    assert 0 < expected["low"] < expected["accuracy"] < expected["high"] <= 1


@pytest.mark.parametrize(("content", "word"), [(None, "missing"), ("{}", "changed")])
def test_without_its_hypothesis_the_test_split_stays_closed(tmp_path: Path, content: str | None, word: str) -> None:
    study = parse_study(TEXT.replace("EPOCHS", "1"), "study")
    path = tmp_path / "hypotheses" / "expected.json"

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


def test_after_the_opening_no_other_hypothesis_is_written(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(RunError, match="expected, final-mlp, final-nb-svm, both"):
        run(tmp_path, epochs=3)
    assert "would come too late" in result(tmp_path, "expected")["problem"]
    assert entries() == 1
