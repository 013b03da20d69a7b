"""Compute what a layer does to a token once for each distinct token of the batch.

A batch of 20,000 tokens of reviews has about 4,000 distinct words. Whatever depends on the word alone is computed for
these, and looked up for every place (thinc calls this layer ``uniqued``). A sparse gradient of the table of embeddings
then has one row per distinct word.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.checks import check_lengths, check_token_ids
from elman.models.embedding import drop_words
from elman.tensors import Features, Lengths, TokenIds


class IndexedRows(NamedTuple):
    """Vectors, and which of them is at each place, as ``torch.unique(return_inverse=True)`` returns them.

    The rows are the embeddings of distinct tokens, or the hidden states of all tokens in packed order.

    Attributes
    ----------
    rows
        (rows, features).
    inverse
        (batch, time), the row at each place; at padding any row.
    """

    rows: Float[Tensor, "rows features"]
    inverse: Int[Tensor, "batch time"]

    def gather(self) -> Features:
        """Return (batch, time, features), time first in memory, as torch's recurrent kernels read it."""
        return F.embedding(self.inverse.T, self.rows).transpose(0, 1)


def embed_distinct(
    embedding: nn.Embedding, token_ids: TokenIds, lengths: Lengths | None, config: ModelConfig
) -> IndexedRows:
    """Do what :func:`elman.models.embedding.embed` does, for each distinct token.

    If the batch is larger than the vocabulary, as with a formal language, the rows are the whole table, unless its
    gradient is sparse: finding the distinct tokens would cost more than it saves.
    """
    check_token_ids(token_ids, embedding.num_embeddings)
    check_lengths(lengths, *token_ids.shape)
    token_ids = drop_words(token_ids, config.word_dropout, training=embedding.training)
    if embedding.sparse or token_ids.numel() < embedding.num_embeddings:
        distinct, inverse = distinct_ids(token_ids, embedding.num_embeddings)
        rows = embedding(distinct)
    else:
        rows, inverse = embedding.weight, token_ids
    return IndexedRows(F.dropout(rows, config.embedding_dropout, embedding.training), inverse)


def distinct_ids(token_ids: TokenIds, vocab_size: int) -> tuple[Int[Tensor, " distinct"], Int[Tensor, "batch time"]]:
    """Return the distinct ids in order, and which of them is at each place; faster than ``torch.unique``, which sorts.

    >>> distinct_ids(torch.tensor([[7, 2, 7]]), 10)
    (tensor([2, 7]), tensor([[1, 0, 1]]))
    """
    flat = token_ids.flatten().long()
    occurs = torch.zeros(vocab_size, dtype=torch.bool, device=flat.device).index_fill_(0, flat, True)
    distinct = occurs.nonzero().squeeze(1)
    number = torch.empty(vocab_size, dtype=torch.long, device=flat.device)
    number[distinct] = torch.arange(len(distinct), device=flat.device)
    return distinct, number[flat].view_as(token_ids)
