"""A stack of padded layers is what torch computes on packed sequences."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.models.recurrent import LAYERS, Recurrent, rearranged, reversal

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LENGTHS = torch.tensor([9, 1, 4, 7])


def torchs_twin(ours: Recurrent, cell: str, num_layers: int, bidirectional: bool) -> nn.Module:
    """Torch's own stack with our weights."""
    twin = CELLS[cell](3, 5, num_layers, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for n in range(num_layers):
            for layers, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
                for name, weight in layers[n].named_parameters() if len(layers) else ():
                    getattr(twin, f"{name.removesuffix('0')}{n}{suffix}").copy_(weight)
    return twin


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, False), (1, True), (3, True)])
def test_equals_torch_on_packed_sequences(cell: str, num_layers: int, bidirectional: bool) -> None:
    ours = Recurrent(cell, 3, 5, num_layers=num_layers, bidirectional=bidirectional).double()
    twin = torchs_twin(ours, cell, num_layers, bidirectional)
    x = torch.randn(4, 9, 3, dtype=torch.float64, requires_grad=True)
    inside = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    packed, _ = twin(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    found = ours(x, LENGTHS) * inside
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(found)
    for ours_grad, torchs_grad in zip(
        torch.autograd.grad((found * weight).sum(), x), torch.autograd.grad((expected * weight).sum(), x), strict=True
    ):
        torch.testing.assert_close(ours_grad, torchs_grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", LAYERS)
def test_bidirectional_reads_each_sequence_from_its_own_end(cell: str) -> None:
    stack = Recurrent(cell, 3, 5, bidirectional=True).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    back = stack(x, torch.tensor([4]))[:, :4, 5:]
    turned, _ = stack.backwards[0](x[:, :4].flip(1))
    torch.testing.assert_close(back, turned.flip(1), rtol=1e-12, atol=1e-12)


def test_reversal_undoes_itself() -> None:
    x: Tensor = torch.randn(4, 9, 2)
    places = reversal(LENGTHS, 9)
    torch.testing.assert_close(rearranged(rearranged(x, places), places), x, rtol=0, atol=0)
    torch.testing.assert_close(rearranged(x, places)[2, :4], x[2, :4].flip(0), rtol=0, atol=0)
