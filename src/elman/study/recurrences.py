"""A step on the network itself: the fast Elman network compared with the plain one and with torch's, in numbers and in
time, and what torch does silently where an option is left out. It needs no data.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from elman.models import plain
from elman.models.fast.tanh import Elman
from elman.seeding import torch_seeded
from elman.study.work import Work, check_positive
from elman.timing import speeds_in_pairs

LARGE_LOGIT = 200.0
"""e to minus this is 0 in float32."""


@dataclass(frozen=True, kw_only=True)
class RecurrenceOptions:
    """The options of the step."""

    batch_size: int = 32
    """Texts."""
    tokens: int = 200
    """Tokens per text."""
    size: int = 300
    """Numbers per time step, in the input, the state and the output."""
    turns: int = 5
    """Pairs that are timed, after one that warms up."""
    seed: int = 0
    """The seed of weights and texts."""

    def __post_init__(self) -> None:
        check_positive("batch_size, tokens, size and turns", [self.batch_size, self.tokens, self.size, self.turns])


def measure_recurrence(work: Work[RecurrenceOptions]) -> dict[str, Any]:
    """Compare the fast Elman network with the plain one and with torch's, time it, and show what omissions do.

    Returns
    -------
    ``equal``: the largest differences in float64, of states from ``nn.RNN`` on the same weights, of outputs and of
    gradients from the plain loop. ``times``: against each of these, forward and backward, in pairs. ``torch``: what
    leaving out ``batch_first`` changes, a Linear on three dimensions against one on folded ones, and the softmax
    outside the loss.
    """
    options = work.options
    with torch_seeded(options.seed, "recurrence"):
        elman = Elman(options.size, options.size, options.size)
        texts = torch.randn(options.batch_size, options.tokens, options.size)
        peers = {"a slice-and-cat loop": plain_copy(elman), "nn.RNN": torch_copy(elman)}
        return {
            "batch_size": options.batch_size,
            "tokens": options.tokens,
            "size": options.size,
            "equal": _equal(elman, texts),
            "times": [_timed(name, elman, peer, texts, options.turns) for name, peer in peers.items()],
            "torch": {**_batch_first_left_out(texts), **_folded(texts), **_softmax(texts)},
        }


def torch_copy(elman: plain.Elman) -> nn.RNN:
    """Return torch's network with the same weights; it has no output layer."""
    network = nn.RNN(elman.insize, elman.state_size, batch_first=True)
    with torch.no_grad():
        weight, bias = elman.lin1.weight, elman.lin1.bias
        values = weight[:, : elman.insize], weight[:, elman.insize :], bias, torch.zeros_like(bias)
        for parameter, value in zip(network.parameters(), values, strict=True):  # W_ih, W_hh, b_ih, b_hh
            parameter.copy_(value)
    return network


def plain_copy(elman: plain.Elman) -> plain.Elman:
    """Return the plain form, a slice and a concatenation at every time step, with the same weights."""
    copy = plain.Elman(elman.insize, elman.lin2.out_features, elman.state_size)
    copy.load_state_dict(elman.state_dict())
    return copy


def _equal(elman: Elman, texts: Tensor) -> dict[str, float]:
    """Return the differences in float64: from the loop in outputs and gradients, from torch's network in states."""
    texts = texts.double()
    fast, loop, network = deepcopy(elman).double(), plain_copy(elman).double(), torch_copy(elman).double()
    outputs = _read_and_learn(fast, texts)
    return {
        "states_through_the_output_layer": _distance(fast.lin2(network(texts)[0]), outputs),
        "outputs_of_the_skeleton": _distance(_read_and_learn(loop, texts), outputs),
        "gradients_of_the_skeleton": max(
            _distance(one.grad, other.grad) for one, other in zip(fast.parameters(), loop.parameters(), strict=True)
        ),
    }


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

    pairs = speeds_in_pairs(reading(elman), reading(other), f"elman and {peer}", turns)
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    return {
        "peer": peer,
        "ratio": median(ratios),
        "ratio_least": ratios[0],
        "ratio_most": ratios[-1],
        "per_second": median(ours for ours, _ in pairs),
        "peer_per_second": median(theirs for _, theirs in pairs),
    }


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
