"""The table of embeddings, and the look-up in it with its two kinds of dropout."""

import torch
import torch.nn.functional as F
from torch import nn

from elman.config import ModelConfig
from elman.models.checks import check_lengths, check_token_ids
from elman.tensors import Features, Lengths, TokenIds
from elman.text.vocab import UNKNOWN


def build_embedding(config: ModelConfig, vocab_size: int, *, sparse: bool = False) -> nn.Embedding:
    """Return normally distributed embeddings, (vocab_size, ``config.embedding_size``).

    Their standard deviation is ``config.embedding_scale``, 1 in torch: at that scale a rare, barely trained word has a
    vector as large as a learned one. With ``sparse`` the gradient holds only the rows that were looked up.
    """
    # Not normal_, which imports torch._dynamo where weights are made without values, to be loaded (the meta device).
    vectors = torch.randn(vocab_size, config.embedding_size).mul_(config.embedding_scale)
    return nn.Embedding(vocab_size, config.embedding_size, _weight=vectors, sparse=sparse)


def embed(embedding: nn.Embedding, token_ids: TokenIds, lengths: Lengths | None, config: ModelConfig) -> Features:
    """Return the embeddings (B, T, E) of the tokens.

    Embedding dropout is drawn on the table: a word loses the same numbers everywhere in the batch.
    """
    check_token_ids(token_ids, embedding.num_embeddings)
    check_lengths(lengths, *token_ids.shape)
    token_ids = drop_words(token_ids, config.word_dropout, training=embedding.training)
    return F.embedding(token_ids, F.dropout(embedding.weight, config.embedding_dropout, embedding.training))


def drop_words(token_ids: TokenIds, share: float, *, training: bool) -> TokenIds:
    """Replace this share of the tokens by ``.unk``, in training only."""
    if not (training and share):
        return token_ids
    return token_ids.masked_fill(torch.rand(token_ids.shape, device=token_ids.device) < share, UNKNOWN)
