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
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nassim.datasets import load_dataset
from nassim.errors import InputError
from nassim.generator.recipe import Recipe
from nassim.loading import parse_specifications
from nassim.ranking.clustered import Drawn
from nassim.ranking.seeds import means
from nassim.records import Run
from nassim.spaces import get_space
from nassim.store import Store, find_store
from nassim.studies.fitting import build_estimator, build_terminator
from nassim.studies.truth import load_truth
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


def test_methods_can_be_left_out_of_the_sweep(script: Script) -> None:
    methods = script("front").settings("all", ["domhan", "last_value"])
    left = {each.name for each in parse_specifications(methods, TERMINATORS, "terminator")}
    assert set(TERMINATORS) - left == {"domhan", "last_value"}
    with pytest.raises(InputError, match="names 'dohman'; expected some of never, median"):
        script("front").settings("all", ["dohman"])


def test_a_method_is_added_to_the_sweep_later(
    script: Script,
    tiny_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script("front").main

    def printed(methods: str, *more: str) -> str:
        common = ["--store", str(tiny_store), "--pool", "all", "--orders", "2"]
        monkeypatch.setattr(sys, "argv", ["front", *common, "--methods", methods, *more])
        main()
        return capsys.readouterr().out

    at_once = printed("never,last_value,median")
    printed("never,median")
    assert printed("last_value", "--add") == at_once
    with pytest.raises(InputError, match="'median' is in what was written already"):
        printed("asha,median", "--add")
    for other in (("--orders", "3"), ("--seed", "1"), ("--leave-out", "group")):
        with pytest.raises(InputError, match="of other candidates, sources or orders"):
            printed("asha", "--add", *other)


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
        ("tapas_evolution", "--methods tapas:steps=2:generations=2"),
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


def test_the_table_of_yu_is_made_and_read(
    script: Script,
    cell_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script("yu_table").main
    monkeypatch.setattr(sys, "argv", ["yu_table"])
    main()
    assert "is not there yet; make it with --store" in capsys.readouterr().out
    cut = "--dataset digits --sharing spos:steps=8:batch_size=16 --alone reinforce,random"
    arguments = ["--store", str(cell_store), "--searches", "2", "--evaluations", "20"]
    monkeypatch.setattr(sys, "argv", ["yu_table", *arguments, *cut.split()])
    main()
    first = capsys.readouterr().out
    rows = pq.read_table(tmp_path / "analysis" / "results" / "yu_table.parquet").to_pylist()
    assert [(row["method"], row["sharing"]) for row in rows[::2]] == [
        ("spos:steps=8:batch_size=16", True),
        ("reinforce", False),
        ("random", False),
    ]
    for row in rows:
        assert row["rank"] == pytest.approx(row["n"] * (1 - row["percentile"] / 100), abs=1)
        assert row["space_best"] >= row["accuracy"]
        assert row["seconds"] > 0
    n_train = load_dataset("digits").record.n_train
    (trainings,) = {row["trainings"] for row in rows if row["sharing"]}
    assert trainings == pytest.approx(8 * 16 / (4 * n_train))
    assert {row["evaluations"] for row in rows if not row["sharing"]} == {20}
    # they have seen 20 of 24 architectures, and the truth counts convolutions
    assert min(row["percentile"] for row in rows if not row["sharing"]) > 70
    monkeypatch.setattr(sys, "argv", ["yu_table"])
    main()
    table = capsys.readouterr().out
    assert table in first
    assert table.count("\n| ") == 3 + 1 + 7
    best = min(row["rank"] for row in rows if row["method"] == "random")
    chance = (1 - best / rows[0]["n"]) ** 2
    assert f"| {best:g} | {chance:.2f} |" in table
    assert "| DARTS, weight sharing | 92.21 ± 0.61 | 93.02 | 57,079 | 0.24 |" in table


def test_all_kinds_of_methods_on_one_time_axis(
    script: Script,
    cell_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script("time_axis").main
    monkeypatch.setattr(sys, "argv", ["time_axis"])
    main()
    assert "is not there yet; make it with --store" in capsys.readouterr().out
    cut = "--dataset digits --alone random,evolution --stopped asha --evaluations 5 --orders 3"
    sharing = "--sharing spos:steps=8:batch_size=16 --searches 2"
    arguments = ["--store", str(cell_store), *cut.split(), *sharing.split()]
    monkeypatch.setattr(sys, "argv", ["time_axis", *arguments])
    main()
    first = capsys.readouterr().out
    rows = pq.read_table(tmp_path / "analysis" / "results" / "time_axis.parquet").to_pylist()
    assert [(row["kind"], row["method"]) for row in rows] == [
        *[("full trainings", "random")] * 3,
        *[("full trainings", "evolution")] * 3,
        *[("early termination", "random + asha")] * 3,
        *[("one-shot", "spos:steps=8:batch_size=16")] * 2,
    ]
    truth = load_truth(Store.open(cell_store), "nasbench201_3nodes", "digits")
    worth = dict(zip((each.id for each in truth.architectures), means(truth.test), strict=True))
    for row in rows:  # all regrets are to the best mean of the same trainings
        regret = 100 * (max(worth.values()) - worth[row["pick"]])
        assert row["test_regret_pp"] == pytest.approx(regret, abs=1e-4)
        assert row["final_seconds"] == (4 * 0.5 if row["kind"] == "one-shot" else 0)
        if row["kind"] == "full trainings":
            assert row["after_seconds"] == [2.0, 4.0, 6.0, 8.0, 10.0]
            assert row["search_seconds"] == row["after_seconds"][-1]
            assert row["after_regret_pp"][-1] == pytest.approx(row["test_regret_pp"], abs=1e-4)
        else:
            assert row["after_seconds"] == []
    monkeypatch.setattr(sys, "argv", ["time_axis"])
    main()
    table = capsys.readouterr().out
    assert table in first
    assert "early termination  random + asha" in table
    assert (tmp_path / "docs" / "figures" / "time_axis.png").exists()


def test_what_random_search_has_after_so_many_seconds(script: Script) -> None:
    regret_after = script("time_axis").regret_after
    searches = [
        {"after_seconds": [1.0, 2.0, 3.0], "after_regret_pp": [5.0, 3.0, 1.0]},
        {"after_seconds": [1.5, 2.5, 4.0], "after_regret_pp": [4.0, 2.0, 0.0]},
    ]
    assert regret_after(searches, 1.5) == (5 + 4) / 2
    assert regret_after(searches, 2.7) == (3 + 2) / 2
    assert np.isnan(regret_after(searches, 1.2))  # the second has nothing yet
    assert np.isnan(regret_after(searches, 3.5))  # the first is over
    assert np.isnan(regret_after([], 1.0))


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


@pytest.fixture
def sized_store(tmp_path: Path) -> Path:
    """Made-up trainings of NAS-Bench-101 cells of three and four vertices, two seeds each."""
    recipe = Recipe("tiny", epochs=2, batch_size=16, channels=4, shift=1)
    dataset, rng = load_dataset("digits").record, np.random.default_rng(0)
    cells = {
        cell.canonical_id: cell
        for vertices in (3, 4)
        for cell in get_space(f"nasbench101:vertices={vertices}").every()
    }
    runs = []
    for cell in [*cells.values()][:18]:
        for seed in (0, 1):
            final = 0.5 + 0.1 * cell.id.count("conv3x3") + rng.normal(0, 0.02)
            test = np.array([np.nan, final], np.float32)
            scores = {"valid": np.array([final - 0.1, final], np.float32), "test": test}
            runs.append(
                Run(
                    cell.space,
                    cell.id,
                    "digits",
                    recipe.id,
                    seed,
                    canonical_id=cell.canonical_id,
                    epochs=2,
                    scores=scores,
                )
            )
    store = Store.create(tmp_path / "sized")
    store.append(runs, datasets=[dataset], recipes={recipe.id: recipe.settings})
    return store.path


def test_nodes_runs_and_reads_what_it_wrote(
    script: Script,
    sized_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes = script("nodes")
    run = "--methods spos:steps=4:batch_size=8 --seeds 2 --draws 20 --nodes 3,4 --dataset digits"
    monkeypatch.setattr(sys, "argv", ["nodes", "--store", str(sized_store), *run.split()])
    nodes.main()
    first = capsys.readouterr().out
    assert (tmp_path / "docs" / "figures" / "nodes.png").stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", ["nodes"])
    nodes.main()
    assert set(capsys.readouterr().out.splitlines()) <= set(first.splitlines())
    rows = pq.read_table(tmp_path / "analysis" / "results" / "nodes.parquet").to_pylist()
    taus = {(row["method"], row["nodes"]): row for row in rows if row["metric"] == "tau"}
    sizes = {"live_params", "live_flops", "live_convolutions"}  # of networks, not the store's
    assert {method for method, _ in taus} == {
        *sizes,
        "short_training:epochs=1",
        "spos:steps=4:batch_size=8",
    }
    assert len(taus) == 5 * 2
    for (_, size), row in taus.items():
        assert row["n"] == {3: 6, 4: 12}[size]
        assert row["low"] <= row["value"] <= row["high"]
    for method in ("live_params", "live_flops", "spos:steps=4:batch_size=8"):
        small, large = taus[method, 3], taus[method, 4]
        found = {row["metric"]: row for row in rows if row["method"] == method}
        difference, slope = found["difference"], found["slope"]
        assert difference["value"] == pytest.approx(small["value"] - large["value"])
        assert slope["value"] == pytest.approx(-difference["value"])
        assert difference["low"] < difference["value"] < difference["high"]
        shares = small["value"] / small["ceiling"] - large["value"] / large["ceiling"]
        assert found["difference of shares"]["value"] == pytest.approx(shares)
    assert taus["spos:steps=4:batch_size=8", 3]["verdict"] in ("trained", "not trained")


def test_a_fall_over_nodes_is_told_from_none(script: Script) -> None:
    contrasts = script("nodes").contrasts
    rng = np.random.default_rng(0)

    def found(values: tuple[float, ...]) -> dict[str, dict[str, float]]:
        taus = [Drawn(value, rng.normal(value, 0.02, 2000)) for value in values]
        rows = contrasts((4, 5, 6, 7), taus, (1.0, 0.9, 0.8, 0.5))
        return {row["metric"]: row for row in rows}

    falling, level = found((0.44, 0.31, 0.21, 0.2)), found((0.4, 0.4, 0.4, 0.4))
    assert falling["difference"]["value"] == pytest.approx(0.24)
    assert falling["slope"]["value"] == pytest.approx(
        np.polyfit((4, 5, 6, 7), (0.44, 0.31, 0.21, 0.2), 1)[0]
    )
    assert falling["difference"]["low"] > 0 > falling["slope"]["high"]
    assert level["difference"]["low"] < 0 < level["difference"]["high"]
    assert level["slope"]["low"] < 0 < level["slope"]["high"]
    assert level["slope of shares"]["low"] > 0  # the ceiling fell, tau did not


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
    recipe = next(iter(Store.open(cell_store).recipes))
    dataset = "digits" if name == "memory" else f"digits/{recipe}"
    run = ["--store", str(cell_store), "--datasets", dataset, "--draws", "10", *options.split()]
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


def test_collapse_runs_and_reads_what_it_wrote(
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = script("collapse").main
    monkeypatch.setattr(sys, "argv", ["collapse"])
    main()
    assert "is not there yet; make it with --run" in capsys.readouterr().out
    run = "--run --spaces s4_tiny_3nodes --methods darts --dataset digits --images 128 --steps 2"
    run += " --every 1 --seeds 1 --trainings 1 --random 0 --channels 4"
    monkeypatch.setattr(sys, "argv", ["collapse", *run.split()])
    main()
    first = capsys.readouterr().out
    results = tmp_path / "analysis" / "results"
    assert pq.read_metadata(results / "collapse.parquet").num_rows == 3
    assert pq.read_metadata(results / "collapse.traces.parquet").num_rows > 0
    assert (tmp_path / "docs" / "figures" / "collapse.png").stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", ["collapse"])
    main()
    read = capsys.readouterr().out
    assert "all convolutions" in read
    assert read in first


# -- parts of a once-for-all network within a budget ---------------------------------------------


def test_parts_are_scored_and_predicted(script: Script) -> None:
    module = script("specialise")
    truth = load_truth(Store.open(find_store("elastic")), "elastic_tiny", "mnist")
    parts = list(module.elastic("elastic_tiny").every())[::40]
    quick = "ofa:steps=2:kernel_steps=1:depth_steps=1:width_steps=1:batch_size=16"
    images = load_dataset("mnist")
    rows = module.study(truth, images, parts, quick, 1, 8, 0)
    assert [row["architecture"] for row in rows] == [part.id for part in parts]
    assert sum(row["learned"] for row in rows) == 8
    flops = dict(zip((each.id for each in truth.architectures), truth.flops, strict=True))
    known = [row for row in rows if row["architecture"] in flops]
    assert known
    assert all(row["multiply_adds"] == flops[row["architecture"]] for row in known)
    assert all(np.isfinite(row["test"]) == (row in known) for row in rows)


def test_what_a_good_and_a_bad_predictor_find(script: Script) -> None:
    """Made up: large parts are better, one supernet says so and the other the contrary."""
    module = script("specialise")
    space = module.elastic("elastic_tiny")
    parts = list(space.every())
    costs = np.array(
        [
            sum(k * e for stage in space.cut(each.decisions).stages for k, e in stage)
            for each in parts
        ]
    )
    rng = np.random.default_rng(0)
    worth = 0.5 + 0.01 * costs
    tables = [
        pd.DataFrame(
            {
                "method": "ofa",
                "space": space.name,
                "dataset": "made up",
                "run": run,
                "architecture": [each.id for each in parts],
                "multiply_adds": costs,
                "score": sign * worth,
                "learned": rng.random(len(parts)) < 0.25,
                "predicted": sign * worth,
                "test": np.where(rng.random(len(parts)) < 0.2, worth, np.nan),
                "ceiling": 1.0,
                "measured_ceiling": 1.0,
            }
        )
        for run, sign in enumerate((1, -1))
    ]
    both = pd.concat(tables)
    assert (module.knowledge(both)["prediction and full training"] == [1, -1]).all()
    good, bad = module.regrets(both, 0.5)["predicted"]
    assert good == 0 < bad
    found, asked, within = module.Searches(tables[0]).of(0.5, 0)
    assert found
    assert asked < within < len(parts)
    text = module.said(both)
    assert "2 supernets, of 800 parts" in text
    assert len([line for line in text.splitlines() if line.startswith(("20%", "100%"))]) == 2


def test_a_space_without_parts_is_refused(script: Script) -> None:
    with pytest.raises(InputError, match="'nasnet' has no parts of one network"):
        script("specialise").elastic("nasnet")
