"""What a recurrent classifier can be before it has seen a label: a reader that expects the next word.

The forward direction predicts each word from those before it, the backward direction from those behind it; neither
reads what it is asked. Embedding and layer have the names and the shapes that they have in a
:class:`~elman.models.classifier.Classifier`, which can go on from their weights (Dai and Le, 2015, with one layer for
both directions).

A softmax over a hundred thousand words would cost fifty times what reading does. The words that a batch holds stand in
for it: two or three thousand, the right one always among them.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.classifier import build_layer
from elman.models.embedding import Embedding, distinct_ids
from elman.models.placed import Placed
from elman.tensors import Lengths, TokenIds
from elman.text.batching import padding_mask

PREDICTED = 0.5
"""The share of the time steps, drawn for each batch of the training, that are asked for a word."""


class Predictions(NamedTuple):
    """What the steps of a batch expect, forward before backward.

    Attributes
    ----------
    logits
        (predictions, distinct), over the distinct words of the batch.
    targets
        (predictions,), which of them it was.
    """

    logits: Float[Tensor, "predictions distinct"]
    targets: Int[Tensor, " predictions"]


class WordPredictor(nn.Module):
    """A model of each word, given those before it or those behind it.

    Parameters
    ----------
    config
        Sizes, layer, dropout. What scores a word is its own embedding.
    vocab_size
        Rows of the embedding.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, sparse: bool = True) -> None:
        super().__init__()
        self.embedding = Embedding.of(config, vocab_size, sparse=sparse)
        self.scale = config.embedding_scale  # a score in units of this one learns at once, whatever the scale is
        self.layer = build_layer(config)
        self.dropout = nn.Dropout(config.top_dropout)
        self.head = nn.Linear(config.hidden_size, config.embedding_size)

    def forward(self, token_ids: TokenIds, lengths: Lengths) -> Predictions:
        """Predict words from those on one side of them; in training, half of them.

        Parameters
        ----------
        token_ids
            (batch, time), anything behind each end.
        lengths
            (batch,), at least 1. A text of one word holds nothing to predict.
        """
        inside = ~padding_mask(lengths, token_ids.shape[1])
        token_ids = token_ids.where(inside, token_ids[:, :1])  # so that no padding is among the words to choose from
        distinct, places = distinct_ids(token_ids, len(self.embedding.weight))
        words = F.embedding(distinct, self.embedding.weight, sparse=self.embedding.sparse)
        read = self.layer(Placed(self.embedding.dropout(words), places), lengths).dense()  # (B, T, H or 2H)
        width = self.head.in_features
        asked = self._asked(inside[:, 1:])
        ahead = read[:, :-1, :width].flatten(0, 1).index_select(0, asked)
        features, targets = [ahead], [places[:, 1:].flatten()[asked]]
        if read.shape[2] > width:
            features.append(read[:, 1:, width:].flatten(0, 1).index_select(0, asked))
            targets.append(places[:, :-1].flatten()[asked])
        logits = F.linear(self.head(self.dropout(torch.cat(features))), words / self.scale)
        return Predictions(logits, torch.cat(targets))

    def _asked(self, pairs: Bool[Tensor, "batch pairs"]) -> Int[Tensor, " asked"]:
        """Return which pairs of neighbouring words are asked about, as places in the flat ``pairs``."""
        if self.training:
            drawn = pairs & (torch.rand(pairs.shape, device=pairs.device) < PREDICTED)
            pairs = drawn if drawn.any() else pairs
        return pairs.flatten().nonzero().squeeze(1)
