"""Which group of Unicode is this emoji of? The drawings of two vendors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, drop_duplicates, image_data, split_groups
from nassim.datasets.download import NpmPackage, kept, member, open_image

__all__ = ["emoji"]

# two of the registry's four vendors: the drawings of the others are not free
VENDORS = {
    "google": NpmPackage(
        "emoji-datasource-google@16.0.0",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ),
    "twitter": NpmPackage(
        "emoji-datasource-twitter@16.0.0",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ),
}
SIZE, TILE = 32, 34  # pixels of an image, and of its place in the sheet: a border of one
SKIP = "Component"  # the group of skin tones and hair: five things
N_TRAIN, N_VALID = 510, 680  # emoji, each drawn by every vendor


def emoji(cache: Path) -> ImageData:
    """Emoji of nine groups (animals, flags, food, ...), colour on white, 32x32.

    Split by what is shown: the drawings of one emoji are in one split.
    """
    packages = "-".join(package.sha256[:8] for package in VENDORS.values())
    # the archives are large, and nearly all of them is drawings of other sizes
    drawn = kept(cache / f"emoji-{packages}.npz", lambda: _drawings(cache))
    images = drawn["images"]
    x, place = drop_duplicates(images, np.arange(len(images), dtype=np.int64))
    names, labels = np.unique(drawn["groups"], return_inverse=True)
    concepts, concept = np.unique(drawn["shown"], return_inverse=True)
    return image_data(
        "emoji",
        "emoji",
        f"npm {' and '.join(package.requirement for package in VENDORS.values())}, "
        f"{len(concepts)} emoji of {len(names)} groups",
        "MIT (package), Apache-2.0 (Google's drawings), CC-BY-4.0 (Twitter's)",
        split_groups(x, labels[place].astype(np.int64), concept[place], N_TRAIN, N_VALID),
    )


def _drawings(cache: Path) -> dict[str, NDArray[Any]]:
    """All vendors' ``images`` (n, 32, 32, 3), with ``groups`` (n,) and what is ``shown`` (n,)."""
    images, groups, shown = [], [], []
    for vendor, package in VENDORS.items():
        with package.open(cache) as archive:
            table = json.loads(member(archive, "package/emoji.json"))
            png = member(archive, f"package/img/{vendor}/sheets/{SIZE}.png")
        sheet = _on_white(np.asarray(open_image(png, "RGBA")))
        for row in table:
            if row[f"has_img_{vendor}"] and row["category"] != SKIP:
                left, top = TILE * row["sheet_x"] + 1, TILE * row["sheet_y"] + 1
                images.append(sheet[top : top + SIZE, left : left + SIZE])
                groups.append(row["category"])
                shown.append(row["unified"])
    return {"images": np.stack(images), "groups": np.array(groups), "shown": np.array(shown)}


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width, 4) with transparency to (height, width, 3), in whole numbers."""
    colour, opacity = pixels[..., :3].astype(np.int64), pixels[..., 3:].astype(np.int64)
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
