"""Figures draw what the tables say, and their labels stay apart."""

import itertools

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.reports.drawing import looks, new_figure, place_labels, save_figure, styled, to_svg
from nassim.reports.figures import anytime_figure, curves_figure, front_figure, targets_figure
from nassim.reports.searches import anytime_table, curves_table
from nassim.reports.termination import termination_table

METHODS = (
    *("never", "last_value", "median", "asha", "asha:eta=4", "hyperband"),
    *("successive_halving", "successive_halving:eta=4:min_epochs=2"),
    *("lcranknet", "lcranknet:fusion=concat"),
)


def figures(study):
    table = termination_table(study.results, study.pool)
    curves = curves_table(study.results, study.pool, table.methods[-1], table.targets[0])
    return {
        "front": front_figure(table),
        "targets": targets_figure(table),
        "anytime": anytime_figure(anytime_table(study.results)),
        "curves": curves_figure(curves),
    }


def boxes(texts, figure):
    renderer = figure.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in texts if text.get_text().strip()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"methods": ("median",), "targets": ("red",), "orders": 1},
        {"metric": "perplexity", "skip": (("last_value", "red"),), "workers": 4, "orders": 1},
    ],
)
def test_every_figure_can_be_drawn(study_of, options):
    for name, figure in figures(study_of(**options)).items():
        assert "<path" in to_svg(figure), name


def test_the_front_figure_labels_every_method_once_and_apart(study_of):
    figure = front_figure(termination_table(study_of(methods=METHODS, candidates=30).results))
    (axes,) = figure.axes
    words = [text.get_text() for text in axes.texts]
    assert len(words) == len(METHODS) + 2  # the oracle and random search
    assert "asha\neta=4" in words
    figure.draw_without_rendering()
    for one, other in itertools.combinations(boxes(axes.texts, figure), 2):
        assert not one.overlaps(other)
    whole = figure.bbox
    assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 for box in boxes(axes.texts, figure))


def test_labels_of_points_in_one_place_are_moved_apart():
    with styled():
        figure, (axes,) = new_figure(5, 4)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        points = [(0.5, 0.5)] * 8
        place_labels(axes, points, [f"method {k}" for k in range(8)], ["black"] * 8)
        figure.draw_without_rendering()
        pairs = itertools.combinations(boxes(axes.texts, figure), 2)
        assert not any(one.overlaps(other) for one, other in pairs)


def test_the_front_figure_shows_the_table(study):
    table = termination_table(study.results, study.pool)
    (axes,) = front_figure(table).axes
    drawn = {
        (round(float(x), 6), round(float(y), 6))
        for line in axes.lines
        for x, y in zip(*line.get_data(), strict=True)
    }
    for m in range(len(table.methods)):
        cost, regret = 100 * table.cost.mean[m], table.regret.mean[m]
        assert (round(cost, 6), round(regret, 6)) in drawn
        assert (round(cost, 6), round(table.regret.high[m], 6)) in drawn
        assert (round(100 * table.cost.low[m], 6), round(regret, 6)) in drawn
        assert (round(cost, 6), round(table.random_regret.mean[m], 6)) in drawn


def test_dominated_methods_are_hollow(study_of):
    study = study_of()
    table = termination_table(study.results)
    object.__setattr__(table.regret, "mean", np.array([0.0, 1.5, 1.0]))
    assert table.front.tolist() == [True, False, True]
    (axes,) = front_figure(table).axes
    faces = [
        line.get_markerfacecolor()
        for line in axes.lines
        if line.get_markersize() == 7 and len(line.get_xdata()) == 1
    ]
    assert [face == "white" for face in faces] == [False, True, False]


def test_curves_split_what_the_search_saw_from_what_it_did_not(study):
    table = curves_table(study.results, study.pool, "fancy:option=1", "blue")
    (axes,) = curves_figure(table).axes
    seen = [line for line in axes.lines if np.array_equal(line.get_xdata(), [1, 2])]
    unseen = [line for line in axes.lines if np.array_equal(line.get_xdata(), [2, 3, 4, 5, 6])]
    assert len(seen) == len(unseen) == (~table.kept).sum() > 0
    assert {line.get_linestyle() for line in seen} == {"-"}
    assert {line.get_linestyle() for line in unseen} == {"--"}
    labels = {text.get_text() for text in axes.texts}
    assert labels == {"best of the pool", "pick"}


def test_variants_share_a_colour_and_nobody_shares_a_marker_and_colour():
    look = looks(METHODS)
    assert look["asha"].color == look["asha:eta=4"].color != look["median"].color
    assert len({(one.color, one.marker) for one in look.values()}) == len(METHODS)
    assert look == looks(tuple(reversed(METHODS)))


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_saved_figures_are_the_same_bytes_each_time(study_of, tmp_path, kind):
    table = termination_table(study_of(targets=("red",), orders=1).results)
    one = save_figure(targets_figure(table), tmp_path / f"one.{kind}")
    other = save_figure(targets_figure(table), tmp_path / f"other.{kind}")
    assert one.read_bytes() == other.read_bytes()


def test_an_unknown_format_or_folder_is_named(study, tmp_path):
    figure = targets_figure(termination_table(study.results))
    with pytest.raises(InputError, match="'gif' is unknown; expected png, svg, pdf"):
        save_figure(figure, tmp_path / "figure.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another folder"):
        save_figure(figure, tmp_path / "file" / "figure.png")
