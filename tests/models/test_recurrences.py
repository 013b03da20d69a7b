"""Each recurrence with its gradients by hand is its definition, has the right gradients, and reads no padding."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from elman.models import elman, gru, lstm
from elman.models.gru import GRU
from elman.models.lstm import LSTM
from elman.models.products import outer_products, plus_product, product
from elman.models.rnn import RNN
from elman.models.time_major import NUMBERS_AT_ONCE, active, last, longest_first, reversal, stretches

TIME, BATCH, SIZE = 7, 4, 5
LENGTHS = torch.tensor([7, 5, 5, 2])

FORMS: dict[str, tuple[Callable[..., object], Callable[..., object], list[tuple[int, ...]]]] = {
    "tanh": (elman.loop, elman.recurrence, [(TIME, BATCH, SIZE), (BATCH, SIZE), (SIZE, SIZE)]),
    "gru": (gru.loop, gru.recurrence, [(TIME, BATCH, 3 * SIZE), (BATCH, SIZE), (3 * SIZE, SIZE), (SIZE,)]),
    "lstm": (lstm.loop, lstm.recurrence, [(TIME, BATCH, 4 * SIZE), (BATCH, SIZE), (BATCH, SIZE), (4 * SIZE, SIZE)]),
}


def arguments(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def each(found: object) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


def with_gradients(found: tuple[Tensor, ...], weights: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """All outputs where a sequence is read, and the gradients of a weighted sum of them."""
    total = sum((output * weight).sum() for output, weight in zip(found, weights, strict=True))
    read = [output * (weight != 0) for output, weight in zip(found, weights, strict=True)]
    return [*read, *torch.autograd.grad(total, inputs)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["padded", "shrinking"])
@pytest.mark.parametrize("together", [1, 2, TIME])
def test_equals_its_loop_forward_and_backward(
    name: str, lengths: Tensor | None, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, fast, shapes = FORMS[name]
    inputs = arguments(shapes)
    gates = shapes[0][2]
    monkeypatch.setattr("elman.models.time_major.NUMBERS_AT_ONCE", together * BATCH * gates)
    inside = torch.ones(TIME, BATCH, 1) if lengths is None else (torch.arange(TIME)[:, None] < lengths)[:, :, None]
    outputs = each(loop(*inputs))
    weights = [torch.randn_like(output) * inside for output in outputs]
    expected = with_gradients(outputs, weights, inputs)
    reading = None if lengths is None else active(lengths, TIME)
    found = with_gradients(each(fast(*inputs, reading)), weights, inputs)
    for ours, definition in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, definition, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["padded", "shrinking"])
def test_rows_dealt_out_step_by_step_are_rows_dealt_out_at_once(name: str, lengths: Tensor | None) -> None:
    _, fast, shapes = FORMS[name]
    rows = 6
    inputs = arguments([(rows, shapes[0][2]), *shapes[1:]])
    places = torch.randint(rows - 1, (TIME, BATCH))  # the last row stands nowhere
    reading = None if lengths is None else active(lengths, TIME)
    inside = torch.ones(TIME, BATCH, 1) if lengths is None else (torch.arange(TIME)[:, None] < lengths)[:, :, None]
    expected = each(fast(torch.nn.functional.embedding(places, inputs[0]), *inputs[1:], reading))
    weights = [torch.randn_like(output) * inside for output in expected]
    with torch.no_grad():
        unkept = each(fast(*inputs, reading, places))
    found = each(fast(*inputs, reading, places))
    for ours, theirs, without in zip(found, expected, unkept, strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(without, theirs)
    grads = (with_gradients(outputs, weights, inputs) for outputs in (found, expected))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_a_graph_that_is_retained_gives_the_same_gradients_again(name: str) -> None:
    _, fast, shapes = FORMS[name]
    inputs = arguments(shapes)
    total = sum(output.square().sum() for output in each(fast(*inputs)))
    first, again, last = (torch.autograd.grad(total, inputs, retain_graph=keep) for keep in (True, True, False))
    for grads in zip(first, again, last, strict=True):
        assert torch.equal(grads[0], grads[1])
        assert torch.equal(grads[0], grads[2])


@pytest.mark.parametrize("name", FORMS)
def test_second_derivatives_are_refused_and_not_left_out(name: str) -> None:
    _, fast, shapes = FORMS[name]
    inputs = arguments(shapes)
    total = sum(output.square().sum() for output in each(fast(*inputs)))
    with pytest.raises(NotImplementedError, match="second derivatives"):
        torch.autograd.grad(total, inputs, create_graph=True)


def test_gates_are_written_over_where_nobody_needs_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    original = lstm.overwritten

    def watching(saved: Tensor) -> Tensor:
        found = original(saved)
        kept.append(found.data_ptr() == saved.data_ptr())
        return found

    monkeypatch.setattr(lstm, "overwritten", watching)
    total = sum(output.sum() for output in lstm.recurrence(*arguments(FORMS["lstm"][2])))
    total.backward(retain_graph=True)
    total.backward()
    assert kept == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_gradcheck(name: str) -> None:
    _, fast, shapes = FORMS[name]
    assert torch.autograd.gradcheck(fast, arguments(shapes))
    assert torch.autograd.gradcheck(lambda *inputs: fast(*inputs, active(LENGTHS, TIME)), arguments(shapes))


def test_lstm_passes_on_gradients_of_either_output_alone() -> None:
    inputs = arguments(FORMS["lstm"][2])
    for which in (0, 1):
        found = torch.autograd.grad(lstm.recurrence(*inputs)[which].square().sum(), inputs)
        expected = torch.autograd.grad(lstm.loop(*inputs)[which].square().sum(), inputs)
        for ours, definition in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, definition, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_read_equals_torchs_own_layer(kind: type[RNN] | type[GRU] | type[LSTM]) -> None:
    torch.manual_seed(0)
    layer = kind(3, SIZE).double()
    x = torch.randn(BATCH, TIME, 3, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(1, BATCH, SIZE, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    before = tuple(states) if kind is LSTM else states[0]
    needed = [x, *layer.parameters(), *(states if kind is LSTM else states[:1])]
    weight = torch.randn(BATCH, TIME, SIZE, dtype=torch.float64)
    found = []
    for outputs, after in (layer(x, before), layer.read(layer.project(x.transpose(0, 1)), None, before)):
        batch_first = outputs if not found else outputs.transpose(0, 1)
        total = (batch_first * weight).sum() + sum((part * weight[:, 0]).sum() for part in each(after))
        found.append([batch_first, *each(after), *torch.autograd.grad(total, needed)])
    for torchs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_half_precision_products_stay_near(kind: type[RNN] | type[GRU] | type[LSTM]) -> None:
    torch.manual_seed(0)
    layer = kind(32, 32)
    x = torch.randn(20, 8, 32)
    exact, _ = layer.read(layer.project(x), None, None)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = layer.read(layer.project(x), None, None)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05
    exact.square().sum().backward()
    grads = [weight.grad.clone() for weight in layer.parameters()]
    layer.zero_grad()
    rounded.square().sum().backward()
    for weight, grad in zip(layer.parameters(), grads, strict=True):
        torch.testing.assert_close(weight.grad, grad, rtol=0.1, atol=0.05 * float(grad.abs().max()))


def test_products_in_their_precision() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    torch.testing.assert_close(product(a, b, torch.float32), a @ b)
    base, out = torch.randn(3, 5), torch.empty(3, 5)
    torch.testing.assert_close(plus_product(base, a, b, out=out), base + a @ b)
    low = plus_product(base, a, b.bfloat16(), out=out)
    assert low is out
    torch.testing.assert_close(low, base + a @ b, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("time", [1, 4])
def test_outer_products_of_each_step_and_the_state_before_it(time: int) -> None:
    deltas, states, first = torch.randn(time, 3, 2), torch.randn(time, 3, 5), torch.randn(3, 5)
    expected = sum(deltas[t].T @ (states[t - 1] if t else first) for t in range(time))
    torch.testing.assert_close(outer_products(deltas, states, first, torch.float32), expected)


def test_longest_first_and_who_is_still_read() -> None:
    lengths = torch.tensor([2, 5, 2, 7])
    order = longest_first(lengths)
    assert order.tolist() == [3, 1, 0, 2]
    reading = active(lengths[order], 8)
    assert reading == [4, 4, 2, 2, 2, 1, 1, 0]
    assert sum(reading) == int(lengths.sum())


def test_last_state_of_each_sequence() -> None:
    states = torch.arange(TIME * BATCH * 2.0).view(TIME, BATCH, 2)
    assert last(states, None).tolist() == states[-1].tolist()
    assert last(states, LENGTHS).tolist() == [states[length - 1, b].tolist() for b, length in enumerate(LENGTHS)]


def test_stretches_cover_every_step_once_from_the_end() -> None:
    x = torch.empty(23, 4, NUMBERS_AT_ONCE // 20)
    covered = [t for steps in stretches(x) for t in reversed(range(steps.start, steps.stop))]
    assert covered == list(reversed(range(23)))
    assert len(list(stretches(x))) == 5


def test_reversal_undoes_itself() -> None:
    steps = reversal(LENGTHS, 9)
    assert torch.equal(steps.gather(0, steps), torch.arange(9)[:, None].expand(9, 4))
    assert steps[:2, 3].tolist() == [1, 0]
    assert steps[2:, 3].tolist() == list(range(2, 9))
