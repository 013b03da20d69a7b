"""Writing so that a reader never meets half a file: write beside, fsync, rename.

The rename is atomic on one file system, so whoever opens the final name finds the old content or the new, also
after a power cut, a full disk or a Ctrl-C in the middle.
"""

import errno
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from elman.errors import DataError, RunError

FORGOTTEN_AFTER = 24 * 3600.0
"""Seconds after which a half-written file belongs to a process that is gone."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it becomes ``path`` where the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        _sync(partial)
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def try_lock(path: Path) -> FileLock | None:
    """Take the lock that a file stands for, or return None where another has it; it ends with this process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextmanager
def alone(directory: Path, work: str) -> Iterator[None]:
    """Keep other processes from the same work on ``directory`` within the block.

    Raises
    ------
    RunError
        Another is at it.
    """
    lock = try_lock(directory / ".lock")
    if lock is None:
        raise RunError(f"{directory} is being {work} by another process.", "Wait for it, or stop it.")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside ``path``; it becomes ``path`` where the block ends without an error.

    If another process makes ``path`` meanwhile, its directory stands and this one is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _sync(file)
        partial.chmod(0o755)
        try:
            partial.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with new_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        It cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}).", "Remove it, and make it anew.") from error


def append_line(path: Path, line: str) -> None:
    """Append one line, whole or not at all, and wait until it is on the disk; a last line without an end gets one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        if before:
            file.seek(-1, os.SEEK_END)
        unended = file.read(1) not in (b"", b"\n")
        try:
            content = (unended * "\n" + f"{line}\n").encode()
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(before)
            raise


def _sweep(path: Path) -> None:
    """Remove what a process that was killed left half-written beside ``path``."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > FORGOTTEN_AFTER:
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file, suppress(OSError):  # some network file systems know no fsync
        os.fsync(file.fileno())
