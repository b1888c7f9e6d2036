"""Does a generation on a Ray cluster lose anything when processes, nodes or its driver are killed?

    python benchmarks/kill_on_ray.py --kills 12

A cluster of two nodes runs on this machine. In turn a worker process (SIGKILL), a whole node and
the driver, which is ``nassim generate --ray``, are killed while runs are being trained; a new node
takes the place of a lost one, and the driver's command is given again. After every kill: all runs
that a driver reported (on its progress bar) are in the store, and the store is sound. At the end
each run is there once, and the store must equal that of an undisturbed process without Ray in
every value but seconds and dates. Peak memory of the last driver and of killed workers is told too.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kill import PLAN, Generator, contents

from nassim.cluster import QUIET
from nassim.generator import generate_from_file
from nassim.store import Store
from nassim.store.verify import verify

CHILD = """
import sys
from nassim.generator import executors
executors.APPEND_SECONDS = 0.2  # more moments at which a kill could hurt
executors.LOG_SECONDS = 0.05  # what is in the store is reported at once
executors.generate_from_file(sys.argv[1], device="cpu", ray=sys.argv[2])
memory = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print("peak memory of the driver:", *memory[0].split()[1:])
"""
KINDS = ("worker", "node", "driver")


def peak_memory(process: Path) -> float:
    """In MB, of a process in ``/proc``."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3


class Nodes:
    """A Ray cluster on this machine: a head that trains nothing, and two nodes of one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        quiet = {"include_dashboard": False}
        self.peaks: list[float] = []  # MB, of the worker processes that were killed
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
        self.address = self._cluster.address
        self._nodes: list[Any] = []
        for _ in range(2):
            self.add()

    def add(self) -> None:
        self._nodes.append(self._cluster.add_node(num_cpus=1))

    def kill_node(self) -> bool:
        self._cluster.remove_node(self._nodes.pop(0), allow_graceful=False)
        self.add()
        return True

    def kill_worker(self) -> bool:
        """Kill one process that trains; False if none does."""
        raylets = {
            found.process.pid for node in self._nodes for found in node.all_processes["raylet"]
        }
        for folder in Path("/proc").iterdir():
            try:
                title = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            if parent in raylets and title.startswith(b"ray::_train"):
                self.peaks.append(peak_memory(folder))
                os.kill(int(folder.name), signal.SIGKILL)
                return True
        return False

    def close(self) -> None:
        self._cluster.shutdown()


class Disturbed:
    """A plan that is trained on a cluster, and what its drivers have reported so far."""

    def __init__(self, folder: Path, nodes: Nodes) -> None:
        self.store = folder / "store"
        self._plan = folder / "plan.toml"
        self._nodes = nodes
        self._log = (folder / "log").open("a")
        self._reported = 0
        self.driver = self._start()

    def _start(self) -> Generator:
        return Generator([CHILD, str(self._plan), self._nodes.address], self._log)

    def kill(self, kind: str) -> bool:
        """Whether there was something to kill."""
        if kind == "node":
            return self._nodes.kill_node()
        if kind == "worker":
            return self._nodes.kill_worker()
        self.driver.kill()
        self._reported += self.driver.reported() or 0
        self.driver = self._start()
        return True

    def reported(self) -> int:
        return self._reported + (self.driver.reported() or 0)

    def stored(self) -> int:
        return Store.open(self.store).n_runs if self.store.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--runs", type=int, default=0, help="0: 12 for each kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.update(QUIET)
    count = options.runs or 12 * options.kills
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / name for name in ("disturbed", "quiet")]
        for folder in folders:
            folder.mkdir()
            (folder / "plan.toml").write_text(PLAN.format(count=count))
        nodes = Nodes()
        try:
            faults = disturb(Disturbed(folders[0], nodes), options, count)
        finally:
            nodes.close()
        print(f"peak memory of killed workers: {max(nodes.peaks, default=0):.0f} MB")
        generate_from_file(folders[1] / "plan.toml", workers=1, device="cpu", progress=False)
        disturbed, quiet = (Store.open(folder / "store") for folder in folders)
        if repr(contents(disturbed)) != repr(contents(quiet)):  # repr: a NaN equals a NaN
            faults.append("the store differs from that of an undisturbed process without Ray")
    print("\n".join(faults) or "nothing reported was lost; the store equals an undisturbed one")
    return 1 if faults else 0


def disturb(generation: Disturbed, options: argparse.Namespace, count: int) -> list[str]:
    """Kill as often as asked while runs are missing, then let the generation end."""
    chance = random.Random(options.seed)
    faults: list[str] = []
    for kill in range(options.kills):
        kind = KINDS[kill % len(KINDS)]
        generation.driver.wait_for((generation.driver.reported() or 0) + 1)
        time.sleep(chance.uniform(0, 0.5))
        while generation.driver.process.poll() is None and not generation.kill(kind):
            time.sleep(0.01)
        reported = generation.reported()
        stored = generation.stored()
        print(f"kill {kill}, a {kind}: {reported} runs reported, {stored} stored", flush=True)
        if stored < reported:
            faults.append(f"kill {kill}, a {kind}: {reported} runs reported, {stored} stored")
        if stored == count:
            faults.append(f"kill {kill}, a {kind}: nothing was missing any more; ask for more runs")
        faults += [f"kill {kill}, a {kind}: {fault}" for fault in verify(generation.store)]
    if generation.driver.process.wait():
        faults.append(f"the last driver ended with {generation.driver.process.returncode}")
    return faults + verify(generation.store)


if __name__ == "__main__":
    sys.exit(main())
