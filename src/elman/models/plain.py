"""The reference: every model as a loop over time, written for the reader. No tricks.

These are the models of the course (Bloem, "Deep Learning", Vrije Universiteit Amsterdam). The forms in
``elman.models.fast`` have the same weights under the same names and compute the same numbers, several times faster; the
tests compare the two. Shapes: B texts, T time steps, embeddings of size E, hidden states of size H.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.config import ModelConfig, Pooling
from elman.models.checks import check_lengths, first_state
from elman.models.embedding import build_embedding, embed
from elman.tensors import Features, Lengths, Logits, Outputs, Pooled, State, States, TokenIds
from elman.text.batching import padding_mask, reverse


class RecurrentLayer(nn.Module):
    """One layer in one direction: a loop over time around ``step``, which each cell below defines."""

    state_size: int

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output (B, outsize) of one time step and the state after it; ``x_t`` is (B, insize)."""
        raise NotImplementedError

    def forward(self, x: Features, state: State | None = None, lengths: Lengths | None = None) -> tuple[Tensor, State]:
        """Return the outputs (B, T, outsize), meaningless at padding, and the state at each sequence's end.

        ``x`` is (B, T, insize), ``state`` (B, state_size) or None for zeros, ``lengths`` (B,) or None for T steps each.
        """
        check_lengths(lengths, *x.shape[:2])
        state, outputs = first_state(x, state, self.state_size), []
        for t, x_t in enumerate(x.unbind(dim=1)):
            output, state_after = self.step(x_t, state)
            outputs.append(output)
            state = state_after if lengths is None else torch.where((t < lengths)[:, None], state_after, state)
        return torch.stack(outputs, dim=1), state


class Elman(RecurrentLayer):
    """An Elman network (Elman, Cognitive Science 14, 1990): h_t = tanh(lin1([x_t, h_{t-1}])), out_t = lin2(h_t)."""

    def __init__(self, insize: int = 300, outsize: int = 300, hsize: int = 300) -> None:
        super().__init__()
        self.insize, self.state_size = insize, hsize
        self.lin1 = nn.Linear(insize + hsize, hsize)
        self.lin2 = nn.Linear(hsize, outsize)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        h = torch.tanh(self.lin1(torch.cat([x_t, state], dim=1)))
        return self.lin2(h), h


class RNN(RecurrentLayer):
    """``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``, the weights named as in torch's ``nn.RNN``."""

    gates, parts = 1, 1  # blocks of H rows in each weight, and blocks of H numbers in the state

    def __init__(self, insize: int, hsize: int) -> None:
        super().__init__()
        self.state_size = self.parts * hsize
        rows, bound = self.gates * hsize, hsize**-0.5
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, insize).uniform_(-bound, bound))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hsize).uniform_(-bound, bound))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))

    def linear(self, x_t: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the input and the state each contribute, (B, gates × H)."""
        return F.linear(x_t, self.weight_ih_l0, self.bias_ih_l0), F.linear(h, self.weight_hh_l0, self.bias_hh_l0)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        from_x, from_h = self.linear(x_t, state)
        h = torch.tanh(from_x + from_h)
        return h, h


class GRU(RNN):
    """The gated recurrent unit (Cho et al., EMNLP 2014), as torch and cuDNN compute it. The state is h_t."""

    gates = 3

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (part.chunk(3, dim=1) for part in self.linear(x_t, state))
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)  # the reset and the update gate
        n = torch.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * state
        return h, h


class LSTM(RNN):
    """The LSTM (Hochreiter & Schmidhuber, Neural Computation 9, 1997). The state is h_t and c_t, (B, 2H)."""

    gates, parts = 4, 2

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state.chunk(2, dim=1)
        from_x, from_h = self.linear(x_t, h)
        i, f, g, o = (from_x + from_h).chunk(4, dim=1)  # the input, forget, cell and output gate
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, torch.cat([h, c], dim=1)


class Recurrent(nn.Module):
    """Recurrent layers, each on top of the one before, in one direction or in both."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        cells = {"elman": lambda insize, hsize: Elman(insize, hsize, hsize), "rnn": RNN, "gru": GRU, "lstm": LSTM}
        cell, hsize, directions = cells[config.layer], config.hidden_size, 2 if config.bidirectional else 1
        self.stack, self.output_size = config.stack, hsize * directions
        sizes = [config.embedding_size] + [self.output_size] * (config.num_layers - 1)
        self.forwards = nn.ModuleList(cell(insize, hsize) for insize in sizes)
        self.backwards = nn.ModuleList(cell(insize, hsize) for insize in sizes if config.bidirectional)

    def forward(self, x: Features, lengths: Lengths | None = None, states: States = ()) -> tuple[Outputs, States]:
        """Return the outputs (B, T, output_size), and the state of each forward layer at each sequence's end."""
        outputs, states_after = [], []
        for k, layer in enumerate(self.forwards):
            y, state = layer(x, states[k] if states else None, lengths)
            if self.backwards:
                assert lengths is not None  # a classifier has them
                y_reversed, _ = self.backwards[k](reverse(x, lengths))  # padding comes after each end: no lengths
                y = torch.cat([y, reverse(y_reversed, lengths)], dim=2)
            x = y
            outputs.append(y)
            states_after.append(state)
        return sum(outputs[1:], outputs[0]) if self.stack == "sum" else x, states_after


class MLP(nn.Module):
    """The same linear layers at every time step, with a ReLU between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.output_size = config.hidden_size
        sizes = [config.embedding_size] + [config.hidden_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(nn.Linear(size, config.hidden_size) for size in sizes)

    def forward(self, x: Features, lengths: Lengths | None = None) -> tuple[Outputs, States]:  # noqa: ARG002
        for k, layer in enumerate(self.layers):
            x = layer(F.relu(x) if k else x)
        return x, []  # an MLP carries no state


def pool(x: Features, lengths: Lengths, pooling: Pooling, *, bidirectional: bool) -> Pooled:
    """Apply ReLU, then reduce (B, T, H) over time to (B, H), without the padding."""
    x = F.relu(x).masked_fill(padding_mask(lengths, x.shape[1])[:, :, None], 0)  # after ReLU nothing is below 0
    if pooling == "max":
        return x.max(dim=1).values
    if pooling == "mean":
        return x.sum(dim=1) / lengths[:, None]
    forward_size = x.shape[2] // 2 if bidirectional else x.shape[2]
    last = x.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, x.shape[2]))[:, 0]  # backwards, the first step is
    return torch.cat([last[:, :forward_size], x[:, 0, forward_size:]], dim=1)


class Classifier(nn.Module):
    """Embedding → layer → ReLU → global pool over time → linear."""

    def __init__(self, config: ModelConfig, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config, vocab_size)
        self.layer = MLP(config) if config.layer == "mlp" else Recurrent(config)
        self.head = nn.Linear(self.layer.output_size, num_classes)

    def forward(self, token_ids: TokenIds, lengths: Lengths) -> Logits:
        """Return the logits (B, classes) of token ids (B, T); the ids at padding change nothing."""
        x = embed(self.embedding, token_ids, lengths, self.config)  # (B, T, E)
        x, _ = self.layer(x, lengths)  # (B, T, H)
        x = pool(x, lengths, self.config.pooling, bidirectional=self.config.bidirectional)  # (B, H)
        logits: Tensor = self.head(F.dropout(x, self.config.top_dropout, self.training))
        return logits


class LanguageModel(nn.Module):
    """Embedding → recurrent layers → linear: at every time step the logits of the next token."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = build_embedding(config, vocab_size)
        self.layer = Recurrent(config)
        self.head = None if config.tied else nn.Linear(config.hidden_size, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(
        self, token_ids: TokenIds, states: States = (), lengths: Lengths | None = None
    ) -> tuple[Tensor, States]:
        """Return the logits (B, T, vocab) of the token after each, and the layers' states, to read on from."""
        x = embed(self.embedding, token_ids, lengths, self.config)
        x, states = self.layer(x, lengths, states)
        weight = self.embedding.weight if self.head is None else self.head.weight
        return F.linear(F.dropout(x, self.config.top_dropout, self.training), weight, self.bias), states
