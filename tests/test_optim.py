"""Row-wise Adam and clipping against torch's dense forms; the schedule at its ends."""

import pytest
import torch
from torch import Tensor, nn

from elman.config import OptimConfig
from elman.models.embedding import Embedding
from elman.optim import build_optimizers, clip_gradients, in_order, learning_rate

CONFIG = OptimConfig(learning_rate=0.1, beta1=0.8, beta2=0.9)


def step(model: nn.Module, optimizers: list[torch.optim.Optimizer], token_ids: Tensor, weight: Tensor) -> None:
    (model(token_ids) * weight).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def test_row_wise_equals_dense_adam_where_every_row_is_read() -> None:
    torch.manual_seed(0)
    sparse, dense = Embedding(6, 3).double(), Embedding(6, 3, sparse=False).double()
    dense.load_state_dict(sparse.state_dict())
    ours = build_optimizers(sparse, CONFIG)
    torchs = [torch.optim.Adam(dense.parameters(), lr=0.1, betas=(0.8, 0.9))]
    for i in range(20):
        token_ids = torch.randperm(6)[None]
        weight = torch.randn(1, 6, 3, dtype=torch.float64) * (i + 1)
        step(sparse, ours, token_ids, weight)
        step(dense, torchs, token_ids, weight)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-12, atol=1e-12)


def test_a_row_moves_as_by_dense_adam_whose_other_rows_stand_still() -> None:
    """Row 2 is read at every third step: its moments know those steps alone, its correction counts all."""
    torch.manual_seed(0)
    table = Embedding(6, 3).double()
    (_, ours) = build_optimizers(table, CONFIG)
    weight, mean, square = table.weight[2].detach().clone(), torch.zeros(3), torch.zeros(3)
    for count in range(1, 13):
        read = 2 if count % 3 == 0 else 4
        gradient = torch.randn(1, 1, 3, dtype=torch.float64)
        step(table, [ours], torch.tensor([[read]]), gradient)
        if read == 2:
            mean = 0.8 * mean + 0.2 * gradient[0, 0]
            square = 0.9 * square + 0.1 * gradient[0, 0] ** 2
            weight -= 0.1 * mean / (1 - 0.8**count) / ((square / (1 - 0.9**count)).sqrt() + 1e-8)
    torch.testing.assert_close(table.weight[2].detach(), weight, rtol=1e-12, atol=1e-12)


def test_gradients_are_put_in_order_only_where_they_are_not() -> None:
    values = torch.tensor([[1.0], [2.0], [4.0]])
    for rows, expected in (
        ([0, 3, 5], [1, 0, 0, 2, 0, 4]),
        ([3, 0, 3], [2, 0, 0, 5, 0, 0]),
        ([0, 3, 3], [1, 0, 0, 6, 0, 0]),
    ):
        gradient = torch.sparse_coo_tensor([rows], values, (6, 1), check_invariants=True)
        found = in_order(gradient)
        assert found.is_coalesced()
        assert found.indices()[0].tolist() == sorted(set(rows))
        assert found.to_dense().flatten().tolist() == expected


def test_rows_that_are_not_read_keep_their_weights() -> None:
    embedding = Embedding(6, 3)
    before = embedding.weight.detach().clone()
    optimizers = build_optimizers(embedding, CONFIG)
    for _ in range(3):
        step(embedding, optimizers, torch.tensor([[1, 4, 4]]), torch.ones(1, 3, 3))
    same = (embedding.weight == before).all(dim=1)
    assert same.tolist() == [True, False, True, True, False, True]


def test_dense_form_moves_rows_on_their_momentum_and_decays_no_embedding() -> None:
    embedding = Embedding(6, 3, sparse=False)
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
        return nn.Sequential(Embedding(6, 3, sparse=sparse), nn.Linear(3, 2))

    sparse, dense = model(True), model(False)
    for one in (sparse, dense):
        one(torch.tensor([[1, 4, 4]])).square().sum().backward()
    expected = torch.nn.utils.clip_grad_norm_(dense.parameters(), max_norm or torch.inf)
    found = clip_gradients(sparse, max_norm)
    torch.testing.assert_close(found, expected)
    for ours, torchs in zip(sparse.parameters(), dense.parameters(), strict=True):
        grad = ours.grad.to_dense() if ours.grad.is_sparse else ours.grad
        torch.testing.assert_close(grad, torchs.grad)


def test_where_there_is_no_gradient_there_is_nothing_to_clip() -> None:
    assert float(clip_gradients(nn.Linear(2, 2), 1.0)) == 0.0


def test_learning_rate_over_a_training() -> None:
    linear = OptimConfig(learning_rate=0.4, warmup_epochs=1.0)
    assert [learning_rate(linear, done, 5) for done in (0, 0.5, 1, 3, 5)] == pytest.approx([0, 0.2, 0.4, 0.2, 0])
    cosine = OptimConfig(learning_rate=0.4, schedule="cosine")
    assert [learning_rate(cosine, done, 4) for done in (0, 2, 4)] == pytest.approx([0.4, 0.2, 0])
    constant = OptimConfig(learning_rate=0.4, schedule="constant")
    assert {learning_rate(constant, done, 4) for done in (0, 2, 4)} == {0.4}
