"""Letters in hundreds of fonts; a font is in one split only."""

from __future__ import annotations

import io
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from nassim.datasets.base import ImageData, drop_duplicates, image_data, split_groups
from nassim.datasets.download import DebianPackage, member, need_pillow

__all__ = ["glyphs"]

PACKAGE = DebianPackage(
    "fonts-aenigma",
    "fonts-aenigma_0.0.20080511+dfsg-4_all.deb",
    "c7f33a4e5932af82a92c81a5a993a1d117c4309b47532cb0d9c3ad34bc54f5a8",
)
N_LETTERS = len(ascii_uppercase)
SIZE, INK = 28, 24  # pixels of an image, and of the longer side of the letter in it
FONT_SIZE, CANVAS = 64, 256  # pixels that a letter is drawn with, before it is made small
N_TRAIN, N_VALID = 80, 80  # fonts


def glyphs(cache: Path) -> ImageData:
    """The letters A to Z of Brian Kent's fonts, grey, 28x28.

    FreeType, which Pillow draws with, decides the grey levels: another release of it may draw
    a few pixels otherwise, and the dataset then has another hash.
    """
    fonts = []
    with PACKAGE.open(cache) as package:
        for file in sorted(name for name in package.getnames() if name.endswith(".ttf")):
            letters = _letters(member(package, file))
            if letters is not None:
                fonts.append(letters)
    x, place = drop_duplicates(
        np.concatenate(fonts)[..., None], np.arange(len(fonts) * N_LETTERS, dtype=np.int64)
    )
    font, y = np.divmod(place, N_LETTERS)
    return image_data(
        "glyphs",
        "glyphs",
        f"Debian {PACKAGE.requirement}, A to Z of {len(fonts)} fonts, drawn by Pillow",
        "redistributable (Brian Kent)",
        split_groups(x, y, font, N_TRAIN, N_VALID),
        may_flip=False,
    )


def _letters(font_file: bytes) -> NDArray[np.uint8] | None:
    """A to Z, (26, 28, 28), or None where the font lacks a letter.

    A letter is drawn large, cut out, and made small so that it fills the same square in every
    font: fonts differ in what they call a size.
    """
    need_pillow()
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(
        io.BytesIO(font_file), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC
    )

    def draw(text: str) -> Image.Image | None:
        canvas = Image.new("L", (CANVAS, CANVAS))
        ImageDraw.Draw(canvas).text((CANVAS // 4, CANVAS // 4), text, fill=255, font=font)
        return canvas.crop(canvas.getbbox()) if canvas.getbbox() else None

    missing = draw("\uffff")  # no character: what this font draws for one that it lacks
    letters = []
    for text in ascii_uppercase:
        ink = draw(text)
        if ink is None or (missing is not None and ink.tobytes() == missing.tobytes()):
            return None
        scale = INK / max(ink.size)
        width, height = (max(1, round(scale * side)) for side in ink.size)
        image = Image.new("L", (SIZE, SIZE))
        small = ink.resize((width, height), Image.Resampling.BOX)
        image.paste(small, ((SIZE - width) // 2, (SIZE - height) // 2))
        letters.append(np.asarray(image))
    return np.stack(letters)
