from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nassim.errors import InputError
from nassim.studies.results import (
    POOL_SCHEMA,
    RESULTS_SCHEMA,
    TIMINGS_SCHEMA,
    Study,
    companion,
    read_study,
    to_table,
)


def value_of(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [value_of(kind.value_type)] * 2
    if pa.types.is_string(kind):
        return "text"
    return True if pa.types.is_boolean(kind) else 1.5 if pa.types.is_floating(kind) else 7


def table_of(schema: pa.Schema, n: int = 3) -> pa.Table:
    row = {field.name: value_of(field.type) for field in schema}
    return to_table([row] * n, schema)


@pytest.fixture
def study() -> Study:
    return Study(table_of(RESULTS_SCHEMA), table_of(POOL_SCHEMA), table_of(TIMINGS_SCHEMA))


def test_three_files_are_written_beside_each_other(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "not yet there" / "mine.parquet"
    written = study.write(path)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "mine.parquet",
        "mine.pool.parquet",
        "mine.timings.parquet",
    ]
    assert written[-1] == path  # the results last: where they are, the others are too
    again = read_study(path)
    for name in ("results", "pool", "timings"):
        assert getattr(again, name).equals(getattr(study, name))


def test_writing_again_replaces(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    study.write(path)
    dataclasses.replace(study, results=table_of(RESULTS_SCHEMA, 9)).write(path)
    assert len(read_study(path).results) == 9
    assert len(list(tmp_path.iterdir())) == 3


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    empty = [to_table([], schema) for schema in (RESULTS_SCHEMA, POOL_SCHEMA, TIMINGS_SCHEMA)]
    Study(*empty).write(tmp_path / "results.parquet")
    assert read_study(tmp_path / "results.parquet").results.schema == RESULTS_SCHEMA


def test_missing_numbers_stay_missing(study: Study, tmp_path: Path) -> None:
    row = {field.name: value_of(field.type) for field in RESULTS_SCHEMA}
    results = to_table([row | {"regret_test_pp": np.nan, "trace_cost": []}], RESULTS_SCHEMA)
    dataclasses.replace(study, results=results).write(tmp_path / "results.parquet")
    (again,) = read_study(tmp_path / "results.parquet").results.to_pylist()
    assert np.isnan(again["regret_test_pp"])
    assert again["trace_cost"] == []


def test_a_row_needs_every_column() -> None:
    with pytest.raises(KeyError, match="fit_seconds"):
        to_table([{"target": "a", "method": "b", "model_seed": 0}], TIMINGS_SCHEMA)


def test_companions_follow_the_name() -> None:
    assert companion(Path("a/b.c.parquet"), "pool") == Path("a/b.c.pool.parquet")


def test_a_file_in_the_way_is_named(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written to .*; name another place with --out"):
        study.write(tmp_path / "file" / "results.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(InputError, match="name another place with --out"):
        study.write(tmp_path / "folder.parquet")
    left = sorted(file.name for file in tmp_path.iterdir())
    assert [name for name in left if name.startswith(".")] == []  # nothing half-written


def test_what_cannot_be_read_is_named(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    with pytest.raises(InputError, match=r"There is no file .*results.parquet"):
        read_study(path)
    study.write(path)
    companion(path, "pool").unlink()
    with pytest.raises(InputError, match=r"There is no file .*results.pool.parquet"):
        read_study(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="is no Parquet file that can be read"):
        read_study(path)
    pq.write_table(pa.table({"study": ["termination"]}), path)
    with pytest.raises(
        InputError, match="is no results table of nassim: column 'store' is missing"
    ):
        read_study(path)


def test_columns_of_a_later_version_are_passed_over(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    study.write(path)
    later = study.results.append_column("new", pa.array([1, 2, 3]))
    pq.write_table(later, path)
    assert read_study(path).results.schema.names == RESULTS_SCHEMA.names


def test_columns_that_an_earlier_version_did_not_write_are_null(
    study: Study, tmp_path: Path
) -> None:
    path = tmp_path / "results.parquet"
    study.write(path)
    earlier = study.results.drop_columns(
        ["source_datasets", "source_architectures", "shuffled_sources"]
    )
    pq.write_table(earlier, path)
    found = read_study(path).results
    assert found.schema == RESULTS_SCHEMA
    assert found["source_datasets"].null_count == found.num_rows == 3
    assert found.select(earlier.schema.names).equals(earlier)


def test_the_same_results_are_the_same_bytes(study: Study, tmp_path: Path) -> None:
    for name in ("one", "two"):
        study.write(tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
