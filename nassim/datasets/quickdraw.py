"""Sketches of ten things, from Google's Quick, Draw! (Ha and Eck 2017)."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, drop_duplicates, image_data, split
from nassim.datasets.download import kept
from nassim.errors import DataUnavailableError

__all__ = ["quickdraw"]

URL = "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap"
CLASSES = (
    *("airplane", "apple", "bicycle", "cat", "clock"),
    *("fish", "flower", "house", "star", "umbrella"),
)
PER_CLASS = 620  # the first drawings of each file, which has a hundred thousand and more
SIZE = 28  # pixels
_SECONDS = 60  # that the server may be silent


def quickdraw(cache: Path) -> ImageData:
    """Bitmaps of ten kinds of sketch, grey, 28x28."""
    file = cache / f"quickdraw-{len(CLASSES)}x{PER_CLASS}.npz"
    images = kept(file, lambda: _download(file))
    x = np.concatenate([images[name] for name in CLASSES])
    y = np.repeat(np.arange(len(CLASSES), dtype=np.int64), PER_CLASS)
    x, y = drop_duplicates(x.reshape(-1, SIZE, SIZE, 1), y)
    return image_data(
        "quickdraw",
        "quickdraw",
        f"{URL}, the first {PER_CLASS} of each class",
        "CC-BY-4.0",
        split(x, y, n_train=1000, n_valid=1000, n_test=4000),
    )


def _download(file: Path) -> dict[str, NDArray[Any]]:
    """The first drawings of each class, (n, 784)."""
    from tqdm import tqdm

    images = {}
    for name in tqdm(CLASSES, desc="quickdraw", unit="class", disable=None, leave=False):
        url = f"{URL}/{name}.npy"
        try:
            images[name] = _first_rows(url, PER_CLASS)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: it is another file
            if isinstance(error, HTTPError):
                error.close()
            raise DataUnavailableError(
                f"Dataset 'quickdraw' is not in {file.parent}, and {url} could not be read "
                f"({' '.join(str(error).split())}). Load it where there is a network and put "
                f"{file.name} into {file.parent}, or name another folder in $NASSIM_CACHE."
            ) from error
    return images


def _first_rows(url: str, n: int) -> NDArray[np.uint8]:
    """The first ``n`` rows of an ``.npy`` file of bitmaps; the rest is not transferred."""
    with urlopen(url, timeout=_SECONDS) as answer:
        np.lib.format.read_magic(answer)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(answer)
        if (
            len(shape) != 2
            or shape[0] < n
            or shape[1] != SIZE**2
            or is_fortran
            or dtype != np.uint8
        ):
            raise ValueError(f"it holds {dtype} of shape {shape}; expected {n} bitmaps or more")
        data = answer.read(n * SIZE**2)
    if len(data) < n * SIZE**2:
        raise ValueError(f"it ended after {len(data)} bytes of pixels")
    return np.frombuffer(data, np.uint8).reshape(n, SIZE**2)
