"""Fashion-MNIST (Xiao et al. 2017), from Debian: needs apt-get and dpkg-deb, but no root."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np

from nassim.datasets.base import ImageData, image_data, shuffled
from nassim.datasets.download import fetch
from nassim.errors import DataUnavailableError

__all__ = ["fashion"]

PACKAGE = "dataset-fashion-mnist"
FILE = "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb"
SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
FOLDER = "./usr/share/datasets/fashion-mnist"


def fashion(cache: Path) -> ImageData:
    """Part of Fashion-MNIST, 28x28: 800 + 1,000 of its training images, 4,000 of its test."""
    if shutil.which("dpkg-deb") is None:
        raise DataUnavailableError(
            f"Dataset 'fashion' is unpacked from Debian's {PACKAGE} and dpkg-deb is not installed; "
            "use Debian or Ubuntu, or give the images as an own .npz file."
        )
    package = fetch(FILE, SHA256, ["apt-get", "download", PACKAGE], cache)
    files = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(package)], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        x, y = _read(tar, "train")
        x_test, y_test = _read(tar, "t10k")
    order, tested = shuffled(len(x)), shuffled(len(x_test))[:4000]
    train, valid = order[:800], order[800:1800]
    return image_data(
        "fashion",
        "fashion",
        f"Debian {PACKAGE}, 5,800 of the 70,000 images",
        "MIT",
        (x[train], y[train], x[valid], y[valid], x_test[tested], y_test[tested]),
    )


def _read(tar: tarfile.TarFile, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The images (n, 28, 28, 1) and labels of a part, in the IDX format."""
    arrays = []
    for what, header in (("images-idx3", 16), ("labels-idx1", 8)):
        member = tar.extractfile(f"{FOLDER}/{part}-{what}-ubyte.gz")
        assert member is not None  # it is a file
        arrays.append(np.frombuffer(gzip.decompress(member.read()), np.uint8, offset=header))
    images, labels = arrays
    return images.reshape(-1, 28, 28, 1), labels.astype(np.int64)
