"""`elman language` as a command: its start-up, and reading strings and files as people write them."""

import subprocess
import sys

import pytest

SHOW_MODULES = """\
import sys
from elman.cli import main
sys.argv = ["elman", *sys.argv[1:]]
main()
print(*sys.modules, file=sys.stderr)
"""


def modules_after(*arguments: str) -> set[str]:
    """Return the top-level modules that a process has imported after running the command."""
    command = [sys.executable, "-c", SHOW_MODULES, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return {module.partition(".")[0] for module in finished.stderr.split()}


@pytest.mark.parametrize("arguments", [["info", "brackets"], ["info", "dyck2", "--max-symbols", "20"]])
def test_an_exact_language_needs_neither_torch_nor_scipy(arguments: list[str]) -> None:
    assert modules_after("language", *arguments).isdisjoint({"torch", "scipy", "networkx", "matplotlib"})


def test_an_estimated_entropy_needs_no_torch() -> None:
    assert "torch" not in modules_after("language", "info", "toy")
