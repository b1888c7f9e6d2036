"""Which photo is this patch from? Windows of scikit-image's sample photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, Labels, Pixels, image_data, shuffled
from nassim.datasets.download import Wheel, open_image

__all__ = ["photos"]

WHEEL = Wheel(
    "scikit-image==0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    # its photos are the same for every platform; one wheel makes one hash
    (
        *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
        *("--platform", "manylinux_2_28_x86_64"),
    ),
)
PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png"),
)
WINDOW, STRIDE, TILE = 32, 8, 64  # pixels
N_TRAIN, N_VALID, N_TEST = 60, 120, 240  # windows of a photo, where it has so many
MIN_DEVIATION = 4.0  # grey levels; a flat window could be from any photo


def photos(cache: Path) -> ImageData:
    """17 photos, 32x32 colour windows.

    A photo is cut into tiles of 64x64 pixels, each tile is dealt to one split, and windows lie
    within tiles: windows of two splits never share a pixel.
    """
    x: list[list[Pixels]] = [[], [], []]
    y: list[list[Labels]] = [[], [], []]
    with WHEEL.open(cache) as wheel:
        for label, file in enumerate(PHOTOS):
            photo = np.asarray(open_image(wheel.read(f"skimage/data/{file}"), "RGB"))
            for part, windows in enumerate(_split_windows(photo, seed=label)):
                x[part].append(windows)
                y[part].append(np.full(len(windows), label, np.int64))
    parts = []
    for part in range(3):
        order = shuffled(sum(len(labels) for labels in y[part]))
        parts += [np.concatenate(x[part])[order], np.concatenate(y[part])[order]]
    x_train, y_train, x_valid, y_valid, x_test, y_test = parts
    return image_data(
        "photos",
        "photos",
        f"PyPI {WHEEL.requirement}, windows of {len(PHOTOS)} photos of skimage/data",
        "BSD-3-Clause and CC0",
        (x_train, y_train, x_valid, y_valid, x_test, y_test),
    )


def _split_windows(photo: Pixels, seed: int) -> list[NDArray[np.uint8]]:
    """Train, valid and test windows, each (n, 32, 32, 3), of one photo."""
    rows, columns = photo.shape[0] // TILE, photo.shape[1] // TILE
    tiles = shuffled(rows * columns, seed)
    first, second = round(0.3 * len(tiles)), round(0.6 * len(tiles))
    parts = []
    for part, n in zip(np.split(tiles, [first, second]), (N_TRAIN, N_VALID, N_TEST), strict=True):
        windows = np.stack(
            [
                photo[top : top + WINDOW, left : left + WINDOW]
                for tile in part
                for top in range(
                    tile // columns * TILE, tile // columns * TILE + WINDOW + 1, STRIDE
                )
                for left in range(tile % columns * TILE, tile % columns * TILE + WINDOW + 1, STRIDE)
            ]
        )
        windows = windows[windows.std(axis=(1, 2)).max(axis=1) >= MIN_DEVIATION]
        parts.append(windows[shuffled(len(windows), seed)[:n]])
    return parts
