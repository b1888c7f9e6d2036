"""Own images from an ``.npz`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nassim.datasets.base import ImageData, image_data, split
from nassim.errors import DataUnavailableError, InputError

__all__ = ["own_data"]

_PARTS = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")


def own_data(path: Path) -> ImageData:
    """Read ``x_train, y_train, x_valid, y_valid, x_test, y_test``, or ``x, y`` to be split.

    Images are (n, height, width) or (n, height, width, channels), uint8 or float; labels are
    whole numbers from 0. ``x, y`` are shuffled and split 60 : 20 : 20. The dataset's name is
    the file's name without its ending.

    Raises
    ------
    DataUnavailableError
        if there is no such file.
    InputError
        if an array is missing or of the wrong shape; the message names it.
    """
    if not path.exists():
        raise DataUnavailableError(f"There is no file {path}; expected an .npz file of images.")
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if {"x", "y"} <= set(arrays):
        n = len(arrays["x"])
        x, y = _checked(path, "x", arrays["x"], "y", arrays["y"])
        parts = split(x, y, n_train=round(0.6 * n), n_valid=round(0.2 * n))
    elif set(_PARTS) <= set(arrays):
        checked: list[Any] = []
        for x_name, y_name in zip(_PARTS[::2], _PARTS[1::2], strict=True):
            checked += _checked(path, x_name, arrays[x_name], y_name, arrays[y_name])
        parts = (checked[0], checked[1], checked[2], checked[3], checked[4], checked[5])
    else:
        raise InputError(
            f"{path} holds arrays {', '.join(sorted(arrays)) or 'none'}; "
            f"expected x and y, or {', '.join(_PARTS)}."
        )
    return image_data(path.stem, path.stem, f"own file {path.name}", "not stated", parts)


def _checked(path: Path, x_name: str, x: Any, y_name: str, y: Any) -> tuple[Any, Any]:
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.dtype.kind not in "uif" or len(x) == 0:
        raise InputError(
            f"Array {x_name!r} of {path} has shape {x.shape} and type {x.dtype}; expected numbers "
            "of shape (n, height, width) or (n, height, width, channels)."
        )
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise InputError(f"Array {x_name!r} of {path} holds NaN or infinity; expected numbers.")
    if y.shape != (len(x),) or y.dtype.kind not in "ui" or y.min() < 0:
        raise InputError(
            f"Array {y_name!r} of {path} has shape {y.shape} and type {y.dtype}; expected {len(x)} "
            "whole numbers from 0, one an image."
        )
    return x, y.astype(np.int64)
