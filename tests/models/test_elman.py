"""The hand-written layer is the definition, is torch's, and has the right gradients."""

import pytest
import torch
from torch import Tensor, nn

from elman.models.elman import Elman


def test_gradcheck_of_the_whole_layer() -> None:
    torch.manual_seed(0)
    layer = Elman(4, 3, 5).double()
    x, h = torch.randn(2, 6, 4, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    lengths = torch.tensor([6, 2])
    weights = tuple(layer.parameters())

    def read(x: Tensor, h: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        named = dict(zip(dict(layer.named_parameters()), weights, strict=True))
        return torch.func.functional_call(layer, named, (x, h, lengths))

    assert torch.autograd.gradcheck(read, (x.requires_grad_(), h.requires_grad_(), *weights))


@pytest.mark.parametrize("fast", [True, False])
def test_states_equal_those_of_nn_rnn_on_copied_weights(fast: bool) -> None:
    ours, torchs = Elman(4, 2, 6, fast=fast).double(), nn.RNN(4, 6, batch_first=True).double()
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(ours.lin1.weight[:, :4])
        torchs.weight_hh_l0.copy_(ours.lin1.weight[:, 4:])
        torchs.bias_ih_l0.copy_(ours.lin1.bias)
        torchs.bias_hh_l0.zero_()
    x, h = torch.randn(3, 11, 4, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    weight = torch.randn(3, 11, 6, dtype=torch.float64)
    states, last = torchs(x, h[None])
    out, hidden = ours(x, h)
    torch.testing.assert_close(hidden, last[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(out, ours.lin2(states), rtol=1e-12, atol=1e-12)
    (torchs_grad,) = torch.autograd.grad((ours.lin2(states) * weight[..., :2]).sum(), torchs.weight_hh_l0)
    (ours_grad,) = torch.autograd.grad((out * weight[..., :2]).sum(), ours.lin1.weight)
    torch.testing.assert_close(ours_grad[:, 4:], torchs_grad, rtol=1e-12, atol=1e-12)


def test_whole_sequence_equals_step_by_step() -> None:
    layer = Elman(4, 3, 5).double()
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    whole, last = layer(x)
    hidden, steps = None, []
    for t in range(6):
        out, hidden = layer(x[:, t : t + 1], hidden)
        steps.append(out)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hidden, last, rtol=1e-12, atol=1e-12)


def test_last_state_is_that_of_each_sequences_end() -> None:
    layer = Elman(4, 3, 5).double()
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    lengths = torch.tensor([6, 1, 4])
    _, last = layer(x, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        _, alone = layer(x[row : row + 1, :length])
        torch.testing.assert_close(last[row], alone[0], rtol=1e-12, atol=1e-12)


def test_first_state_is_zeros_of_the_hidden_size() -> None:
    layer = Elman(insize=2, outsize=7, hsize=9)
    x = torch.randn(3, 5, 2)
    out, hidden = layer(x)
    explicit, _ = layer(x, torch.zeros(3, 9))
    assert out.shape == (3, 5, 7)
    assert hidden.shape == (3, 9)
    torch.testing.assert_close(out, explicit, rtol=0, atol=0)
