"""The peers compute what the fast forms compute; a comparison is timed in pairs."""

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from elman.config import ModelConfig, OptimConfig
from elman.errors import ConfigError, ElmanError
from elman.models.fast.models import LanguageModel
from elman.optim import build_optimizers
from elman.text.batching import Batch, padding_mask
from elman.text.vocab import END, PAD, START

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
LINUX = Path("/proc/self/status").exists()

MEMORY_COMPARISONS = """
import numpy as np
from comparison import MemoryComparison
bulk = np.ones(10_000_000)
def work(megabytes):
    def ready():
        kept = np.ones(megabytes * 62_500)
        return lambda: len(kept + 1)
    return ready
COMPARISONS = [MemoryComparison("a hundred", "half as much again", 0.7, work(100), work(150))]
"""


AS_TORCHS_ADAM = OptimConfig(learning_rate=1e-3, beta2=0.999)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # the benchmark then sets no variable of its own
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("bench")


@pytest.fixture
def comparisons(bench: ModuleType) -> ModuleType:
    return importlib.import_module("comparisons")


def test_twenty_steps_of_a_language_model_has_the_losses_of_the_plain_one(comparisons: ModuleType) -> None:
    torch.manual_seed(0)
    ours = LanguageModel(ModelConfig(embedding_size=8, hidden_size=12, embedding_dropout=0.0, top_dropout=0.0), 9)
    peer = comparisons.plain_copy(ours)
    optimizers, adam = build_optimizers(ours, AS_TORCHS_ADAM), torch.optim.Adam(peer.parameters())
    losses = []
    for _ in range(20):
        token_ids, lengths = torch.randint(4, 9, (6, 10)), torch.randint(2, 11, (6,))
        token_ids[padding_mask(lengths, 10)] = PAD
        counts = torch.randint(1, 4, (6,))
        shared = Batch(token_ids, lengths, None, torch.arange(6), 0, counts)
        rows = torch.arange(6).repeat_interleave(counts)
        batch = Batch(token_ids[rows], lengths[rows], None, rows, 0)
        loss = comparisons.our_loss(ours, shared)
        comparisons.our_update(ours, optimizers, loss)
        its_loss = comparisons.training_step(peer, adam, comparisons.plain_loss(peer, batch))
        losses.append((float(loss.detach()), its_loss))
    torch.testing.assert_close(*torch.tensor(losses).T, rtol=0, atol=1e-4)
    assert len({round(loss, 4) for loss, _ in losses}) > 15


@pytest.mark.slow
def test_the_sampling_loop_of_the_course_draws_from_our_distribution(comparisons: ModuleType) -> None:
    comparisons.same_next_token()
    model = comparisons.plain_copy(comparisons.writer())
    with torch.no_grad():
        law = comparisons.next_distribution(model, [START], [PAD, START])
    assert law.probs[[PAD, START]].tolist() == [0, 0]
    torch.manual_seed(0)
    strings = [comparisons.sample_one(model, START, END, [PAD, START], 7) for _ in range(50)]
    assert all(string.index(END) == len(string) - 1 if END in string else len(string) == 7 for string in strings)
    assert {END in string for string in strings} == {True, False}


def test_nothing_is_timed_if_the_two_sides_differ(bench: ModuleType, comparisons: ModuleType) -> None:
    def unlike() -> None:
        comparisons.agree("The losses", torch.tensor([0.0, -0.2]), 0.1)

    row = bench.Comparison("a", "b", "calls", 1.0, lambda: 1 / 0, lambda: 1 / 0, alike=unlike)
    with pytest.raises(ElmanError, match=r"losses differ by 0\.2"):
        bench.measure(row, 1.0)
    with pytest.raises(ElmanError, match=r"gradients differ by 0\.5"):
        comparisons.agree_in_gradients([torch.ones(3)], [2 * torch.ones(3)])
    with pytest.raises(ElmanError):
        comparisons.agree("The losses", torch.tensor(torch.nan), 0.1)


@pytest.mark.slow
def test_ratios_are_those_of_pairs(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def nap_of(seconds: float):
        def nap() -> int:
            nonlocal clock
            clock += seconds
            return 100

        return lambda: nap

    monkeypatch.setattr("elman.timing.time", SimpleNamespace(perf_counter=lambda: clock))
    comparisons = [bench.Comparison("naps", "longer naps", "sheep", 3.0, nap_of(0.01), nap_of(0.04), 1e3)]
    [row] = bench.run(comparisons, Path())
    assert row["name"] == "naps"
    assert [row[name] for name in ("ratio_least", "ratio", "ratio_most")] == pytest.approx([4, 4, 4])
    assert (row["value"], row["peer_value"]) == pytest.approx((10_000, 2_500))
    assert (row["better"], row["unit"]) == ("more", "sheep/s")
    assert row["share_of_peak"] > 0
    assert json.loads(json.dumps(row)) == row
    with pytest.raises(ConfigError, match="cows"):
        list(bench.run(comparisons, Path(), "cows"))


def test_only_the_work_itself_is_timed(bench: ModuleType) -> None:
    calls = []
    comparison = bench.Comparison("a", "b", "calls", 1.0, lambda: lambda: calls.append(1) or 7, lambda: lambda: 7)
    row = bench.measure(comparison, 1.0, turns=3)
    assert len(calls) == 4  # one of them warms up
    assert row["share_of_peak"] is None


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="only Linux tells a process its memory")
def test_memory_is_that_of_each_side_above_its_imports(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "comparisons.py"
    path.write_text(MEMORY_COMPARISONS)
    bulk = np.ones(25_000_000)  # 200 MB, which neither side's process has
    row = bench.measure_memory(
        bench.MemoryComparison("a hundred", "half as much again", 0.7, *[lambda: int] * 2), path, turns=1
    )
    assert bulk.all()
    assert 95 < row["value"] < 110
    assert 145 < row["peer_value"] < 160
    assert row["ratio"] == pytest.approx(100 / 150, rel=0.05)
    assert (row["better"], row["unit"]) == ("less", "MB")
    assert json.loads(json.dumps(row)) == row


def test_a_row_says_which_way_is_better(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"ratio": 0.5, "ratio_least": 0.4, "ratio_most": 0.6, "aim": 0.75, "value": 100.0, "peer_value": 200.0}
    bench.print_row({"name": "a", "peer": "b", "unit": "MB", "better": "less", "share_of_peak": None} | numbers)
    assert capsys.readouterr().out == "a : b  0.50 × (0.40 to 0.60; aim 0.75 × or less)  100 MB against 200\n"


def test_the_softmax_of_a_word_level_model_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    softmax = importlib.import_module("softmax")
    for name, value in {"VOCABULARIES": (50, 2_000), "ROWS": 2, "STEPS": 3, "TIMES": 1}.items():
        monkeypatch.setattr(softmax, name, value)
    softmax.main()
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["50", "2,000"]
    assert all(float(row.split()[1]) > 0 for row in rows)
