"""Stores at an address: read as local ones are, and appended to by one writer at a time."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nassim.errors import DuplicateKeyError, InputError, StoreError
from nassim.store import Store, find_store, is_remote
from nassim.store.card import card
from nassim.store.files import LOCK_FILE
from nassim.store.folders import LocalFolder, RemoteFolder, folder_at
from nassim.store.verify import notes, verify


@pytest.fixture(params=["memory", "local"])
def address(request, tmp_path):
    """A folder of a file system that Arrow has, or fsspec; nothing is there yet."""
    if request.param == "local":
        yield f"local://{tmp_path}/shelf/far"
    else:
        from fsspec.implementations.memory import MemoryFileSystem

        yield "memory://shelf/far"
        MemoryFileSystem().rm("/shelf", recursive=True)


@pytest.fixture
def far(address, runs, descriptions):
    """A remote store of ``runs``, in three shards."""
    made = Store.create(address)
    for part in (runs[:20], runs[20:21], runs[21:]):
        made.append(part, **descriptions)
    return made


def shards(store):
    folder = folder_at(store.path)
    return [name for name in folder.names() if name.endswith(".parquet")]


def test_what_is_an_address():
    assert is_remote("s3://bucket/mine")
    assert is_remote("gs://bucket")
    assert is_remote("fsspec+memory://mine")
    for place in ("mine", "./s3", "/data/mine", "file:///data/mine", "c:\\mine", "c://mine"):
        assert not is_remote(place), place
    assert not is_remote(Path("s3://bucket/mine"))  # which pathlib has spoilt by now


def test_a_file_address_is_a_local_folder(store, tmp_path):
    assert isinstance(folder_at(f"file://{store.path}"), LocalFolder)
    assert Store.open(f"file://{store.path}").path == store.path
    assert folder_at("file:///a%20b").place == Path("/a b")


def test_the_same_answers_as_a_local_store(far, address, store):
    opened = Store.open(address)
    assert opened.sha == store.sha
    assert opened.path == address
    assert opened.name == "far"
    assert repr(opened).startswith("<Store 'far': 40 runs")
    np.testing.assert_array_equal(
        opened.curves("valid_accuracy", dataset="digits"),
        store.curves("valid_accuracy", dataset="digits"),
    )
    key = store.index().keys()[7]
    np.testing.assert_array_equal(opened.curve("train_loss", key), store.curve("train_loss", key))
    assert opened.table().equals(store.table())
    assert opened.lookup("valid_accuracy", "digits", recipe="long")
    assert card(opened).datasets
    assert verify(address) == notes(address) == []
    assert find_store(address) == address
    assert pickle.loads(pickle.dumps(opened)).sha == store.sha


def test_no_lock_and_nothing_aside_is_left(far):
    names = folder_at(far.path).names()
    assert LOCK_FILE not in names
    assert len(names) == 4  # three shards and the manifest


def test_appending_and_compacting(far, address, store, make_run):
    with pytest.raises(DuplicateKeyError, match="is in the store 'far' already"):
        far.append([make_run("net0", 9)])
    far.append([make_run("fresh")])
    store.append([make_run("fresh")])
    assert Store.open(address).sha == store.sha
    far.compact()
    assert len(shards(far)) == 1
    assert Store.open(address).sha == store.sha
    assert verify(address) == []
    assert Store.open_or_create(address).n_runs == far.n_runs


def test_what_a_killed_writer_left_is_no_part_of_the_store(far, make_run, monkeypatch):
    before = far.sha

    def killed(folder, manifest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nassim.store.store.write_manifest", killed)
        patch.setattr(RemoteFolder, "remove", lambda *_: None)  # dead processes tidy nothing
        with pytest.raises(KeyboardInterrupt):
            far.append([make_run("fresh")])
    assert len(shards(far)) == 4
    assert Store.open(far.path).sha == before
    assert len(notes(far.path)) == 1
    far.append([make_run("fresh")])
    far.compact()
    assert notes(far.path) == verify(far.path) == []


def test_a_failed_write_leaves_the_store_as_it_was(far, make_run, monkeypatch):
    before = far.sha
    write = RemoteFolder.write

    def refuse(self, name, payload):
        if name == "manifest.json":
            raise StoreError("refused")
        write(self, name, payload)

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "write", refuse)
        with pytest.raises(StoreError, match="refused"):
            far.append([make_run("fresh")])
    assert len(shards(far)) == 3
    assert Store.open(far.path).sha == before


def test_a_second_writer_is_noticed_by_the_one_whose_runs_it_undid(far, address, make_run):
    folder = folder_at(address)
    before = folder.read("manifest.json")  # as the other one read it
    far.append([make_run("mine")])
    folder.write("manifest.json", before)  # as the other one writes it
    with pytest.raises(
        StoreError, match=r"Another writer changed the store at .* one write at a time"
    ):
        far.append([make_run("next")])
    far.append([make_run("mine"), make_run("next")])  # what it has seen, it goes on from
    assert Store.open(address).n_runs == 42
    assert verify(address) == []


def test_damage_is_found(far, address):
    folder = folder_at(address)
    first, second, _ = shards(far)
    payload = folder.read(first)
    folder.write(first, payload[:-1])
    with pytest.raises(StoreError, match=rf"Shard '{address}/{first}' has \d+ bytes"):
        Store.open(address)
    assert first in verify(address)[0]
    changed = bytearray(payload)
    changed[len(payload) // 2] ^= 1
    folder.write(first, bytes(changed))
    assert "SHA-256" in verify(address)[0]
    folder.write(first, payload)
    folder.remove(second)
    folder.remove(second)  # nothing happens
    with pytest.raises(StoreError, match="is missing"):
        Store.open(address)
    folder.write("manifest.json", b"{")
    with pytest.raises(StoreError, match=rf"'{address}/manifest.json' is damaged"):
        Store.open(address)


def test_no_store_is_there(address):
    with pytest.raises(StoreError, match=f"No store is at '{address}'.*check the address"):
        Store.open(address)
    assert len(verify(address)) == 1
    folder = folder_at(address)
    folder.make()
    folder.write("other", b"")
    with pytest.raises(StoreError, match="is not empty"):
        Store.create(address)


def test_a_store_is_not_made_twice(far):
    with pytest.raises(StoreError, match="A store is already in"):
        Store.create(far.path)


@pytest.mark.parametrize("place", ["nonsense://bucket/mine", "s3:///mine"])
def test_what_no_file_system_answers_to(place):
    with pytest.raises(StoreError, match="No file system answers to") as caught:
        Store.open(place)
    assert "\n" not in str(caught.value)
    assert len(verify(place)) == 1


def test_a_password_in_an_address_is_refused_and_not_printed():
    with pytest.raises(InputError, match="holds a password") as caught:
        Store.open("s3://me:secret@bucket/mine")
    assert "secret" not in str(caught.value)


def test_options_of_an_address_stay_behind_it():
    folder = RemoteFolder("s3://bucket/mine/?region=nowhere&scheme=http")
    assert folder.inner("file") == "bucket/mine/file"
    assert folder.at("file") == "s3://bucket/mine/file?region=nowhere&scheme=http"
    assert folder.name == "mine"


def test_a_local_store_loads_no_other_file_system(store):
    code = f"""
import sys
from nassim.store import Store
Store.open({str(store.path)!r}).curves("valid_accuracy")
print(*({{"fsspec", "s3fs", "boto3"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"
