"""A stack of layers is what torch computes on packed sequences, whichever way it is read."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.inference import multiplies_bf16
from elman.models.embedding import distinct_ids
from elman.models.placed import Placed
from elman.models.recurrent import LAYERS, Recurrent, picked

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LENGTHS = torch.tensor([4, 9, 1, 7])


@pytest.fixture(autouse=True)
def every_lstm_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones too are read in our own way, unless ``fast`` says otherwise."""
    monkeypatch.setattr("elman.models.recurrent.WIDE_LSTM", 0)


def placed(x: Tensor) -> Placed:
    """The vectors of x, none of them shared."""
    return Placed(x.flatten(0, 1), torch.arange(x.shape[0] * x.shape[1]).view(x.shape[:2]))


def torchs_twin(ours: Recurrent, cell: str, num_layers: int, bidirectional: bool) -> nn.Module:
    """Torch's own stack with our weights."""
    twin = CELLS[cell](3, 5, num_layers, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for n in range(num_layers):
            for layers, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
                for name, weight in layers[n].named_parameters() if len(layers) else ():
                    getattr(twin, f"{name.removesuffix('0')}{n}{suffix}").copy_(weight)
    return twin


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, False), (1, True), (3, True)])
def test_equals_torch_on_packed_sequences(cell: str, num_layers: int, bidirectional: bool, fast: bool) -> None:
    ours = Recurrent(cell, 3, 5, num_layers=num_layers, bidirectional=bidirectional, fast=fast).double()
    twin = torchs_twin(ours, cell, num_layers, bidirectional)
    x = torch.randn(4, 9, 3, dtype=torch.float64, requires_grad=True)
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    packed, _ = twin(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    found = ours(placed(x), LENGTHS).dense() * inside
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(found)
    for ours_grad, torchs_grad in zip(
        torch.autograd.grad((found * weight).sum(), x), torch.autograd.grad((expected * weight).sum(), x), strict=True
    ):
        torch.testing.assert_close(ours_grad, torchs_grad, rtol=1e-12, atol=1e-12)


def test_a_narrow_lstm_is_read_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, x = Recurrent("lstm", 3, 5), placed(torch.randn(4, 9, 3))
    wide = stack(x, LENGTHS).dense()
    monkeypatch.setattr("elman.models.recurrent.WIDE_LSTM", 4 * 5 + 1)
    monkeypatch.setattr("elman.models.lstm.LSTM.read", lambda *_: pytest.fail("it was read in our own way"))
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    torch.testing.assert_close(stack(x, LENGTHS).dense() * inside, wide * inside)


@pytest.mark.skipif(not multiplies_bf16(), reason="this processor has no bf16 products, and torch's LSTM refuses them")
@pytest.mark.parametrize("bidirectional", [False, True])
def test_in_half_precision_torchs_lstm_gets_whole_blocks_and_the_rows_added_are_read_by_nobody(
    bidirectional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Recurrent("lstm", 3, 5, num_layers=2, bidirectional=bidirectional)
    x = placed(torch.randn(4, 9, 3))
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    weight = torch.randn(4, 9, stack.output_size) * inside
    batches: list[int] = []
    for layer in (*stack.forwards, *stack.backwards):
        layer.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    found = []
    for block in (1, 8):
        monkeypatch.setattr("elman.models.recurrent.BLOCK", block)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = stack(x, LENGTHS).dense().float() * inside
            advanced, states = ([], []) if bidirectional else stack.advance(x, stack.advance(x)[1])
        grads = torch.autograd.grad((outputs * weight).sum(), list(stack.parameters()))
        found.append([outputs, *grads, *advanced, *values(states)])
    assert set(batches) == {4, 8}
    for without, with_blocks in zip(*found, strict=True):
        torch.testing.assert_close(with_blocks, without, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("cell", LAYERS)
def test_distinct_rows_dealt_out_equal_a_row_for_each_place(cell: str) -> None:
    stack = Recurrent(cell, 3, 5).double()
    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    token_ids = torch.tensor([[5, 1, 1, 5, 0], [1, 1, 2, 0, 0]])
    lengths = torch.tensor([5, 3])
    inside = (torch.arange(5) < lengths[:, None])[:, :, None]
    distinct, places = distinct_ids(token_ids, 6)
    found = stack(Placed(table[distinct], places), lengths).dense() * inside
    expected = stack(placed(table[token_ids]), lengths).dense() * inside
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(found)
    grads = [torch.autograd.grad((outputs * weight).sum(), table)[0] for outputs in (found, expected)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", LAYERS)
def test_bidirectional_reads_each_sequence_from_its_own_end(cell: str) -> None:
    stack = Recurrent(cell, 3, 5, bidirectional=True).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    back = stack(placed(x), torch.tensor([4])).dense()[:, :4, 5:]
    turned, _ = stack.backwards[0](x[:, :4].flip(1))
    torch.testing.assert_close(back, turned.flip(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_summed_stack_adds_what_its_layers_hand_on(cell: str, bidirectional: bool) -> None:
    stack = Recurrent(cell, 3, 3, num_layers=2, bidirectional=bidirectional, stack="sum").double()
    lower = Recurrent(cell, 3, 3, bidirectional=bidirectional).double()
    lower.load_state_dict({name: value for name, value in stack.state_dict().items() if "wards.0." in name})
    deep = Recurrent(cell, 3, 3, num_layers=2, bidirectional=bidirectional).double()
    deep.load_state_dict(stack.state_dict())
    x = placed(torch.randn(4, 9, 3, dtype=torch.float64))
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    found, *parts = (layers(x, LENGTHS).dense() * inside for layers in (stack, lower, deep))
    torch.testing.assert_close(found, sum(parts), rtol=1e-12, atol=1e-12)


def values(states: list[Any]) -> list[Tensor]:
    return [part for state in states for part in (state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("stack", ["deep", "sum"])
def test_advancing_with_lengths_equals_torch_on_packed_sequences(cell: str, stack: Any) -> None:
    """Outputs before each end, states at each end, whichever way it is read and however the batch is ordered."""
    fast, slow = (Recurrent(cell, 3, 3, num_layers=2, stack=stack, fast=how).double() for how in (True, False))
    slow.load_state_dict(fast.state_dict())
    x = placed(torch.randn(4, 9, 3, dtype=torch.float64))
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    _, before = fast.advance(placed(torch.randn(4, 2, 3, dtype=torch.float64)))
    found, after = fast.advance(x, before, LENGTHS)
    expected, expected_after = slow.advance(x, before, LENGTHS)
    torch.testing.assert_close(found * inside, expected * inside, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(values(after), values(expected_after), rtol=1e-12, atol=1e-12)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = Placed(x.rows, x.places[row : row + 1, :length])
        outputs, ended = fast.advance(alone, picked(before, torch.tensor([row])))
        torch.testing.assert_close(outputs[0], found[row, :length], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(values(ended), values(picked(after, torch.tensor([row]))), rtol=1e-12, atol=1e-12)
