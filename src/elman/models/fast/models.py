"""The classifier and the language model of :mod:`elman.models.plain`, composed of the fast parts."""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models import plain
from elman.models.embedding import build_embedding
from elman.models.fast.distinct import IndexedRows, embed_distinct
from elman.models.fast.pooling import FinalLinear, build_pool
from elman.models.fast.recurrent import Recurrent
from elman.tensors import Lengths, Logits, NextLogits, State, States, TokenIds


class Classifier(nn.Module):
    """Embedding → layer → ReLU → global pool over time → linear.

    Parameters
    ----------
    config
        Sizes, layer, pooling, dropout.
    vocab_size, num_classes
        RowIndex of the embedding and of the last layer.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, num_classes: int, *, sparse: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config, vocab_size, sparse=sparse)
        self.layer = build_layer(config)
        self.head = nn.Linear(self.layer.output_size, num_classes)
        self.pool = build_pool(config, self.layer.final_linear)

    def forward(self, token_ids: TokenIds, lengths: Lengths) -> Logits:
        """Return logits (batch, classes) of token ids (batch, time); the ids at padding change nothing."""
        words = embed_distinct(self.embedding, token_ids, lengths, self.config)  # represents (B, T, E)
        features = self.layer(words, lengths)  # represents (B, T, H)
        pooled = self.pool(features, self.layer.final_linear, lengths)  # (B, H)
        logits: Tensor = self.head(F.dropout(pooled, self.config.top_dropout, self.training))
        return logits


class MLP(plain.MLP):
    """The plain MLP, on each distinct token once; its last linear layer is left to the pool."""

    @property
    def final_linear(self) -> FinalLinear:
        """The last linear layer."""
        return cast(nn.Linear, self.layers[-1])

    def forward(self, x: IndexedRows, lengths: Lengths) -> IndexedRows:  # type: ignore[override]  # noqa: ARG002 (no step reads another)
        """Return what the last layer reads, standing for (batch, time, hsize)."""
        rows = x.rows
        for layer in self.layers[:-1]:
            rows = F.relu(layer(rows))
        return IndexedRows(rows, x.inverse)


def build_layer(config: ModelConfig) -> MLP | Recurrent:
    """Return the layer between embedding and pool."""
    return MLP(config) if config.layer == "mlp" else Recurrent(config)


class LanguageModel(nn.Module):
    """Embedding → recurrent layers → linear: at every time step the logits of the next token.

    Parameters
    ----------
    config
        Sizes, cell, stack, dropout, and whether the last layer's weights are the embedding's.
    vocab_size
        Tokens, the special ones included.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads; not with tied weights.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config, vocab_size, sparse=sparse and not config.tied)
        self.layer = Recurrent(config)
        self.head = None if config.tied else nn.Linear(config.hidden_size, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(
        self, token_ids: TokenIds, states: States = (), lengths: Lengths | None = None
    ) -> tuple[NextLogits, list[State]]:
        """Return the logits (batch, time, vocab) of the token after each, and the layers' states, to read on from.

        Parameters
        ----------
        token_ids
            (batch, time).
        states
            One per layer, from an earlier call; none starts at zeros.
        lengths
            (batch,), to skip the padding; None reads it too, which changes nothing before it.
        """
        words = embed_distinct(self.embedding, token_ids, lengths, self.config)
        features, states_after = self.layer.advance(words, states, lengths)
        features = F.dropout(features, self.config.top_dropout, self.training)
        return F.linear(features, self.output_weight, self.bias), states_after

    def stepper(self) -> Callable[[Tensor, States], tuple[Tensor, list[State]]]:
        """Return a function of one token of each sequence, (batch,), and the states before: to logits and states.

        It does what ``forward`` does with one time step and without dropout, and prepares once for many steps.
        """
        step, weight = self.layer.stepper(self.embedding.weight), self.output_weight

        def read(tokens: Tensor, states: States) -> tuple[Tensor, list[State]]:
            features, states_after = step(tokens, states)
            return F.linear(features, weight, self.bias), states_after

        return read

    @property
    def output_weight(self) -> Tensor:
        """The weights of the last layer, (vocab, hidden): with tied weights the embedding's."""
        return self.embedding.weight if self.head is None else self.head.weight
