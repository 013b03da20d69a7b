"""What a comparison is: two sides that do the same work."""

from collections.abc import Callable
from dataclasses import dataclass

from elman.timing import Work


@dataclass(frozen=True)
class Comparison:
    """Two sides whose speed is compared.

    Attributes
    ----------
    name, peer
        What is measured, and what it is compared with.
    unit
        What a speed counts, in the plural: "tokens".
    aim
        The target for the ratio.
    ours, theirs
        Prepare the work and return a function that does it; only that function is timed.
    plain_flops
        Floating-point operations per unit in the plain form; None to leave the share of the peak out.
    alike
        Raises an error if the two sides compute different things; None if they are meant to.
    """

    name: str
    peer: str
    unit: str
    aim: float
    ours: Callable[[], Work]
    theirs: Callable[[], Work]
    plain_flops: float | None = None
    alike: Callable[[], None] | None = None


@dataclass(frozen=True)
class MemoryComparison:
    """Two sides whose peak memory is compared; less is better.

    Attributes
    ----------
    name, peer
        What is measured, and what it is compared with. The name is unique.
    aim
        The target for the ratio.
    ours, theirs
        Prepare the work and return a function that does it. Both count, but no import.
    """

    name: str
    peer: str
    aim: float
    ours: Callable[[], Work]
    theirs: Callable[[], Work]
