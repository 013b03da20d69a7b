"""First derivatives by hand, and no second ones."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

Backward = Callable[..., Any]


def first_derivatives_only(backward: Backward) -> Backward:
    """Refuse to be differentiated again.

    ``torch.autograd.function.once_differentiable`` hangs its refusal on the gradients, where ``torch.autograd.grad``
    with ``create_graph=True`` may never come by; it then leaves out what it does not know. Here a graph that is to be
    recorded is seen at once.

    Raises
    ------
    NotImplementedError
        The gradients are to have a graph.
    """

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError("There are no second derivatives here; those of the loops are autograd's own.")
        return backward(ctx, *grads)

    return once
