"""Brier scores, reliability and killed bests, worked out by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError
from nassim.reports.calibration import calibration_figure, calibration_table
from nassim.reports.drawing import to_svg


def decisions(*rows, **stamp):
    """Rows of (method, target, order, p, better, stopped, best)."""
    names = ("method", "target", "order_seed", "p", "better", "stopped", "best")
    common = {
        "store": "toy",
        "store_sha": "abc",
        "metric": "accuracy",
        "pool": "disjoint",
        "leave_out": "dataset",
        "source_datasets": None,
        "source_architectures": None,
        "shuffled_sources": False,
        "quality": "max",
        "leakage": "none",
        "seed": 0,
        "model_seed": 0,
    }
    return pa.Table.from_pylist(
        [common | dict(zip(names, row, strict=True)) | stamp for row in rows]
    )


BY_HAND = decisions(
    ("oracle", "red", 0, 1.0, True, False, True),
    ("oracle", "red", 0, 0.0, False, True, False),
    ("oracle", "blue", 0, 0.0, False, True, False),
    ("guess", "red", 0, 0.5, True, False, False),
    ("guess", "red", 0, 0.5, False, False, False),
    ("guess", "red", 1, 0.2, True, True, True),
    ("guess", "blue", 0, 0.2, False, True, True),
    ("guess", "blue", 0, math.nan, True, False, False),
    ("guess", "blue", 1, 0.2, False, True, False),
)


def test_scores_by_hand():
    table = calibration_table(BY_HAND)
    assert table.methods == ("oracle", "guess")
    assert table.targets == ("blue", "red")
    # guess on red: order 0 has 0.25, order 1 has 0.8**2; on blue both have 0.2**2
    np.testing.assert_allclose(table.brier.cells, [[0, 0], [0.04, (0.25 + 0.64) / 2]], atol=1e-12)
    np.testing.assert_allclose(table.brier.mean, [0, (0.04 + 0.445) / 2], atol=1e-12)
    # of guess's decisions on red 2 of 3 came true: 1/9 and 4/9 in order 0, 1/9 in order 1
    np.testing.assert_allclose(
        table.constant.cells, [[0, 0.25], [0, (5 / 18 + 1 / 9) / 2]], atol=1e-12
    )
    # oracle never stops the best; guess does in one of two searches on each dataset
    np.testing.assert_allclose(table.killed.cells, [[0, 0], [0.5, 0.5]])
    assert table.silent.tolist() == [0, 1]


def test_reliability_by_hand():
    table = calibration_table(BY_HAND, bins=5)
    assert table.counts.tolist() == [[2, 0, 0, 0, 1], [0, 3, 2, 0, 0]]
    np.testing.assert_allclose(table.predicted[1, 1:3], [0.2, 0.5])
    np.testing.assert_allclose(table.observed[1, 1:3], [1 / 3, 1 / 2])
    np.testing.assert_allclose(table.observed[0, [0, 4]], [0, 1])
    assert np.isnan(table.observed[0, 1:4]).all()


def test_a_calibrated_method_is_on_the_diagonal_and_an_overconfident_one_is_not():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000)
    outcome = rng.random(20_000) < truth
    bold = (truth > 0.5).astype(float)
    rows = [
        (name, "red", 0, float(p), bool(won), False, False)
        for name, said in (("honest", truth), ("bold", bold))
        for p, won in zip(said, outcome, strict=True)
    ]
    table = calibration_table(decisions(*rows))
    assert np.abs(table.predicted[0] - table.observed[0]).max() < 0.04
    np.testing.assert_allclose(table.observed[1, [0, 9]], [0.25, 0.75], atol=0.02)
    assert table.brier.mean[0] == pytest.approx(1 / 6, abs=0.01)  # the mean of t (1 - t)
    assert table.brier.mean[1] == pytest.approx(1 / 4, abs=0.01)
    assert table.constant.mean[0] == pytest.approx(1 / 4, abs=0.01)


def test_the_text_has_the_numbers():
    text = calibration_table(BY_HAND).to_text()
    (scores, bins) = (line for line in text.splitlines() if line.startswith("guess"))
    assert scores.split()[1].startswith("0.24")
    assert "50%" in scores
    assert "0.33 (3)" in bins


def test_the_figure_shows_what_was_said():
    table = calibration_table(BY_HAND)
    figure = calibration_figure(table)
    upper, lower = figure.axes
    drawn = [line for line in upper.lines if line.get_marker() not in ("None", "")]
    for m, line in enumerate(drawn):
        said = table.counts[m] > 0
        np.testing.assert_allclose(line.get_xdata(), table.predicted[m, said])
        np.testing.assert_allclose(line.get_ydata(), table.observed[m, said])
    assert [line.get_ydata().tolist() for line in lower.lines] == [[2, 1], [3, 2]]
    assert "<path" in to_svg(figure)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(InputError, match="no decisions"):
        calibration_table(BY_HAND.slice(0, 0))
    other = decisions(("guess", "red", 0, 0.5, True, False, False), pool="all")
    with pytest.raises(InputError, match="mix pool 'disjoint' and 'all'"):
        calibration_table(pa.concat_tables([BY_HAND, other]))
