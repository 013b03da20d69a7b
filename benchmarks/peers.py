"""What the fast forms are compared with: the plain models, trained as torch's tutorials train.

Batches are sorted and budgeted as ours (they are ours). The rest is ``elman.models.plain`` with its dense embedding
gradient, ``torch.optim.Adam`` over all weights, and ``clip_grad_norm_`` over all gradients. Where a peer's name has
"nn.RNN", "nn.GRU" or "nn.LSTM", torch's layer on the padded batch takes the place of the plain loop.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from elman.config import ModelConfig
from elman.models import plain

TORCH_LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class TorchRecurrent(nn.Module):
    """One of torch's layers, called as :class:`elman.models.plain.Recurrent` is."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layer = TORCH_LAYERS[config.layer](config.embedding_size, config.hidden_size, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None, states: Sequence[Tensor] = ()) -> tuple[Tensor, list]:  # noqa: ARG002
        """Return the outputs (batch, time, hidden), and no states."""
        assert not states
        return self.layer(x)[0], []


def with_torch_layer(model: nn.Module) -> nn.Module:
    """Replace the plain loop of a model by torch's layer."""
    model.layer = TorchRecurrent(model.config)
    return model


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Give one model the other's weights: both have them in the same order."""
    with torch.no_grad():
        for weight, copy in zip(source.parameters(), target.parameters(), strict=True):
            copy.copy_(weight)


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Move the weights once, the gradient clipped to norm 1; return the loss."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def next_distribution(model: plain.LanguageModel, token_ids: list[int], never: list[int]) -> Categorical:
    """Return the distribution of the token after ``token_ids``; those of ``never`` have probability zero."""
    logits = model(torch.tensor([token_ids]))[0][0, -1]
    logits[never] = -torch.inf
    return Categorical(logits=logits)


def sample_one(model: plain.LanguageModel, start: int, end: int, never: list[int], max_new_tokens: int) -> list[int]:
    """Return one sample as the course draws it: the whole prefix is read again for every token.

    ``end`` is its last token, unless ``max_new_tokens`` come before it.
    """
    token_ids = [start]
    with torch.no_grad():
        while len(token_ids) <= max_new_tokens and token_ids[-1] != end:
            token_ids.append(int(next_distribution(model, token_ids, never).sample()))
    return token_ids[1:]
