from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nassim.datasets import DATASETS, ImageData, default_cache, load_dataset
from nassim.datasets.base import drop_duplicates, image_data, shuffled, split, split_groups
from nassim.datasets.download import Wheel, fetch, unpickle
from nassim.errors import (
    DataUnavailableError,
    InputError,
    MissingDependencyError,
    UnknownNameError,
)

# name: train, valid, test, height, classes, start of the hash
EXPECTED = {
    "animals": (1000, 1000, 4000, 28, 10, "26b37fd6b95f"),
    "digits": (297, 1000, 500, 8, 10, "aa1ad021b1ee"),
    "emoji": (1010, 1006, 1749, 32, 9, "0b79bce47490"),
    "fashion": (1000, 1000, 4000, 28, 10, "00f024fb97b5"),
    "glyphs": (2059, 1040, 8759, 28, 26, "7b413ef10fd9"),
    "kuzushiji": (600, 400, 361, 28, 30, "5d75caab1c92"),
    "mnist": (1000, 1000, 4000, 28, 10, "24e2e80b79a2"),
    "optdigits": (1000, 1000, 1823, 8, 10, "9df919736828"),
    "photos": (1020, 1275, 3858, 32, 17, "fb00d07fa7cf"),
}


def load(name: str) -> ImageData:
    """The dataset; or skip, where its package is not at hand."""
    try:
        return load_dataset(name)
    except (DataUnavailableError, MissingDependencyError) as error:
        pytest.skip(str(error))


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_every_dataset_is_expected_here_or_in_test_features() -> None:
    features = ("nassim.datasets.tabular:", "nassim.datasets.text:")
    images = {name for name, path in DATASETS.items() if not path.startswith(features)}
    assert set(EXPECTED) == images


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sizes_hash_and_disjoint_splits(name: str) -> None:
    data = load(name)
    record = data.record
    n_train, n_valid, n_test, height, classes, sha = EXPECTED[name]
    assert (record.n_train, record.n_valid, record.n_test) == (n_train, n_valid, n_test)
    assert record.shape[:2] == (height, height)
    assert record.classes == classes
    assert record.sha256.startswith(sha)
    assert record.source
    assert record.licence
    for images, labels in (
        (data.x_train, data.y_train),
        (data.x_valid, data.y_valid),
        (data.x_test, data.y_test),
    ):
        assert images.shape == (len(labels), *record.shape)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert set(labels) == set(range(classes))
    train, valid, test = rows(data.x_train), rows(data.x_valid), rows(data.x_test)
    assert len(train | valid | test) == n_train + n_valid + n_test


def test_digits_and_optdigits_share_no_image() -> None:
    digits, optdigits = load("digits"), load("optdigits")
    every = [
        rows(np.concatenate([data.x_train, data.x_valid, data.x_test]))
        for data in (digits, optdigits)
    ]
    assert not every[0] & every[1]


def test_digits_optdigits_and_mnist_are_one_group() -> None:
    groups = {name: load(name).record.group for name in ("digits", "optdigits", "mnist")}
    assert len(set(groups.values())) == 1


def test_photo_windows_of_two_splits_share_no_pixel() -> None:
    pytest.importorskip("PIL")
    from nassim.datasets import photos

    # each pixel is its own place, so a window shows where it was cut
    places = np.arange(200 * 330, dtype=np.int64).reshape(200, 330, 1)
    parts = photos._split_windows(places, seed=0)
    seen = [set(part.ravel().tolist()) for part in parts]
    assert all(seen)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_groups_are_whole_and_every_split_is_shuffled() -> None:
    groups = np.repeat(np.arange(20), 10)
    x, y = np.arange(200), groups * 3
    x_train, y_train, x_valid, y_valid, x_test, y_test = split_groups(x, y, groups, 5, 4)
    sizes = [len(set(labels)) for labels in (y_train, y_valid, y_test)]
    assert sizes == [5, 4, 11]
    assert len(set(y_train) | set(y_valid) | set(y_test)) == 20
    assert sorted([*x_train, *x_valid, *x_test]) == list(range(200))
    assert (np.diff(groups[x_train]) != 0).mean() > 0.5  # no group after the other
    assert (y_test == groups[x_test] * 3).all()


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
    from nassim.datasets import glyphs

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
    from nassim.datasets import glyphs

    monkeypatch.setattr(glyphs, "ascii_uppercase", alphabet)
    assert glyphs._letters(data) is None
    monkeypatch.setattr(glyphs, "ascii_uppercase", "AB")
    assert glyphs._letters(data) is not None


def test_transparent_is_white() -> None:
    from nassim.datasets.emoji import _on_white

    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 128]]], np.uint8)
    assert _on_white(pixels).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 177, 255]]]


def test_both_drawings_of_an_emoji_are_in_one_split() -> None:
    data = load("emoji")
    from nassim.datasets import emoji

    shown: dict[bytes, str] = {}
    for vendor in emoji.VENDORS:
        for name, image in drawings(vendor).items():
            shown.setdefault(image, name)
    parts = [{shown[row] for row in rows(x)} for x in (data.x_train, data.x_valid, data.x_test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def drawings(vendor: str) -> dict[str, bytes]:
    """The pixels of each emoji of a vendor, by its code."""
    import json

    from nassim.datasets.download import member, open_image
    from nassim.datasets.emoji import VENDORS, _on_white

    with VENDORS[vendor].open(default_cache()) as archive:
        table = json.loads(member(archive, "package/emoji.json"))
        png = member(archive, f"package/img/{vendor}/sheets/32.png")
    sheet = _on_white(np.asarray(open_image(png, "RGBA")))
    found = {}
    for row in table:
        top, left = 34 * row["sheet_y"] + 1, 34 * row["sheet_x"] + 1
        found[row["unified"]] = sheet[top : top + 32, left : left + 32].tobytes()
    return found


def test_shuffle_never_changes() -> None:
    assert shuffled(6).tolist() == [3, 2, 1, 0, 4, 5]


def test_drop_duplicates_keeps_the_first_and_the_order() -> None:
    x = np.array([[[3]], [[1]], [[3]], [[2]]], np.uint8)
    kept, labels = drop_duplicates(x, np.array([7, 8, 9, 6]))
    assert kept.ravel().tolist() == [3, 1, 2]
    assert labels.tolist() == [7, 8, 6]


def test_too_few_images_to_split() -> None:
    with pytest.raises(InputError, match="5 images are too few to split; expected 7"):
        split(np.zeros((5, 2, 2, 1)), np.zeros(5, np.int64), 4, 2)


def test_the_hash_covers_images_labels_and_split() -> None:
    x, y = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), np.array([0, 1, 1])

    def sha(order: list[int], labels: np.ndarray) -> str:
        a, b, c = ([k] for k in order)
        parts = (x[a], labels[a], x[b], labels[b], x[c], labels[c])
        return image_data("x", "x", "", "", parts).record.sha256

    hashes = {sha([0, 1, 2], y), sha([1, 0, 2], y), sha([0, 2, 1], y), sha([0, 1, 2], 1 - y)}
    assert len(hashes) == 4
    assert sha([0, 1, 2], y) == sha([0, 1, 2], y.copy())


def test_unknown_dataset() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        load_dataset("digit")


# --- downloads ----------------------------------------------------------------------------------


def wheel_file(path: Path) -> str:
    """Write a small archive and return its SHA-256."""
    import hashlib

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.txt", "pixels")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_cached_file_needs_no_network(tmp_path: Path) -> None:
    sha = wheel_file(tmp_path / "some-1.0-py3-none-any.whl")
    wheel = Wheel("some==1.0", "some-1.0-py3-none-any.whl", sha)
    with wheel.open(tmp_path) as archive:
        assert archive.read("data.txt") == b"pixels"


def test_a_download_that_fails_says_where_it_looked_and_the_way_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no route to host')"]
    with pytest.raises(DataUnavailableError) as caught:
        fetch("some.whl", "0" * 64, command, tmp_path / "cache")
    text = str(caught.value)
    assert "no route to host" in text
    assert str(tmp_path / "cache") in text
    assert "$NASSIM_CACHE" in text
    assert "\n" not in text
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataUnavailableError, match="no-such-program, which downloads it, is not installed"
    ):
        fetch("some.whl", "0" * 64, ["no-such-program"], tmp_path)


def test_a_download_of_other_content_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "open('some.whl', 'w').write('other')"]
    with pytest.raises(DataUnavailableError, match="expected 0000"):
        fetch("some.whl", "0" * 64, command, tmp_path)
    assert not (tmp_path / "some.whl").exists()


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    sha = wheel_file(tmp_path / "source")
    (tmp_path / "some.whl").write_bytes(b"cut short")
    copy = f"import shutil; shutil.copy({str(tmp_path / 'source')!r}, 'some.whl')"
    path = fetch("some.whl", sha, [sys.executable, "-c", copy], tmp_path)
    assert zipfile.ZipFile(path).read("data.txt") == b"pixels"


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("true",))


@pytest.mark.parametrize("value", [Harmful(), Path("x"), print])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(value: object) -> None:
    with pytest.raises(DataUnavailableError, match="nothing but numpy arrays"):
        unpickle(pickle.dumps(value))


def test_arrays_are_unpickled() -> None:
    value = unpickle(pickle.dumps((np.arange(3), [np.zeros((2, 2), np.uint8)]), protocol=4))
    assert value[0].tolist() == [0, 1, 2]
    assert value[1][0].shape == (2, 2)


# --- own files ----------------------------------------------------------------------------------


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_own_file_of_x_and_y(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = save(tmp_path / "mine.npz", x=rng.random((50, 6, 7)), y=np.arange(50) % 3)
    data = load_dataset(file)
    record = data.record
    assert (record.name, record.shape, record.classes) == ("mine", (6, 7, 1), 3)
    assert (record.n_train, record.n_valid, record.n_test) == (30, 10, 10)
    assert data.x_train.dtype == np.float32


def test_own_file_of_splits(tmp_path: Path) -> None:
    arrays = {}
    for part, n in (("train", 5), ("valid", 3), ("test", 2)):
        arrays |= {f"x_{part}": np.full((n, 4, 4, 3), n, np.uint8), f"y_{part}": np.arange(n)}
    data = load_dataset(save(tmp_path / "mine.npz", **arrays))
    assert data.x_valid.tolist() == arrays["x_valid"].tolist()
    assert data.y_test.tolist() == [0, 1]
    assert data.record.classes == 5


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((5, 4))}, "holds arrays x; expected x and y"),
        ({"x": np.zeros((9, 4)), "y": np.zeros(9, int)}, r"'x'.*shape \(9, 4\)"),
        ({"x": np.zeros((9, 4, 4)), "y": np.zeros(8, int)}, "'y'.*expected 9 whole numbers"),
        ({"x": np.zeros((9, 4, 4)), "y": np.zeros(9)}, "'y'.*float64"),
        ({"x": np.full((9, 4, 4), np.nan), "y": np.zeros(9, int)}, "NaN"),
        ({"x": np.zeros((9, 4, 4)), "y": np.full(9, -1)}, "whole numbers from 0"),
    ],
)
def test_own_files_that_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(save(tmp_path / "mine.npz", **arrays))


def test_own_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"no file .*none\.npz"):
        load_dataset(str(tmp_path / "none.npz"))
