from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nassim.datasets import FeatureData, load_dataset
from nassim.errors import InputError


def write(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def animals(n: int = 20) -> list[str]:
    """Two numbers, a text with a comma, and a class for each row."""
    rows = (f'{k},{k / 4},"{"red, pale" if k % 3 else "blue"}",{9 + k % 2}' for k in range(n))
    return ["legs, weight ,colour,kind", *rows]


def test_numbers_and_texts(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path / "zoo.csv", animals()))
    assert isinstance(data, FeatureData)
    record = data.record
    assert (record.name, record.shape, record.classes) == ("zoo", (4,), 2)
    assert (record.n_train, record.n_valid, record.n_test) == (12, 4, 4)
    assert data.by_column
    for x, y in (
        (data.x_train, data.y_train),
        (data.x_valid, data.y_valid),
        (data.x_test, data.y_test),
    ):
        legs, weight, blue, red = x.T
        assert (weight == legs / 4).all()
        assert (blue == (legs % 3 == 0)).all()
        assert (blue + red == 1).all()
        assert (y == legs % 2).all()  # class 9 before 10
    again = load_dataset(write(tmp_path / "zoo.csv", animals()))
    assert again.record == record


def test_the_class_may_be_any_column(tmp_path: Path) -> None:
    file = write(tmp_path / "zoo.csv", animals())
    data = load_dataset(f"{file}:label=colour")
    assert data.record.shape == (3,)
    legs = data.x_test[:, 0]
    assert (data.y_test == (legs % 3 > 0)).all()  # blue before red
    assert load_dataset(f"{file}:label=weight".replace("weight", "kind")).record.shape == (4,)
    with pytest.raises(InputError, match="no column 'king'; expected one of legs, weight, colour"):
        load_dataset(f"{file}:label=king")


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    lines = animals()
    file = write(tmp_path / "zoo.csv", ["\ufeff" + lines[0], "", *lines[1:], ""])
    assert load_dataset(f"{file}:label=legs".replace("legs", "kind")).record.shape == (4,)
    with pytest.raises(InputError, match="expected 5 or more"):
        load_dataset(f"{file}:label=legs")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,red", "Row 21 .* has 3 cells; its header has 4"),
        ("x,2,red,9", "Column 'legs' .* holds numbers, but 'x' in row 21"),
        (",2,red,9", "Column 'legs' .* holds numbers, but '' in row 21"),
        ("1,nan,red,9", "Column 'weight' .* but 'nan' in row 21"),
        ("1,1,red,11", r"too few samples of class '11' \(1\)"),
        ('1,1,"red,9', "cannot be read"),
    ],
)
def test_rows_that_are_refused(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(write(tmp_path / "zoo.csv", [*animals(), row]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no table"),
        (["a,b"], "has no table"),
        (["a", *"xyxyxyxyxy"], "has no table"),
        (["a,b", *["1,x", "1,y"] * 5], "No column .* varies"),
        (["a,b", *["1,x", "2,x"] * 5], "one class, 'x'"),
    ],
)
def test_tables_that_are_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(write(tmp_path / "t.csv", lines))


def test_texts_that_look_like_numbers_beyond_all_measure_stay_texts(tmp_path: Path) -> None:
    rows = [f"{'nan' if k % 4 < 2 else 'inf'},{k % 2}" for k in range(20)]
    data = load_dataset(write(tmp_path / "t.csv", ["a,b", *rows]))
    assert data.record.shape == (2,)
    assert np.isfinite(data.x_train).all()
