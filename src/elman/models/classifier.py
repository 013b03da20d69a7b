"""The course's table of models: embedding → layer → ReLU → global pool over time → linear."""

from itertools import pairwise
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.embedding import Embedding, drop_words
from elman.models.placed import Placed
from elman.models.pooling import pooling
from elman.models.recurrent import Recurrent
from elman.tensors import Lengths, Logits, TokenIds


class Classifier(nn.Module):
    """A classifier of sequences.

    Parameters
    ----------
    config
        Sizes, layer, pooling, dropout.
    vocab_size, num_classes
        Rows of the embedding and of the last layer.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, num_classes: int, *, sparse: bool = True) -> None:
        super().__init__()
        self.embedding = Embedding.of(config, vocab_size, sparse=sparse)
        self.layer = build_layer(config)
        self.pool = pooling(config.pooling, bidirectional=config.bidirectional)
        self.dropout = nn.Dropout(config.top_dropout)
        self.head = nn.Linear(self.layer.output_size, num_classes)
        self.word_dropout = config.word_dropout

    def forward(self, token_ids: TokenIds, lengths: Lengths) -> Logits:
        """Return (batch, classes).

        Parameters
        ----------
        token_ids
            (batch, time), anything behind each end.
        lengths
            (batch,), at least 1.
        """
        token_ids = drop_words(token_ids, self.word_dropout, training=self.training)
        words = self.embedding.placed(token_ids)  # (B, T, E), as the distinct words and their places
        features = self.layer(words, lengths)  # (B, T, H), likewise or as steps
        logits: Tensor = self.head(self.dropout(self.pool(features, lengths)))
        return logits


class MLP(nn.Module):
    """The same linear layer at every time step; between several of them, ReLU."""

    def __init__(self, insize: int, hsize: int, num_layers: int) -> None:
        super().__init__()
        self.output_size = hsize
        sizes = [insize] + [hsize] * num_layers
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, x: Placed, lengths: Lengths) -> Placed:  # noqa: ARG002 (no step looks at another)
        """Return (batch, time, hsize): each distinct word is computed once. The last layer is left to the pool."""
        rows = x.rows
        for layer in self.layers[:-1]:
            rows = F.relu(layer(rows))
        return Placed(rows, x.places, cast(nn.Linear, self.layers[-1]))


def build_layer(config: ModelConfig) -> MLP | Recurrent:
    """Return the layer between embedding and pool."""
    if config.layer == "mlp":
        return MLP(config.embedding_size, config.hidden_size, config.num_layers)
    return Recurrent(
        config.layer,
        config.embedding_size,
        config.hidden_size,
        num_layers=config.num_layers,
        bidirectional=config.bidirectional,
    )
