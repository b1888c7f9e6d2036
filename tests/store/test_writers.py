"""Several writers, and writers that are killed: real processes."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nassim.store import Store
from nassim.store.verify import verify

WRITER = """
import sys
import numpy as np
from nassim.records import Dataset, Run
from nassim.store import Store

path, name, appends = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store.open_or_create(path)
print("ready", flush=True)
sys.stdin.readline()
for number in range(appends):
    runs = [
        Run("table", f"{name}-{number}-{n}", "digits", "quick", 0, epochs=50,
            scores={"valid": np.random.default_rng(n).random(50, np.float32)})
        for n in range(5)
    ]
    store.append(runs, datasets=[Dataset("digits", "digits")], recipes={"quick": {"lr": 0.1}})
    print(number, flush=True)
"""


def start(path, name, appends):
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path), name, str(appends)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(writer):
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_writers_side_by_side_lose_nothing(tmp_path):
    path = tmp_path / "store"
    writers = [start(path, name, 4) for name in ("left", "right", "middle")]
    for writer in writers:
        go(writer)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    store = Store.open(path)
    assert store.n_runs == len(store.index()) == 3 * 4 * 5
    assert len(set(store.index().keys())) == 3 * 4 * 5
    assert verify(path) == []
    store.compact()
    assert store.n_runs == 3 * 4 * 5
    assert sorted(file.name for file in path.iterdir())[:2] == [".lock", "manifest.json"]
    assert len(list(path.iterdir())) == 3


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_store_or_the_new(tmp_path):
    path = tmp_path / "store"
    Store.create(path)
    rng = np.random.default_rng(0)
    promised = 0
    for kill in range(10):
        writer = start(path, f"writer{kill}", 10_000)
        go(writer)
        time.sleep(rng.uniform(0.02, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        promised += writer.communicate()[0].count("\n") * 5
        store = Store.open(path)
        assert store.n_runs >= promised, "what was reported as appended was lost"
        assert store.n_runs <= promised + 5 * (kill + 1), "at most the last append was unreported"
        assert store.n_runs % 5 == 0, "half an append was kept"
        assert verify(path) == []
        promised = store.n_runs
    assert promised > 0
    store.compact()  # a dead writer holds no lock
    assert len(list(path.glob("*.parquet"))) == 1
    assert len(list(path.iterdir())) == 3
    assert verify(path) == []
