import dataclasses
import hashlib
import json
import re

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import StoreError
from nassim.records import ACCURACY
from nassim.store import Store
from nassim.store.schema import curve_columns, runs_schema, to_table
from nassim.store.shards import parquet_bytes
from nassim.store.verify import notes, verify


def test_what_append_accepts_is_sound(store):
    assert verify(store.path) == []
    store.compact()
    assert verify(store.path) == []
    assert notes(store.path) == []


def test_leftovers_are_a_note_not_a_fault(store):
    (store.path / "runs-0123456789abcdef.parquet").write_bytes(b"never named")
    assert verify(store.path) == []
    (note,) = notes(store.path)
    assert "runs-0123456789abcdef.parquet is not part of the store" in note


def plant(path, table, **changes):
    """Make this table the only shard, its bytes as the manifest says, whatever it holds."""
    payload = parquet_bytes(table, ACCURACY).to_pybytes()
    sha256 = hashlib.sha256(payload).hexdigest()
    file = f"runs-{sha256[:16]}.parquet"
    (path / file).write_bytes(payload)
    manifest = json.loads((path / "manifest.json").read_text())
    shard = {"file": file, "rows": len(table), "bytes": len(payload), "sha256": sha256}
    manifest["shards"] = [shard | {"content": "0" * 64}]
    manifest.update(changes)
    (path / "manifest.json").write_text(json.dumps(manifest))


def with_column(table, name, values):
    at = runs_schema(ACCURACY).get_field_index(name)
    field = runs_schema(ACCURACY).field(name)
    return table.set_column(at, field, pa.array(values, field.type))


@pytest.fixture
def table(make_run):
    """Three sound runs of four epochs, as rows ``a``, ``b``, ``c``."""
    return to_table([make_run(letter) for letter in "abc"], ACCURACY)


GOOD = [0.1, 0.2, 0.3, 0.4]
FAULTS = {
    "percentage": (
        "valid_accuracy",
        [GOOD, [0.1, 57, 0.3, 0.4], GOOD],
        "valid_accuracy at epoch 2",
    ),
    "infinite": ("train_loss", [GOOD, [1, 2, 3, np.inf], GOOD], "train_loss at epoch 4 is inf"),
    "time stops": ("epoch_seconds", [GOOD, [0, 1, 1, 1], GOOD], "epoch_seconds at epoch 1 is 0"),
    "time runs back": ("evaluation_seconds", [[], [1, 1, 1, -1], []], "at epoch 4 is -1"),
    "length": ("epoch_seconds", [GOOD, [1, 2], GOOD], "epoch_seconds has 2 entries for 4 epochs"),
    "status": ("status", ["ok", "fine", "ok"], "status 'fine'; expected one of ok"),
    "reason": ("status", ["ok", "oom", "ok"], "status 'oom' without a reason"),
    "nothing measured": ("valid_accuracy", [GOOD, [np.nan] * 4, GOOD], "'ok' without any accuracy"),
    "no epochs": ("epochs", [4, 0, 4], "status 'ok' with 0 epochs"),
    "negative": ("flops", [1, -1, 1], "flops below 0"),
    "no name": ("recipe", ["quick", "", "quick"], "an empty name in its key"),
    "dataset": ("dataset", ["digits", "nowhere", "digits"], "dataset 'nowhere' is not described"),
    "recipe": ("recipe", ["quick", "slow", "quick"], "recipe 'slow' is not described"),
    "order": ("architecture", ["b", "a", "c"], "out of order"),
    "duplicate": ("architecture", ["b", "b", "c"], r"the same key as runs-\w+.parquet row 0"),
    "canonical": ("canonical_id", ["a", "", "c"], "canonical_id ''; expected ''"),
    "not of its space": ("space", ["nasbench201"] * 3, "'b' is not of space 'nasbench201'"),
}


@pytest.mark.parametrize(("column", "values", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_and_named(store, table, column, values, message):
    plant(store.path, with_column(table, column, values))
    faults = verify(store.path)
    assert any(" row 1 " in fault for fault in faults)
    assert any(re.search(message, fault) for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_a_wrong_canonical_id_of_a_known_space(store, make_run):
    text = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    (run,) = [dataclasses.replace(make_run(text), space="nasbench201")]
    plant(store.path, with_column(to_table([run], ACCURACY), "canonical_id", ["x"]))
    (fault,) = verify(store.path)
    assert "canonical_id 'x'; expected '0'" in fault


def test_duplicates_across_shards(store, make_run, tmp_path, descriptions):
    other = Store.create(tmp_path / "other")
    other.append([store.runs()[0], make_run("fresh")], **descriptions)
    shard = next(other.path.glob("*.parquet"))
    (store.path / shard.name).write_bytes(shard.read_bytes())
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest["shards"] += json.loads((other.path / "manifest.json").read_text())["shards"]
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    faults = verify(store.path)
    assert len(faults) == 1
    assert "the same key as runs-" in faults[0]


def test_many_faults_of_a_kind_are_cut_short(store, make_run):
    table = to_table([make_run(f"n{n:03}") for n in range(100)], ACCURACY)
    plant(store.path, with_column(table, "flops", [-1] * 100))
    faults = verify(store.path)
    assert len(faults) == 6
    assert faults[-1].endswith("and more of this kind.")


def test_a_content_hash_that_is_not_the_contents(store, table):
    plant(store.path, table)
    (fault,) = verify(store.path)
    assert "content hash" in fault


def test_bytes_that_changed(store):
    store.compact()
    shard = next(store.path.glob("*.parquet"))
    payload = bytearray(shard.read_bytes())
    payload[100] ^= 1
    shard.write_bytes(payload)
    (fault,) = verify(store.path)
    assert "SHA-256" in fault
    shard.write_bytes(payload[:-1])
    (fault,) = verify(store.path)
    assert "bytes, the manifest says" in fault
    shard.unlink()
    (fault,) = verify(store.path)
    assert "is gone" in fault


def test_another_schema(store, table):
    payload = pa.BufferOutputStream()
    pa.parquet.write_table(table.drop_columns(["flops"]), payload)
    plant(store.path, table)
    raw = payload.getvalue().to_pybytes()
    file = f"runs-{'1' * 16}.parquet"
    (store.path / file).write_bytes(raw)
    sums = {"sha256": hashlib.sha256(raw).hexdigest(), "content": "0" * 64}
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest["shards"] = [{"file": file, "rows": 3, "bytes": len(raw)} | sums]
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    (fault,) = verify(store.path)
    assert "its columns are" in fault


def test_no_store(tmp_path):
    (fault,) = verify(tmp_path)
    assert "is not a store" in fault
    with pytest.raises(StoreError):
        notes(tmp_path)


def test_each_curve_column_is_checked(store, table):
    for column in curve_columns(ACCURACY):
        plant(store.path, with_column(table, column, [GOOD, GOOD, [0.1, 0.2, 0.3, -np.inf]]))
        assert any(
            "row 2 " in f and f"{column} at epoch 4 is -inf" in f for f in verify(store.path)
        )
