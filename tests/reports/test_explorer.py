"""The explorer: what is in the page, and what its script makes of it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from nassim.errors import InputError, UnknownNameError
from nassim.records import Dataset, Metric, Run
from nassim.reports.explorer import explorer_page
from nassim.store import Store
from nassim.store.explore import explored

SCRIPT = resources.files("nassim.reports").joinpath("explorer.js")


@pytest.fixture
def tiny(tiny_store_master: Path) -> Store:
    return Store.open(tiny_store_master)


def payload(page: str) -> dict[str, Any]:
    found = re.findall(r'<script id="store" type="application/json">(.*?)</script>', page)
    assert len(found) == 1
    return dict(json.loads(found[0]))


def column(given: dict[str, Any], name: str) -> NDArray[Any]:
    packed = given["curves"] if name == "curves" else given["columns"][name]
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['kind']}")


def test_the_page_has_every_run(tiny: Store) -> None:
    given, index = payload(explorer_page(explored(tiny))), tiny.index()
    curves = tiny.curves("valid_accuracy")
    assert given["n_runs"] == len(index)
    np.testing.assert_array_equal(column(given, "curves").reshape(curves.shape), curves)
    names = np.array(given["architectures"])[column(given, "architecture")]
    assert names.tolist() == index.architecture.tolist()
    datasets = np.array(given["datasets"])[column(given, "dataset")]
    assert datasets.tolist() == index.dataset.tolist()
    last = curves[np.arange(len(index)), index.epochs - 1]
    np.testing.assert_array_equal(column(given, "last"), last)
    np.testing.assert_array_equal(column(given, "best"), np.nanmax(curves, axis=1))
    seconds = np.nansum(tiny.curves("epoch_seconds"), axis=1, dtype=np.float64)
    np.testing.assert_array_equal(column(given, "seconds"), seconds)
    assert column(given, "ok").tolist() == (index.status == "ok").astype(int).tolist()
    failed = {str(row): ["diverged", "made up"] for row in np.flatnonzero(index.status != "ok")}
    assert given["failed"] == failed


def test_the_page_fetches_nothing_and_is_the_same_each_time(tiny: Store) -> None:
    page = explorer_page(explored(tiny))
    assert page == explorer_page(explored(tiny))
    assert not re.search(r"https?://|\bsrc=|@import|fetch\(|XMLHttpRequest", page)


def test_names_cannot_leave_their_place(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>&<!--"
    store = Store.create(tmp_path / "hostile")
    run = Run("table", name, "data", "default", seed=0, epochs=1, scores={"valid": np.array([0.5])})
    store.append([run], datasets=[Dataset("data", "data")], recipes={"default": {}})
    page = explorer_page(explored(store))
    assert name not in page
    assert payload(page)["architectures"] == [name]


def test_a_part_of_a_store(tiny: Store) -> None:
    given = payload(explorer_page(explored(tiny, dataset="digits")))
    assert given["n_runs"] == len(tiny.index(dataset="digits"))
    with pytest.raises(UnknownNameError, match="no-such"):
        explorer_page(explored(tiny, dataset="no-such"))


def test_many_curves_are_thinned(tiny: Store) -> None:
    n, width = tiny.curves("valid_accuracy").shape
    page = explorer_page(explored(tiny), largest=3 * n)
    given = payload(page)
    assert given["epochs"] == [1, 4, 6]
    assert f"Curves have 3 of {width} epochs, evenly spread." in page
    kept = tiny.curves("valid_accuracy")[:, [0, 3, 5]]
    np.testing.assert_array_equal(column(given, "curves").reshape(kept.shape), kept)
    assert "Curves have" not in explorer_page(explored(tiny))
    assert payload(explorer_page(explored(tiny), largest=n))["epochs"] == [width]
    with pytest.raises(InputError, match=r"27 runs are more than the 26 .* --dataset clothes"):
        explorer_page(explored(tiny), largest=n - 1)


def test_a_store_without_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such runs"):
        explored(Store.create(tmp_path / "empty"))


def test_a_store_without_values(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "failed")
    run = Run("table", "net", "data", "default", seed=0, status="oom", reason="too large")
    store.append([run], datasets=[Dataset("data", "data")], recipes={"default": {}})
    with pytest.raises(InputError, match="no measured accuracy"):
        explorer_page(explored(store))


def test_what_was_mixed_is_called_so(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "mixed")
    scores = {"merged": np.array([0.5, 0.6])}
    run = Run("table", "net", "data", "default", seed=0, epochs=2, scores=scores)
    store.append([run], datasets=[Dataset("data", "data")], recipes={"default": {}})
    given = payload(explorer_page(explored(store)))
    assert given["labels"][given["split"]] == "validation and test (mixed)"
    assert column(given, "last") == [np.float32(0.6)]
    assert np.isnan(column(given, "test")).all()


def test_the_command(nassim: Callable[..., Any], tiny_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "explore.html"
    code, said, _ = nassim("explore", tiny_store, "--out", out, "--dataset", "digits")
    assert (code, said) == (0, f"Wrote {out}\n")
    assert out.read_text("utf-8") == explorer_page(
        explored(Store.open(tiny_store), dataset="digits")
    )


# -- the script ----------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str, dict[str, Any]], Any]:
    """Evaluate an expression over the script's functions and ``store``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; it runs the page's script")

    def evaluate(expression: str, given: dict[str, Any]) -> Any:
        (tmp_path / "explorer.js").write_text(SCRIPT.read_text("utf-8"), "utf-8")
        (tmp_path / "store.json").write_text(json.dumps(given), "utf-8")
        program = (
            'const its = require("./explorer.js");\n'
            'const store = its.opened(JSON.parse(require("fs").readFileSync("store.json")));\n'
            f"console.log(JSON.stringify({expression}));\n"
        )
        (tmp_path / "program.js").write_text(program, "utf-8")
        done = subprocess.run(
            [node, "program.js"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


POINTS = """
(() => {
  const table = store.tables[0], dataset = store.datasets.indexOf("digits"), position = 2;
  const find = (key) =>
    its.quantities(store, table, dataset, position).find((each) => each.key === key);
  return its.pointsOf(store, table, dataset, find("%s"), find("%s"), position).map(
    ({ architecture, x, y, values }) => [store.architectures[architecture], x, y, values]);
})()
"""


@pytest.mark.parametrize("across", ["epoch", "seconds", "on letters"])
def test_points_are_means_over_seeds(script: Callable[..., Any], tiny: Store, across: str) -> None:
    found = script(POINTS % (across, "last"), payload(explorer_page(explored(tiny))))
    xs = {
        "epoch": lambda run: run.scores["valid"][2],
        "seconds": lambda run: float(run.epoch_seconds.sum(dtype=np.float64)),
        "on letters": lambda run: run.scores["valid"][-1],
    }
    of_x: dict[str, list[float]] = {}
    for run in tiny.runs(dataset="letters" if across == "on letters" else "digits"):
        if run.status == "ok":
            of_x.setdefault(run.architecture, []).append(xs[across](run))
    of_y: dict[str, list[float]] = {}
    for run in tiny.runs(dataset="digits"):
        if run.status == "ok":
            of_y.setdefault(run.architecture, []).append(run.scores["valid"][-1])
    assert {name for name, *_ in found} == set(of_x) & set(of_y)
    for name, x, y, values in found:
        assert x == pytest.approx(np.mean(of_x[name]), rel=1e-6)
        assert y == pytest.approx(np.mean(of_y[name]), rel=1e-6)
        assert values == pytest.approx(of_y[name], rel=1e-6)
    assert max(len(values) for *_, values in found) == 2  # one architecture has two seeds


def test_axes_are_what_the_store_has(script: Callable[..., Any], tiny: Store) -> None:
    expression = "its.quantities(store, store.tables[0], 0, 1).map(({ key, text }) => [key, text])"
    found = dict(script(expression, payload(explorer_page(explored(tiny)))))
    assert found["epoch"] == "validation accuracy, after epoch 2"
    assert {"last", "best", "seconds", "on digits", "on letters"} <= set(found)
    assert "on clothes" not in found  # the dataset itself
    only = dict(script(expression, payload(explorer_page(explored(tiny, dataset="clothes")))))
    assert not any(key.startswith("on ") for key in only)


def test_bands_are_quantiles_over_architectures(script: Callable[..., Any], tiny: Store) -> None:
    expression = "its.bands(store, store.tables[0], store.datasets.indexOf('digits'), [0.1, 0.5])"
    found = script(expression, payload(explorer_page(explored(tiny))))
    index, curves = tiny.index(dataset="digits"), tiny.curves("valid_accuracy", dataset="digits")
    ok = index.status == "ok"
    means = [
        curves[ok & (index.architecture == a)].mean(axis=0) for a in set(index.architecture[ok])
    ]
    assert found == pytest.approx(np.quantile(means, [0.1, 0.5], axis=0).T, rel=1e-5)


def test_failed_runs_are_told(script: Callable[..., Any], tiny: Store) -> None:
    expression = "its.failures(store, store.tables[0], 1).map((row) => store.failed[row])"
    found = script(expression, payload(explorer_page(explored(tiny))))
    assert found == [["diverged", "made up"]]


def test_ranks_and_their_correlation(script: Callable[..., Any], tiny: Store) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, 40)  # with ties
    y = x + rng.integers(0, 6, 40)
    given = payload(explorer_page(explored(tiny)))
    ranked, rho = script(
        f"[its.ranks({x.tolist()}), its.spearman({x.tolist()}, {y.tolist()})]", given
    )
    assert ranked == rankdata(x).tolist()
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert script("[its.spearman([1, 2], [1, 2]), its.spearman([1, 1, 1], [1, 2, 3])]", given) == [
        None,  # JSON has no NaN
        None,
    ]


def test_tables_are_spaces_and_recipes(script: Callable[..., Any], tmp_path: Path) -> None:
    store = Store.create(tmp_path / "two", metric=Metric("perplexity", False, (0.0, float("inf"))))
    scores = {"valid": np.array([3.0, 1.0, 2.0])}
    runs = [
        Run("table", "net", name, recipe, seed=0, epochs=3, scores=scores)
        for name, recipe in (("a", "short"), ("b", "long"))
    ]
    datasets = [Dataset("a", "a"), Dataset("b", "b")]
    store.append(runs, datasets=datasets, recipes={"short": {}, "long": {}})
    given = payload(explorer_page(explored(store)))
    assert column(given, "best").tolist() == [1.0, 1.0]  # the lowest: less is better
    tables = script("store.tables.map(({ name, datasets }) => [name, datasets])", given)
    assert sorted(tables) == [["table, long", [1]], ["table, short", [0]]]
