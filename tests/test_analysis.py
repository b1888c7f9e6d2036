"""Scripts of ``analysis/`` that run a study: their methods can be built, and they run."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from nassim.errors import InputError
from nassim.loading import parse_specifications
from nassim.studies.fitting import build_estimator, build_terminator
from nassim.terminators import TERMINATORS

FOLDER = Path(__file__).parents[1] / "analysis"
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
    specifications = parse_specifications(script("front").settings(), TERMINATORS, "terminator")
    for specification in specifications:
        build_terminator(specification)
    missing = set(TERMINATORS) - {specification.name for specification in specifications}
    assert missing == {"rush"}  # which needs another pool


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
    assert pq.read_metadata(tmp_path / "analysis" / "results" / f"{name}.parquet").num_rows > 0
    assert (tmp_path / "docs" / "figures" / f"{name}.png").stat().st_size > 10_000
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


# --- studies of one-shot methods --------------------------------------------------------------

SHORT = ":steps=8:batch_size=16"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "batchnorm",
            f"--methods spos:law=strings{SHORT},spos{SHORT} --seeds 1",
            ("running", "spos:law=strings", "better", "NOT TRAINED"),
        ),
        (
            "parameter_count",
            f"--methods spos{SHORT} --seeds 1",
            ("within equal parameters", "live_params"),
        ),
        (
            "memory",
            "--methods spos,darts,pcdarts:parts=2:warmup=0.0,proxylessnas:warm_up=0 --steps 8 "
            "--batch-size 16",
            ("one path", "ProxylessNAS keeps", "PC-DARTS, K = 2, 0."),
        ),
    ],
)
def test_a_study_of_one_shot_methods_runs_and_reads_what_it_wrote(
    script: Script,
    name: str,
    options: str,
    expected: tuple[str, ...],
    cell_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script(name).main
    monkeypatch.setattr(sys, "argv", [name])
    main()
    assert "is not there yet; make it with --store" in capsys.readouterr().out
    run = ["--store", str(cell_store), "--datasets", "digits", "--draws", "10", *options.split()]
    monkeypatch.setattr(sys, "argv", [name, *run])
    main()
    first = capsys.readouterr().out
    for words in expected:
        assert words in first
    assert (tmp_path / "docs" / "figures" / f"{name}.png").stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", [name])
    main()
    table = capsys.readouterr().out
    assert table in first


def test_pairs_of_the_batch_norm_study_differ_in_one_thing(script: Script) -> None:
    pairs_of = script("batchnorm").pairs_of

    class Table:
        pairs: ClassVar = [
            {"method": f"a:bn_mode={one}", "against": f"{law}:bn_mode={other}"}
            for one, law, other in (
                ("batch", "a", "recal"),
                ("batch", "b", "batch"),
                ("batch", "b", "recal"),
            )
        ]

    assert pairs_of(Table()) == Table.pairs[:2]


def test_live_weights_of_nasbench201_by_hand(script: Script) -> None:
    count = script("parameter_count")
    conv = "|nor_conv_3x3~0|+|{}~0|{}~1|+|{}~0|none~1|none~2|"
    dead = conv.format("nor_conv_1x1", "nor_conv_3x3", "none")
    direct = conv.format("nor_conv_1x1", "nor_conv_3x3", "nor_conv_1x1")
    through = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|"
    weights, functions = count.live_weights([dead, direct, through])
    assert weights.tolist() == [0, 1, 1]
    assert functions[0] != functions[1] == functions[2]


def test_within_equal_counts_a_count_knows_nothing(script: Script) -> None:
    count, rng = script("parameter_count"), np.random.default_rng(0)
    strata = np.repeat([1, 2, 3], 20)
    truth = strata + 0.1 * rng.random(60)
    assert count.within_equal(truth, truth, strata) == 1
    assert np.isnan(count.within_equal(strata.astype(float), truth, strata))
    assert abs(count.within_equal(strata + rng.random(60), truth, strata)) < 0.4


def test_published_scores_on_nasbench201(script: Script, tmp_path: Path) -> None:
    """Real trainings of 12 epochs: validation accuracy ranks better than the count of weights."""
    beside = FOLDER.parents[1] / "shared" / "tables"
    path = Path(os.environ.get("NASSIM_TABLES", beside)) / "mini-nb201" / "nb201_12ep.parquet"
    count = script("parameter_count")
    if not path.exists():
        pytest.skip(f"no published table {path}; set NASSIM_TABLES to the folder of mini-nb201")
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(path).slice(0, 300), few)
    said = count.published(few, ["cellstr", "cifar10-test", "cifar10-val"], 0)
    numbers = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    score, size = (
        float(numbers[name][at]) for name, at in (("cifar10-val", 1), ("live parameters", 2))
    )
    assert "of 300 cells, by cifar10-test" in said
    assert 0.3 < size < score < 1


def test_a_table_without_its_columns_is_refused(script: Script, tmp_path: Path) -> None:
    count, path = script("parameter_count"), tmp_path / "mine.csv"
    with pytest.raises(InputError, match="There is no file"):
        count.read_columns(path, ["a"])
    path.write_text("a,b\n1,2\n")
    assert count.read_columns(path, ["b", "a"]) == [["2"], ["1"]]
    with pytest.raises(InputError, match="no column 'c'"):
        count.read_columns(path, ["a", "c"])
