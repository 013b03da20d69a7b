"""Name the tensor shapes that signatures use.

These are jaxtyping annotations: dimensions with the same name in one signature have the same size. The tests check them
at every call; outside the tests they cost nothing.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor

TokenIds = Int[Tensor, "batch time"]
"""Token ids, with `.pad` after the end of each sequence."""

Lengths = Int[Tensor, " batch"]
"""The number of tokens in each row, without padding."""

Labels = Int[Tensor, " batch"]

Counts = Int[Tensor, " batch"]
"""The number of equal items that each row represents."""

PaddingMask = Bool[Tensor, "batch time"]
"""True at padding."""

Features = Float[Tensor, "batch time features"]

NextLogits = Float[Tensor, "batch time vocab"]
"""For each time step, of the token after it."""

State = Float[Tensor, "batch state"]
"""What a recurrent layer carries from one time step to the next; the LSTM's h and c are side by side."""

States = Sequence[State]
"""The state of each recurrent layer; none of them starts at zeros."""

Outputs = Float[Tensor, "batch time outputs"]

Pooled = Float[Tensor, "batch features"]

Logits = Float[Tensor, "batch classes"]
