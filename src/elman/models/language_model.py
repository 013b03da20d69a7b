"""The course's autoregressive model: embedding → recurrent layers → linear, a distribution over the next token."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from elman.config import ModelConfig
from elman.models.embedding import Embedding, drop_words
from elman.models.recurrent import Recurrent, State
from elman.tensors import Lengths, TokenIds

NextLogits = Float[Tensor, "batch time vocab"]


class LanguageModel(nn.Module):
    """A model of the next token.

    Parameters
    ----------
    config
        Sizes, cell, stack, dropout, and whether the last layer's weights are the embedding's.
    vocab_size
        Tokens, the specials among them.
    sparse
        Let the embedding's gradient hold only the rows that the batch reads; not with tied weights.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, sparse: bool = False) -> None:
        super().__init__()
        assert config.layer != "mlp"  # RunConfig refuses it: no step of an mlp looks at another
        self.embedding = Embedding.of(config, vocab_size, sparse=sparse and not config.tied)
        self.layer = Recurrent(
            config.layer,
            config.embedding_size,
            config.hidden_size,
            num_layers=config.num_layers,
            stack=config.stack,
        )
        self.dropout = nn.Dropout(config.top_dropout)
        self.head = None if config.tied else nn.Linear(config.hidden_size, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.word_dropout = config.word_dropout

    def forward(
        self, token_ids: TokenIds, states: Sequence[State] | None = None, lengths: Lengths | None = None
    ) -> tuple[NextLogits, list[State]]:
        """Read on, and say at every step what may come next.

        Parameters
        ----------
        token_ids
            (batch, time).
        states
            Of the layers, from an earlier call; None starts anew.
        lengths
            (batch,), to pack the sequences; None reads the padding too, which changes nothing before it.

        Returns
        -------
        Logits (batch, time, vocab) of the token after each, and the states after the last.
        """
        token_ids = drop_words(token_ids, self.word_dropout, training=self.training)
        features, states = self.layer.advance(self.embedding.placed(token_ids), states, lengths)
        return F.linear(self.dropout(features), self.output_weight, self.bias), states

    def stepper(self) -> Callable[[Tensor, Sequence[State]], tuple[Tensor, list[State]]]:
        """Return a function that reads one token of each sequence: (batch,) and the states before → logits and after.

        What ``forward`` does with time steps of one, and without dropout, made ready once for many steps.
        """
        step = self.layer.stepper(self.embedding.weight)

        def read(tokens: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
            features, states = step(tokens, states)
            return F.linear(features, self.output_weight, self.bias), states

        return read

    @property
    def output_weight(self) -> Tensor:
        """(vocab, hidden), of the last layer: with tied weights the embedding's."""
        return self.embedding.weight if self.head is None else self.head.weight
