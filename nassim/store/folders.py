"""Where a store's files are: a folder of this machine, or one of a remote file system.

A local folder has what a store's guarantees rest on: renames, syncs and the kernel's locks. An
object store (``s3://``, ``gs://``) has none of them, but an object appears whole or not at all.
There a store is read by anyone, and appended to by one writer at a time.
"""

from __future__ import annotations

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from nassim.errors import InputError, StoreError
from nassim.store.files import locked, write_durably

__all__ = ["Folder", "LocalFolder", "RemoteFolder", "folder_at", "is_remote"]

_REMOTE = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://")


def is_remote(place: str | Path) -> bool:
    """Whether a text is the address of a remote folder, as in ``s3://bucket/stores/mine``.

    >>> is_remote("s3://bucket/mine"), is_remote("file:///data/mine"), is_remote("data/mine")
    (True, False, False)
    """
    return isinstance(place, str) and _REMOTE.match(place) is not None


def folder_at(place: str | Path) -> Folder:
    """The folder of this path or address.

    Raises
    ------
    StoreError
        if it is an address that no file system answers to.
    """
    if is_remote(place):
        return RemoteFolder(str(place))
    if isinstance(place, str) and place.startswith("file://"):
        place = unquote(urlsplit(place).path)
    return LocalFolder(Path(place))


class Folder(ABC):
    """What a store asks of the place that it is in. Files are named, never paths."""

    place: Path | str  # what folder_at makes this folder of
    filesystem: Any = None  # Arrow's (pyarrow.fs.FileSystem); None: local

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of its path or address."""

    @abstractmethod
    def inner(self, name: str) -> str:
        """The path of a file within ``filesystem``."""

    @abstractmethod
    def at(self, name: str) -> str:
        """A file as a message names it."""

    @abstractmethod
    def make(self) -> None:
        """Make the folder, where it is not there yet; OSError where it cannot be."""

    @abstractmethod
    def names(self) -> list[str]:
        """The files and folders in it, sorted; none if it is not there."""

    @abstractmethod
    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """The size of each file in bytes; None where it is not there."""

    @abstractmethod
    def open(self, name: str) -> contextlib.AbstractContextManager[BufferedIOBase]:
        """A file to be read; FileNotFoundError or another OSError where it cannot be."""

    @abstractmethod
    def write(self, name: str, payload: bytes | memoryview) -> None:
        """Write a file: after any interruption it is complete, or as it was before.

        Raises
        ------
        StoreError
            if it cannot be written; the old file, if any, is still there.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where it is not there."""

    @abstractmethod
    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Hold the folder against other writers, as far as the file system can."""

    def read(self, name: str) -> bytes:
        """The bytes of a file; errors as those of ``open``."""
        with self.open(name) as file:
            return file.read()


class LocalFolder(Folder):
    """A folder of this machine, or of a network file system that is mounted on it."""

    def __init__(self, path: Path) -> None:
        self.place = self.path = path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def inner(self, name: str) -> str:
        return str(self.path / name)

    at = inner

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self.path.iterdir()) if self.path.is_dir() else []

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        return [self._size(self.path / name) for name in names]

    def _size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except OSError:
            return None

    def open(self, name: str) -> BufferedIOBase:
        return open(self.path / name, "rb")

    def write(self, name: str, payload: bytes | memoryview) -> None:
        write_durably(self.path / name, payload)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.path)


class RemoteFolder(Folder):
    """A folder that Arrow or fsspec reaches by its address.

    Credentials come from where the file system's own tools look for them (environment, profile,
    the machine's role), never from the address, which is printed.
    """

    def __init__(self, address: str) -> None:
        if urlsplit(address).password is not None:
            shown = re.sub(r"//[^/]*@", "//...@", address)
            raise InputError(
                f"The address {shown!r} holds a password; expected credentials in the environment "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://) or a profile."
            )
        self.place = address
        address, question, options = address.partition("?")
        self._address = address.rstrip("/")
        self._options = question + options
        self.filesystem, inner = _filesystem(self._address + self._options)
        self._inner = inner.rstrip("/")

    @property
    def name(self) -> str:
        return self._address.rpartition("/")[2]

    def inner(self, name: str) -> str:
        return f"{self._inner}/{name}"

    def at(self, name: str) -> str:
        return f"{self._address}/{name}{self._options}"

    def make(self) -> None:
        self.filesystem.create_dir(self._inner, recursive=True)

    def names(self) -> list[str]:
        return sorted(self._listed())

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        listed = self._listed() if names else {}  # one question, not one a file
        return [listed.get(name) for name in names]

    def _listed(self) -> dict[str, int | None]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._inner, allow_not_found=True)
        return {found.base_name: found.size for found in self.filesystem.get_file_info(selector)}

    def open(self, name: str) -> contextlib.AbstractContextManager[BufferedIOBase]:
        opened = self.filesystem.open_input_file(self.inner(name))
        return cast(contextlib.AbstractContextManager[BufferedIOBase], opened)

    def write(self, name: str, payload: bytes | memoryview) -> None:
        try:
            with self.filesystem.open_output_stream(self.inner(name)) as file:
                file.write(payload)  # the object appears when the stream is closed
        except OSError as error:
            raise StoreError(
                f"{self.at(name)!r} cannot be written: {' '.join(str(error).split())[:200]} "
                "The store is as it was; check the address and your rights, then append again."
            ) from error

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self.inner(name))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No lock: the caller is the only writer."""
        yield


def _filesystem(address: str) -> tuple[Any, str]:
    """Arrow's file system for an address, else fsspec's, and the path within."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        try:
            filesystem, inner = FileSystem.from_uri(address)
            return filesystem, inner
        except ArrowInvalid as error:
            if "Unrecognized filesystem" not in str(error):
                raise
        from fsspec.core import url_to_fs

        filesystem, inner = url_to_fs(address)
        return PyFileSystem(FSSpecHandler(filesystem)), inner
    except (ArrowInvalid, ImportError, OSError, ValueError) as error:
        raise StoreError(
            f"No file system answers to {address!r} ({' '.join(str(error).split())[:200]}); "
            "expected a folder, or an address as in 's3://bucket/stores/mine'."
        ) from error
