"""A step on the network itself: the Elman written by hand held to torch's and to the course's skeleton, timed against
both and against its own loop, and what torch does silently where an option is left out. It needs no data.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from elman.bench import Comparison, measure
from elman.models.elman import Elman
from elman.seeding import torch_seeded
from elman.study.work import Work, check_positive

LARGE_LOGIT = 200.0
"""Beyond what float32 can take e to the minus of."""


class SliceAndCatElman(nn.Module):
    """The course's skeleton: a slice and a concatenation at every time step, autograd for the rest.

    Its parameters are named and laid out as those of :class:`~elman.models.elman.Elman`.
    """

    def __init__(self, insize: int, outsize: int, hsize: int) -> None:
        super().__init__()
        self.hsize = hsize
        self.lin1 = nn.Linear(insize + hsize, hsize)
        self.lin2 = nn.Linear(hsize, outsize)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return all outputs (batch, time, outsize) and the last hidden state (batch, hsize)."""
        batch, time, _ = x.size()
        if hidden is None:
            hidden = torch.zeros(batch, self.hsize, device=x.device)
        outputs = []
        for t in range(time):
            hidden = torch.tanh(self.lin1(torch.cat([x[:, t, :], hidden], dim=1)))
            outputs.append(self.lin2(hidden)[:, None, :])
        return torch.cat(outputs, dim=1), hidden


@dataclass(frozen=True, kw_only=True)
class RecurrenceOptions:
    """What is read."""

    batch_size: int = 32
    """Texts."""
    tokens: int = 200
    """A text."""
    size: int = 300
    """Numbers a step, in the input, the state and the output."""
    turns: int = 5
    """Pairs that are timed, after one that warms up."""
    seed: int = 0
    """Of weights and texts."""

    def __post_init__(self) -> None:
        check_positive("batch_size, tokens, size and turns", [self.batch_size, self.tokens, self.size, self.turns])


def measure_recurrence(work: Work) -> dict[str, Any]:
    """Hold the Elman to torch's, time it, and try out what omissions do.

    Returns
    -------
    ``equal``: the greatest differences in float64, of states from ``nn.RNN`` on the same weights, of outputs and of
    gradients from the skeleton and from its own loop. ``times``: against each of these, forward and backward, in pairs.
    ``torch``: what leaving out ``batch_first`` changes, a Linear on three dimensions against one on folded ones, and
    the softmax outside the loss.
    """
    options = work.options
    with torch_seeded(options.seed, "recurrence"):
        elman = Elman(options.size, options.size, options.size)
        texts = torch.randn(options.batch_size, options.tokens, options.size)
        peers = {"a slice-and-cat loop": skeleton(elman), "its own loop": own_loop(elman), "nn.RNN": as_torch(elman)}
        return {
            "batch_size": options.batch_size,
            "tokens": options.tokens,
            "size": options.size,
            "equal": _equal(elman, texts),
            "times": [_timed(name, elman, peer, texts, options.turns) for name, peer in peers.items()],
            "torch": {**_batch_first_left_out(texts), **_folded(texts), **_softmax(texts)},
        }


def as_torch(elman: Elman) -> nn.RNN:
    """Return torch's network with the same weights; it has no output layer."""
    theirs = nn.RNN(elman.insize, elman.hsize, batch_first=True)
    with torch.no_grad():
        weight, bias = elman.lin1.weight, elman.lin1.bias
        values = weight[:, : elman.insize], weight[:, elman.insize :], bias, torch.zeros_like(bias)
        for mine, value in zip(theirs.parameters(), values, strict=True):  # W_ih, W_hh, b_ih, b_hh
            mine.copy_(value)
    return theirs


def skeleton(elman: Elman) -> SliceAndCatElman:
    """Return the course's form of it, with the same weights."""
    theirs = SliceAndCatElman(elman.insize, elman.lin2.out_features, elman.hsize)
    theirs.load_state_dict(elman.state_dict())
    return theirs


def own_loop(elman: Elman) -> Elman:
    """Return the same network as its definition, a step at a time, with the same weights."""
    loop = Elman(elman.insize, elman.lin2.out_features, elman.hsize, fast=False)
    loop.load_state_dict(elman.state_dict())
    return loop


def _equal(elman: Elman, texts: Tensor) -> dict[str, float]:
    """Do all in float64: the loops through their outputs and gradients, torch's through its states."""
    texts = texts.double()
    ours, theirs = deepcopy(elman).double(), as_torch(elman).double()
    outputs = _read_and_learn(ours, texts)
    found = {"states_through_the_output_layer": _distance(ours.lin2(theirs(texts)[0]), outputs)}
    for name, peer in {"skeleton": skeleton(elman).double(), "loop": own_loop(elman).double()}.items():
        found[f"outputs_of_the_{name}"] = _distance(_read_and_learn(peer, texts), outputs)
        found[f"gradients_of_the_{name}"] = max(
            _distance(one.grad, other.grad) for one, other in zip(ours.parameters(), peer.parameters(), strict=True)
        )
    return found


def _read_and_learn(network: nn.Module, texts: Tensor) -> Tensor:
    outputs: Tensor = network(texts)[0]
    outputs.square().mean().backward()  # type: ignore[no-untyped-call]  # torch's
    return outputs


def _distance(one: Tensor | None, other: Tensor | None) -> float:
    assert one is not None  # both have run backward
    assert other is not None
    return float((one - other).detach().abs().max())


def _timed(peer: str, elman: nn.Module, other: nn.Module, texts: Tensor, turns: int) -> dict[str, Any]:
    def reading(model: nn.Module) -> Callable[[], int]:
        def work() -> int:
            model.zero_grad()
            model(texts)[0].square().mean().backward()
            return texts.shape[0] * texts.shape[1]

        return work

    comparison = Comparison("elman", peer, "tokens", 1.0, lambda: reading(elman), lambda: reading(other))
    found = measure(comparison, peak=1.0, turns=turns)
    kept = ("peer", "ratio", "ratio_least", "ratio_most")
    speeds = {"per_second": found["value"], "peer_per_second": found["peer_value"]}
    return {name: found[name] for name in kept} | speeds


def _batch_first_left_out(texts: Tensor) -> dict[str, Any]:
    """Change one text and see whether the states of another move, with ``batch_first`` and without."""
    changed = texts.clone()
    changed[0] += 1.0
    moved = {}
    for name, batch_first in (("moved_with_batch_first", True), ("moved_without_batch_first", False)):
        network = nn.RNN(texts.shape[2], 8, batch_first=batch_first)
        with torch.no_grad():
            moved[name] = _distance(network(texts)[0][1:], network(changed)[0][1:])
    return moved


def _folded(texts: Tensor) -> dict[str, float]:
    linear = nn.Linear(texts.shape[2], 7)
    with torch.no_grad():
        folded = linear(texts.reshape(-1, texts.shape[2])).reshape(*texts.shape[:2], 7)
        return {"linear_against_folded": _distance(linear(texts), folded)}


def _softmax(texts: Tensor) -> dict[str, float]:
    logits = texts[:, 0]
    same = logits.softmax(dim=-1).argmax(dim=-1) == logits.argmax(dim=-1)
    far = torch.tensor([LARGE_LOGIT, 0.0])
    return {
        "argmax_same": float(same.float().mean()),
        "logit": LARGE_LOGIT,
        "infinite_after_softmax": int(far.softmax(dim=-1).log().isinf().sum()),
        "infinite_in_the_loss": int(far.log_softmax(dim=-1).isinf().sum()),
    }
