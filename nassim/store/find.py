"""From the name of a store to its folder."""

from __future__ import annotations

import os
from pathlib import Path

from nassim.errors import StoreError, unknown_name
from nassim.store.folders import is_remote
from nassim.store.manifest import MANIFEST_FILE

__all__ = ["DEFAULT_STORE", "find_store", "known_stores"]

DEFAULT_STORE = "images"


def find_store(name_or_path: str | Path) -> Path | str:
    """The folder of a store, named by its path or by the name of a known store.

    The address of a remote folder (``s3://bucket/stores/mine``) is returned as it is.

    Known are the folders of ``$NASSIM_DATA`` and the stores that come with nassim. A store in
    the working directory goes before a known one of the same name.

    Raises
    ------
    UnknownNameError
        if it is neither.
    StoreError
        if it is a path at which there is no store.
    """
    if is_remote(name_or_path):
        return name_or_path
    text = str(name_or_path)
    path = Path(text)
    if _is_store(path):
        return path
    known = known_stores()
    if text in known:
        return known[text]
    if len(path.parts) != 1 or _exists(path):
        raise StoreError(
            f"No store is at {text!r} (no {MANIFEST_FILE} in it); expected the folder of a store, "
            f"or one of the known: {', '.join(sorted(known)) or 'none'}."
        )
    raise unknown_name("store", text, known)


def known_stores() -> dict[str, Path]:
    """The folder of each store that can be named, by its name."""
    package = Path(__file__).resolve().parents[1]
    folders = [package.parent / "data", package / "data"]  # a checkout; an installed package
    if os.environ.get("NASSIM_DATA"):
        folders.append(Path(os.environ["NASSIM_DATA"]))
    return {
        path.name: path
        for folder in folders  # a later folder goes before an earlier one
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if _is_store(path)
    }


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text that cannot be a path
        return False


def _is_store(path: Path) -> bool:
    try:
        return (path / MANIFEST_FILE).is_file()
    except (OSError, ValueError):  # a text that cannot be a path
        return False
