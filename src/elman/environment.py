"""What must be set before torch is imported.

OpenMP reads its variables when its library is loaded, which importing torch does. The command sets them first of all; a
program that imports elman sets them itself.
"""

import os

OPENMP_DEFAULTS = {"GOMP_SPINCOUNT": "2000"}
"""How long a thread that waits for another one spins before it sleeps. Spinning for long is fast on an idle machine,
but up to ten times slower when another program takes one of the cores."""


def set_openmp_defaults() -> None:
    """Set how threads wait for each other, unless the user has."""
    if not os.environ.keys() & {*OPENMP_DEFAULTS, "OMP_WAIT_POLICY"}:
        os.environ.update(OPENMP_DEFAULTS)
