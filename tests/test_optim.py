"""Row-wise Adam and clipping against torch's dense forms; the schedule at its ends."""

import pickle
from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import OptimConfig
from elman.errors import ConfigError
from elman.optim import (
    average_decay,
    averaged,
    build_optimizers,
    clip_gradients,
    learning_rate,
    set_learning_rate,
)
from elman.row_wise_adam import RowWiseAdam, in_order

CONFIG = OptimConfig(learning_rate=0.1, beta1=0.8, beta2=0.9)


def settle(optimizers: list[torch.optim.Optimizer]) -> None:
    for optimizer in optimizers:
        if isinstance(optimizer, RowWiseAdam):
            optimizer.settle()


def step(model: nn.Module, optimizers: list[torch.optim.Optimizer], token_ids: Tensor, weight: Tensor) -> None:
    (model(token_ids) * weight).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("betas", [(0.9, 0.8), (0.95, 0.9), (0.9, 0.85)])
def test_betas_whose_drift_cannot_be_followed_are_refused(betas: tuple[float, float]) -> None:
    """A row that is read once would be off by 8 million after 3,000 steps with betas of 0.9 and 0.8."""
    with pytest.raises(ConfigError, match="drift too far"):
        OptimConfig(beta1=betas[0], beta2=betas[1])
    OptimConfig(beta1=betas[0], beta2=betas[1], row_wise_embedding=False)
    with pytest.raises(ValueError, match="drift too far"):
        RowWiseAdam([nn.Embedding(2, 2)], lr=0.1, betas=betas)


@pytest.mark.parametrize("read", [range(6), range(0, 6, 2), [3]], ids=["all", "half", "one"])
@pytest.mark.parametrize("betas", [(0.8, 0.9), (0.9, 0.98), (0.9, 0.9), (0.0, 0.9)])
def test_row_wise_equals_dense_adam(betas: tuple[float, float], read: Sequence[int]) -> None:
    """Six rows, some of them not read for many steps, while the learning rate falls."""
    torch.manual_seed(0)
    sparse, dense = nn.Embedding(6, 3, sparse=True).double(), nn.Embedding(6, 3).double()
    dense.load_state_dict(sparse.state_dict())
    ours = build_optimizers(sparse, OptimConfig(learning_rate=0.1, beta1=betas[0], beta2=betas[1]))
    torchs: list[torch.optim.Optimizer] = [torch.optim.Adam(dense.parameters(), lr=0.1, betas=betas)]
    for i in range(40):
        token_ids = torch.tensor([[*read][i % len(read) :]]) if i % 7 else torch.randperm(6)[None]
        weight = torch.randn(*token_ids.shape, 3, dtype=torch.float64) * (i + 1)
        for optimizers in (ours, torchs):
            set_learning_rate(optimizers, 0.1 * (1 - i / 40))
        torch.testing.assert_close(sparse(token_ids), dense(token_ids), rtol=1e-6, atol=1e-6)
        step(sparse, ours, token_ids, weight)
        step(dense, torchs, token_ids, weight)
    settle(ours)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-6, atol=1e-6)
    moved = sparse.weight.detach().clone()
    settle(ours)
    assert torch.equal(sparse.weight, moved)


@pytest.mark.parametrize("decay", [0.5, 0.99])
@pytest.mark.parametrize("betas", [(0.8, 0.9), (0.9, 0.98), (0.9, 0.9)])
def test_the_average_of_rows_is_that_of_dense_adam(betas: tuple[float, float], decay: float) -> None:
    """Settled now and then; some rows are read through the hook, some are not, and one is never read."""
    torch.manual_seed(0)
    sparse, dense = nn.Embedding(7, 3, sparse=True).double(), nn.Embedding(7, 3).double()
    dense.load_state_dict(sparse.state_dict())
    config = OptimConfig(learning_rate=0.1, beta1=betas[0], beta2=betas[1])
    ours, torchs = build_optimizers(sparse, config), [torch.optim.Adam(dense.parameters(), lr=0.1, betas=betas)]
    average, expected = averaged(sparse, ours, decay), dense.weight.detach().clone()
    for i in range(60):
        token_ids = torch.randint(6, (1, 2 + i % 3))
        weight = torch.randn(*token_ids.shape, 3, dtype=torch.float64) * (i + 1)
        for optimizers in (ours, torchs):
            set_learning_rate(optimizers, 0.1 * (1 - i / 60))
        if i % 4:
            sparse(token_ids[:, 1:])  # the hook settles these rows, and not the others
        (F.embedding(token_ids, sparse.weight, sparse=True) * weight).sum().backward()
        for optimizer in ours:
            optimizer.step()
            optimizer.zero_grad()
        step(dense, torchs, token_ids, weight)
        average.update_parameters(sparse)
        expected.lerp_(dense.weight.detach(), 1 - average_decay(decay, i + 1) if i else 1)
        if i % 20 == 0 or i > 57:
            settle(ours)
            torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(average.module.weight.detach(), expected, rtol=1e-6, atol=1e-6)


def test_dense_weights_are_averaged_too() -> None:
    model = nn.Sequential(nn.Embedding(6, 3, sparse=True), nn.Linear(3, 2))
    optimizers = build_optimizers(model, CONFIG)
    average, expected = averaged(model, optimizers, 0.5), None
    for steps, row in enumerate((1, 2, 4), start=1):
        model(torch.tensor([[row]])).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        average.update_parameters(model)
        now = model[1].weight.detach().clone()
        expected = now if expected is None else expected.lerp(now, 1 - average_decay(0.5, steps))
    assert expected is not None
    torch.testing.assert_close(average.module[1].weight.detach(), expected)


def test_an_average_forgets_the_first_weights_in_few_steps() -> None:
    weight = nn.Linear(1, 1, bias=False)
    average = averaged(weight, [], 0.99)
    for i in range(60):
        nn.init.constant_(weight.weight, float(i == 0))
        average.update_parameters(weight)
    assert 0 < average.module.weight.item() < 1e-6


def test_a_drift_is_followed_to_its_end() -> None:
    torch.manual_seed(0)
    sparse, dense = nn.Embedding(3, 2, sparse=True).double(), nn.Embedding(3, 2).double()
    dense.load_state_dict(sparse.state_dict())
    ours, torchs = build_optimizers(sparse, CONFIG), [torch.optim.Adam(dense.parameters(), lr=0.1, betas=(0.8, 0.9))]
    step(sparse, ours, torch.tensor([[0]]), torch.ones(1, 1, 2))
    step(dense, torchs, torch.tensor([[0]]), torch.ones(1, 1, 2))
    for _ in range(300):
        step(sparse, ours, torch.tensor([[1]]), torch.ones(1, 1, 2))
        step(dense, torchs, torch.tensor([[1]]), torch.ones(1, 1, 2))
    settle(ours)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-6, atol=1e-6)


def test_rows_read_without_the_hook_are_moved_from_where_they_belong() -> None:
    torch.manual_seed(0)
    hooked, unhooked = (nn.Embedding(6, 3, sparse=True).double() for _ in range(2))
    unhooked.load_state_dict(hooked.state_dict())
    for model in (hooked, unhooked):
        optimizers = build_optimizers(model, CONFIG)
        for row in (1, 2, 4, 1):
            token_ids = torch.tensor([[row]])
            embedded = model(token_ids) if model is hooked else F.embedding(token_ids, model.weight, sparse=True)
            embedded.sum().backward()  # the gradient does not depend on the weights
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        settle(optimizers)
    torch.testing.assert_close(hooked.weight, unhooked.weight)


def test_evaluation_settles_all_rows_of_the_model_and_of_its_average() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(6, 3, sparse=True)
    optimizers = build_optimizers(model, CONFIG)
    average = averaged(model, optimizers, 0.9)
    for row in (1, 2, 4, 1):
        step(model, optimizers, torch.tensor([[row]]), torch.ones(1, 1, 3))
        average.update_parameters(model)
    with torch.inference_mode():
        average.module.eval()(torch.tensor([[0]]))
    weights, averages = model.weight.detach().clone(), average.module.weight.detach().clone()
    settle(optimizers)
    assert torch.equal(model.weight, weights)
    assert torch.equal(average.module.weight, averages)
    assert not torch.equal(averages, weights)


def test_copying_a_model_copies_no_optimizer() -> None:
    model = nn.Embedding(6, 3, sparse=True)
    optimizers = build_optimizers(model, CONFIG)
    step(model, optimizers, torch.tensor([[1]]), torch.ones(1, 1, 3))
    copy = deepcopy(model)
    before = model.weight.detach().clone()
    step(copy, build_optimizers(copy, CONFIG), torch.tensor([[1]]), torch.ones(1, 1, 3))
    assert torch.equal(model.weight, before)


def test_a_checkpoint_of_version_0_1_is_read() -> None:
    model = nn.Embedding(6, 3, sparse=True)
    (_, ours) = build_optimizers(model, CONFIG)
    step(model, [ours], torch.tensor([[1]]), torch.ones(1, 1, 3))
    state = deepcopy(ours.state_dict())
    for former, name in {"moved_in": "last_update", "drifted": "drift_applied", "average_left": "average_kept"}.items():
        state["state"][0][former] = state["state"][0].pop(name)
    (_, other) = build_optimizers(model, CONFIG)
    other.load_state_dict(state)
    assert torch.equal(other.state[model.weight]["last_update"], ours.state[model.weight]["last_update"])


def test_the_state_is_restored_exactly() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(6, 3, sparse=True)
    (_, ours) = build_optimizers(model, CONFIG)
    for row in (1, 2, 4):
        step(model, [ours], torch.tensor([[row]]), torch.ones(1, 1, 3))
    (_, other) = build_optimizers(model, CONFIG)
    other.load_state_dict(ours.state_dict())
    before, after = (optimizer.state[model.weight] for optimizer in (ours, other))
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name])
        assert value.dtype == after[name].dtype


def test_the_state_of_another_optimizer_is_refused() -> None:
    model = nn.Embedding(6, 3, sparse=True)
    (_, ours) = build_optimizers(model, CONFIG)
    step(model, [ours], torch.tensor([[1]]), torch.ones(1, 1, 3))
    state = ours.state_dict()
    del state["state"][0]["last_update"]
    (_, other) = build_optimizers(model, CONFIG)
    with pytest.raises(ValueError, match="lacks last_update"):
        other.load_state_dict(state)


def test_a_sparse_gradient_is_put_in_order() -> None:
    values = torch.tensor([[1.0], [2.0], [4.0]])
    for rows, expected in (
        ([0, 3, 5], [1, 0, 0, 2, 0, 4]),
        ([3, 0, 3], [2, 0, 0, 5, 0, 0]),
        ([0, 3, 3], [1, 0, 0, 6, 0, 0]),
    ):
        gradient = torch.sparse_coo_tensor([rows], values, (6, 1), check_invariants=True)
        ordered = in_order(gradient)
        assert ordered.is_coalesced()
        assert ordered.indices()[0].tolist() == sorted(set(rows))
        assert ordered.to_dense().flatten().tolist() == expected


def test_rows_that_were_never_read_keep_their_weights() -> None:
    embedding = nn.Embedding(6, 3, sparse=True)
    before = embedding.weight.detach().clone()
    optimizers = build_optimizers(embedding, CONFIG)
    for _ in range(3):
        step(embedding, optimizers, torch.tensor([[1, 4, 4]]), torch.ones(1, 3, 3))
    same = (embedding.weight == before).all(dim=1)
    assert same.tolist() == [True, False, True, True, False, True]


def test_dense_form_moves_rows_on_their_momentum_and_decays_no_embedding() -> None:
    embedding = nn.Embedding(6, 3)
    optimizers = build_optimizers(embedding, OptimConfig(learning_rate=0.1, weight_decay=0.5, row_wise_embedding=False))
    untouched = embedding.weight[0].detach().clone()
    step(embedding, optimizers, torch.tensor([[1]]), torch.ones(1, 1, 3))
    once = embedding.weight[1].detach().clone()
    step(embedding, optimizers, torch.tensor([[2]]), torch.ones(1, 1, 3))
    assert (embedding.weight[1] != once).all()
    assert (embedding.weight[0] == untouched).all()


def test_weight_decay_shrinks_the_other_weights() -> None:
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    (optimizer,) = build_optimizers(model, OptimConfig(learning_rate=0.1, weight_decay=0.5))
    model.weight.grad, model.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before * (1 - 0.05))


@pytest.mark.parametrize("max_norm", [0.5, 1e6, None, 0.0])
def test_clipping_equals_torchs_with_and_without_sparse_gradients(max_norm: float | None) -> None:
    def model(sparse: bool) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(6, 3, sparse=sparse), nn.Linear(3, 2))

    sparse, dense = model(True), model(False)
    for one in (sparse, dense):
        one(torch.tensor([[1, 4, 4]])).square().sum().backward()
    expected = torch.nn.utils.clip_grad_norm_(dense.parameters(), max_norm or torch.inf)
    norm = clip_gradients(sparse, max_norm)
    torch.testing.assert_close(norm, expected)
    for ours, torchs in zip(sparse.parameters(), dense.parameters(), strict=True):
        grad = ours.grad.to_dense() if ours.grad.is_sparse else ours.grad
        torch.testing.assert_close(grad, torchs.grad)


def test_without_gradients_the_norm_is_zero() -> None:
    assert float(clip_gradients(nn.Linear(2, 2), 1.0)) == 0.0


def test_learning_rate_over_a_training() -> None:
    linear = OptimConfig(learning_rate=0.4, warmup_epochs=1.0)
    assert [learning_rate(linear, done, 5) for done in (0, 0.5, 1, 3, 5)] == pytest.approx([0, 0.2, 0.4, 0.2, 0])
    cosine = OptimConfig(learning_rate=0.4, schedule="cosine")
    assert [learning_rate(cosine, done, 4) for done in (0, 2, 4)] == pytest.approx([0.4, 0.2, 0])
    constant = OptimConfig(learning_rate=0.4, schedule="constant")
    assert {learning_rate(constant, done, 4) for done in (0, 2, 4)} == {0.4}


def test_weights_that_are_loaded_in_the_middle_of_a_training_stay_as_they_are() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(6, 3, sparse=True)
    optimizers = build_optimizers(model, CONFIG)
    for row in (1, 2, 4, 1):
        step(model, optimizers, torch.tensor([[row]]), torch.ones(1, 1, 3))
    best = {"weight": torch.randn(6, 3)}
    model.load_state_dict(best)
    model.eval()(torch.tensor([[1]]))
    assert torch.equal(model.weight, best["weight"])


def test_a_model_is_pickled_without_its_optimizer() -> None:
    model = nn.Embedding(6, 3, sparse=True)
    optimizers = build_optimizers(model, CONFIG)
    copy = pickle.loads(pickle.dumps(model))
    step(model, optimizers, torch.tensor([[1]]), torch.ones(1, 1, 3))
    assert copy.eval()(torch.tensor([[1]])).shape == (1, 1, 3)


def test_reading_before_the_first_step_leaves_no_state() -> None:
    model = nn.Embedding(6, 3, sparse=True)
    (_, ours), (_, other) = build_optimizers(model, CONFIG), build_optimizers(model, CONFIG)
    model.eval()(torch.tensor([[1]]))
    model.train()(torch.tensor([[1]]))
    other.load_state_dict(ours.state_dict())
