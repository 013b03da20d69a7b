"""Write files atomically: write a temporary file in the same folder, fsync it, and rename it.

A rename within a file system is atomic. The final name always refers to the complete old or the complete new content,
even after a power cut, a full disk or Ctrl-C.
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

from elman.errors import DataError, RunError, reason

STALE_SECONDS = 24 * 3600.0
"""A temporary file of this age belongs to a process that no longer runs."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to ``path`` if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
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
    """Take the lock on a file, or return None if another process holds it. The lock ends with this process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextmanager
def locked_directory(directory: Path, activity: str) -> Iterator[None]:
    """Hold the lock on ``directory`` within the block.

    Parameters
    ----------
    directory
        A folder; it is created if it is missing.
    activity
        A participle for the error message, such as "trained".

    Raises
    ------
    RunError
        Another process holds the lock.
    """
    lock = try_lock(directory / ".lock")
    if lock is None:
        raise RunError(f"{directory} is being {activity} by another process.", "Wait for that process, or stop it.")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory; it is renamed to ``path`` if the block ends without an error.

    If another process creates ``path`` in the meantime, its directory is kept and this one is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
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
    """Write ``text`` as UTF-8, atomically."""
    with new_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be read as JSON ({reason(error)})."
        raise DataError(problem, "Remove it and create it again.") from error


def append_line(path: Path, line: str) -> None:
    """Append one line and wait until it is on the disk. If that fails, the file is as before.

    A last line that lacks its newline gets one first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(-1, os.SEEK_END)
        lacks_newline = file.read(1) not in (b"", b"\n")
        try:
            content = (lacks_newline * "\n" + f"{line}\n").encode()
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            raise


def _remove_stale(path: Path) -> None:
    """Remove temporary files for ``path`` that a killed process left."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file, suppress(OSError):  # some network file systems lack fsync
        os.fsync(file.fileno())
