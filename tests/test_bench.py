"""The peer computes what we compute; a comparison is timed in pairs."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman.bench import PROCESS_STATUS, Comparison, MemoryComparison, measure, measure_memory, run
from elman.config import ModelConfig
from elman.errors import ConfigError
from elman.models.classifier import Classifier
from elman.report.terminal import print_bench

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

COMPARISONS = """
from elman.bench import Comparison
import time
def work(seconds):
    def ready():
        def do():
            time.sleep(seconds)
            return 100
        return do
    return ready
COMPARISONS = [Comparison("naps", "longer naps", "sheep", 3.0, work(0.01), work(0.04), 1e3)]
"""

MEMORY_COMPARISONS = """
import numpy as np
from elman.bench import MemoryComparison
bulk = np.ones(10_000_000)
def work(megabytes):
    def ready():
        kept = np.ones(megabytes * 62_500)
        return lambda: len(kept + 1)
    return ready
COMPARISONS = [MemoryComparison("a hundred", "half as much again", 0.7, work(100), work(150))]
"""


@pytest.fixture
def plain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain", BENCHMARKS / "plain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layer", ["mlp", "elman", "rnn", "gru", "lstm"])
def test_the_plain_peer_has_our_logits_and_gradients(layer: str, plain: ModuleType) -> None:
    torch.manual_seed(0)
    peer = plain.PlainClassifier(layer, 30, 4, 6, 2).double()
    config = ModelConfig(layer=layer, embedding_size=4, hidden_size=6, embedding_dropout=0.0, top_dropout=0.0)
    ours = Classifier(config, 30, 2).double()
    pairs = list(zip(ours.parameters(), peer.parameters(), strict=True))
    with torch.no_grad():
        for mine, its in pairs:
            mine.copy_(its)
    token_ids, lengths, labels = (
        torch.randint(4, 30, (5, 9)),
        torch.tensor([9, 3, 1, 7, 7]),
        torch.tensor([0, 1, 1, 0, 1]),
    )
    for model in (ours, peer):
        F.cross_entropy(model(token_ids, lengths), labels).backward()
    for mine, its in pairs:
        grad = mine.grad.to_dense() if mine.grad.is_sparse else mine.grad
        torch.testing.assert_close(grad, its.grad, rtol=1e-12, atol=1e-12)


def test_ratios_are_of_pairs(tmp_path: Path) -> None:
    (tmp_path / "comparisons.py").write_text(COMPARISONS)
    [row] = run(tmp_path)
    assert row["name"] == "naps"
    assert 2 < row["ratio_least"] <= row["ratio"] <= row["ratio_most"] < 6
    assert 3_000 < row["value"] <= 10_000
    assert (row["better"], row["unit"]) == ("more", "sheep/s")
    assert 0 < row["share_of_peak"] < 1
    assert json.loads(json.dumps(row)) == row


def test_speeds_count_the_work_itself_alone() -> None:
    calls = []
    comparison = Comparison("a", "b", "calls", 1.0, lambda: lambda: calls.append(1) or 7, lambda: lambda: 7)
    row = measure(comparison, 1.0, turns=3)
    assert len(calls) == 4  # one of them warms up
    assert row["share_of_peak"] is None


@pytest.mark.skipif(not PROCESS_STATUS.exists(), reason="only Linux tells a process its memory")
def test_memory_is_each_sides_own_above_import(tmp_path: Path) -> None:
    path = tmp_path / "comparisons.py"
    path.write_text(MEMORY_COMPARISONS)
    bulk = np.ones(25_000_000)  # 200 MB, which neither side's process has
    row = measure_memory(MemoryComparison("a hundred", "half as much again", 0.7, *[lambda: int] * 2), path, turns=1)
    assert bulk.all()
    assert 95 < row["value"] < 110
    assert 145 < row["peer_value"] < 160
    assert row["ratio"] == pytest.approx(100 / 150, rel=0.05)
    assert (row["better"], row["unit"]) == ("less", "MB")
    assert json.loads(json.dumps(row)) == row


def test_the_table_says_which_way_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"ratio": 0.5, "ratio_least": 0.4, "ratio_most": 0.6, "aim": 0.75, "value": 100.0, "peer_value": 200.0}
    row = {"name": "a", "peer": "b", "unit": "MB", "better": "less", "share_of_peak": None} | numbers
    assert print_bench([row]) == [row]
    assert capsys.readouterr().out == "a : b  0.50 × (0.40 to 0.60; aim 0.75 × or less)  100 MB against 200\n"


def test_no_peers_or_no_such_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="peers"):
        list(run(tmp_path))
    (tmp_path / "comparisons.py").write_text(COMPARISONS)
    with pytest.raises(ConfigError, match="cows"):
        list(run(tmp_path, "cows"))
