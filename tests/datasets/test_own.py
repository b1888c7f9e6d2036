from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nassim.datasets import load_dataset
from nassim.datasets.own import is_own, own_name, within
from nassim.errors import DataUnavailableError, InputError


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_own_file_of_x_and_y(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = save(tmp_path / "mine.npz", x=rng.random((50, 6, 7)), y=np.arange(50) % 3)
    data = load_dataset(file)
    record = data.record
    assert (record.name, record.shape, record.classes) == ("mine", (6, 7, 1), 3)
    assert (record.n_train, record.n_valid, record.n_test) == (30, 11, 9)
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
        ({"x": np.zeros((9, 4, 4)), "y": np.full(9, -1)}, "one class, '-1'; expected two"),
        (
            {"x": np.zeros((19, 4, 4)), "y": np.repeat(["cat", "dog", "eel"], [4, 14, 1])},
            r"too few samples of class 'cat' \(4\), 'eel' \(1\); expected 5 or more",
        ),
    ],
)
def test_own_files_that_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(save(tmp_path / "mine.npz", **arrays))


def test_labels_of_any_kind_are_numbered_in_sorted_order_over_all_splits(tmp_path: Path) -> None:
    images = {f"x_{part}": np.zeros((3, 4, 4)) for part in ("train", "valid", "test")}
    texts = {"y_train": ["b", "a", "c"], "y_valid": ["c", "c", "c"], "y_test": ["a", "b", "a"]}
    file = save(tmp_path / "t.npz", **images, **{k: np.array(v) for k, v in texts.items()})
    data = load_dataset(file)
    assert [data.y_train.tolist(), data.y_valid.tolist()] == [[1, 0, 2], [2, 2, 2]]
    numbers = {"y_train": [-7, 100, 9], "y_valid": [9, 9, 9], "y_test": [100, -7, -7]}
    file = save(tmp_path / "n.npz", **images, **{k: np.array(v) for k, v in numbers.items()})
    data = load_dataset(file)
    assert [data.y_train.tolist(), data.y_test.tolist()] == [[0, 2, 1], [2, 0, 0]]
    assert data.record.classes == 3


def test_a_class_that_is_never_trained_is_named(tmp_path: Path) -> None:
    arrays = {f"x_{part}": np.zeros((3, 4, 4)) for part in ("train", "valid", "test")}
    arrays |= {"y_train": np.array([0, 1, 0]), "y_valid": np.array([0, 2, 1])}
    file = save(tmp_path / "t.npz", **arrays, y_test=np.array([0, 1, 1]))
    with pytest.raises(InputError, match=r"too few training samples of class '2' \(0\)"):
        load_dataset(file)


def test_every_class_is_in_every_split_and_splits_never_change(tmp_path: Path) -> None:
    x = np.arange(60 * 16).reshape(60, 4, 4)
    file = save(tmp_path / "t.npz", x=x, y=np.repeat([0, 1, 2], [5, 15, 40]))
    data = load_dataset(file)
    counts = [np.bincount(y).tolist() for y in (data.y_train, data.y_valid, data.y_test)]
    assert counts == [[3, 9, 24], [1, 3, 8], [1, 3, 8]]
    together = np.concatenate([data.x_train, data.x_valid, data.x_test])
    assert sorted(together[:, 0, 0, 0]) == x[:, 0, 0].tolist()
    assert (np.diff(data.y_train) != 0).sum() > 2  # shuffled
    assert data.record.sha256.startswith("2bc89e643e08")


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match=r"mine\.npz is no \.npz file"):
        load_dataset(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.npz", "a"),
        ("data/b.csv", "b"),
        ("data/b.csv:label=kind of c", "b"),
        ("data/c/", "c"),
        ("./c:size=8", "c"),
    ],
)
def test_paths_of_own_data(text: str, name: str, tmp_path: Path) -> None:
    assert is_own(text)
    assert own_name(text) == name
    assert is_own(within(tmp_path, text))
    assert own_name(within(tmp_path, text)) == name


def test_names_are_no_paths() -> None:
    assert not any(is_own(text) for text in ("digits", "a.npy", "digits:size=3", ""))
    assert is_own(within(Path(), "c/"))  # the slash stays


@pytest.mark.parametrize("text", ["no.csv", "no/", "no.csv:label=x", "./no"])
def test_own_data_that_are_missing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataUnavailableError, match=r"no (file|folder) no"):
        load_dataset(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t.npz:size=8", "Option 'size' .* expected none"),
        ("t.csv:size=8", "Option 'size' .* expected 'label'"),
        ("./f:label=8", "Option 'label' .* expected 'size'"),
        ("./f:size=-8", "'-8'; expected pixels"),
        ("./f:size=0", "'0'; expected pixels"),
        ("./f:size=", "''; expected pixels"),
    ],
)
def test_options_that_are_refused(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    for file in ("t.npz", "t.csv"):
        (tmp_path / file).touch()
    with pytest.raises(InputError, match=message):
        load_dataset(text)


def test_own_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"no file .*none\.npz"):
        load_dataset(str(tmp_path / "none.npz"))
