"""Refuse second derivatives where the first ones are written by hand."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

Backward = Callable[..., Any]


def first_derivatives_only(backward: Backward) -> Backward:
    """Make a hand-written backward pass refuse to be differentiated.

    ``torch.autograd.function.once_differentiable`` attaches its refusal to the gradients, which
    ``torch.autograd.grad`` with ``create_graph=True`` may never reach; it then returns wrong values. Here the refusal
    comes as soon as a graph is to be recorded.

    Raises
    ------
    NotImplementedError
        The gradients are to have a graph.
    """

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("The fast forms have no second derivatives. Build the model with fast=False.")
        return backward(ctx, *grads)

    return once
