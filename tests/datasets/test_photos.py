from __future__ import annotations

import numpy as np

from nassim.datasets import photos


def test_photo_windows_of_two_splits_share_no_pixel() -> None:
    # each pixel is its own place, so a window shows where it was cut
    places = np.arange(200 * 330, dtype=np.int64).reshape(200, 330, 1)
    parts = photos._split_windows(places, seed=0)
    seen = [set(part.ravel().tolist()) for part in parts]
    assert all(seen)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
