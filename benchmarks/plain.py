"""What a good student writes: the peer that the fast paths are measured against.

Batches are sorted and budgeted as ours (they are ours). The rest is torch as its tutorials use it: ``nn.Embedding``
with its dense gradient, ``nn.RNN``, ``nn.GRU``, ``nn.LSTM`` on padded batches, ``torch.optim.Adam`` over all weights,
``clip_grad_norm_`` over all gradients.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical

from elman.study.recurrences import SliceAndCatElman


class SharedLinear(nn.Module):
    """The layer of the max-pool MLP, called as a recurrent layer is."""

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__()
        self.linear = nn.Linear(insize, hsize)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return (batch, time, hsize), and no state."""
        return self.linear(x), None


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": SharedLinear,
    "elman": lambda insize, hsize: SliceAndCatElman(insize, hsize, hsize),
    "rnn": lambda insize, hsize: nn.RNN(insize, hsize, batch_first=True),
    "gru": lambda insize, hsize: nn.GRU(insize, hsize, batch_first=True),
    "lstm": lambda insize, hsize: nn.LSTM(insize, hsize, batch_first=True),
}


class PlainClassifier(nn.Module):
    """Embedding → layer → ReLU → max over time → linear.

    Dropout is drawn as ours is: on the embeddings once a batch for each distinct word, and before the last layer.
    """

    def __init__(
        self,
        layer: str,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        num_classes: int,
        embedding_dropout: float = 0.0,
        top_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.layer = LAYERS[layer](embedding_size, hidden_size)
        self.head = nn.Linear(hidden_size, num_classes)
        self.embedding_dropout = embedding_dropout
        self.dropout = nn.Dropout(top_dropout)

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (batch, classes) of token ids (batch, time)."""
        embedded = self.embedding(token_ids)
        if self.training and self.embedding_dropout:
            distinct, places = token_ids.unique(return_inverse=True)
            kept = F.dropout(torch.ones(len(distinct), embedded.shape[2]), self.embedding_dropout)
            embedded = embedded * kept[places]
        features = F.relu(self.layer(embedded)[0])
        padding = torch.arange(token_ids.shape[1]) >= lengths[:, None]
        features = features.masked_fill(padding[:, :, None], -torch.inf)
        logits: Tensor = self.head(self.dropout(features.max(dim=1).values))
        return logits


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Give one classifier the other's weights: both have them in the same order, under other names."""
    with torch.no_grad():
        for weight, copy in zip(source.parameters(), target.parameters(), strict=True):
            copy.copy_(weight)


class PlainLanguageModel(nn.Module):
    """Embedding → LSTM → linear."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return logits (batch, time, vocab) of the token after each."""
        logits: Tensor = self.head(self.lstm(self.embedding(token_ids))[0])
        return logits


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Move the weights once, the gradient clipped to norm 1; return the loss."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def next_distribution(model: PlainLanguageModel, token_ids: list[int], never: list[int]) -> Categorical:
    """Return the distribution of the token behind ``token_ids``, of which those of ``never`` have no part."""
    logits = model(torch.tensor([token_ids]))[0, -1]
    logits[never] = -torch.inf
    return Categorical(logits=logits)


def write_one(model: PlainLanguageModel, start: int, end: int, never: list[int], max_new_tokens: int) -> list[int]:
    """Return one sample as the course draws it: the whole prefix is read again for every token.

    ``end`` is the last of its tokens, unless ``max_new_tokens`` come before it.
    """
    token_ids = [start]
    with torch.no_grad():
        while len(token_ids) <= max_new_tokens and token_ids[-1] != end:
            token_ids.append(int(next_distribution(model, token_ids, never).sample()))
    return token_ids[1:]
