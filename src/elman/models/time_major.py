"""Time first, and the longest sequence first: the order in which a recurrence reads a padded batch.

At each time step the sequences that are still being read are then the first n_t of the batch, and the rest, which
would be padding, is never computed.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from elman.tensors import Lengths

State = Float[Tensor, "batch hidden"]
TimeMajor = Float[Tensor, "time batch hidden"]
Projected = Float[Tensor, "time batch gates"] | Float[Tensor, "distinct gates"]
"""What the input adds at each step: of every time and sequence, or rows of which ``places`` says where they stand."""
AtStep = Float[Tensor, "batch gates"]
Places = Int[Tensor, "time batch"]
Matrix = Float[Tensor, "rows columns"]

Active = Sequence[int]
"""How many sequences are read at each time step; it never grows."""

NUMBERS_AT_ONCE = 800_000
"""A stretch of time steps holds so many numbers: what is written for it is still in the cache when it is read."""


def longest_first(lengths: Lengths) -> Tensor:
    """Return (batch,), the sequences from long to short; those of equal length stay in order."""
    return lengths.argsort(descending=True, stable=True)


def active(lengths: Lengths, width: int) -> Active:
    """Return how many sequences are longer than each step.

    >>> active(torch.tensor([3, 1]), 4)
    [2, 1, 1, 0]
    """
    steps = torch.arange(width, device=lengths.device)
    counts: list[int] = (lengths > steps[:, None]).sum(dim=1).tolist()
    return counts


def time_and_batch(projected: Projected, places: Places | None) -> tuple[int, int]:
    """Return how many steps there are, and sequences."""
    time, batch = (projected if places is None else places).shape[:2]
    return time, batch


def first_state(projected: Projected, places: Places | None, hidden: State | None, size: int) -> State:
    """Return the state before step 0, in the precision of what was projected; None is zeros."""
    if hidden is None:
        return projected.new_zeros(time_and_batch(projected, places)[1], size)
    return hidden.to(projected.dtype)


def everyone(projected: Projected, places: Places | None = None) -> Active:
    """Return the whole batch for every step."""
    time, batch = time_and_batch(projected, places)
    return [batch] * time


def by_step(projected: Projected, places: Places | None) -> Projected | Places:
    """Return what :func:`at_step` takes at each step, time first."""
    return projected if places is None else places


def at_step(projected: Projected, step: Tensor, out: Tensor) -> Tensor:
    """Return what the input adds at a step to the first sequences, as many as ``out`` has rows.

    ``step`` is of :func:`by_step`. Rows are gathered into ``out``; what stands in place is returned as it stands.
    """
    if step.dim() == 2:
        return step[: len(out)]
    return torch.index_select(projected, 0, step[: len(out)], out=out)


def to_rows(grad: Float[Tensor, "time batch gates"], places: Places | None, rows: int) -> Projected:
    """Return the gradient of what was projected: where it was rows, a row's is the sum over its places."""
    if places is None:
        return grad
    summed: Tensor = torch.ops.aten.embedding_dense_backward(grad, places, rows, -1, False)
    return summed


def blank(like: Tensor, active: Active, batch: int, size: int) -> Float[Tensor, "time batch size"]:
    """Return an array to be filled: zero where no sequence is read, whatever it is elsewhere."""
    numbers = len(active) * batch * size
    made = _memory_for(like, numbers).view(len(active), batch, size)
    for step, n in zip(made, active, strict=True):
        if n < len(step):
            step[n:] = 0
    return made


def _memory_for(like: Tensor, numbers: int) -> Tensor:
    """Memory in one of few sizes, at most an eighth too large: batches of all shapes then take turns in one block."""
    unit = max(1, 2 ** numbers.bit_length() // 16)
    return like.new_empty(-(-numbers // unit) * unit)[:numbers]


def overwritten(saved: Tensor) -> Tensor:
    """Return what a forward pass has saved for its backward pass, to be written over; a copy if it is needed again."""
    needed_again = torch._C._autograd._get_current_graph_task_keep_graph()  # with retain_graph=True
    return saved.clone() if needed_again else saved


def stretches(x: Float[Tensor, "time batch features"]) -> Iterator[slice]:
    """Yield stretches of time steps, from the end to the start; each fits in a processor's cache."""
    together = max(1, NUMBERS_AT_ONCE // x[0].numel())
    for end in range(len(x), 0, -together):
        yield slice(max(0, end - together), end)


def one_earlier(states: TimeMajor, first: State, steps: slice) -> Tensor:
    """Return the state before each of those steps; ``first`` is that before step 0."""
    if steps.start:
        return states[steps.start - 1 : steps.stop - 1]
    return torch.cat([first[None], states[: steps.stop - 1]])


def last(states: TimeMajor, lengths: Lengths | None) -> State:
    """Return each sequence's state at its last step; without lengths, those of the last step of all."""
    if lengths is None:
        return states[-1]
    batch = states.shape[1]
    places = (lengths - 1) * batch + torch.arange(batch, device=states.device)
    return states.flatten(0, 1).index_select(0, places)


def reversal(lengths: Lengths, width: int) -> Int[Tensor, "time batch"]:
    """Return (time, batch): for each step the one that it changes with when each sequence is turned around.

    >>> reversal(torch.tensor([3, 2]), 4)
    tensor([[2, 1],
            [1, 0],
            [0, 2],
            [3, 3]])
    """
    time = torch.arange(width, device=lengths.device)[:, None]
    mirrored = lengths - 1 - time
    return torch.where(mirrored >= 0, mirrored, time)
