import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nassim.errors import (
    DuplicateKeyError,
    InputError,
    NassimError,
    StoreError,
    UnknownNameError,
)
from nassim.loading import load
from nassim.store import Store
from nassim.store.importers import IMPORTERS, import_into

TEXT = """dataset,architecture,epoch,valid_accuracy,test_accuracy,seconds
d1,a,1,0.5,0.25,10
d1,a,2,0.625,0.5,12
d1,b,1,0.25,0.375,3
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte below a folder, but for locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TEXT)
    return path


def test_a_new_store_and_its_report(path, tmp_path):
    report = import_into("table", path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert store.n_runs == 2
    np.testing.assert_array_equal(
        store.curves("valid_accuracy"), np.float32([[0.5, 0.625], [0.25, np.nan]])
    )
    assert store.importer == {
        "format": "table",
        "split_map": {
            "valid_accuracy": "valid_accuracy",
            "test_accuracy": "test_accuracy",
            "seconds": "seconds",
        },
        "merged": [],
    }
    text = report.to_text()
    assert "Imported 2 runs of 2 architectures (d1 2)" in text
    assert "their test_accuracy -> our test_accuracy (1 to 2 of 1 to 2 epochs measured)" in text
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "store"]  # nothing is left aside


def test_a_second_table_goes_into_the_same_store(path, tmp_path):
    import_into("table", path, tmp_path / "store")
    path.write_text(TEXT.replace("d1", "d2"))
    import_into("table", path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert [dataset.name for dataset in store.datasets] == ["d1", "d2"]
    path.write_text(TEXT.replace("d1,a", "d1,c").replace("d1,b", "d1,d"))
    import_into("table", path, tmp_path / "store")  # more of a dataset that is there
    assert Store.open(tmp_path / "store").n_runs == 6


def test_what_is_known_of_a_dataset_stands(path, tmp_path):
    from nassim.records import Dataset

    known = Dataset("d1", "mnist", (28, 28, 1), 10, source="somewhere")
    Store.create(tmp_path / "store").append([], datasets=[known])
    import_into("table", path, tmp_path / "store")
    assert Store.open(tmp_path / "store").datasets == (known,)


def test_the_same_table_twice_is_an_error_and_changes_nothing(path, tmp_path):
    import_into("table", path, tmp_path / "store")
    before = contents(tmp_path)
    with pytest.raises(DuplicateKeyError, match="'a'"):
        import_into("table", path, tmp_path / "store")
    assert contents(tmp_path) == before


def test_times_and_no_times_do_not_mix_under_one_recipe(path, tmp_path):
    import_into("table", path, tmp_path / "store")
    before = contents(tmp_path / "store")
    path.write_text("dataset,architecture,epoch,valid_accuracy\nd2,a,1,0.5\n")
    with pytest.raises(StoreError, match="Recipe 'table'"):
        import_into("table", path, tmp_path / "store")
    assert contents(tmp_path / "store") == before
    import_into("table", path, tmp_path / "store", set={"recipe": "untimed"})


def test_the_metric_must_agree(path, tmp_path):
    import_into("table", path, tmp_path / "store")
    before = contents(tmp_path / "store")
    path.write_text("dataset,architecture,epoch,valid_perplexity\nptb,a,1,99.5\n")
    with pytest.raises(InputError, match="holds accuracy, this table holds perplexity"):
        import_into("table", path, tmp_path / "store", metric="perplexity")
    assert contents(tmp_path / "store") == before


def test_a_refused_table_makes_no_store(path, tmp_path):
    path.write_text(TEXT.replace("0.625", "62.5"))
    with pytest.raises(InputError, match="row 3"):
        import_into("table", path, tmp_path / "store")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_store_leaves_nothing_behind(path, tmp_path, monkeypatch):
    def full_disk(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "append", full_disk)
    with pytest.raises(StoreError, match="No space left"):
        import_into("table", path, tmp_path / "store")
    assert list(tmp_path.iterdir()) == [path]


def test_something_else_is_in_the_place(path, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for place in ("full", "mine.csv"):
        before = contents(tmp_path)
        with pytest.raises(StoreError):
            import_into("table", path, tmp_path / place)
        assert contents(tmp_path) == before
    import_into("table", path, tmp_path / "empty")
    assert Store.open(tmp_path / "empty").n_runs == 2


def test_unknown_formats_and_options(path, tmp_path):
    with pytest.raises(UnknownNameError, match="'nats-bench'"):
        import_into("natsbench", path, tmp_path / "store")
    with pytest.raises(InputError, match="no option 'datasets'; it takes: map, wide"):
        import_into("table", path, tmp_path / "store", datasets=["d1"])
    with pytest.raises(InputError, match="needs the path"):
        import_into("table", None, tmp_path / "store")
    import_into("table", path, tmp_path / "store", map={}, pattern=None, key=())


def test_copied_seeds_are_reported(path, tmp_path):
    rows = [f"d,a,{seed},{e},{0.1 + e / 20}" for seed in (0, 1) for e in range(1, 9)]
    path.write_text("dataset,architecture,seed,epoch,valid_accuracy\n" + "\n".join(rows) + "\n")
    report = import_into("table", path, tmp_path / "store")
    assert "1 runs repeat the curve of another seed" in report.to_text()


def test_every_format_can_be_loaded_and_is_documented():
    docs = (Path(__file__).parents[3] / "docs" / "importing.md").read_text()
    for name, where in IMPORTERS.items():
        assert callable(load(where))
        assert f"nassim import {name}" in docs


@pytest.mark.slow
def test_nasbench201_into_a_store(tmp_path):
    from nassim.errors import MissingDependencyError

    try:
        report = import_into("nasbench201", None, tmp_path / "store")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert report.n_runs == 118_257
    store = Store.open(tmp_path / "store")
    curves = store.curves("valid_accuracy", dataset="cifar100")
    assert curves.shape == (39_419, 200)
    assert np.isnan(curves[:, :-1]).all()
    assert np.isfinite(curves[:, -1]).all()


def test_nats_bench_into_a_store(tables, tmp_path):
    folder = tables / "nats-sample" / "NATS-tss-v1_0-3ffb9-simple"
    report = import_into("nats-bench", folder, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert store.n_runs == report.n_runs == 39
    assert store.importer is not None
    assert store.importer["merged"] == ["merged_accuracy"]
    text = report.to_text()
    line = "cifar100, nats-tss-200: their x-valid -> our valid_accuracy (1 of 200 epochs measured)"
    assert line in text
    assert "[MERGED: validation and test mixed]" in text
    valid, test = (store.curves(f"{split}_accuracy") for split in ("valid", "test"))
    both = np.isfinite(valid) & np.isfinite(test)
    assert np.mean(valid[both] != test[both]) > 0.99


# --- whatever is done to a table ------------------------------------------------------------

COLUMNS = ["dataset", "architecture", "epoch", "valid_accuracy", "test_accuracy", "seconds", "seed"]
ROWS = [
    ["d1", architecture, str(epoch), str(0.1 * epoch), str(0.05 * epoch), "2.5", "3"]
    for architecture in ("a", "b")
    for epoch in (1, 2, 3)
]
CELLS = st.one_of(
    st.sampled_from(
        ["", "nan", "inf", "-1", "0", "1.5", "55", "1e999", "x", "None", '"', "\x00", "True"]
    ),
    st.text(max_size=5),
    st.integers().map(str),
    st.floats().map(str),
)


def as_csv(header, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def mutated_csv(draw):
    header, rows = list(COLUMNS), [list(row) for row in ROWS]
    for kind in draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)):
        column = draw(st.integers(0, len(header) - 1))
        row = draw(st.integers(0, len(rows) - 1))
        if kind == 0 and len(header) > 1:
            for line in (header, *rows):
                del line[column]
        elif kind == 1:
            rows[row][column] = draw(CELLS)
        elif kind == 2:  # the columns of two names are swapped
            other = draw(st.integers(0, len(header) - 1))
            header[column], header[other] = header[other], header[column]
        elif kind == 3:
            rows.append(list(rows[row]))
        elif kind == 4 and len(rows) > 1:
            del rows[row]
        else:
            header[column] = draw(CELLS)
    content = as_csv(header, rows)
    if draw(st.booleans()):
        content = content[: draw(st.integers(0, len(content)))]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=4)) + content[at:]
    return content


@st.composite
def mutated_parquet(draw):
    columns = {
        "dataset": pa.array(["d1"] * 3),
        "architecture": pa.array(["a"] * 3),
        "epoch": pa.array([1, 2, 3]),
        "valid_accuracy": pa.array([0.1, 0.2, 0.3]),
        "seconds": pa.array([1.0, 2.0, 3.0]),
        "n_params": pa.array([7, 7, 7]),
    }
    name = draw(st.sampled_from(sorted(columns)))
    values = st.one_of(
        st.none(),
        st.lists(st.one_of(st.none(), st.floats()), min_size=3, max_size=3).map(pa.array),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(pa.array),
        st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3).map(
            lambda found: pa.array(found, pa.uint64())
        ),
        st.lists(st.text(st.characters(codec="utf-8")), min_size=3, max_size=3).map(pa.array),
        st.lists(st.binary(), min_size=3, max_size=3).map(pa.array),
        st.lists(st.booleans(), min_size=3, max_size=3).map(pa.array),
        st.lists(st.dates(), min_size=3, max_size=3).map(pa.array),
        st.lists(st.lists(st.integers(0, 9)), min_size=3, max_size=3).map(
            lambda found: pa.array(found, pa.list_(pa.int64()))
        ),
    )
    value = draw(values)
    if value is None:
        del columns[name]
    else:
        columns[name] = value
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    content = sink.getvalue()
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutations")
    (folder / "t.csv").write_text("dataset,architecture,epoch,valid_accuracy\nd0,z,1,0.5\n")
    import_into("table", folder / "t.csv", folder / "store", set={"recipe": "own"})
    return folder / "store"


def check_untouched(content: bytes, suffix: str, store_path: Path, **options) -> None:
    path = store_path.parent / f"mutated{suffix}"
    path.write_bytes(content)
    before = contents(store_path)
    error = None
    try:
        import_into("table", path, store_path, **options)
    except NassimError as raised:
        error = raised
    if error is not None:
        assert "\n" not in str(error)
        assert contents(store_path) == before
        return
    for name in contents(store_path).keys() - before.keys():  # it was valid: take it out again
        (store_path / name).unlink()
    (store_path / "manifest.json").write_bytes(before["manifest.json"])


MUTATIONS = settings(
    max_examples=100,
    deadline=None,  # a busy machine is no fault
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@MUTATIONS
@given(content=mutated_csv())
def test_mutated_csv(content, store_path):
    check_untouched(content, ".csv", store_path)


@MUTATIONS
@given(content=mutated_csv(), pattern=st.sampled_from(["{epoch}", "valid_{epoch}", "1{epoch}"]))
def test_mutated_wide_csv(content, pattern, store_path):
    renamed = content.replace(b"valid_accuracy", b"valid_1").replace(b"test_accuracy", b"valid_2")
    check_untouched(renamed, ".csv", store_path, pattern=pattern)


@MUTATIONS
@given(content=mutated_parquet())
def test_mutated_parquet(content, store_path):
    check_untouched(content, ".parquet", store_path)


@MUTATIONS
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".csv", ".parquet", ".csv.gz"]))
def test_junk(content, suffix, store_path):
    check_untouched(content, suffix, store_path)
