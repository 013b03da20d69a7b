"""Fixtures that many tests use. Shapes are checked at every call, and nothing depends on the speed of the machine."""

from jaxtyping import install_import_hook

# This comes before the first import of elman, so that every wrong shape raises an error.
with install_import_hook(
    ["elman.models", "elman.losses", "elman.text.batching", "elman.text.sequences"], "beartype.beartype"
):
    import elman.losses
    import elman.models
    import elman.text.batching

import io
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from elman import cli
from elman.config import RunConfig
from elman.data.dataset import Dataset
from elman.data.table import open_dataset

# The same commit draws the same examples, so that a failure belongs to the change that it is seen with.
# `pytest --hypothesis-profile=random` draws new ones.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("random", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")

REAL_IMDB = os.environ.get("ELMAN_IMDB", "")
THREADS = max(1, 2 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
POSTGRES = os.environ.get("ELMAN_POSTGRES", "")
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # for the processes that a test starts
os.environ["ELMAN_PROGRESS"] = "off"  # its lines depend on the speed of the machine; a test that reads them sets it

POSITIVE = "A great film, it moved me.<br /><br />The cast is GREAT and the story holds number {}!"
NEGATIVE = "A terrible film, it bored me.<br />The cast is wooden & the story falls apart, number {}."
WORDS = "one two three four five six seven eight nine ten eleven twelve".split()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests that share a slow fixture to the same worker."""
    for item in items:
        for fixture in {"real_imdb", "smoke_study", "brackets", "whole"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(fixture))
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's cache, and an IMDb archive that the environment names, out of every test."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ELMAN_CACHE", str(cache))
    monkeypatch.delenv("ELMAN_IMDB", raising=False)
    return cache


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Skip fsync: nothing in a test has to survive a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def own_threads() -> None:
    torch.set_num_threads(THREADS)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def elman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["elman", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


Reviews = dict[str, bytes]


@pytest.fixture
def reviews() -> Reviews:
    """Return names and contents of a hundred short reviews in the published layout."""
    files: Reviews = {}
    for split in ("train", "test"):
        for kind, template in (("pos", POSITIVE), ("neg", NEGATIVE)):
            for i in range(20):
                text = template.format(" ".join(WORDS[: 1 + i % 12])) + (f" {WORDS[i % 12]}" * (split == "test"))
                files[f"aclImdb/{split}/{kind}/{i}_{9 if kind == 'pos' else 2}.txt"] = text.encode()
    for i in range(20):
        files[f"aclImdb/train/unsup/{i}_0.txt"] = f"Unseen film number {WORDS[i % 12]}, zygote.".encode()
    return files


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes names and contents as a gzipped tar, not in sorted order."""

    def make(files: Reviews, name: str = "aclImdb_v1.tar.gz") -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as archive:
            for member in sorted(files, key=lambda member: member[::-1]):
                entry = tarfile.TarInfo(member)
                entry.size = len(files[member])
                archive.addfile(entry, io.BytesIO(files[member]))
        return path

    return make


@pytest.fixture
def archive(make_archive: Callable[..., Path], reviews: Reviews) -> Path:
    return make_archive(reviews)


@pytest.fixture
def config() -> RunConfig:
    """Return the configuration of a training that takes about a second."""
    tables = {
        "data": {"name": "synth-reviews", "synthetic_size": 200, "synthetic_sentences": 2},
        "batches": {"tokens_per_batch": 300, "length_multiple": 4},
        "model": {
            "layer": "lstm",
            "embedding_size": 8,
            "hidden_size": 8,
            "embedding_dropout": 0.2,
            "word_dropout": 0.1,
        },
        "optim": {"learning_rate": 0.01, "ema_decay": 0.9},
        "loop": {"epochs": 2, "threads": THREADS, "log_every": 1},
    }
    return RunConfig.from_tables(tables, "test")


@pytest.fixture
def dataset(config: RunConfig) -> Dataset:
    return open_dataset(config.data)


@pytest.fixture
def real_imdb(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of the real archive, which is prepared once for all tests that read it."""
    if not REAL_IMDB:
        pytest.skip("ELMAN_IMDB is not set: the counts of the real data cannot be checked")
    monkeypatch.setenv("ELMAN_IMDB", REAL_IMDB)
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path_factory.getbasetemp() / "real-imdb"))
    return REAL_IMDB


@pytest.fixture
def postgres() -> str:
    """Return the address of a database; each test gives its search a name that no other has."""
    if not POSTGRES:
        pytest.skip("ELMAN_POSTGRES is not set: a search on several machines cannot be tested")
    return POSTGRES


@pytest.fixture(scope="session")
def smoke_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the smoke study once for all tests that read it."""
    from elman import grading
    from elman.study import read_study, run_study

    directory = tmp_path_factory.mktemp("smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMAN_CACHE", str(tmp_path_factory.mktemp("smoke-cache")))  # for its entry in the ledger
        patch.setattr(grading, "REFERENCE_STRINGS", 5_000)  # drawing the usual number takes most of the time
        run_study(read_study("smoke"), directory, lambda _: None)
    return directory


@pytest.fixture
def own_study(smoke_study: Path, tmp_path: Path) -> Path:
    """A copy of its small files, to be changed; without runs, so without weights."""
    copy = tmp_path / "own"
    shutil.copytree(smoke_study, copy, ignore=shutil.ignore_patterns("runs"))
    return copy
