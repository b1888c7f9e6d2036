from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nassim.datasets import ImageData, load_dataset
from nassim.errors import InputError

Image = pytest.importorskip("PIL.Image")


def draw(path: Path, value: int, mode: str = "L", size: tuple[int, int] = (6, 4)) -> None:
    """An image of one grey level, whose first pixel is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size, value).convert(mode)
    image.putpixel((0, 0), 0 if mode == "L" else (0, 0, 0))
    image.save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten images, 6 pixels wide and 4 high."""
    for n in range(10):
        draw(tmp_path / "pets" / "dog" / f"{n}.png", 100 + n)
        draw(tmp_path / "pets" / "cat" / f"{n}.PNG", 200 + n)
    return tmp_path / "pets"


def read(folder: Path, option: str = "") -> ImageData:
    data = load_dataset(f"{folder}/{option}")
    assert isinstance(data, ImageData)
    return data


def test_classes_are_folders(folder: Path) -> None:
    (folder / "cat" / "Thumbs.db").write_bytes(b"no image")
    (folder / "cat" / "._1.png").write_bytes(b"no image")
    (folder / ".cache").mkdir()
    data = read(folder)
    record = data.record
    assert (record.name, record.shape, record.classes) == ("pets", (4, 6, 1), 2)
    assert (record.n_train, record.n_valid, record.n_test) == (12, 4, 4)
    for x, y in (
        (data.x_train, data.y_train),
        (data.x_valid, data.y_valid),
        (data.x_test, data.y_test),
    ):
        assert x.dtype == np.uint8
        assert ((x[:, 3, 5, 0] < 200) == (y == 1)).all()  # cat before dog
        assert (x[:, 0, 0, 0] == 0).all()
    assert read(folder).record == record


def test_splits_are_folders(folder: Path, tmp_path: Path) -> None:
    for split, n in (("train", 3), ("valid", 2), ("test", 1)):
        for k in range(n):
            draw(tmp_path / "own" / split / "a" / f"{k}.png", 10 * n + k)
            draw(tmp_path / "own" / split / "b" / f"{k}.png", 100 + 10 * n + k)
    data = read(tmp_path / "own")
    assert data.x_train[:, 3, 5, 0].tolist() == [30, 31, 32, 130, 131, 132]
    assert data.y_valid.tolist() == [0, 0, 1, 1]
    assert data.x_test[:, 3, 5, 0].tolist() == [10, 110]


def test_one_image_in_colour_makes_all_colour(folder: Path) -> None:
    draw(folder / "dog" / "0.png", 100, "RGB")
    assert read(folder).record.shape == (4, 6, 3)


def test_other_sizes_are_refused_unless_one_is_asked_for(folder: Path) -> None:
    draw(folder / "dog" / "0.png", 100, size=(8, 8))
    with pytest.raises(InputError) as caught:
        read(folder)
    text = str(caught.value)
    assert "cat/0.PNG is 6x4" in text
    assert "dog/0.png is 8x8" in text
    assert f"{folder}/:size=32" in text
    assert read(folder, ":size=5").record.shape == (5, 5, 1)


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_a_damaged_image_is_named(content: bytes | str, folder: Path) -> None:
    file = folder / "dog" / "3.png"
    if isinstance(content, str):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
        for path in folder.glob("*/*.*"):
            Image.fromarray(noise).save(path)
        file.write_bytes(file.read_bytes()[:2000])
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"dog/3\.png cannot be read .*expected a PNG or JPEG"):
        read(folder)


def test_folders_that_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty has no image; expected CLASS/\*\.png"):
        read(tmp_path / "empty")
    for n in range(7):
        (folder / "cat" / f"{n}.PNG").unlink()
    with pytest.raises(InputError, match=r"too few samples of class 'cat' \(3\)"):
        read(folder)
    (folder / "cat").rename(folder / "train")
    (folder / "dog").rename(folder / "test")
    with pytest.raises(InputError, match="has folders test, train; expected train, valid, test"):
        read(folder)
    (folder / "valid").mkdir()
    with pytest.raises(InputError, match="train has no image"):
        read(folder)


def test_a_class_may_be_called_train(folder: Path) -> None:
    (folder / "cat").rename(folder / "train")
    assert read(folder).record.classes == 2
