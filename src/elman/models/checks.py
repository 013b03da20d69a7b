"""Refuse inputs that torch would read wrongly without a word: each check names the offending value.

Values are looked at on a CPU only: on a GPU each look would make the host wait.
"""

import torch
from torch import Tensor

from elman.tensors import Features, Lengths, State, TokenIds


def check_token_ids(token_ids: TokenIds, vocab_size: int) -> None:
    """Refuse ids that are not integers (TypeError), and ids outside of the vocabulary (ValueError)."""
    if token_ids.is_floating_point() or token_ids.dtype == torch.bool:
        raise TypeError(f"Token ids must be integers, not {token_ids.dtype}. Use token_ids.long().")
    if token_ids.device.type == "cpu" and token_ids.numel():
        least, largest = (int(value) for value in token_ids.aminmax())
        if least < 0 or largest >= vocab_size:
            wrong = least if least < 0 else largest
            raise ValueError(f"Token id {wrong} is not in the vocabulary. Use ids from 0 to {vocab_size - 1}.")


def check_lengths(lengths: Lengths | None, batch: int, time: int) -> None:
    """Refuse sequences without a time step, and lengths that do not fit them (ValueError)."""
    if time == 0:
        raise ValueError("The sequences have no time steps. Pass at least one token per sequence.")
    if lengths is None:
        return
    if lengths.shape != (batch,):
        raise ValueError(f"There are {batch} sequences, but lengths has shape {tuple(lengths.shape)}.")
    if lengths.device.type == "cpu" and batch:
        least, largest = (int(value) for value in lengths.aminmax())
        if least < 1 or largest > time:
            wrong = least if least < 1 else largest
            raise ValueError(f"A length of {wrong} does not fit {time} time steps. Use lengths from 1 to {time}.")


def check_state(state: State, batch: int, size: int) -> State:
    """Return the state, or refuse one that belongs to another batch or another size (ValueError)."""
    if state.shape != (batch, size):
        raise ValueError(
            f"The input holds {batch} sequences, so the state must have shape ({batch}, {size}),"
            f" not {tuple(state.shape)}. Pass a state of the same batch, or None for zeros."
        )
    return state


def first_state(x: Features, state: State | None, size: int) -> Tensor:
    """Return the state before the first step: zeros where there is none."""
    return x.new_zeros(len(x), size) if state is None else check_state(state, len(x), size)
