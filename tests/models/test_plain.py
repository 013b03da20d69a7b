"""The plain models are the definitions: torch's layers on copied weights, the course's tables, and no padding."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.config import ModelConfig
from elman.models import plain
from elman.models.plain import GRU, LSTM, RNN, Elman, Recurrent, RecurrentLayer
from elman.text.vocab import PAD

EXACT = {"rtol": 1e-12, "atol": 1e-12}
TORCH = {RNN: nn.RNN, GRU: nn.GRU, LSTM: nn.LSTM}
LENGTHS = torch.tensor([4, 9, 1, 7])


def torch_twin(layer: RecurrentLayer, insize: int, hsize: int) -> nn.Module:
    twin = TORCH[type(layer)](insize, hsize, batch_first=True).double()
    twin.load_state_dict(layer.state_dict())
    return twin


def torch_state(state: Tensor, cell: type[RecurrentLayer]) -> Tensor | tuple[Tensor, ...]:
    return tuple(part[None].contiguous() for part in state.chunk(2, dim=1)) if cell is LSTM else state[None]


def as_one(state: Tensor | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part[0] for part in state], dim=1) if isinstance(state, tuple) else state[0]


@pytest.mark.parametrize("cell", TORCH)
def test_layer_equals_torch_forward_and_backward(cell: type[RecurrentLayer]) -> None:
    torch.manual_seed(0)
    layer = cell(3, 5).double()
    twin = torch_twin(layer, 3, 5)
    x = torch.randn(4, 9, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(4, layer.state_size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 9, 5, dtype=torch.float64)
    results = []
    for model, first in ((layer, state), (twin, torch_state(state, cell))):
        outputs, last = model(x, first)
        last = last if model is layer else as_one(last)
        total = (outputs * weight).sum() + last.square().sum()
        results.append([outputs, last, *torch.autograd.grad(total, [x, state, *model.parameters()])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)


@pytest.mark.parametrize("cell", TORCH)
def test_initial_weights_are_drawn_as_torch_draws_them(cell: type[RecurrentLayer]) -> None:
    torch.manual_seed(3)
    ours = cell(3, 5)
    torch.manual_seed(3)
    for mine, other in zip(ours.parameters(), TORCH[cell](3, 5).parameters(), strict=True):
        assert torch.equal(mine, other)


def test_elman_states_equal_nn_rnn_on_copied_weights() -> None:
    ours, torchs = Elman(4, 2, 6).double(), nn.RNN(4, 6, batch_first=True).double()
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(ours.lin1.weight[:, :4])
        torchs.weight_hh_l0.copy_(ours.lin1.weight[:, 4:])
        torchs.bias_ih_l0.copy_(ours.lin1.bias)
        torchs.bias_hh_l0.zero_()
    x, h = torch.randn(3, 11, 4, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    states, last = torchs(x, h[None])
    outputs, hidden = ours(x, h)
    torch.testing.assert_close(hidden, last[0], **EXACT)
    torch.testing.assert_close(outputs, ours.lin2(states), **EXACT)


def test_elman_defaults_are_those_of_the_course() -> None:
    outputs, hidden = Elman()(torch.zeros(1, 2, 300))
    assert (outputs.shape, hidden.shape) == ((1, 2, 300), (1, 300))


def test_first_elman_state_is_zeros_of_the_hidden_size() -> None:
    layer, x = Elman(insize=2, outsize=7, hsize=9), torch.randn(3, 5, 2)
    outputs, hidden = layer(x)
    assert (outputs.shape, hidden.shape) == ((3, 5, 7), (3, 9))
    assert torch.equal(outputs, layer(x, torch.zeros(3, 9))[0])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, False), (1, True), (3, True)])
def test_stack_equals_torch_on_packed_sequences(cell: str, num_layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        layer=cell, embedding_size=3, hidden_size=5, num_layers=num_layers, bidirectional=bidirectional
    )
    ours = Recurrent(config).double()
    twin = TORCH[getattr(plain, cell.upper())](3, 5, num_layers, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for k in range(num_layers):
            for layers, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
                for name, weight in layers[k].named_parameters() if len(layers) else ():
                    getattr(twin, f"{name.removesuffix('0')}{k}{suffix}").copy_(weight)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    packed, _ = twin(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    torch.testing.assert_close(ours(x, LENGTHS)[0] * inside, expected, **EXACT)


@pytest.mark.parametrize("cell", ["elman", "rnn", "gru", "lstm"])
def test_summed_stack_adds_the_outputs_of_its_layers(cell: str) -> None:
    stack = Recurrent(ModelConfig(layer=cell, embedding_size=4, hidden_size=4, num_layers=3, stack="sum")).double()
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    below, total = x, 0
    for layer in stack.forwards:
        below, _ = layer(below)
        total = total + below
    torch.testing.assert_close(stack(x)[0], total, **EXACT)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_mlp_classifier_is_the_course_table(num_layers: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(layer="mlp", embedding_size=4, hidden_size=6, num_layers=num_layers)
    model = plain.Classifier(config, 20, 2).double().eval()
    token_ids, lengths = torch.randint(4, 20, (4, 9)), LENGTHS
    for row, length in enumerate(lengths.tolist()):
        features = model.embedding.weight[token_ids[row, :length]]
        for linear in model.layer.layers:
            features = torch.relu(features @ linear.weight.T + linear.bias)
        logits = features.max(dim=0).values @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model(token_ids, lengths)[row], logits, **EXACT)


@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
def test_pooling_reads_the_relu_of_each_sequence_alone(pooling: str) -> None:
    x = torch.randn(4, 9, 5, dtype=torch.float64)
    pooled = plain.pool(x, LENGTHS, pooling, bidirectional=False)
    for row, length in enumerate(LENGTHS.tolist()):
        steps = torch.relu(x[row, :length])
        expected = {"max": steps.max(dim=0).values, "mean": steps.mean(dim=0), "last": steps[-1]}[pooling]
        torch.testing.assert_close(pooled[row], expected, **EXACT)


def test_language_model_is_the_course_table() -> None:
    model = plain.LanguageModel(ModelConfig(layer="lstm", embedding_size=4, hidden_size=5), 9).double().eval()
    embedding, lstm, linear = nn.Embedding(9, 4).double(), nn.LSTM(4, 5, batch_first=True).double(), nn.Linear(5, 9)
    embedding.load_state_dict(model.embedding.state_dict())
    lstm.load_state_dict(model.layer.forwards[0].state_dict())
    linear.double().load_state_dict({"weight": model.head.weight, "bias": model.bias})
    token_ids = torch.randint(3, 9, (3, 8))
    torch.testing.assert_close(model(token_ids)[0], linear(lstm(embedding(token_ids))[0]), **EXACT)


def test_embedding_dropout_is_one_draw_per_distinct_word() -> None:
    torch.manual_seed(0)
    config = ModelConfig(layer="mlp", embedding_size=50, embedding_dropout=0.5)
    embedding = plain.build_embedding(config, 20)
    embedded = plain.embed(embedding, torch.full((2, 3), 7), None, config).flatten(0, 1)
    assert (embedded == embedded[0]).all()
    assert 0.2 < (embedded[0] == 0).float().mean() < 0.8


MODELS = [
    ModelConfig(layer=layer, pooling=pooling, bidirectional=both, num_layers=2, embedding_size=4, hidden_size=6)
    for layer, pooling, both in product(("mlp", "elman", "rnn", "gru", "lstm"), ("max", "mean", "last"), (False, True))
    if not (layer == "mlp" and both)
]


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_padding_neighbors_and_order_change_no_logit(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = plain.Classifier(config, 20, 3).double().eval()
    token_ids = torch.randint(4, 20, (4, 9)).masked_fill(torch.arange(9) >= LENGTHS[:, None], PAD)
    logits = model(token_ids, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(token_ids[row : row + 1, :length], LENGTHS[row : row + 1])[0]
        torch.testing.assert_close(alone, logits[row], **EXACT)
    torch.testing.assert_close(model(F.pad(token_ids, (0, 9), value=13), LENGTHS), logits, **EXACT)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(token_ids[order], LENGTHS[order]), logits[order], **EXACT)
