"""Terminators do what was written down; see ``tests/traces/record.py``."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "traces"
_found = importlib.util.spec_from_file_location("trace_recording", FOLDER / "record.py")
assert _found is not None
assert _found.loader is not None
record = importlib.util.module_from_spec(_found)
sys.modules[_found.name] = record  # its dataclass looks itself up there
_found.loader.exec_module(record)


@pytest.mark.parametrize("name", record.TRACES)
def test_a_trace_is_replayed(name: str) -> None:
    path = FOLDER / f"{name}.txt"
    if record.learns(record.TRACES[name]):  # its numbers differ from machine to machine
        assert not path.exists()
        return
    recorded = path.read_text(encoding="utf-8")
    was, is_now = recorded.splitlines(), record.tell(record.TRACES[name]).splitlines()
    for number, (before, now) in enumerate(zip(was, is_now, strict=False), start=1):
        assert now == before, f"line {number} of {path}; if this is meant: make traces"
    assert len(is_now) == len(was)
    for guard in record.TRACES[name].guards:
        assert re.search(guard, recorded, re.MULTILINE), f"{guard!r} is not in {path}"


def test_no_trace_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} <= set(record.TRACES)


def test_another_behaviour_is_noticed() -> None:
    other = dataclasses.replace(record.TRACES["asha"], specification="asha:eta=2.9")
    assert (
        record.tell(other).splitlines()[1:] != record.tell(record.TRACES["asha"]).splitlines()[1:]
    )
