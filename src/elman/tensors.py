"""The shapes that the package speaks of, named once.

Jaxtyping annotations: dimensions with the same name in one signature have the same size. The tests check them at
every call; in use they cost nothing.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

TokenIds = Int[Tensor, "batch time"]
"""Ids of tokens, `.pad` behind each sequence's end."""

Lengths = Int[Tensor, " batch"]
"""How many tokens of each row the model reads."""

Labels = Int[Tensor, " batch"]

Counts = Int[Tensor, " batch"]
"""How many items each row stands for."""

PaddingMask = Bool[Tensor, "batch time"]
"""True at padding."""

Features = Float[Tensor, "batch time features"]

Pooled = Float[Tensor, "batch features"]

Logits = Float[Tensor, "batch classes"]
