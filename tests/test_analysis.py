"""Scripts of ``analysis/`` that run a study: their methods can be built, and they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from nassim.loading import parse_specifications
from nassim.store import Store
from nassim.studies.fitting import build_estimator, build_terminator
from nassim.terminators import TERMINATORS

FOLDER = Path(__file__).parents[1] / "analysis"
BY_STORE = ("front", "ranking", "components", "sources_needed", "calibration")
Script = Callable[[str], ModuleType]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports a script, whose results and figures go to a folder of the test's own."""
    monkeypatch.syspath_prepend(FOLDER)
    for path in FOLDER.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    arguments = importlib.import_module("arguments")
    monkeypatch.setattr(arguments, "HERE", tmp_path / "analysis")
    return importlib.import_module


def test_every_setting_of_the_sweep_can_be_built(script: Script) -> None:
    for pool, missing in (("all", set()), ("disjoint", {"rush"})):
        methods = script("front").settings(pool)
        specifications = parse_specifications(methods, TERMINATORS, "terminator")
        for specification in specifications:
            build_terminator(specification)
        assert set(TERMINATORS) - {each.name for each in specifications} == missing


def test_every_component_can_be_taken_away(script: Script) -> None:
    methods = script("components").METHODS
    assert len(set(methods)) == len(methods) == 9
    for specification in parse_specifications(",".join(methods), TERMINATORS, "terminator"):
        build_estimator(specification)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ranking", "--methods last_value,lcranknet:steps=2 --epochs 0,1,3"),
        ("calibration", "--methods last_value --orders 2"),
        ("front", "--methods never,asha:eta=2,asha:eta=3 --orders 2"),
        (
            "components",
            "--methods lcranknet:steps=2,lcranknet:steps=2:transfer=false --epochs 1,3 --given 3 "
            "--baseline lcranknet:steps=2",
        ),
        (
            "sources_needed",
            "--methods lcranknet:steps=2 --epochs 0,3 --datasets 1 --architectures 2,4",
        ),
        ("tapas_evolution", ""),
        ("predictors", "--methods nao:steps=2:refit_steps=1 --told 0,3"),
        (
            "transfer",
            "--methods average_rank --orders 2 --budget 4 --datasets 1 --architectures 2,4",
        ),
    ],
)
def test_a_script_runs_and_reads_what_it_wrote(
    script: Script,
    name: str,
    options: str,
    tiny_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script(name).main
    monkeypatch.setattr(sys, "argv", [name])
    main()
    assert "is not there yet; make it with --store" in capsys.readouterr().out
    common = ["--store", str(tiny_store), "--pool", "all", "--targets", "digits,letters"]
    arguments = [*common, "--model-seeds", "1", *options.split()]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main()
    first = capsys.readouterr().out
    by_store = Store.open(tiny_store).name if name in BY_STORE else ""
    stem = "sweep" if name == "front" else name
    results = tmp_path / "analysis" / "results" / by_store / f"{stem}.parquet"
    assert pq.read_metadata(results).num_rows > 0
    assert (tmp_path / "docs" / "figures" / by_store / f"{stem}.png").stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", [name, *options.split()])
    main()
    table = capsys.readouterr().out
    assert table in first
    if name == "sources_needed":
        for method in ("all", "1 dataset", "2 architectures", "4 architectures"):
            assert f"lcranknet:steps=2, {method}" in table
    if name == "transfer":
        for method in ("all", "1 dataset", "2 architectures", "4 architectures", "shuffled"):
            assert f"average_rank, {method}" in table


def test_tnas_runs_and_reads_what_it_wrote(
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script("tnas").main
    out = ["--out", str(tmp_path / "tnas.json")]
    run = "--steps 1 --dataset digits --test-classes 5 --shots 1 --tasks 2"
    monkeypatch.setattr(sys, "argv", ["tnas", *out, *run.split()])
    main()
    first = capsys.readouterr().out
    assert "MAML, frozen even mixture" in first
    monkeypatch.setattr(sys, "argv", ["tnas", *out])
    main()
    read = capsys.readouterr().out
    assert "2 tasks of the meta-test; chance is 20%" in read
    assert set(read.splitlines()) <= set(first.splitlines())
