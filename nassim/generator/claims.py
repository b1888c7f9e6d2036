"""Which runs are being trained now, so that two generators on one store do not repeat them."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from nassim.records import RunKey

__all__ = ["Claims"]

FILE = ".claims"


class Claims:
    """A lock a run, held by this process: on one byte of an empty file, at the key's hash.

    The kernel drops the locks of a process that ends, however it ends, so that nothing needs to
    be cleaned up after a kill. Close it only at the end: that drops all locks.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)

    def claim(self, key: RunKey) -> bool:
        """Take a run; False where another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _position(key))
        except OSError:
            return False
        return True

    def release(self, key: RunKey) -> None:
        """Give a run back, once it is in the store."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _position(key))

    def close(self) -> None:
        os.close(self._file)


def _position(key: RunKey) -> int:
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:7], "big")
