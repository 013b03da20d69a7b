"""Pretraining: a recurrent layer that predicts each word from its context, before it sees a label.

The forward direction predicts each word from the words before it, the backward direction from the words after it, so
neither reads the word it predicts. Embedding and layer have the names and shapes that they have in a classifier, which
can start from their weights (Dai and Le, 2015, with one layer for both directions).

A softmax over a hundred thousand words would cost fifty times as much as the layer. It is taken over the distinct words
of the batch instead: two or three thousand, the right one always among them.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models import plain
from elman.models.embedding import build_embedding
from elman.models.fast.distinct import IndexedRows, distinct_ids
from elman.models.fast.recurrent import Recurrent
from elman.tensors import Features, Lengths, TokenIds
from elman.text.batching import padding_mask

PREDICTED_SHARE = 0.5
"""The share of the words, drawn for each training batch, that are predicted."""


class Predictions(NamedTuple):
    """Predicted words of a batch, those of the forward direction first.

    Attributes
    ----------
    logits
        (predictions, distinct), over the distinct words of the batch.
    targets
        (predictions,), the index of the right one.
    """

    logits: Float[Tensor, "predictions distinct"]
    targets: Int[Tensor, " predictions"]


class WordPredictor(nn.Module):
    """A model of each word, given the words before it or those after it.

    Parameters
    ----------
    config
        Sizes, layer, dropout, and whether the layer is the fast or the plain one. A word's logit is a product with its
        own embedding.
    vocab_size
        Rows of the embedding.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, sparse: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config, vocab_size, sparse=sparse)
        self.layer = Recurrent(config) if config.fast else plain.Recurrent(config)
        self.head = nn.Linear(config.hidden_size, config.embedding_size)

    def forward(self, token_ids: TokenIds, lengths: Lengths) -> Predictions:
        """Predict words from those on one side of them; in training, half of the words.

        Parameters
        ----------
        token_ids
            (batch, time); the ids at padding change nothing.
        lengths
            (batch,), at least 1. A text of one word has nothing to predict.
        """
        inside = ~padding_mask(lengths, token_ids.shape[1])
        token_ids = token_ids.where(inside, token_ids[:, :1])  # keeps .pad from being one of the candidates
        distinct, inverse = distinct_ids(token_ids, self.embedding.num_embeddings)
        words = self.embedding(distinct)
        rows = F.dropout(words, self.config.embedding_dropout, self.training)
        features = self._features(IndexedRows(rows, inverse), lengths)  # (B, T, H or 2H)
        predicted = self._draw(inside[:, 1:])  # pairs of neighbors: each word from the one before, and the reverse
        size = self.config.hidden_size
        read = [features[:, :-1, :size].flatten(0, 1).index_select(0, predicted)]
        targets = [inverse[:, 1:].flatten()[predicted]]
        if self.config.bidirectional:
            read.append(features[:, 1:, size:].flatten(0, 1).index_select(0, predicted))
            targets.append(inverse[:, :-1].flatten()[predicted])
        queries = self.head(F.dropout(torch.cat(read), self.config.top_dropout, self.training))
        # Divided by the scale, the logits learn at the same rate whatever the scale is.
        return Predictions(F.linear(queries, words / self.config.embedding_scale), torch.cat(targets))

    def _features(self, words: IndexedRows, lengths: Lengths) -> Features:
        if isinstance(self.layer, plain.Recurrent):
            features: Features = self.layer(words.gather(), lengths)[0]
            return features
        hidden = self.layer(words, lengths)
        return IndexedRows(self.layer.final_linear(hidden.rows), hidden.inverse).gather()

    def _draw(self, pairs: Bool[Tensor, "batch pairs"]) -> Int[Tensor, " predicted"]:
        """Return which pairs of neighboring words are predicted, as places in the flattened ``pairs``."""
        if self.training:
            drawn = pairs & (torch.rand(pairs.shape, device=pairs.device) < PREDICTED_SHARE)
            pairs = drawn if drawn.any() else pairs
        return pairs.flatten().nonzero().squeeze(1)
