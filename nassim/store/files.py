"""A store's files: one writer at a time, none left half written by a kill or a full disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nassim.errors import StoreError
from nassim.writing import write_whole

__all__ = ["LOCK_FILE", "locked", "write_durably"]

LOCK_FILE = ".lock"


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
    try:
        write_whole(path, payload)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    return StoreError(
        f"{str(path)!r} cannot be written: {reason}. The store is as it was; "
        "free space or check permissions, then append again."
    )
