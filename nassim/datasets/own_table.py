"""Own tables of features, from a ``.csv`` file."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np

from nassim.datasets.base import FeatureData, feature_data
from nassim.datasets.own_classes import class_numbers, split_classes
from nassim.datasets.tabular import fit_columns
from nassim.errors import InputError

__all__ = ["from_csv"]

_SEPARATOR = "\x1f"  # of the columns of a row in memory: a cell may hold commas


def from_csv(path: Path, label: str = "") -> FeatureData:
    """Read a table with a header, one row a sample; the class is column ``label``, or the last.

    A column is of numbers, or of texts: each text that the training rows have becomes a column
    of zeros and ones. A column that does not vary in training is left out.
    """
    names, rows = _table(path)
    if label and label not in names:
        raise InputError(f"{path} has no column {label!r}; expected one of {', '.join(names)}.")
    place = names.index(label) if label else len(names) - 1
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    y = class_numbers([np.array(columns[place])], str(path))[0]
    features = [_cells(path, names[k], columns[k]) for k in range(len(names)) if k != place]
    if all(len(set(column)) == 1 for column in features):
        raise InputError(f"No column of {path} varies; expected features beside the class.")
    return feature_data(
        path.stem,
        path.stem,
        f"own file {path.name}",
        "not stated",
        split_classes(
            np.array([_SEPARATOR.join(r) for r in zip(*features, strict=True)], object), y
        ),
        partial(fit_columns, separator=_SEPARATOR),
        by_column=True,
    )


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header, and rows of as many cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); expected a CSV table.") from error
    if len(lines) < 2 or len(lines[0]) < 2:
        raise InputError(f"{path} has no table; expected a header, rows, features and a class.")
    names, *rows = lines
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise InputError(
                f"Row {number} of {path} has {len(row)} cells; its header has {len(names)}."
            )
    return [name.strip() for name in names], rows


def _cells(path: Path, name: str, column: list[str]) -> list[str]:
    """The cells of a column; texts are marked, so that none is read as a number."""
    is_number = [_is_number(cell) for cell in column]
    if all(is_number):
        return column
    if any(is_number):
        row = is_number.index(False)
        raise InputError(
            f"Column {name!r} of {path} holds numbers, but {column[row]!r} in row {row + 1}; "
            "expected either numbers or texts."
        )
    return [f"={cell}" for cell in column]


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
