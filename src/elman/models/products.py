"""Products inside a recurrence: of matrices, in the precision that autocast asks for, while sums and states keep the
weights'; and of a gradient with the slope of σ and tanh.
"""

import torch
from torch import Tensor

tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""(gradient, tanh's value) → gradient · (1 − value²), into ``grad_input``."""

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
"""(gradient, σ's value) → gradient · value · (1 − value), into ``grad_input``."""


def product_dtype(weight: Tensor) -> torch.dtype:
    """Return the precision of products with ``weight``: half of the weights' where autocast is on."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a b, computed in ``dtype``."""
    return (a.to(dtype) @ b.to(dtype)).to(a.dtype)


def outer_products(deltas: Tensor, states: Tensor, first: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the sum over time of each step's deltas times the state before it, computed in ``dtype``.

    Parameters
    ----------
    deltas
        (time, batch, rows).
    states
        (time, batch, columns); that before step 0 is ``first``, (batch, columns).
    """
    total = product(deltas[0].T, first, dtype)
    if len(deltas) == 1:
        return total
    return total.add_(product(deltas[1:].flatten(0, 1).T, states[:-1].flatten(0, 1), dtype))


def plus_product(base: Tensor, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Write base + a b into ``out``, the product in the precision of ``b``, which the caller converts once for all."""
    if a.dtype == b.dtype:
        return torch.addmm(base, a, b, out=out)
    return torch.add(base, a.to(b.dtype) @ b, out=out)
