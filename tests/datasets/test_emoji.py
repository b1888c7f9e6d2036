from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from nassim.datasets import ImageData, default_cache
from nassim.datasets.download import member, open_image
from nassim.datasets.emoji import VENDORS, _on_white


def test_transparent_is_white() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 128]]], np.uint8)
    assert _on_white(pixels).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 177, 255]]]


def test_both_drawings_of_an_emoji_are_in_one_split(load: Callable[[str], ImageData]) -> None:
    data = load("emoji")
    shown: dict[bytes, str] = {}
    for vendor in VENDORS:
        for name, image in drawings(vendor).items():
            shown.setdefault(image, name)
    parts = [
        {shown[image.tobytes()] for image in x} for x in (data.x_train, data.x_valid, data.x_test)
    ]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def drawings(vendor: str) -> dict[str, bytes]:
    """The pixels of each emoji of a vendor, by its code."""
    with VENDORS[vendor].open(default_cache()) as archive:
        table = json.loads(member(archive, "package/emoji.json"))
        png = member(archive, f"package/img/{vendor}/sheets/32.png")
    sheet = _on_white(np.asarray(open_image(png, "RGBA")))
    found = {}
    for row in table:
        top, left = 34 * row["sheet_y"] + 1, 34 * row["sheet_x"] + 1
        found[row["unified"]] = sheet[top : top + 32, left : left + 32].tobytes()
    return found
