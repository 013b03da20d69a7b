"""Each word is predicted from the words on one side of it alone, whatever the padding holds."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elman.config import ModelConfig
from elman.models.fast.models import Classifier
from elman.models.word_predictor import WordPredictor
from elman.text.vocab import PAD

SIZES = {"embedding_size": 4, "hidden_size": 6, "embedding_dropout": 0.0, "top_dropout": 0.0}
READERS = [
    ModelConfig(layer=layer, bidirectional=both, num_layers=layers, fast=fast, **SIZES)
    for layer, both, layers, fast in product(("elman", "rnn", "gru", "lstm"), (False, True), (1, 2), (False, True))
    if not (both and layers > 1)
]


def predictor(config: ModelConfig) -> WordPredictor:
    torch.manual_seed(0)
    return WordPredictor(config, 20).double().eval()


def texts() -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([7, 1, 4, 6])
    token_ids = torch.randint(4, 20, (4, 7), generator=torch.Generator().manual_seed(1))
    return token_ids.masked_fill(torch.arange(7) >= lengths[:, None], PAD), lengths


def by_hand(model: WordPredictor, token_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Read every text alone, up to each word and no further; forward, then from its end."""
    words = token_ids[torch.arange(token_ids.shape[1]) < lengths[:, None]].unique()
    table, expected, right = model.embedding.weight, [], []
    for stack in (model.layer.forwards, model.layer.backwards):
        for row, length in zip(token_ids, lengths.tolist(), strict=True):
            text = row[:length] if stack is model.layer.forwards else row[:length].flip(0)
            found = []
            for step in range(1, length if len(stack) else 0):
                x = F.embedding(text[:step], table)[None]
                for layer in stack:
                    x, _ = layer(x)
                found.append(
                    (F.linear(model.head(x[0, -1]), table[words] / 0.1), (words == text[step]).nonzero()[0, 0])
                )
            for logits, target in found if stack is model.layer.forwards else reversed(found):
                expected.append(logits)
                right.append(target)
    return torch.stack(expected), torch.stack(right)


@pytest.mark.parametrize("config", READERS, ids=str)
def test_each_word_is_predicted_from_one_side_alone(config: ModelConfig) -> None:
    model = predictor(config)
    token_ids, lengths = texts()
    logits, targets = model(token_ids, lengths)
    expected, right = by_hand(model, token_ids, lengths)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    assert targets.tolist() == right.tolist()


@pytest.mark.parametrize("config", READERS, ids=str)
def test_padding_changes_nothing(config: ModelConfig) -> None:
    model = predictor(config)
    token_ids, lengths = texts()
    padded = F.pad(token_ids, (0, 9), value=PAD)
    for found, expected in zip(model(padded, lengths), model(token_ids, lengths), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_training_asks_for_half_of_the_words_and_always_for_one() -> None:
    model = predictor(ModelConfig(layer="gru", **SIZES)).train()
    token_ids = torch.randint(4, 20, (40, 51), generator=torch.Generator().manual_seed(1))
    asked = len(model(token_ids, torch.full((40,), 51)).targets)
    assert 850 < asked < 1150  # of 2,000: seven standard deviations
    assert all(len(model(token_ids[:1, :2], torch.tensor([2])).targets) == 1 for _ in range(20))


@pytest.mark.parametrize("both", [False, True])
def test_the_gradient_is_that_of_a_dense_table(both: bool) -> None:
    token_ids, lengths = texts()
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model = WordPredictor(ModelConfig(layer="lstm", bidirectional=both, **SIZES), 20, sparse=sparse).double()
        torch.manual_seed(2)
        logits, targets = model(token_ids, lengths)
        F.cross_entropy(logits, targets).backward()
        gradients.append([weight.grad.to_dense() for weight in model.parameters() if weight.grad is not None])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("config", READERS, ids=str)
def test_a_classifier_reads_with_the_same_weights(config: ModelConfig) -> None:
    own = {"head.weight", "head.bias"}
    shapes = [
        {name: weight.shape for name, weight in model.state_dict().items() if name not in own}
        for model in (WordPredictor(config, 20), Classifier(config, 20, 2))
    ]
    assert shapes[0] == shapes[1]
