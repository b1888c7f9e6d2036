"""Own data: an ``.npz`` file, a folder of images, or a ``.csv`` table.

A dataset is given as a path: ``pets.npz``, ``data/pets/`` (a folder needs a slash somewhere),
``iris.csv``. An option may follow, as in ``data/pets/:size=32`` and ``iris.csv:label=species``.
Its name is the file's or the folder's. Classes are numbered from 0 in sorted order. Where the
data are not split, they are shuffled and split 60 : 20 : 20 within each class; rows or images
that are there twice stay. Splits are fixed, and hashed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from nassim.datasets.base import Data, ImageData, image_data
from nassim.datasets.own_classes import class_numbers, split_classes
from nassim.datasets.own_folder import from_folder
from nassim.datasets.own_table import from_csv
from nassim.errors import DataUnavailableError, InputError

__all__ = ["EXAMPLES", "from_npz", "is_own", "own_data", "own_name", "within"]

EXAMPLES = ("path/to/own.npz", "path/to/own.csv", "path/to/folder/")

_PARTS = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")


class _Text(NamedTuple):
    path: str
    option: str
    value: str


def _parse(text: str) -> _Text:
    found = re.fullmatch(r"(.+?)(?::([a-z]+)=(.*))?", text)
    return _Text(found[1], found[2] or "", found[3] or "") if found else _Text(text, "", "")


def is_own(text: str) -> bool:
    """Is this the path of own data, and not the name of a dataset?

    >>> [is_own(text) for text in ("a.npz", "a.csv:label=kind", "pets/", "pets", "mnist")]
    [True, True, True, False, False]
    """
    path = _parse(text).path
    return path.endswith((".npz", ".csv")) or "/" in path or os.sep in path


def own_name(text: str) -> str:
    """What a dataset is called in a store.

    >>> own_name("data/iris.csv:label=kind"), own_name("data/pets/")
    ('iris', 'pets')
    """
    path = Path(_parse(text).path)
    return path.stem if path.suffix in (".npz", ".csv") else path.resolve().name


def within(folder: Path, text: str) -> str:
    """The same data, where its path starts in this folder.

    >>> within(Path("plans"), "pets/:size=32")
    'plans/pets/:size=32'
    """
    return os.path.join(folder, text)  # unlike Path's, it keeps the slash that marks a folder


def own_data(text: str) -> Data:
    """Read own data; see the module's text, ``from_npz``, ``from_folder`` and ``from_csv``.

    Raises
    ------
    DataUnavailableError
        if there is no such file or folder.
    InputError
        if it does not hold what is expected; the message names the array, file or column.
    """
    path_text, option, value = _parse(text)
    path = Path(path_text)
    kind, known = "folder", "size"
    if path.suffix in (".npz", ".csv"):
        kind, known = ("file", "") if path.suffix == ".npz" else ("file", "label")
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise DataUnavailableError(f"There is no {kind} {path}; expected own data.")
    if option not in ("", known):
        raise InputError(
            f"Option {option!r} of {text} is unknown; expected {repr(known) if known else 'none'}."
        )
    if path.suffix == ".npz":
        return from_npz(path)
    if path.suffix == ".csv":
        return from_csv(path, value)
    if option and not (value.isdecimal() and int(value) > 0):
        raise InputError(f"Option 'size' of {text} is {value!r}; expected pixels, as in size=32.")
    return from_folder(path, int(value or 0))


def from_npz(path: Path) -> ImageData:
    """Read ``x_train, y_train, x_valid, y_valid, x_test, y_test``, or ``x, y`` to be split.

    Images are (n, height, width) or (n, height, width, channels), uint8 or float; labels are
    whole numbers or texts.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} is no .npz file of arrays of numbers ({error}).") from error
    if {"x", "y"} <= set(arrays):
        x, labels = _checked(path, "x", arrays["x"], "y", arrays["y"])
        parts = split_classes(x, class_numbers([labels], str(path))[0])
    elif set(_PARTS) <= set(arrays):
        checked = [
            _checked(path, x_name, arrays[x_name], y_name, arrays[y_name])
            for x_name, y_name in zip(_PARTS[::2], _PARTS[1::2], strict=True)
        ]
        train, valid, test = (x for x, _ in checked)
        y = class_numbers([labels for _, labels in checked], str(path))
        parts = (train, y[0], valid, y[1], test, y[2])
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
    if y.shape != (len(x),) or y.dtype.kind not in "uiU":
        raise InputError(
            f"Array {y_name!r} of {path} has shape {y.shape} and type {y.dtype}; expected {len(x)} "
            "whole numbers or texts, one an image."
        )
    return x, y
