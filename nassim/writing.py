"""Files that appear whole or not at all, whatever interrupts their writing."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["TEMPORARY_SUFFIX", "write_whole"]

TEMPORARY_SUFFIX = ".tmp"


def write_whole(path: Path, payload: bytes | memoryview) -> None:
    """Write a file so that after any interruption it is either complete or as it was before.

    Raises
    ------
    OSError
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
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    if os.name == "nt":  # opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
