from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_generator_loses_nothing_that_it_reported(workers: int) -> None:
    arguments = ["--kills", "3", "--generators", "2", "--workers", str(workers), "--runs", "24"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing reported was lost" in done.stdout
