"""The numbers and the figure of ranking performance."""

import math

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.reports.drawing import to_svg
from nassim.reports.ranking import ranking_figure, ranking_table

NAN = math.nan
# spearman by method, then target: (epochs 0, 1, 5) of each model seed
MADE_UP = {
    "last_value": {"blue": [(NAN, 0.2, 0.8)], "red": [(NAN, 0.4, 0.6)]},
    "fancy": {
        "blue": [(0.5, 0.6, 0.7), (0.7, 0.8, 0.9)],
        "red": [(0.1, 0.5, 0.4), (0.3, 0.5, 0.6)],
    },
}


def made_up(**stamp):
    rows = []
    for method, targets in MADE_UP.items():
        for target, fits in targets.items():
            for model_seed, correlations in enumerate(fits):
                for epoch, rho in zip((0, 1, 5), correlations, strict=True):
                    if epoch == 0 and method == "last_value":
                        continue
                    rows.append(
                        {
                            "store": "toy",
                            "store_sha": "abc",
                            "metric": "accuracy",
                            "pool": "disjoint",
                            "leave_out": "dataset",
                            "source_datasets": None,
                            "source_architectures": None,
                            "shuffled_sources": False,
                            "given": 0,
                            "quality": "max",
                            "leakage": "none",
                            "seed": 0,
                            "target": target,
                            "method": method,
                            "model_seed": model_seed,
                            "epoch": epoch,
                            "spearman": rho,
                            "kendall": rho / 2,
                        }
                        | stamp
                    )
    return pa.Table.from_pylist(rows)


def test_means_come_from_model_seeds_then_datasets():
    table = ranking_table(made_up())
    assert (table.methods, table.targets) == (("last_value", "fancy"), ("blue", "red"))
    assert table.epochs == (0, 1, 5)
    np.testing.assert_allclose(table.spearman.cells[1], [[0.6, 0.7, 0.8], [0.2, 0.5, 0.5]])
    np.testing.assert_allclose(table.spearman.mean, [[NAN, 0.3, 0.7], [0.4, 0.6, 0.65]])
    np.testing.assert_allclose(table.kendall.mean, table.spearman.mean / 2)
    known = np.isfinite(table.spearman.mean)
    assert (table.spearman.low[known] < table.spearman.mean[known]).all()
    assert (table.spearman.mean[known] < table.spearman.high[known]).all()


def test_differences_are_taken_on_the_same_dataset():
    table = ranking_table(made_up())
    assert table.baseline == "last_value"
    cells = table.difference.cells[1, :, 1:]
    np.testing.assert_allclose(cells, [[0.5, 0.0], [0.1, -0.1]], atol=1e-12)
    np.testing.assert_allclose(table.difference.mean[1], [NAN, 0.3, -0.05])
    np.testing.assert_allclose(table.difference.mean[0, 1:], 0)
    # both datasets are better after one epoch, so that the interval is above zero
    assert table.difference.low[1, 1] > 0 > table.difference.low[1, 2]
    learned = ranking_table(made_up(), "fancy").difference
    np.testing.assert_allclose(learned.mean[:, 1], [-0.3, 0])


def test_a_dataset_with_short_curves_counts_as_far_as_they_go():
    results = made_up()
    keep = [
        not (target == "red" and epoch == 5)
        for target, epoch in zip(
            results["target"].to_pylist(), results["epoch"].to_pylist(), strict=True
        )
    ]
    table = ranking_table(results.filter(pa.array(keep)))
    np.testing.assert_allclose(table.spearman.mean[:, 2], [0.8, 0.8])


def test_the_text_has_every_number_and_a_dash_for_silence():
    text = ranking_table(made_up()).to_text()
    lines = text.splitlines()
    assert "toy (2 datasets, pool disjoint; leave one dataset out)" in lines[0]
    (silent,) = (line for line in lines if line.startswith("last_value") and "  0.30 [" in line)
    assert silent.split()[1] == "-"
    assert sum(line.startswith("fancy") for line in lines) == 3
    assert sum(line.startswith("last_value") for line in lines) == 2  # not against itself
    assert "+0.30 [" in text
    assert "leakage" not in text
    marked = ranking_table(made_up(leakage="merged")).to_text(width=200)
    assert "leakage 'merged'" in marked


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(InputError, match="mix pool 'disjoint' and 'all'"):
        ranking_table(pa.concat_tables([made_up(), made_up(pool="all")]))
    with pytest.raises(InputError, match="no rows"):
        ranking_table(made_up().slice(0, 0))
    with pytest.raises(UnknownNameError, match="fanc"):
        ranking_table(made_up(), "fanc")
    alone = made_up().filter(pa.compute.equal(made_up()["method"], "fancy"))
    assert ranking_table(alone).baseline == "fancy"


@pytest.mark.parametrize("copies", [1, 4])
def test_the_figure_shows_the_table(copies):
    results = [made_up()]
    for number in range(copies - 1):
        results.append(
            made_up().set_column(
                made_up().schema.get_field_index("method"),
                "method",
                pa.array([f"{name}:copy={number}" for name in made_up()["method"].to_pylist()]),
            )
        )
    table = ranking_table(pa.concat_tables(results))
    figure = ranking_figure(table)
    left, right = figure.axes
    for axes, measure in ((left, table.spearman), (right, table.kendall)):
        drawn = [line.get_ydata() for line in axes.lines if line.get_marker() not in ("None", "")]
        np.testing.assert_allclose(drawn, measure.mean)
    assert "<path" in to_svg(figure)
