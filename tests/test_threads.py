"""The command's threads: how they wait, how many there are, and when it says that another number would be faster."""

import os
import subprocess
import sys
import time

import pytest
import torch

from elman.config import ModelConfig
from elman.environment import OPENMP_DEFAULTS, set_openmp_defaults
from elman.threads import default_threads, faster_thread_count


def test_the_command_sets_how_threads_wait_before_torch_is_imported() -> None:
    script = """
import os, sys
from elman import cli
assert "torch" not in sys.modules
sys.argv = ["elman", "--version"]
try:
    cli.main()
finally:
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""
    clean = {name: value for name, value in os.environ.items() if name not in (*OPENMP_DEFAULTS, "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=False)
    assert done.stdout.split()[-2:] == [OPENMP_DEFAULTS["GOMP_SPINCOUNT"], "False"]


@pytest.mark.parametrize("variable", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_the_users_own_variables_are_respected(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OPENMP_DEFAULTS, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "active")
    set_openmp_defaults()
    assert {name: os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} == {
        "GOMP_SPINCOUNT": None,
        "OMP_WAIT_POLICY": None,
    } | {variable: "active"}


@pytest.mark.parametrize(
    ("layer", "hidden_size", "threads"),
    [("lstm", 300, 8), ("lstm", 32, 1), ("mlp", 300, 8), ("rnn", 300, 1), ("elman", 511, 1), ("gru", 512, 8)],
)
def test_one_thread_where_several_would_wait(layer: str, hidden_size: int, threads: int) -> None:
    assert default_threads(ModelConfig(layer=layer, hidden_size=hidden_size), 8) == threads


def test_another_number_of_threads_is_suggested_only_if_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # the work below depends on no thread
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    clock = iter([0.0, 3.0, 3.0, 4.0] * 3)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert faster_thread_count(lambda: None, cores=2) == (1, 3.0)
    clock = iter([0.0, 1.0, 1.0, 2.0] * 3)
    assert faster_thread_count(lambda: None, cores=2) is None
