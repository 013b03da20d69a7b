"""Optional packages: which extra of ``pip install`` brings them, and what happens without them."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from elman.errors import ConfigError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EXTRAS = {
    "baselines": ("sklearn",),
    "postgres": ("psycopg",),
    "report": ("jinja2", "matplotlib", "networkx", "pypandoc", "typst"),
    "tensorboard": ("tensorboard",),
    "tune": ("matplotlib", "optuna", "sqlalchemy"),
}
"""The modules that each extra installs and that elman imports."""


def require(*extras: str) -> None:
    """Raise an error with the line that installs these extras, unless all their modules can be imported."""
    missing = {extra: [name for name in EXTRAS[extra] if find_spec(name) is None] for extra in extras}
    if modules := sorted({name for names in missing.values() for name in names}):
        needed = ",".join(extra for extra in extras if missing[extra])
        raise ConfigError(
            f"This needs Python packages that are not installed: {', '.join(modules)}.",
            f"Use pip install 'elman[{needed}]'.",
        )


def summary_writer(directory: Path, purge_step: int) -> "SummaryWriter | None":
    """Return a writer of TensorBoard event files, or None if TensorBoard is not installed.

    Parameters
    ----------
    directory
        Where to write the files.
    purge_step
        TensorBoard hides what earlier files of this directory say about this step and later ones.
    """
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=purge_step)
