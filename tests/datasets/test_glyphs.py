from __future__ import annotations

import io

import numpy as np
import pytest

from nassim.datasets import glyphs


def font_file() -> bytes:
    """Any font that has letters: Pillow's own."""
    pytest.importorskip("PIL")
    from PIL import ImageFont

    font = ImageFont.load_default(size=20)
    if not isinstance(font, ImageFont.FreeTypeFont):
        pytest.skip("Pillow was built without FreeType")
    assert isinstance(font.path, io.BytesIO)
    return font.path.getvalue()


def test_letters_fill_their_square() -> None:
    data = font_file()
    letters = glyphs._letters(data)
    assert letters is not None
    assert letters.shape == (26, 28, 28)
    assert len({letter.tobytes() for letter in letters}) == 26
    for letter in letters:
        used = [np.flatnonzero(letter.any(axis=axis)) for axis in (0, 1)]
        longest = max(int(where[-1] - where[0] + 1) for where in used)
        assert longest == glyphs.INK
        middle = [(where[0] + where[-1]) / 2 for where in used]
        assert all(abs(place - (glyphs.SIZE - 1) / 2) <= 0.5 for place in middle)


@pytest.mark.parametrize("alphabet", ["AB ", "AB\u4e00"])
def test_a_font_that_lacks_a_letter_is_left_out(
    alphabet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = font_file()
    monkeypatch.setattr(glyphs, "ascii_uppercase", alphabet)
    assert glyphs._letters(data) is None
    monkeypatch.setattr(glyphs, "ascii_uppercase", "AB")
    assert glyphs._letters(data) is not None
