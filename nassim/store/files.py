"""Files that a kill or a full disk cannot leave half written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nassim.errors import StoreError

__all__ = ["LOCK_FILE", "TEMPORARY_SUFFIX", "locked", "write_durably"]

LOCK_FILE = ".lock"
TEMPORARY_SUFFIX = ".tmp"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the store's lock: one writer at a time, among processes and threads.

    The lock is the kernel's and dies with its holder; the empty lock file stays.
    """
    import fcntl  # not on Windows, where stores can be read but not written

    try:
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_durably(path: Path, payload: bytes | memoryview) -> None:
    """Write a file so that after any interruption it is either complete or as it was before.

    Raises
    ------
    StoreError
        if the disk is full or the folder cannot be written; nothing is left behind.
    """
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        with open(aside, "xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    return StoreError(
        f"{str(path)!r} cannot be written: {reason}. The store is as it was; "
        "free space or check permissions, then append again."
    )
