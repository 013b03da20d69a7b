"""Record the versions and the machine that a figure was measured with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from elman import __version__


def machine() -> dict[str, Any]:
    """Return versions and hardware, ready for JSON."""
    return {
        "elman": __version__,
        "torch": version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, or "unknown".

    Parameters
    ----------
    cpuinfo
        The file where Linux states it; on other systems, Python's ``platform`` module does.
    """
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
