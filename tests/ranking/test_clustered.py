from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.ranking.clustered import SOURCES, Drawn, clustered_intervals, contrast
from nassim.ranking.scores import tau
from nassim.records import FloatArray


def noisy(n: int, noise: float, seeds: int = 3, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """True values (n,) of spread 1, and trainings (n, seeds) of them."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    return truth, truth[:, None] + rng.normal(0, noise, (n, seeds))


def only_tau(scores: FloatArray, values: FloatArray, rows: object) -> dict[str, float]:
    return {"tau": tau(scores, values)}


def test_the_interval_covers_and_is_rather_too_wide_than_too_narrow() -> None:
    taus, widths, covered = [], [], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth, table = noisy(40, 0.4, seed=seed)
        scores = truth[:, None] + rng.normal(0, 0.7, (40, 3))
        interval = clustered_intervals(only_tau, scores, table, np.arange(40), draws=100)["tau"]
        taus.append(np.mean([tau(one, table.mean(axis=1)) for one in scores.T]))
        widths.append(interval.high - interval.low)
        covered += interval.low < 0.59 < interval.high  # the mean of many such studies
    assert np.mean(taus) == pytest.approx(0.59, abs=0.03)
    assert 1 < np.mean(widths) / (4 * np.std(taus)) < 2
    assert covered >= 38


def test_each_source_alone_is_narrower_than_all() -> None:
    truth, table = noisy(30, 0.5)
    scores = truth[:, None] + np.random.default_rng(1).normal(0, 0.5, (30, 3))

    def width(sources: object) -> float:
        found = clustered_intervals(
            only_tau, scores, table, np.arange(30), sources=sources, draws=200
        )
        return found["tau"].high - found["tau"].low

    widths = {source: width((source,)) for source in SOURCES}
    assert all(0 < each < width(SOURCES) for each in widths.values())
    assert width(()) == 0


def test_clusters_are_drawn_whole() -> None:
    """Ten copies of each of six architectures say no more than the six."""
    truth, table = noisy(6, 0.0)
    scores = truth[:, None] + np.random.default_rng(1).normal(0, 1, (6, 1))
    copies = np.repeat(np.arange(6), 10)
    arguments = (scores[copies], table[copies])
    honest = clustered_intervals(only_tau, *arguments, copies, draws=200)["tau"]
    naive = clustered_intervals(only_tau, *arguments, np.arange(60), draws=200)["tau"]
    assert honest.high - honest.low > 2 * (naive.high - naive.low)


def test_shapes_and_sources_are_checked() -> None:
    with pytest.raises(InputError, match="do not fit 3 architectures"):
        clustered_intervals(only_tau, np.ones((2, 1)), np.ones((3, 1)), np.arange(3))
    with pytest.raises(InputError, match="'seeds' cannot be drawn"):
        clustered_intervals(
            only_tau,
            np.ones((3, 1)),
            np.ones((3, 1)),
            np.arange(3),
            sources=("seeds",),  # type: ignore[arg-type]
        )


def test_a_contrast_of_parts_that_were_drawn_apart() -> None:
    rng = np.random.default_rng(0)
    parts = [Drawn(value, rng.normal(value, 0.1, 4000)) for value in (0.6, 0.4, 0.2)]
    found = contrast(parts, (1, 0, -1))
    assert found.value == pytest.approx(0.4)
    assert found.interval.high - found.interval.low == pytest.approx(
        2 * 1.96 * 0.1 * 2**0.5, rel=0.1
    )
    alone = contrast(parts, (0, 1, 0))
    assert alone.interval.high - alone.interval.low == pytest.approx(2 * 1.96 * 0.1, rel=0.1)
    with pytest.raises(InputError, match="2 weights were given for 3 statistics"):
        contrast(parts, (1, -1))
    with pytest.raises(InputError, match="of 4000, 4001 draws"):
        contrast([*parts[:2], Drawn(0.2, np.zeros(4001))], (1, 0, -1))
