"""The classifier sees the text and nothing else: no padding, no neighbour, no order of the batch."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.classifier import Classifier
from elman.models.embedding import Embedding, distinct_ids, drop_words
from elman.models.placed import Placed, Steps
from elman.models.pooling import MAX, LinearMax, pooling
from elman.text.vocab import PAD, UNKNOWN

MODELS = [
    ModelConfig(layer=layer, pooling=pool, bidirectional=both, num_layers=layers, embedding_size=4, hidden_size=6)
    for layer, pool, both, layers in product(
        ("mlp", "elman", "rnn", "gru", "lstm"), ("max", "mean", "last"), (False, True), (1, 2)
    )
    if not (layer == "mlp" and both)
]


@pytest.fixture(autouse=True, params=[0, 24_000], ids=["wide", "narrow"])
def lstms_read_either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.models.recurrent.WIDE_LSTM", request.param)


def texts() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([7, 1, 4, 6])
    token_ids = torch.randint(4, 20, (4, 7), generator=generator)
    return token_ids.masked_fill(torch.arange(7) >= lengths[:, None], PAD), lengths


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_padding_neighbours_and_order_change_no_logit(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = Classifier(config, 20, 3).double().eval()
    token_ids, lengths = texts()
    logits = model(token_ids, lengths)
    for row, length in enumerate(lengths.tolist()):
        close(model(token_ids[row : row + 1, :length], lengths[row : row + 1])[0], logits[row])
    close(model(F.pad(token_ids, (0, 9), value=PAD), lengths), logits)
    behind = torch.arange(7) >= lengths[:, None]
    close(model(token_ids.masked_fill(behind, 13), lengths), logits)
    order = torch.tensor([2, 0, 3, 1])
    close(model(token_ids[order], lengths[order]), logits[order])


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_nothing_is_read_that_nothing_wrote(config: ModelConfig) -> None:
    """New memory is often zero, and then hides such a read; here it is not a number."""
    torch.manual_seed(0)
    model = Classifier(config, 20, 3, sparse=False).eval()

    def gradients() -> list[Tensor]:
        logits = model(*texts())
        return [logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))]

    expected = gradients()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    try:
        assert torch.empty(3).isnan().all()
        found = gradients()
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_every_token_that_is_read_counts(config: ModelConfig) -> None:
    """A model that ignored a token, or a direction, would pass the test above."""
    torch.manual_seed(0)
    model = Classifier(config, 20, 3).double()
    token_ids, lengths = texts()
    x = model.embedding(token_ids).detach().requires_grad_()
    each_its_own = Placed(x.flatten(0, 1), torch.arange(token_ids.numel()).view_as(token_ids))
    features = model.layer(each_its_own, lengths).placed()
    above_zero = features  # the ReLU may well be zero at a token
    if features.linear is None:
        above_zero = Placed(features.rows + 100, features.places)
    else:
        with torch.no_grad():
            features.linear.bias.add_(100)
    model.head(model.pool(above_zero, lengths)).square().sum().backward()
    moved = x.grad.abs().sum(dim=-1)
    inside = torch.arange(7) < lengths[:, None]
    assert (moved[~inside] == 0).all()
    if config.layer == "mlp" and config.num_layers > 1:
        return  # the ReLU between its layers may well be zero at a token
    if config.pooling == "mean":
        assert (moved[inside] > 0).all()
    assert (moved.sum(dim=1) > 0).all()


@pytest.mark.parametrize("num_layers", [1, 3])
def test_mlp_is_the_course_table(num_layers: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(layer="mlp", embedding_size=4, hidden_size=6, num_layers=num_layers)
    model = Classifier(config, 20, 2).double().eval()
    token_ids, lengths = texts()
    for row, length in enumerate(lengths.tolist()):
        features = model.embedding.weight[token_ids[row, :length]]
        for linear in model.layer.layers:
            features = torch.relu(features @ linear.weight.T + linear.bias)
        pooled = features.max(dim=0).values
        close(model(token_ids, lengths)[row], pooled @ model.head.weight.T + model.head.bias)


@pytest.mark.parametrize("name", ["max", "mean", "last"])
def test_pooling_is_of_the_relu_of_each_sequence_alone(name: str) -> None:
    places, lengths = texts()
    rows = torch.randn(20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = pooling(name)(Placed(rows, places), lengths)
    for row, length in enumerate(lengths.tolist()):
        steps = torch.relu(rows[places[row, :length]])
        expected = {"max": steps.max(dim=0).values, "mean": steps.mean(dim=0), "last": steps[-1]}[name]
        close(found[row], expected)


@pytest.mark.parametrize("name", ["max", "mean", "last"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_linear_layer_that_is_left_to_the_pool_comes_before_it(name: str, bidirectional: bool) -> None:
    """The same values and the same gradients, also of rows that no place shows and of features that nothing wins."""
    torch.manual_seed(0)
    places, lengths = texts()
    linear = nn.Linear(5, 6).double()
    needed = [torch.randn(25, 5, dtype=torch.float64, requires_grad=True), *linear.parameters()]
    weight = torch.randn(4, 6, dtype=torch.float64)
    pool = pooling(name, bidirectional=bidirectional)
    found = []
    for x in (Placed(needed[0], places, linear), Placed(linear(needed[0]), places)):
        pooled = pool(x, lengths)
        found.append([pooled, *torch.autograd.grad((pooled * weight).sum(), needed)])
    for ours, definition in zip(*found, strict=True):
        close(ours, definition)


@pytest.mark.parametrize("name", ["max", "mean", "last"])
@pytest.mark.parametrize("left", [False, True])
def test_steps_are_pooled_as_rows_and_places_are(name: str, left: bool) -> None:
    """Columns in an order of their own, of which one stands for no sequence."""
    torch.manual_seed(0)
    _, lengths = texts()
    linear, columns = nn.Linear(5, 6).double(), torch.tensor([3, 0, 4, 1])
    steps = torch.randn(7, 5, 5, dtype=torch.float64, requires_grad=True)
    ends = torch.full((5,), 2).index_copy(0, columns, lengths)
    blank = steps * (torch.arange(7)[:, None] < ends)[:, :, None]
    needed = [steps, *linear.parameters()] if left else [steps]
    found = []
    for form in (
        Steps(steps, ends, columns, False).placed(),
        Steps(steps, ends, columns, False),
        Steps(blank, ends, columns, True),
    ):
        x = form._replace(linear=linear if left else None)
        pooled = pooling(name)(x, lengths)
        with torch.no_grad():
            close(pooling(name)(x, lengths), pooled)
        found.append([pooled, *torch.autograd.grad(pooled.square().sum(), needed)])
    for rows, *others in zip(*found, strict=True):
        for other in others:
            close(other, rows)


@pytest.mark.parametrize("layer", ["mlp", "elman"])
def test_the_last_linear_layer_is_left_to_the_pool(layer: str) -> None:
    model = Classifier(ModelConfig(layer=layer, embedding_size=4, hidden_size=6), 20, 2)
    token_ids, lengths = texts()
    assert model.layer(model.embedding.placed(token_ids), lengths).linear is not None


def test_what_is_no_number_is_seen_behind_a_maximum() -> None:
    model = Classifier(ModelConfig(layer="mlp", embedding_size=4, hidden_size=6), 20, 2).eval()
    token_ids, lengths = texts()
    with torch.no_grad():
        model.embedding.weight[token_ids[0, 3]] = torch.nan
    assert not model(token_ids, lengths)[0].isfinite().any()


def test_gradcheck_of_a_linear_layer_under_a_maximum() -> None:
    torch.manual_seed(0)
    places, lengths = texts()
    members, starts = places[torch.arange(7) < lengths[:, None]], lengths.cumsum(0) - lengths

    def winners(values: Tensor) -> tuple[Tensor, Tensor]:
        pooled, _, _, found = torch.embedding_bag(values, members, starts, mode=MAX)
        return pooled, found

    def pooled(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return LinearMax.apply(rows, weight, bias, winners)

    shapes = (20, 5), (6, 5), (6,)
    assert torch.autograd.gradcheck(pooled, [torch.randn(s, dtype=torch.float64).requires_grad_() for s in shapes])


@pytest.mark.parametrize("sparse", [True, False])
def test_embedding_is_torchs_forward_and_backward(sparse: bool) -> None:
    ours = Embedding(20, 4, sparse=sparse).double()
    torchs = nn.Embedding.from_pretrained(ours.weight.detach().clone(), freeze=False)
    token_ids, _ = texts()
    weight = torch.randn(4, 7, 4, dtype=torch.float64)
    close(ours(token_ids), torchs(token_ids))
    (ours(token_ids) * weight).sum().backward()
    (torchs(token_ids) * weight).sum().backward()
    assert ours.weight.grad.is_sparse == sparse
    close(ours.weight.grad.to_dense() if sparse else ours.weight.grad, torchs.weight.grad)


def test_distinct_ids_are_torchs_unique() -> None:
    token_ids = torch.randint(0, 50, (7, 11), generator=torch.Generator().manual_seed(0))
    expected = torch.unique(token_ids, return_inverse=True)
    for given in (token_ids, token_ids.int()):
        for found, one in zip(distinct_ids(given, 60), expected, strict=True):
            assert torch.equal(found, one)


def test_embedding_dropout_is_one_draw_a_distinct_word() -> None:
    torch.manual_seed(0)
    embedding = Embedding(20, 50, dropout=0.5)
    same = torch.full((2, 3), 7)
    embedded = embedding(same).flatten(0, 1)
    assert (embedded == embedded[0]).all()
    zeros = (embedded[0] == 0).float().mean()
    assert 0.2 < zeros < 0.8


def test_word_dropout_reads_unknown_in_training_only() -> None:
    torch.manual_seed(0)
    model = Classifier(ModelConfig(layer="mlp", word_dropout=0.5, embedding_size=4, hidden_size=4), 50, 2)
    token_ids = torch.arange(4, 44)[None]
    dropped = drop_words(token_ids, 0.5, training=True)
    changed = dropped != token_ids
    assert (dropped[changed] == UNKNOWN).all()
    assert 8 <= int(changed.sum()) <= 32
    assert (drop_words(token_ids, 0.5, training=False) == token_ids).all()
    with torch.no_grad():
        model.embedding.weight[UNKNOWN] = torch.nan  # so that every logit tells whether it was read
    lengths = torch.tensor([40])
    assert model.train()(token_ids, lengths).isnan().all()
    assert not model.eval()(token_ids, lengths).isnan().any()


def test_no_gradient_through_the_smallest_pool_reaches_padding() -> None:
    """All features below zero behind the ReLU: the pool must still not pick a padded step."""
    model = Classifier(ModelConfig(layer="mlp", pooling="max", embedding_size=2, hidden_size=2), 20, 2).double()
    with torch.no_grad():
        model.layer.layers[0].bias.fill_(-100)
    token_ids, lengths = texts()
    close(model(token_ids, lengths), model.head.bias.expand(4, 2))
