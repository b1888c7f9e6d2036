"""Whatever happens to its bytes, a store answers or raises one of nassim's errors."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nassim.errors import NassimError
from nassim.reports.card.text import card_text
from nassim.store import Store
from nassim.store.card import card
from nassim.store.verify import verify

QUIET = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def use(path):
    """Everything that reads; only NassimError may come out."""
    faults = verify(path)
    assert all(isinstance(fault, str) and "\n" not in fault for fault in faults)
    try:
        store = Store.open(path)
    except NassimError as error:
        check(error)
        assert faults, "open refuses it, so verify must too"
        return
    key = ("table", "net1", "digits", "quick", 9)
    for read in (
        lambda: store.sha,
        lambda: store.curves("valid_accuracy"),
        lambda: store.curves("train_loss", dataset="digits"),
        lambda: store.curve("valid_accuracy", key),
        store.index,
        store.table,
        store.runs,
        lambda: store.lookup("valid_accuracy", "digits", recipe="long"),
        lambda: card_text(card(store)),
    ):
        try:
            read()
        except NassimError as error:
            check(error)


def check(error):
    assert "\n" not in str(error)


@pytest.fixture
def damaged(store, tmp_path):
    """A copy of the store, made anew for each example."""

    def copy():
        target = tmp_path / "damaged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(store.path, target)
        return target

    return copy


leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def places(value, at=()):
    """The path to every value inside a JSON document."""
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


@QUIET
@given(data=st.data())
def test_a_manifest_with_a_value_replaced_or_removed(damaged, data):
    path = damaged()
    file = path / "manifest.json"
    manifest = {"whole": json.loads(file.read_text())}
    *way, last = data.draw(st.sampled_from([place for place in places(manifest) if place]))
    inner = manifest
    for key in way:
        inner = inner[key]
    if way and data.draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = data.draw(anything)
    file.write_text(json.dumps(manifest["whole"]))
    use(path)


@QUIET
@given(data=st.data())
def test_a_manifest_with_bytes_changed(damaged, data):
    path = damaged()
    file = path / "manifest.json"
    file.write_bytes(mutated(file.read_bytes(), data))
    use(path)


@QUIET
@given(data=st.data())
def test_a_shard_with_bytes_changed(damaged, data):
    path = damaged()
    file = data.draw(st.sampled_from(sorted(path.glob("*.parquet"))))
    payload = file.read_bytes()
    changed = mutated(payload, data)
    file.write_bytes(changed)
    manifest = json.loads((path / "manifest.json").read_text())
    if data.draw(st.booleans()):  # a manifest that does not notice the length
        for shard in manifest["shards"]:
            shard["bytes"] = (path / shard["file"]).stat().st_size
        (path / "manifest.json").write_text(json.dumps(manifest))
    if changed != payload:
        assert verify(path) != []
    use(path)


def mutated(payload, data):
    """The bytes cut short, with a stretch overwritten, removed, or repeated."""
    start = data.draw(st.integers(0, len(payload) - 1))
    stop = min(len(payload), start + data.draw(st.sampled_from([1, 2, 8, 200])))
    kind = data.draw(st.sampled_from(["cut", "overwrite", "flip", "remove", "repeat"]))
    if kind == "cut":
        return payload[:start]
    if kind == "overwrite":
        noise = data.draw(st.binary(min_size=stop - start, max_size=stop - start))
        return payload[:start] + noise + payload[stop:]
    if kind == "flip":
        bit = 1 << data.draw(st.integers(0, 7))
        return payload[:start] + bytes([payload[start] ^ bit]) + payload[start + 1 :]
    if kind == "remove":
        return payload[:start] + payload[stop:]
    return payload[:stop] + payload[start:]
