from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nassim.datasets import DATASETS, load_dataset
from nassim.errors import DataUnavailableError, MissingDependencyError
from nassim.records import Dataset

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"
# hundreds of megabytes, of which a test should not be the cause
ONLINE = ("nassim.datasets.openml:", "nassim.datasets.quickdraw:")


def table() -> Iterator[tuple[str, str]]:
    """Name and line of each dataset on the page."""
    listed, _, _own = PAGE.read_text(encoding="utf-8").partition("## Your own data")
    for line in listed.splitlines():
        if line.startswith("| `"):
            yield line.split("`")[1], line


def row(record: Dataset) -> str:
    sizes = " + ".join(f"{n:,}" for n in (record.n_train, record.n_valid, record.n_test))
    shape = "x".join(map(str, record.shape))
    return (
        f"| `{record.name}` | {record.group} | {sizes} | {shape} | {record.classes} "
        f"| {record.source} | {record.licence} | `{record.sha256[:12]}` |"
    )


def test_the_page_lists_every_dataset_once_and_no_other() -> None:
    assert sorted(name for name, _ in table()) == sorted(DATASETS)


@pytest.mark.parametrize("name", [n for n in DATASETS if not DATASETS[n].startswith(ONLINE)])
def test_a_line_of_the_page_is_the_datasets_record(name: str) -> None:
    try:
        record = load_dataset(name).record
    except (DataUnavailableError, MissingDependencyError) as error:
        pytest.skip(str(error))
    assert dict(table())[name] == row(record)
