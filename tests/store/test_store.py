import dataclasses
import json
import pickle
import random
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import nassim.store.shards
from nassim.errors import DuplicateKeyError, InputError, StoreError, UnknownNameError
from nassim.records import ACCURACY, Dataset, Metric, RunKey
from nassim.store import Store
from nassim.store.schema import to_table
from nassim.store.shards import parquet_bytes

FILTERS = [
    {},
    {"dataset": "digits"},
    {"dataset": "circles", "recipe": "long", "space": "table"},
    {"recipe": "quick"},
]


@pytest.fixture(params=["three shards", "compacted", "small row groups"])
def laid_out(request, store, monkeypatch):
    """The same store, laid out in several ways."""
    if request.param == "small row groups":
        monkeypatch.setattr(nassim.store.shards, "ROW_GROUP", 3)
    if request.param != "three shards":
        store.compact()
        assert len(list(store.path.glob("*.parquet"))) == 1
    return store


@pytest.mark.parametrize("wanted", FILTERS)
def test_what_is_read_is_what_was_appended(laid_out, runs, wanted):
    matching = [run for run in runs if all(getattr(run, k) == v for k, v in wanted.items())]
    matching.sort(key=lambda run: run.key)
    assert matching

    index = laid_out.index(**wanted)
    assert index.keys() == [run.key for run in matching]
    for name in ("status", "epochs", "n_params", "flops"):
        assert getattr(index, name).tolist() == [getattr(run, name) for run in matching]
    assert index.canonical_id.tolist() == [run.architecture for run in matching]

    for column in ("valid_accuracy", "epoch_seconds", "test_accuracy"):
        curves = laid_out.curves(column, **wanted)
        assert curves.shape == (len(index), index.epochs.max())
        assert curves.dtype == np.float32
        for row, run in zip(curves, matching, strict=True):
            expected = np.full(curves.shape[1], np.nan, np.float32)
            if column == "valid_accuracy":
                expected[: run.epochs] = run.scores.get("valid", np.nan)
            elif column == "epoch_seconds":
                expected[: run.epochs] = run.epoch_seconds
            np.testing.assert_array_equal(row, expected)

    records = laid_out.runs(**wanted)
    assert [run.key for run in records] == index.keys()
    for record, run in zip(records, matching, strict=True):
        np.testing.assert_equal(record.scores, {s: c for s, c in run.scores.items() if len(c)})
        np.testing.assert_array_equal(record.train_loss, run.train_loss)
        assert (record.reason, record.device) == (run.reason, run.device)

    table = laid_out.table(["seed", "reason"], **wanted)
    assert table.column_names == ["seed", "reason"]
    assert table.column("seed").to_pylist() == [run.seed for run in matching]
    assert table.schema.field("reason").type == pa.string()


def test_one_curve_alone(laid_out, runs):
    for run in runs:
        curve = laid_out.curve("valid_accuracy", run.key)
        np.testing.assert_array_equal(curve, run.scores.get("valid", []))
        assert len(laid_out.curve("merged_accuracy", run.key)) == 0
    missing = runs[0].key._replace(seed=12345)
    with pytest.raises(InputError, match=r"no run \(space 'table'.*seed 12345"):
        laid_out.curve("valid_accuracy", missing)
    with pytest.raises(InputError, match="no run"):
        laid_out.curve("valid_accuracy", RunKey("zzz", "", "digits", "quick", 0))


def test_names_that_nothing_is_called_by(store):
    with pytest.raises(UnknownNameError, match=r"No dataset is called 'digit'\. Did you mean"):
        store.index(dataset="digit")
    with pytest.raises(UnknownNameError, match="No recipe is called 'fast'"):
        store.curves("valid_accuracy", recipe="fast")
    with pytest.raises(UnknownNameError, match=r"No space is called 'nasnet'\. Known: table"):
        store.runs(space="nasnet")
    with pytest.raises(UnknownNameError, match=r"curve column.*Did you mean 'valid_accuracy'"):
        store.curves("valid_acuracy")
    with pytest.raises(UnknownNameError, match="No column"):
        store.table(["nothing"])


def test_an_empty_store_answers(tmp_path):
    store = Store.create(tmp_path / "new")
    assert store.n_runs == len(store.index()) == len(store.runs()) == len(store.table()) == 0
    assert store.curves("valid_accuracy").shape == (0, 0)
    store.compact()
    assert Store.open(store.path).sha == store.sha


def test_a_dataset_without_runs_is_not_unknown(store):
    store.append([], datasets=[Dataset("later", "g")])
    assert len(store.index(dataset="later")) == 0
    assert store.curves("valid_accuracy", dataset="later").shape == (0, 0)


def test_a_metric_that_is_better_when_lower(tmp_path, make_run, descriptions):
    metric = Metric("perplexity", higher_is_better=False, bounds=(0.0, np.inf))
    store = Store.create(tmp_path / "language", metric)
    run = make_run("a", epochs=2, scores={"valid": np.array([95.0, 60.5], np.float32)})
    store.append([run], **descriptions)
    again = Store.open(store.path)
    assert again.metric == metric
    assert again.curves("valid_perplexity").tolist() == [[95.0, 60.5]]


# --- identity ---------------------------------------------------------------------------------


def test_the_same_runs_are_the_same_store_however_they_were_appended(
    tmp_path, store, runs, descriptions
):
    shuffled = random.Random(1).sample(runs, len(runs))
    other = Store.create(tmp_path / "other")
    for at in range(0, len(shuffled), 7):
        other.append(shuffled[at : at + 7], **descriptions)
    assert other.sha == store.sha
    sha = store.sha
    for made in (store, other):
        made.compact()
        assert made.sha == sha == Store.open(made.path).sha
    files = [sorted(path.glob("*")) for path in (store.path, other.path)]
    assert [file.name for file in files[0]] == [file.name for file in files[1]]
    for left, right in zip(*files, strict=True):
        assert left.read_bytes() == right.read_bytes(), left.name
    once = Store.create(tmp_path / "once")  # one append is a compacted store already
    once.append(runs, **descriptions)
    assert next(once.path.glob("*.parquet")).name == next(store.path.glob("*.parquet")).name


def test_another_value_is_another_store(tmp_path, make_run, descriptions):
    shas = set()
    for number, run in enumerate(
        (make_run("a"), make_run("b"), make_run("a", reason="x"), make_run("a", n_params=5))
    ):
        store = Store.create(tmp_path / str(number))
        store.append([run], **descriptions)
        shas.add(store.sha)
    store.append([], datasets=[Dataset("more", "g")])
    assert len(shas | {store.sha}) == 5


def test_compaction_removes_what_killed_writers_left(store):
    (store.path / "runs-0123456789abcdef.parquet").write_bytes(b"never named")
    (store.path / ".manifest.json-0123.tmp").write_bytes(b"{")
    (store.path / "README.md").write_text("not ours")
    expected = store.runs()
    again = Store.open(store.path)  # they do not disturb
    assert [run.key for run in again.runs()] == [run.key for run in expected]
    again.compact()
    left = sorted(path.name for path in store.path.iterdir() if path.suffix != ".parquet")
    assert left == [".lock", "README.md", "manifest.json"]
    assert len(list(store.path.glob("*.parquet"))) == 1


# --- appending --------------------------------------------------------------------------------


def test_a_key_that_is_there_already_is_refused_and_nothing_changes(store, runs, make_run):
    before = store.sha
    with pytest.raises(DuplicateKeyError) as caught:
        store.append([make_run("fresh"), runs[0]])
    message = str(caught.value)
    assert repr(runs[0].architecture) in message
    assert f"seed {runs[0].seed}" in message
    file = message.split(" of ")[1].split(")")[0]
    row = int(message.split("(row ")[1].split()[0])
    table = pa.parquet.ParquetFile(store.path / file).read()
    assert table.column("architecture")[row].as_py() == runs[0].architecture
    assert Store.open(store.path).sha == before


def test_runs_name_known_datasets_and_recipes(store, make_run):
    with pytest.raises(InputError, match="dataset 'nowhere', which the store does not have"):
        store.append([make_run("fresh", dataset="nowhere")])
    with pytest.raises(InputError, match=r"recipe 'slow'.*Known: long, quick"):
        store.append([make_run("fresh", recipe="slow")])


def test_one_name_is_one_dataset_and_one_recipe(store, descriptions):
    store.append([], **descriptions)  # again, unchanged
    with pytest.raises(
        StoreError, match=r"Dataset 'digits' is in the store with .*now given with .*comparable"
    ):
        store.append([], datasets=[Dataset("digits", "digits", classes=10)])
    with pytest.raises(StoreError, match="Recipe 'quick' is in the store as"):
        store.append([], recipes={"quick": {"lr": 0.2}})
    assert store.datasets == descriptions["datasets"]
    assert store.recipes == descriptions["recipes"]


def test_the_majority_level_is_kept_and_a_store_from_before_it_can_learn_it(store, descriptions):
    before, (circles, digits) = store.sha, descriptions["datasets"]
    assert "majority" not in (store.path / "manifest.json").read_text()
    store.append([], datasets=[dataclasses.replace(circles, majority=0.4)])
    assert Store.open(store.path).datasets == (dataclasses.replace(circles, majority=0.4), digits)
    after = store.sha
    assert after != before
    store.append([], datasets=[circles])  # who does not know it takes nothing away
    assert store.sha == after
    with pytest.raises(
        StoreError, match=r"in the store with majority=0\.4, and now given with majority=0\.5"
    ):
        store.append([], datasets=[dataclasses.replace(circles, majority=0.5)])
    with pytest.raises(InputError, match=r"majority is 1\.5"):
        store.append([], datasets=[dataclasses.replace(circles, majority=1.5)])


@pytest.mark.parametrize("settings", [{"lr": float("nan")}, {"f": object()}, {"s": "\ud800"}])
def test_settings_that_json_cannot_hold_are_refused(store, settings):
    with pytest.raises(InputError, match="recipe 'odd' cannot be stored"):
        store.append([], recipes={"odd": settings})


@pytest.mark.parametrize(
    "dataset",
    [Dataset("", "g"), Dataset("d", None), Dataset("d", "g", classes=-1), Dataset("d", "g", [1])],
)
def test_odd_datasets_are_refused(store, dataset):
    with pytest.raises(InputError, match=r"^Dataset"):
        store.append([], datasets=[dataset])


def test_settings_may_hold_tuples_which_come_back_as_lists(store):
    store.append([], recipes={"tuple": {"betas": (0.9, 0.99)}})
    store.append([], recipes={"tuple": {"betas": (0.9, 0.99)}})
    assert store.recipes["tuple"] == {"betas": [0.9, 0.99]}


def test_what_others_append_is_seen_after_a_refresh(store, make_run):
    other = Store.open(store.path)
    other.append([make_run("fresh")])
    assert other.n_runs == store.n_runs + 1
    before = len(store.index())
    store.refresh()
    assert len(store.index()) == before + 1


def test_a_store_travels_to_another_process_as_its_path(store):
    again = pickle.loads(pickle.dumps(store))
    assert again.sha == store.sha
    assert again.path == store.path


# --- opening ----------------------------------------------------------------------------------


def test_opening_reads_no_shard(store, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a shard was opened")

    monkeypatch.setattr(nassim.store.shards.pq, "ParquetFile", refuse)
    assert Store.open(store.path).n_runs == store.n_runs
    with pytest.raises(AssertionError):
        store.index()


def test_create_needs_an_empty_place(store, tmp_path):
    with pytest.raises(StoreError, match="A store is already in"):
        Store.create(store.path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(StoreError, match=r"not empty \(it has 'thesis.txt'"):
        Store.create(tmp_path / "full")
    with pytest.raises(StoreError, match="cannot be made a store"):
        Store.create(tmp_path / "full" / "thesis.txt")
    for metric in (Metric("two words"), Metric("loss"), Metric("x", bounds=(1.0, 1.0))):
        with pytest.raises(InputError, match="cannot be stored"):
            Store.create(tmp_path / "odd", metric)


def test_open_or_create(tmp_path):
    made = Store.open_or_create(tmp_path / "s")
    assert Store.open_or_create(tmp_path / "s").sha == made.sha
    with pytest.raises(StoreError, match="is of metric 'accuracy'"):
        Store.open_or_create(tmp_path / "s", Metric("perplexity", False, (0.0, np.inf)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(StoreError, match="not empty"):
        Store.open_or_create(tmp_path / "full")


def test_importer_is_kept(tmp_path):
    importer = {"format": "csv", "split_map": {"val": "valid"}, "merged": []}
    Store.create(tmp_path / "s", importer=importer)
    assert Store.open(tmp_path / "s").importer == importer


def edit(change):
    def damage(path):
        manifest = json.loads((path / "manifest.json").read_text())
        change(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest))

    return damage


def write(content):
    return lambda path: (path / "manifest.json").write_bytes(content)


def truncate(path):
    shard = next(path.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])


DAMAGE = {
    "no folder": (shutil.rmtree, "nothing is there"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "not a store.*manifest.json"),
    "empty manifest": (write(b""), "is not JSON"),
    "half a manifest": (write(b'{"schema_version": 1, "metr'), "is not JSON"),
    "binary manifest": (write(b"PAR1\xff\xfe\x00"), "is not JSON"),
    "deep manifest": (write(b"[" * 100_000), "is not JSON"),
    "a list": (write(b"[]"), r"the manifest is \[\], expected an object"),
    "newer": (edit(lambda m: m.update(schema_version=2)), "version 2.*upgrade nassim"),
    "newer and different": (write(b'{"schema_version": 9}'), "version 9.*upgrade nassim"),
    "version zero": (edit(lambda m: m.update(schema_version=0)), "'schema_version' is 0"),
    "version text": (edit(lambda m: m.update(schema_version="1")), "'schema_version'.*is '1'"),
    "version true": (edit(lambda m: m.update(schema_version=True)), "'schema_version'.*is True"),
    "field gone": (edit(lambda m: m.pop("recipes")), "has no 'recipes'"),
    "field too many": (edit(lambda m: m.update(extra=1)), "unknown field 'extra'"),
    "shards a number": (edit(lambda m: m.update(shards=3)), "'shards' of the manifest is 3"),
    "shard a text": (edit(lambda m: m.update(shards=["a"])), "a shard is 'a'"),
    "shard elsewhere": (edit(lambda m: m["shards"][0].update(file="../x")), "a shard is .*'../x'"),
    "rows negative": (edit(lambda m: m["shards"][0].update(rows=-1)), "a shard is"),
    "rows text": (edit(lambda m: m["shards"][0].update(rows="9")), "'rows' of a shard is '9'"),
    "sum cut": (edit(lambda m: m["shards"][0].update(sha256="ab")), "a shard is"),
    "metric null": (edit(lambda m: m.update(metric=None)), "'metric' of the manifest is None"),
    "bounds": (edit(lambda m: m["metric"].update(bounds=[1, 0])), "bounds are"),
    "bounds text": (edit(lambda m: m["metric"].update(bounds=["a", 0])), "the metric is"),
    "dataset shape": (edit(lambda m: m["datasets"][0].update(shape=["a"])), "a dataset is"),
    "dataset twice": (edit(lambda m: m["datasets"].append(m["datasets"][0])), "listed twice"),
    "recipe list": (edit(lambda m: m["recipes"][0].update(settings=[])), "'settings'.*is \\[\\]"),
    "shard gone": (lambda path: next(path.glob("*.parquet")).unlink(), "is missing"),
    "shard truncated": (truncate, "bytes; the manifest says"),
    "manifest a folder": (
        lambda path: [(path / "manifest.json").unlink(), (path / "manifest.json").mkdir()],
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_store_says_so_in_one_line_with_a_way_out(store, damage, message):
    damage(store.path)
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(store.path)
    assert "\n" not in str(caught.value)
    assert str(store.path) in str(caught.value)


def test_a_file_is_not_a_store(tmp_path):
    file = tmp_path / "table.parquet"
    pa.parquet.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(StoreError, match="is a file, not a store; expected a folder"):
        Store.open(file)


def replace_shard(store, payload, **changes):
    """Put other bytes in the place of the store's only shard, the manifest not objecting."""
    shard = next(store.path.glob("*.parquet"))
    shard.write_bytes(payload)
    edit(lambda m: m["shards"][0].update(bytes=len(payload), **changes))(store.path)


def test_foreign_parquet_in_place_of_a_shard(store):
    store.compact()
    foreign = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table({"a": range(store.n_runs)}), foreign)
    replace_shard(store, foreign.getvalue().to_pybytes())
    again = Store.open(store.path)
    for read in (
        again.index,
        again.runs,
        again.table,
        lambda: again.curves("valid_accuracy"),
        lambda: again.curve("valid_accuracy", RunKey("table", "a", "digits", "quick", 0)),
    ):
        with pytest.raises(StoreError, match="not of this store: its columns are a, expected"):
            read()


def test_rows_other_than_the_manifest_says(store, make_run):
    store.compact()
    replace_shard(store, parquet_bytes(to_table([make_run()], ACCURACY), ACCURACY).to_pybytes())
    with pytest.raises(StoreError, match="has 1 rows; the manifest says 40"):
        Store.open(store.path).index()


def test_a_flipped_bit_in_a_page_is_noticed(store):
    store.compact()
    shard = next(store.path.glob("*.parquet"))
    payload = bytearray(shard.read_bytes())
    column = pa.parquet.ParquetFile(shard).metadata.row_group(0)
    place = next(
        column.column(at)
        for at in range(column.num_columns)
        if column.column(at).path_in_schema.startswith("valid_accuracy")
    )
    payload[place.dictionary_page_offset + place.total_compressed_size - 1] ^= 1
    shard.write_bytes(payload)
    with pytest.raises(StoreError, match="cannot be read"):
        Store.open(store.path).curves("valid_accuracy")


def test_a_shard_removed_by_another_compaction_asks_for_a_refresh(store, make_run):
    reader = Store.open(store.path)
    store.compact()
    with pytest.raises(StoreError, match=r"is gone; .*refresh"):
        reader.index()
    reader.refresh()
    assert len(reader.index()) == store.n_runs


def test_reading_and_appending_import_no_pandas(store):
    code = f"""
import sys
import numpy as np
from nassim.records import Run
from nassim.store import Store
store = Store.open({str(store.path)!r})
store.curves("valid_accuracy"); store.curves("epoch_seconds", dataset="digits")
store.index(); store.runs(dataset="digits"); store.table()
store.curve("valid_accuracy", store.index().keys()[0])
store.lookup("valid_accuracy", "digits", recipe="long")
store.append([Run("table", "z", "digits", "long", 1, epochs=1, scores={{"valid": np.ones(1)}})])
store.compact()
heavy = sorted({{"pandas", "torch", "scipy", "sklearn", "matplotlib"}} & set(sys.modules))
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
