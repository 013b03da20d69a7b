"""A table of vectors of which a batch touches a twentieth.

Twenty thousand tokens of reviews hold some four thousand distinct words. So the distinct words are looked up once,
then dealt out to their places: the gradient of the table has a row a distinct word, not one a word of the vocabulary,
and dropout on a word's vector is drawn once a batch for all its places.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from elman.tensors import Features, TokenIds
from elman.vocab import UNKNOWN


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

    def distinct(self, token_ids: TokenIds) -> tuple[Float[Tensor, "distinct features"], TokenIds]:
        """Return a vector for each distinct token, and for each place which of them stands there.

        Where the batch is larger than the vocabulary, as with a formal language's, looking for the distinct ones
        costs more than it saves: then that is the whole table.
        """
        if not self.sparse and token_ids.numel() >= len(self.weight):
            return self.dropout(self.weight), token_ids
        distinct, places = torch.unique(token_ids, return_inverse=True)
        return self.dropout(F.embedding(distinct, self.weight, sparse=self.sparse)), places

    def forward(self, token_ids: TokenIds) -> Features:
        """Return (batch, time, size)."""
        rows, places = self.distinct(token_ids)
        return F.embedding(places, rows)


def drop_words(token_ids: TokenIds, share: float, *, training: bool) -> TokenIds:
    """Return the tokens with that share of them read as ``.unk``, in training."""
    if not (training and share):
        return token_ids
    dropped = torch.rand(token_ids.shape, device=token_ids.device) < share
    return token_ids.masked_fill(dropped, UNKNOWN)
