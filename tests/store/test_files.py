import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

import nassim.store.files as files
from nassim.errors import StoreError
from nassim.store import Store
from nassim.store.files import locked, write_durably
from nassim.store.verify import notes, verify


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_durably(path, b"old")
    monkeypatch.setattr(files.os, step, full_disk)
    with pytest.raises(StoreError, match=r"cannot be written: No space left on device.*as it was"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_renamed_before_it_is_safe(store, make_run, monkeypatch):
    steps = []

    def fsync(handle):
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")

    def replace(source, target, real=os.replace):
        steps.append(f"rename {target.suffix}")
        real(source, target)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    store.append([make_run("fresh")])
    assert steps == [
        *("sync file", "rename .parquet", "sync folder"),
        *("sync file", "rename .json", "sync folder"),
    ]


@pytest.mark.parametrize("failing_call", range(1, 5))  # shard, its folder, manifest, its folder
def test_a_disk_that_fills_up_anywhere_in_an_append(store, make_run, monkeypatch, failing_call):
    before = store.sha
    calls = 0

    def fsync(handle):
        nonlocal calls
        calls += 1
        if calls == failing_call:
            full_disk()

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        store.append([make_run("fresh")])
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(files.os, "fsync", lambda handle: None)
    after = Store.open(store.path)
    assert verify(store.path) == []
    if failing_call < 4:
        assert after.sha == before
        after.append([make_run("fresh")])
        assert Store.open(store.path).n_runs == store.n_runs + 1
    else:  # already replaced, though perhaps not yet safe from a power cut: new, not half
        assert after.n_runs == store.n_runs + 1
    after.compact()
    assert notes(store.path) == []


def test_a_file_size_limit_is_met_as_a_full_disk(store):
    """The kernel itself refuses the bytes: the shard is larger than a process may write."""
    code = f"""
import resource
import numpy as np
from nassim.errors import StoreError
from nassim.records import Run
from nassim.store import Store
store = Store.open({str(store.path)!r})
values = np.random.default_rng(0).random((200, 500), np.float32)
runs = [Run("table", f"big{{n}}", "digits", "quick", 0, epochs=500, scores={{"valid": v}})
        for n, v in enumerate(values)]
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    store.append(runs)
except StoreError as error:
    print(error)
"""
    before = sorted(path.name for path in store.path.iterdir())
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert sorted(path.name for path in store.path.iterdir()) == before
    assert Store.open(store.path).sha == store.sha
    assert verify(store.path) == []


def test_a_folder_that_cannot_be_written(store, make_run, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(StoreError, match="cannot be written: Permission denied"):
        store.append([make_run("fresh")])


def test_one_holder_of_the_lock_at_a_time(tmp_path):
    order = []
    inside = threading.Event()

    def wait_in_line():
        inside.wait()
        with locked(tmp_path):
            order.append("second")

    thread = threading.Thread(target=wait_in_line)
    thread.start()
    with locked(tmp_path):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
