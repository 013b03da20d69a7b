"""The peer computes what we compute; a comparison is timed in pairs."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman.bench import PROCESS_STATUS, Comparison, MemoryComparison, measure, measure_memory, run
from elman.config import ModelConfig, OptimConfig
from elman.errors import ConfigError, ElmanError
from elman.models.classifier import Classifier
from elman.models.language_model import LanguageModel
from elman.optim import build_optimizers, catch_up, clip_gradients
from elman.report.terminal import print_bench
from elman.text.batching import Batch, padding_mask
from elman.text.vocab import END, PAD, START

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


AS_TORCHS_ADAM = OptimConfig(learning_rate=1e-3, beta2=0.999)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("plain")


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("comparisons")


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


@pytest.mark.slow
@pytest.mark.parametrize("row_wise", [False, True])
@pytest.mark.parametrize("layer", ["mlp", "elman", "rnn", "gru", "lstm"])
def test_twenty_steps_of_a_classifier_have_the_plain_ones_losses(
    layer: str, row_wise: bool, plain: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elman.models.recurrent.WIDE_LSTM", 0)  # read in our own way, however narrow
    torch.manual_seed(0)
    config = ModelConfig(layer=layer, embedding_size=8, hidden_size=12, embedding_dropout=0.0, top_dropout=0.0)
    ours, peer = Classifier(config, 50, 2, sparse=row_wise), plain.PlainClassifier(layer, 50, 8, 12, 2)
    with torch.no_grad():
        for mine, its in zip(ours.parameters(), peer.parameters(), strict=True):
            mine.copy_(its)
    optimizers = build_optimizers(ours, AS_TORCHS_ADAM)
    adam = torch.optim.Adam(peer.parameters())
    losses = []
    for _ in range(20):
        token_ids, lengths, labels = torch.randint(4, 50, (6, 10)), torch.randint(1, 11, (6,)), torch.randint(2, (6,))
        catch_up(optimizers, token_ids)
        loss = F.cross_entropy(ours(token_ids, lengths), labels)
        loss.backward()
        clip_gradients(ours, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        its_loss = plain.training_step(peer, adam, F.cross_entropy(peer(token_ids, lengths), labels))
        losses.append((float(loss.detach()), its_loss))
    torch.testing.assert_close(*torch.tensor(losses).T, rtol=0, atol=1e-4)
    assert len({round(loss, 4) for loss, _ in losses}) > 15  # the weights move


def test_twenty_steps_of_a_language_model_have_the_plain_ones_losses(comparisons: ModuleType) -> None:
    torch.manual_seed(0)
    ours = LanguageModel(ModelConfig(embedding_size=8, hidden_size=12, embedding_dropout=0.0, top_dropout=0.0), 9)
    peer = comparisons.plain_copy(ours)
    optimizers, adam = build_optimizers(ours, AS_TORCHS_ADAM), torch.optim.Adam(peer.parameters())
    losses = []
    for _ in range(20):
        token_ids, lengths = torch.randint(4, 9, (6, 10)), torch.randint(2, 11, (6,))
        token_ids[padding_mask(lengths, 10)] = PAD
        counts = torch.randint(1, 4, (6,))
        shared = Batch(token_ids, lengths, None, torch.arange(6), counts)
        rows = torch.arange(6).repeat_interleave(counts)
        batch = Batch(token_ids[rows], lengths[rows], None, rows)
        loss = comparisons.our_loss(ours, shared)
        comparisons.our_update(ours, optimizers, loss)
        its_loss = comparisons.training_step(peer, adam, comparisons.plain_loss(peer, batch))
        losses.append((float(loss.detach()), its_loss))
    torch.testing.assert_close(*torch.tensor(losses).T, rtol=0, atol=1e-4)
    assert len({round(loss, 4) for loss, _ in losses}) > 15


@pytest.mark.slow
def test_the_courses_loop_draws_from_our_distribution(comparisons: ModuleType) -> None:
    comparisons.same_next_token()
    model = comparisons.plain_copy(comparisons.writer())
    with torch.no_grad():
        law = comparisons.next_distribution(model, [START], [PAD, START])
    assert law.probs[[PAD, START]].tolist() == [0, 0]
    torch.manual_seed(0)
    strings = [comparisons.write_one(model, START, END, [PAD, START], 7) for _ in range(50)]
    assert all(string.index(END) == len(string) - 1 if END in string else len(string) == 7 for string in strings)
    assert {END in string for string in strings} == {True, False}


def test_nothing_is_timed_where_the_two_are_not_alike(comparisons: ModuleType) -> None:
    def unlike() -> None:
        comparisons.agree("The losses", torch.tensor([0.0, -0.2]), 0.1)

    row = Comparison("a", "b", "calls", 1.0, lambda: 1 / 0, lambda: 1 / 0, alike=unlike)
    with pytest.raises(ElmanError, match=r"losses differ by 0\.2"):
        measure(row, 1.0)
    with pytest.raises(ElmanError, match=r"gradients differ by 0\.5"):
        comparisons.agree_in_gradients([torch.ones(3)], [2 * torch.ones(3)])
    with pytest.raises(ElmanError):
        comparisons.agree("The losses", torch.tensor(torch.nan), 0.1)


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


@pytest.mark.slow
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


def test_the_plain_form_drops_a_words_numbers_once_a_batch(plain: ModuleType) -> None:
    torch.manual_seed(0)
    model = plain.PlainClassifier("mlp", 30, 400, 4, 2, embedding_dropout=0.3)
    read = []
    model.layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].detach()))
    model(torch.tensor([[5, 6, 5], [6, 7, 5]]), torch.tensor([3, 3]))
    [embedded] = read
    assert torch.equal(embedded[0, 0], embedded[0, 2])
    assert torch.equal(embedded[0, 0], embedded[1, 2])
    assert torch.equal(embedded[0, 1], embedded[1, 0])
    dropped = (embedded[0, 0] == 0, embedded[0, 1] == 0)
    assert not torch.equal(*dropped)
    assert all(0.2 < float(share.float().mean()) < 0.4 for share in dropped)
    model.eval()(torch.tensor([[5, 6, 5]]), torch.tensor([3]))
    assert torch.equal(read[1], model.embedding(torch.tensor([[5, 6, 5]])))


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
