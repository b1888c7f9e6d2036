"""Kill generators at random moments and see that nothing they reported is lost.

    python benchmarks/kill.py [--kills 50] [--generators 2] [--workers 1] [--seed 0]

A plan of tiny runs is trained by one or more real processes on one store. Each is killed
(SIGKILL) at a random moment, its claims with it, and started again, until the number of kills is
reached; then the plan is finished in peace. After every kill: all runs that the killed process
reported (on its progress bar) are in the store, and the store is sound. At the end the store
must equal that of an undisturbed process in every value but seconds and dates.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from nassim.generator import generate_from_file
from nassim.store import Store
from nassim.store.verify import verify

PLAN = """
[store]
path = "store"

[[recipe]]
name = "quick"
epochs = 2
batch_size = 50
channels = 4
n_valid = 200
n_test = 100

[[grid]]
space = "nasnet"
datasets = ["digits"]
recipe = "quick"
count = {count}
"""
CHILD = """
import sys
from nassim.generator import executors
executors.APPEND_SECONDS = 0.2  # more moments at which a kill could hurt
executors.LOG_SECONDS = 0.05  # what is in the store is reported at once
executors.generate_from_file(sys.argv[1], workers=int(sys.argv[2]), device="cpu")
"""
TIMES = ("epoch_seconds", "evaluation_seconds", "created_at")


class Generator:
    """A real process that runs some code with arguments, and its progress bar in a file."""

    def __init__(self, code: list[str], log: IO[str]) -> None:
        self.log = Path(log.name)
        self.offset = self.log.stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-c", *code],
            stderr=log,
            start_new_session=True,
        )

    def reported(self) -> int | None:
        """How many runs its bar counts; None before the bar is there."""
        text = self.log.read_text()[self.offset :]
        counts = re.findall(r"(\d+)/\d+ \[", text)
        return int(counts[-1]) if counts else None

    def wait_for(self, runs: int) -> None:
        """Until it has a progress bar and so many runs on it, or has ended."""
        while self.process.poll() is None:
            reported = self.reported()
            if reported is not None and reported >= runs:
                break
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def contents(store: Store) -> dict[str, list[object]]:
    table = store.table()
    return {
        name: table.column(name).to_pylist() for name in table.schema.names if name not in TIMES
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--generators", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=0, help="0: 8 for each kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    faults: list[str] = []
    while_training = 0
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / name for name in ("disturbed", "quiet")]
        for folder in folders:
            folder.mkdir()
            count = options.runs or 8 * options.kills
            (folder / "plan.toml").write_text(PLAN.format(count=count))
        plan, store_path = folders[0] / "plan.toml", folders[0] / "store"
        logs = [(folders[0] / f"log{k}").open("a") for k in range(options.generators)]
        code = [CHILD, str(plan), str(options.workers)]
        running = [Generator(code, log) for log in logs]
        survived = [0] * options.generators  # what each slot's killed processes reported
        for kill in range(options.kills):
            slot = kill % options.generators
            # most while it trains, some while it starts
            running[slot].wait_for(0 if chance.random() < 0.2 else 1)
            time.sleep(chance.uniform(0, 1.0))
            running[slot].kill()
            reported = running[slot].reported() or 0
            survived[slot] += reported
            stored = Store.open(store_path).n_runs if store_path.exists() else 0
            # the others' reports are read first, so that they cannot run ahead of the store
            others = sum(g.reported() or 0 for k, g in enumerate(running) if k != slot)
            stored_after = Store.open(store_path).n_runs if store_path.exists() else 0
            if stored_after < sum(survived) + others:
                faults.append(
                    f"kill {kill}: {sum(survived) + others} reported, {stored_after} stored"
                )
            faults += [f"kill {kill}: {fault}" for fault in verify(store_path)]
            while_training += stored < count
            print(
                f"kill {kill}: it had reported {reported}; {stored_after} runs stored", flush=True
            )
            running[slot] = Generator(code, logs[slot])
        for generator in running:
            generator.process.wait()
        print(generate_from_file(plan, workers=1, device="cpu", progress=False))
        generate_from_file(folders[1] / "plan.toml", workers=1, device="cpu", progress=False)
        disturbed, quiet = (Store.open(folder / "store") for folder in folders)
        faults += verify(store_path)
        if repr(contents(disturbed)) != repr(contents(quiet)):  # repr: a NaN equals a NaN
            faults.append("the store differs from that of an undisturbed process")
        for log in logs:
            log.close()
    print(f"{options.kills} kills, {while_training} of them while runs were missing")
    print("\n".join(faults) or "nothing reported was lost; the store equals an undisturbed one")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
