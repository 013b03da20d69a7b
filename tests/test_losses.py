"""Losses as sums and counts, for few and many classes, with ignored labels and with labels that count several times."""

import pytest
import torch

from elman.losses import FEW_CLASSES, correct, cross_entropy_nats


@pytest.mark.parametrize("classes", [2, FEW_CLASSES - 1, FEW_CLASSES])
def test_a_label_with_count_three_equals_three_labels(classes: int) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(9, classes, dtype=torch.float64), torch.randint(classes, (9,))
    labels[4] = 0
    counts = torch.randint(1, 4, (9,))
    repeated = logits.repeat_interleave(counts, dim=0), labels.repeat_interleave(counts)
    for score in (cross_entropy_nats, correct):
        actual, expected = score(logits, labels, 0, counts), score(*repeated, 0)
        torch.testing.assert_close(actual.sum.double(), expected.sum.double(), rtol=1e-6, atol=0)
        assert actual.count == expected.count < int(counts.sum())


@pytest.mark.parametrize("classes", [2, FEW_CLASSES])
def test_the_loss_follows_its_definition(classes: int) -> None:
    logits, labels = torch.randn(50, classes), torch.randint(classes, (50,))
    expected = -logits.double().softmax(1).log()[torch.arange(50), labels].sum()
    torch.testing.assert_close(cross_entropy_nats(logits, labels).sum.double(), expected, rtol=1e-5, atol=0)
