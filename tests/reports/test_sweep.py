"""Who is dominated, by the means and beyond the intervals."""

import numpy as np
import pyarrow as pa

from nassim.reports.drawing import to_svg
from nassim.reports.sweep import sweep_figure, sweep_table

COLUMNS = ("regret_valid_pp", "cost_fraction")


def swept(study_of, **settings):
    """A study where each setting has these (regret, cost) by target."""
    study = study_of(methods=tuple(settings), orders=3)
    results = study.results
    keys = list(zip(*(results[name].to_pylist() for name in ("method", "target")), strict=True))
    targets = ("blue", "green", "red")
    for column, name in enumerate(COLUMNS):
        values = [settings[method][targets.index(target)][column] for method, target in keys]
        results = results.set_column(results.schema.get_field_index(name), name, pa.array(values))
    names = [method.replace("__", ":").replace("_is_", "=") for method, _ in keys]
    return results.set_column(results.schema.get_field_index("method"), "method", pa.array(names))


def test_domination_is_sure_only_if_it_holds_beyond_the_interval(study_of):
    table = sweep_table(
        swept(
            study_of,
            good=[(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)],
            always_worse=[(0.4, 0.2), (0.3, 0.2), (0.5, 0.2)],
            worse_in_the_mean=[(2.0, 0.2), (0.1, 0.2), (0.2, 0.2)],
            as_cheap=[(0.4, 0.1), (0.3, 0.1), (0.5, 0.1)],
            dear=[(0.0, 0.9), (0.0, 0.9), (0.0, 0.9)],
        )
    )
    surely = dict(zip(table.table.methods, table.surely, strict=True))
    dominated = dict(zip(table.table.methods, map(bool, table.table.dominators), strict=True))
    assert surely == {
        "good": (),
        "always_worse": ("good",),
        "worse_in_the_mean": (),
        "as_cheap": (),
        "dear": (),
    }
    assert [name for name, yes in dominated.items() if not yes] == ["dear", "good"]


def test_a_family_has_its_own_front(study_of):
    table = sweep_table(
        swept(
            study_of,
            halving__eta_is_2=[(0.2, 0.3)] * 3,
            halving__eta_is_3=[(0.3, 0.2)] * 3,
            halving__eta_is_4=[(0.4, 0.25)] * 3,
            other=[(0.1, 0.1)] * 3,
        )
    )
    best = dict(zip(table.table.methods, table.best.tolist(), strict=True))
    assert best == {
        "halving:eta=2": True,
        "halving:eta=4": False,
        "halving:eta=3": True,
        "other": True,
    }
    assert table.table.front.tolist() == [name == "other" for name in table.table.methods]
    assert sorted(set(table.families)) == ["halving", "other"]
    (line,) = (row for row in table.to_text().splitlines() if "halving:eta=4" in row)
    assert line.split()[-5:] == ["25.0", "2", "2,", "as", "halving:eta=3"]


def test_the_figure_has_every_setting_and_hollow_ones_are_dominated(study_of):
    table = sweep_table(
        swept(study_of, good=[(0.1, 0.1)] * 3, bad=[(0.4, 0.2)] * 3, dear=[(0.0, 0.9)] * 3)
    )
    figure = sweep_figure(table)
    (axes,) = figure.axes
    points = {
        (
            round(float(line.get_xdata()[0]), 6),
            round(float(line.get_ydata()[0]), 6),
        ): line.get_markerfacecolor()
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_linestyle() == "None"
    }
    assert {place for place, face in points.items() if face == "white"} == {(20.0, 0.4)}
    assert len(points) == 3
    assert "<path" in to_svg(figure)
    assert np.isfinite(table.table.regret.mean).all()
