"""On a GPU everything comes out as on the processor, but for rounding: layers, optimizer, trainings, samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elman import training
from elman.checkpoint import load_weights
from elman.config import ModelConfig, RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset
from elman.evaluation import predictions
from elman.generalization import generalize
from elman.grading import grade
from elman.models.fast.models import Classifier, LanguageModel
from elman.models.word_predictor import WordPredictor
from elman.optim import averaged, build_optimizers, clip_gradients
from elman.presets import preset
from elman.pretraining import pretrain
from elman.runs import Run
from elman.study import parse_study, run_study
from elman.training import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

CELLS = ["elman", "rnn", "gru", "lstm"]
LENGTHS = torch.tensor([7, 30, 1, 18, 30])
ROUNDING = 3e-4
"""How far a result in float32 may be off, as a part of its norm; a product of ten bits is farther off."""
UNDROPPED = {"embedding_dropout": 0.0, "word_dropout": 0.0, "top_dropout": 0.0}
"""Nothing is drawn anew at each step: a GPU's generator draws other numbers."""


@pytest.fixture
def float32_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """For layers alone; for trainings :func:`elman.training.make_fabric` sees to it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def token_ids(vocab_size: int) -> Tensor:
    return torch.randint(4, vocab_size, (len(LENGTHS), 30))


def model_config(**fields: Any) -> ModelConfig:
    return ModelConfig(embedding_size=12, hidden_size=16, **UNDROPPED, **fields)


def on_both(model: torch.nn.Module, work: Callable[[Any, torch.device], list[Tensor]]) -> None:
    """Hold what ``work`` returns, and all gradients, to what they are on the processor."""
    found = []
    for device in map(torch.device, ("cpu", "cuda")):
        model.to(device).zero_grad()
        values = work(model, device)
        sum((value.float().square().sum() for value in values), torch.zeros((), device=device)).backward()
        gradients = [weight.grad.to_dense().cpu().clone() for weight in model.parameters() if weight.grad is not None]
        found.append([*(value.detach().cpu() for value in values), *gradients])
    on_processor, on_gpu = found
    assert len(on_gpu) == len(on_processor) > 2
    for here, there in zip(on_gpu, on_processor, strict=True):
        assert torch.linalg.vector_norm(here - there) <= ROUNDING * torch.linalg.vector_norm(there)


@pytest.mark.usefixtures("float32_is_float32")
@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
@pytest.mark.parametrize("layer", ["mlp", *CELLS])
def test_classifiers(layer: str, pooling: str) -> None:
    for bidirectional in (False, True) if layer != "mlp" else (False,):
        config = model_config(layer=layer, pooling=pooling, bidirectional=bidirectional, num_layers=2)
        ids = token_ids(50)
        on_both(Classifier(config, 50, 3), lambda model, device, ids=ids: [model(ids.to(device), LENGTHS.to(device))])


@pytest.mark.usefixtures("float32_is_float32")
@pytest.mark.parametrize("stack", ["deep", "sum"])
@pytest.mark.parametrize("layer", CELLS)
def test_language_models(layer: str, stack: str) -> None:
    config = model_config(layer=layer, stack=stack, num_layers=2)
    ids = token_ids(20)
    inside = torch.arange(30) < LENGTHS[:, None]

    def read(model: LanguageModel, device: torch.device) -> list[Tensor]:
        packed = model(ids.to(device), (), LENGTHS.to(device))[0][inside.to(device)]
        first, states = model(ids[:, :10].to(device))
        second, states = model(ids[:, 10:].to(device), states)
        step, _ = model.stepper()(ids[:, 0].to(device), states)
        return [packed, first, second, step]

    on_both(LanguageModel(config, 20), read)


@pytest.mark.usefixtures("float32_is_float32")
@pytest.mark.parametrize("layer", CELLS)
def test_word_predictors(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.models.word_predictor.PREDICTED_SHARE", 1.0)
    ids = token_ids(50)
    model = WordPredictor(model_config(layer=layer, bidirectional=True), 50)
    on_both(model, lambda model, device: [model(ids.to(device), LENGTHS.to(device)).logits])


def test_the_optimizer_by_rows(config: RunConfig) -> None:
    ids = [torch.randint(0, 40, (3, 5)) for _ in range(30)]
    start = torch.nn.Embedding(40, 6, sparse=True).weight.detach()
    found = []
    for device in map(torch.device, ("cpu", "cuda")):
        model = torch.nn.Embedding(40, 6, sparse=True)
        model.weight.data.copy_(start)
        model.to(device)
        optimizers = build_optimizers(torch.nn.Sequential(model, torch.nn.Linear(1, 1, device=device)), config.optim)
        average = averaged(model, optimizers[1:], 0.9)
        for read in ids:
            model(read.to(device)).square().sum().backward()
            clip_gradients(model, 1.0)
            optimizers[1].step()
            optimizers[1].zero_grad()
            average.update_parameters(model)
        optimizers[1].settle()
        found.append((model.weight.detach().cpu(), average.module.weight.detach().cpu()))
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there, rtol=2e-4, atol=2e-5)


def undropped(config: RunConfig, layer: str, device: str, **loop: object) -> RunConfig:
    return config.with_tables({"model": {"layer": layer, **UNDROPPED}, "loop": {"accelerator": device, **loop}}, "test")


def trained(path: Path, config: RunConfig, dataset: Dataset) -> Run:
    run = Run.create(path, config, dataset)
    train(run, dataset, lambda _: None, start=pretrain(config, dataset, lambda _: None))
    return run


def same_weights(run: Run, other: Run, tolerance: float = 2e-3) -> None:
    found, expected = load_weights(run.weights_path), load_weights(other.weights_path)
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("layer", ["mlp", *CELLS])
def test_a_training(layer: str, tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    here, there = (trained(tmp_path / device, undropped(config, layer, device), dataset) for device in ("cuda", "cpu"))
    same_weights(here, there)
    assert here.result("training")["machine"]["device"] == f"cuda:0 ({torch.cuda.get_device_name(0)})"
    val = dataset.split("val")
    found, expected = (torch.from_numpy(predictions(run, val, "reading")) for run in (here, there))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_training_that_was_stopped_goes_on(
    precision: str, tmp_path: Path, config: RunConfig, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config.with_tables({"loop": {"accelerator": "cuda", "precision": precision}}, "test")
    whole = trained(tmp_path / "whole", config, dataset)
    run = Run.create(tmp_path / "stopped", config, dataset)
    original = training.save_if_due

    def interrupt_and_save(session: training.Session) -> None:
        if session.state.position.step == 17:
            session.interrupted.set()
        original(session)

    monkeypatch.setattr(training, "save_if_due", interrupt_and_save)
    with pytest.raises(training.Interrupted):
        train(run, dataset, lambda _: None)
    monkeypatch.setattr(training, "save_if_due", original)
    train(run, dataset, lambda _: None)
    same_weights(run, whole)  # dropout too is drawn as it would have been


def test_half_precision_comes_near(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    exact, halved = (
        trained(tmp_path / precision, undropped(config, "lstm", "cuda", precision=precision), dataset)
        for precision in ("float32", "bf16")
    )
    losses = [run.result("training")["val_cross_entropy_nats"] for run in (exact, halved)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert halved.result("training")["machine"]["precision"] == "bf16"


def test_a_pretraining(tmp_path: Path, config: RunConfig, dataset: Dataset) -> None:
    tables = {"loop": {"accelerator": "cuda", "pretrain_epochs": 1}, "model": {"layer": "gru", "bidirectional": True}}
    summary = trained(tmp_path / "run", config.with_tables(tables, "test"), dataset).result("training")
    assert summary["pretraining"]["epochs"] == 1


def test_a_language(tmp_path: Path) -> None:
    tables = {"data": {"strings": 20_000}, "loop": {"accelerator": "cuda", "epochs": 3}}
    config = preset("ndfa", "language-model", None).with_tables(tables, "test")
    run = trained(tmp_path / "run", config, open_dataset(config.data))
    assert 0 < run.result("training")["val_excess_nats_per_token"] < 0.1
    assert grade(run, 500, strings=500)["grammatical"] > 250
    assert generalize(run, (1, 2))["by_length"][0]["kl_nats"] < 0.1


def test_a_study(tmp_path: Path) -> None:
    text = """
    [bases.reviews]
    data = { name = "synth-reviews", synthetic_size = 200 }
    loop = { epochs = 1 }
    [[questions]]
    base = "reviews"
    kind = "classifier"
    steps = [{ name = "lstm", model = { layer = "lstm", hidden_size = 8 }, seeds = [0, 1], processes = 2 }]
    """
    path = run_study(parse_study(text, "small").on("cuda"), tmp_path, lambda _: None)
    assert f"cuda:0 ({torch.cuda.get_device_name(0)})" in path.with_suffix(".md").read_text()
