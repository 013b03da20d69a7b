"""Inputs that torch would read wrongly without a word are refused, by the plain and by the fast form."""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch

from elman.config import ModelConfig
from elman.models import plain
from elman.models.fast import models as fast
from elman.models.fast.tanh import Elman as FastElman

FORMS = [plain, fast]
CELLS = ["elman", "rnn", "gru", "lstm"]


@pytest.fixture(autouse=True)
def no_shape_checks() -> Iterator[None]:
    """A user has none of the shape checks of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("elman", [plain.Elman, FastElman])
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_state_of_another_batch_is_refused(elman: type[plain.Elman], rows: int) -> None:
    with pytest.raises(ValueError, match=rf"2 sequences.*\({rows}, 3\)"):
        elman(5, 4, 3)(torch.randn(2, 7, 5), torch.randn(rows, 3))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", CELLS)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_language_model_refuses_states_of_another_batch(form: object, layer: str, rows: int) -> None:
    model = form.LanguageModel(ModelConfig(layer=layer, embedding_size=4, hidden_size=6), 9)
    token_ids = torch.randint(9, (2, 5))
    _, states = model(token_ids)
    wrong = [state[:1].expand(rows, -1) for state in states]
    with pytest.raises(ValueError, match="2 sequences"):
        model(token_ids, wrong)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", ["mlp", *CELLS])
@pytest.mark.parametrize(
    ("token_ids", "lengths", "error", "message"),
    [
        (torch.zeros(2, 0, dtype=torch.long), [0, 0], ValueError, "no time steps"),
        (torch.ones(2, 3, dtype=torch.long), [3, 0], ValueError, "A length of 0"),
        (torch.ones(2, 3, dtype=torch.long), [4, 1], ValueError, "A length of 4"),
        (torch.ones(2, 3, dtype=torch.long), [1], ValueError, "There are 2 sequences"),
        (torch.tensor([[1, -1]]), [2], ValueError, "Token id -1"),
        (torch.tensor([[1, 20]]), [2], ValueError, "Token id 20"),
        (torch.tensor([[1.0, 2.0]]), [2], TypeError, "must be integers"),
    ],
)
def test_ids_and_lengths_that_fit_nothing_are_refused(
    form: object, layer: str, token_ids: torch.Tensor, lengths: list[int], error: type[Exception], message: str
) -> None:
    model = form.Classifier(ModelConfig(layer=layer, embedding_size=4, hidden_size=6), 20, 2)
    with pytest.raises(error, match=message):
        model.forward(token_ids, torch.tensor(lengths))
