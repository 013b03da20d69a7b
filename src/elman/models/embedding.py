"""A table of vectors of which a batch touches a twentieth.

The distinct words of a batch are looked up once (see :mod:`elman.models.placed`): the gradient of the table has a row
a distinct word, not one a word of the vocabulary, and dropout on a word's vector is drawn once a batch for all its
places.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.placed import Placed
from elman.tensors import Features, TokenIds
from elman.text.vocab import UNKNOWN


class Embedding(nn.Module):
    """A vector for each token.

    Parameters
    ----------
    vocab_size, size
        The table's rows and columns.
    scale
        Standard deviation of its first, normally distributed values. ``nn.Embedding`` has 1: a word that is rare, and
        so stays where it was born, then speaks as loudly as one that was learnt.
    dropout
        Share of the numbers of each distinct word's vector that training sets to zero.
    sparse
        Let the gradient hold only the rows in use, as ``nn.Embedding(sparse=True)`` does.
    """

    def __init__(
        self, vocab_size: int, size: int, *, scale: float = 1.0, dropout: float = 0.0, sparse: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, size).normal_(std=scale))
        self.dropout = nn.Dropout(dropout)
        self.sparse = sparse

    @classmethod
    def of(cls, config: ModelConfig, vocab_size: int, *, sparse: bool) -> "Embedding":
        """Return the table that a model of that configuration reads by."""
        return cls(
            vocab_size,
            config.embedding_size,
            scale=config.embedding_scale,
            dropout=config.embedding_dropout,
            sparse=sparse,
        )

    def placed(self, token_ids: TokenIds) -> Placed:
        """Return a vector for each distinct token, in the order of their ids, and which of them stands where.

        Where the batch is larger than the vocabulary, as with a formal language's, looking for the distinct ones
        costs more than it saves: then that is the whole table.
        """
        if not self.sparse and token_ids.numel() >= len(self.weight):
            return Placed(self.dropout(self.weight), token_ids)
        distinct, places = distinct_ids(token_ids, len(self.weight))
        rows = F.embedding(distinct, self.weight, sparse=self.sparse)
        return Placed(self.dropout(rows), places)

    def forward(self, token_ids: TokenIds) -> Features:
        """Return (batch, time, size)."""
        return self.placed(token_ids).dense()


def distinct_ids(token_ids: TokenIds, vocab_size: int) -> tuple[Int[Tensor, " distinct"], Int[Tensor, "batch time"]]:
    """Return the distinct ids in order, and for each place which of them stands there; sooner than a sort would.

    >>> distinct_ids(torch.tensor([[7, 2, 7]]), 10)
    (tensor([2, 7]), tensor([[1, 0, 1]]))
    """
    flat = token_ids.flatten().long()
    distinct = those_read(flat, vocab_size)
    numbers = torch.empty(vocab_size, dtype=torch.long, device=flat.device)
    numbers[distinct] = torch.arange(len(distinct), device=flat.device)
    return distinct, numbers[flat].view_as(token_ids)


def those_read(token_ids: Int[Tensor, "*shape"], vocab_size: int) -> Int[Tensor, " distinct"]:
    """Return the distinct ids in order."""
    read = torch.zeros(vocab_size, dtype=torch.bool, device=token_ids.device)
    return read.index_fill_(0, token_ids.flatten().long(), True).nonzero().squeeze(1)


def drop_words(token_ids: TokenIds, share: float, *, training: bool) -> TokenIds:
    """Return the tokens with that share of them read as ``.unk``, in training."""
    if not (training and share):
        return token_ids
    dropped = torch.rand(token_ids.shape, device=token_ids.device) < share
    return token_ids.masked_fill(dropped, UNKNOWN)
