"""Own images in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, image_data
from nassim.datasets.download import need_pillow
from nassim.datasets.own_classes import class_numbers, split_classes
from nassim.errors import InputError

__all__ = ["from_folder"]

_SPLITS = ("train", "valid", "test")
_ENDINGS = (".png", ".jpg", ".jpeg")  # in either case; other files are passed over


def from_folder(path: Path, size: int = 0) -> ImageData:
    """Read ``folder/CLASS/*.png`` (or jpg), or ``folder/{train,valid,test}/CLASS/*.png``.

    Images are colour (red, green, blue) unless all of them are grey. They must have one size,
    or with ``size`` each is squeezed to a square of so many pixels.
    """
    need_pillow()
    is_split = "train" in (found := _folders(path)) and set(found) <= set(_SPLITS)
    if is_split and len(found) < len(_SPLITS):
        raise InputError(f"{path} has folders {', '.join(found)}; expected {', '.join(_SPLITS)}.")
    parts = [_files(path / split) for split in _SPLITS] if is_split else [_files(path)]
    for part, name in zip(parts, _SPLITS, strict=False):
        if not part:
            where = path / name if is_split else path
            raise InputError(f"{where} has no image; expected CLASS/*.png or CLASS/*.jpg.")
    labels = [np.array([file.parent.name for file in part]) for part in parts]
    y = class_numbers(labels, str(path))
    pixels = _read([file for part in parts for file in part], size, path)
    x = np.split(pixels, np.cumsum([len(part) for part in parts])[:-1])
    name = path.resolve().name
    return image_data(
        name,
        name,
        f"own folder {name}",
        "not stated",
        (x[0], y[0], x[1], y[1], x[2], y[2]) if is_split else split_classes(x[0], y[0]),
    )


def _folders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(path: Path) -> list[Path]:
    """The images of a folder's classes, in the order of their names."""
    return [
        file
        for name in _folders(path)
        for file in sorted((path / name).iterdir())
        if file.suffix.lower() in _ENDINGS and not file.name.startswith(".")
    ]


def _read(files: list[Path], size: int, path: Path) -> NDArray[np.uint8]:
    """Pixels (n, height, width, channels)."""
    from PIL import Image

    modes: set[str] = set()
    sizes: dict[tuple[int, int], Path] = {}  # and the first file of each
    for file in files:
        with _opened(file) as image:
            modes.add(image.mode)
            sizes.setdefault(image.size, file)
    if not size and len(sizes) > 1:
        found = " and ".join(f"{f} is {w}x{h}" for (w, h), f in list(sizes.items())[:2])
        raise InputError(
            f"{found} pixels; expected one size, or an option that makes it one: {path}/:size=32."
        )
    mode = "L" if modes <= {"1", "L"} else "RGB"
    arrays = []
    for file in files:
        with _opened(file) as image:
            pixels = image.convert(mode)
            if size:
                pixels = pixels.resize((size, size), Image.Resampling.BOX)
            arrays.append(np.asarray(pixels).reshape(pixels.height, pixels.width, -1))
    return np.stack(arrays)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A Pillow image, whose pixels are decoded when they are asked for."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{file} cannot be read ({' '.join(str(error).split())}); expected a PNG or JPEG."
        ) from error
