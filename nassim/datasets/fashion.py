"""Fashion-MNIST (Xiao et al. 2017), from Debian."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np

from nassim.datasets.base import ImageData, image_data, shuffled
from nassim.datasets.download import DebianPackage, member

__all__ = ["fashion"]

PACKAGE = DebianPackage(
    "dataset-fashion-mnist",
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
FOLDER = "./usr/share/datasets/fashion-mnist"


def fashion(cache: Path) -> ImageData:
    """Part of Fashion-MNIST, 28x28: 1,000 + 2,000 of its training images, 4,000 of its test."""
    with PACKAGE.open(cache) as package:
        x, y = _read(package, "train")
        x_test, y_test = _read(package, "t10k")
    order, tested = shuffled(len(x)), shuffled(len(x_test))[:4000]
    train, valid = order[:1000], order[1000:3000]
    return image_data(
        "fashion",
        "fashion",
        f"Debian {PACKAGE.requirement}, 7,000 of the 70,000 images",
        "MIT",
        (x[train], y[train], x[valid], y[valid], x_test[tested], y_test[tested]),
    )


def _read(package: tarfile.TarFile, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The images (n, 28, 28, 1) and labels of a part, in the IDX format."""
    arrays = []
    for what, header in (("images-idx3", 16), ("labels-idx1", 8)):
        data = member(package, f"{FOLDER}/{part}-{what}-ubyte.gz")
        arrays.append(np.frombuffer(gzip.decompress(data), np.uint8, offset=header))
    images, labels = arrays
    return images.reshape(-1, 28, 28, 1), labels.astype(np.int64)
