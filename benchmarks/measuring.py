"""Rows of the table, and how their numbers are measured: alternately, medians, processor time."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
PACKAGES = {"optuna": "optuna", "syne-tune": "syne_tune", "mfhpo-simulator": "benchmark_simulator"}


def installed(package: str) -> bool:
    return importlib.util.find_spec(PACKAGES[package]) is not None


@dataclass(frozen=True)
class Row:
    """One line of the table. ``ratio`` says how many times better ours is."""

    question: str
    ours: str = ""
    theirs: str = ""
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None


def against(
    question: str, ours: str, theirs: str, ratio: float, at_least: float | None = None
) -> Row:
    """A row whose goal, if there is one, is a ratio."""
    if at_least is None:
        return Row(question, ours, theirs, ratio)
    return Row(question, ours, theirs, ratio, f"{at_least:g} times", ratio >= at_least)


def not_installed(question: str, ours: str, package: str) -> Row:
    return Row(question, ours, f"{package}: not installed")


@dataclass(frozen=True)
class Times:
    """Seconds of each job, one entry a round."""

    rounds: dict[str, list[float]]

    def ms(self, name: str, digits: int = 2) -> str:
        return f"{1e3 * median(self.rounds[name]):.{digits}f} ms"

    def ratio(self, ours: str, theirs: str) -> float:
        """How many times faster ours is: the median of the rounds' ratios."""
        pairs = zip(self.rounds[ours], self.rounds[theirs], strict=True)
        return median(slow / fast for fast, slow in pairs)


def alternate(rounds: int, jobs: dict[str, Callable[[], object]]) -> Times:
    """Run all jobs in each round; a short one again and again, for 50 ms together.

    Processor time, not wall time, and of all repetitions together: none of the jobs sleeps, and on
    a busy machine every job is interrupted every few milliseconds, long ones within, short ones
    between two of them.
    """
    repeats = {}
    for name, job in jobs.items():
        job()
        repeats[name] = max(1, min(1000, round(0.05 / _seconds(job, 1))))
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(_seconds(job, repeats[name]))
    return Times(times)


def _seconds(job: Callable[[], object], repeats: int) -> float:
    start = time.process_time_ns()
    for _ in range(repeats):
        job()
    return max(time.process_time_ns() - start, 1) / 1e9 / repeats


def alternate_processes(
    rounds: int, jobs: dict[str, list[str]]
) -> tuple[Times, dict[str, list[dict[str, Any]]]]:
    """Run each job of jobs.py in a fresh process in each round: processor seconds, and answers.

    ``wall_ms`` is added to each answer.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    for round_number in range(-1, rounds):  # one round more, to fill the disk's cache
        for name, arguments in jobs.items():
            command = [sys.executable, str(HERE / "jobs.py"), *arguments]
            start = time.perf_counter()
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            text = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, command)
            if round_number >= 0:
                times[name].append(usage.ru_utime + usage.ru_stime)
                answers[name].append(json.loads(text.splitlines()[-1]) | {"wall_ms": 1e3 * wall})
    return Times(times), answers


def middle(answers: list[dict[str, Any]], field: str) -> float:
    """The median of a number over the rounds."""
    return float(median(answer[field] for answer in answers))
