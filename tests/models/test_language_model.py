"""The course's autoregressive table, and that its shortcuts (carried state, packing, pieces) change no number."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models import recurrent
from elman.models.language_model import LanguageModel
from elman.models.placed import Placed
from elman.models.recurrent import LAYERS, Recurrent, detached, picked
from elman.text.batching import shifted

EXACT = {"rtol": 1e-12, "atol": 1e-12}
VOCAB = 9
LENGTHS = torch.tensor([8, 1, 5])


def model_of(cell: str = "lstm", **options: object) -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"embedding_size": 6, "hidden_size": 6, "embedding_dropout": 0.0, "top_dropout": 0.0}
    return LanguageModel(ModelConfig(layer=cell, **{**sizes, **options}), VOCAB).double()


def tokens(rows: int = 3, width: int = 8) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(3, VOCAB, (rows, width))


def test_it_is_the_course_table() -> None:
    ours = model_of(embedding_size=4, hidden_size=5)
    embedding, lstm = nn.Embedding(VOCAB, 4).double(), nn.LSTM(4, 5, batch_first=True).double()
    linear = nn.Linear(5, VOCAB).double()
    with torch.no_grad():
        embedding.weight.copy_(ours.embedding.weight)
        lstm.load_state_dict(ours.layer.forwards[0].state_dict())
        linear.weight.copy_(ours.head.weight)
        linear.bias.copy_(ours.bias)
    torch.testing.assert_close(ours(tokens())[0], linear(lstm(embedding(tokens()))[0]), **EXACT)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("stack", ["deep", "sum"])
def test_reading_in_pieces_with_the_state_carried_is_reading_at_once(cell: str, stack: str) -> None:
    model = model_of(cell, num_layers=2, stack=stack)
    at_once, _ = model(tokens())
    states, pieces = None, []
    for piece in tokens().split(3, dim=1):
        logits, states = model(piece, states)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), at_once, **EXACT)


@pytest.mark.parametrize("cell", LAYERS)
def test_the_states_of_picked_rows_go_on_as_those_rows(cell: str) -> None:
    model = model_of(cell, num_layers=2)
    before, after = tokens()[:, :5], tokens()[:, 5:]
    rows = torch.tensor([2, 0, 0])
    _, states = model(before)
    found, _ = model(after[rows], picked(states, rows))
    torch.testing.assert_close(found, model(tokens())[0][rows, 5:], **EXACT)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("options", [{"num_layers": 1}, {"num_layers": 3, "stack": "sum"}, {"tied": True}])
@pytest.mark.parametrize("small_alphabet", [1, 100])
def test_a_step_made_ready_is_a_step(
    cell: str, options: dict[str, object], small_alphabet: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent, "SMALL_ALPHABET", small_alphabet)
    model = model_of(cell, **options)
    logits, states = model(tokens())
    step = model.stepper()
    _, stepped = model(tokens()[:, :1])
    for t in range(1, tokens().shape[1]):
        found, stepped = step(tokens()[:, t], stepped)
        torch.testing.assert_close(found, logits[:, t], **EXACT)
    torch.testing.assert_close(stepped, states, **EXACT)


@pytest.mark.parametrize("cell", LAYERS)
def test_packed_is_padded(cell: str) -> None:
    """The same logits up to each end, the same gradients, and the states of each end."""
    model = model_of(cell, num_layers=2)
    inside = (torch.arange(8) < LENGTHS[:, None])[:, :, None]
    gradients = []
    for lengths in (None, LENGTHS):
        logits, states = model(tokens(), None, lengths)
        gradients.append(torch.autograd.grad(logits.masked_select(inside).square().sum(), list(model.parameters())))
    for padded, packed in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, packed, **EXACT)
    for row, length in enumerate(LENGTHS.tolist()):
        _, alone = model(tokens()[row : row + 1, :length])
        for mine, ours in zip(alone, picked(states, torch.tensor([row])), strict=True):
            torch.testing.assert_close(mine, ours, **EXACT)


def test_a_summed_stack_adds_the_outputs_of_its_layers() -> None:
    torch.manual_seed(0)
    stack = Recurrent("lstm", 4, 5, num_layers=3, stack="sum").double()
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    below, total = x, torch.zeros(2, 7, 5, dtype=torch.float64)
    for layer in stack.forwards:
        below, _ = layer(below)
        total = total + below
    words = Placed(x.flatten(0, 1), torch.arange(14).view(2, 7))
    torch.testing.assert_close(stack.advance(words)[0], total, **EXACT)


def test_tied_weights_are_one_table_that_learns_from_both_ends() -> None:
    tied, untied = model_of(tied=True), model_of()
    assert sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in tied.parameters()) == VOCAB * 6
    with torch.no_grad():
        for name, weight in tied.named_parameters():
            untied.get_parameter(name).copy_(weight)
        untied.head.weight.copy_(tied.embedding.weight)
    for model in (tied, untied):
        model(tokens())[0].square().sum().backward()
    both_ends = untied.embedding.weight.grad + untied.head.weight.grad
    torch.testing.assert_close(tied.embedding.weight.grad, both_ends, **EXACT)


def test_no_logit_depends_on_a_later_token() -> None:
    model = model_of(num_layers=2)
    changed = tokens()
    changed[:, 5] = 3
    torch.testing.assert_close(model(tokens())[0][:, :5], model(changed)[0][:, :5], rtol=0, atol=0)


def test_the_target_is_the_batch_shifted_left_and_pieces_are_its_parts() -> None:
    framed = torch.tensor([[1, 7, 8, 2, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0, 0, 0]])
    course = torch.cat([framed[:, 1:], torch.zeros(2, 1, dtype=torch.long)], dim=1)  # shifted, a column of zeros
    [(read, targets)] = shifted(framed)
    assert (read == framed[:, :-1]).all()
    assert (targets == course[:, :-1]).all()
    assert (course[:, -1] == 0).all()
    pieces = list(shifted(framed, 2))
    assert len(pieces) == 2  # the third and fourth hold padding alone
    assert (torch.cat([piece for _, piece in pieces], dim=1) == targets[:, :4]).all()


def test_no_gradient_flows_through_a_detached_state() -> None:
    model = model_of()
    _, states = model(tokens())
    logits, _ = model(tokens(), detached(states))
    expected, _ = model(tokens(), [tuple(torch.tensor(part.tolist(), dtype=torch.float64) for part in states[0])])
    gradients = [
        torch.autograd.grad(F.logsigmoid(scores).sum(), list(model.parameters())) for scores in (logits, expected)
    ]
    for ours, values in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, values, **EXACT)
