"""What the backward passes of the cells share: matrix products in autocast's precision, and slopes of σ and tanh."""

import torch
from torch import Tensor

tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""(gradient, tanh's value) → gradient · (1 − value²), into ``grad_input``."""

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
"""(gradient, σ's value) → gradient · value · (1 − value), into ``grad_input``."""


def product_dtype(weight: Tensor) -> torch.dtype:
    """Return the precision of products with ``weight``: autocast's where it is on, else the weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a b, multiplied in ``dtype`` and returned in the precision of ``a``."""
    return (a.to(dtype) @ b.to(dtype)).to(a.dtype)


def add_product(base: Tensor, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Write base + a b into ``out``, multiplied in the precision of ``b``."""
    if a.dtype == b.dtype:
        return torch.addmm(base, a, b, out=out)
    return torch.add(base, a.to(b.dtype) @ b, out=out)
