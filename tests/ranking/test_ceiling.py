from __future__ import annotations

import numpy as np
import pytest

from nassim.ranking.ceiling import measured_ceiling, simulated_ceiling
from nassim.ranking.scores import tau
from nassim.records import FloatArray


def noisy(n: int, noise: float, seeds: int = 3, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """True values (n,) of spread 1, and trainings (n, seeds) of them."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    return truth, truth[:, None] + rng.normal(0, noise, (n, seeds))


def only_tau(scores: FloatArray, values: FloatArray, rows: object) -> dict[str, float]:
    return {"tau": tau(scores, values)}


def test_the_simulated_ceiling_is_what_the_truth_reaches() -> None:
    truths, ceilings, measured = [], [], []
    for seed in range(12):
        truth, table = noisy(60, 0.6, seed=seed)
        truths.append(tau(truth, table.mean(axis=1)))
        ceilings.append(simulated_ceiling(table, only_tau, draws=50, seed=seed)["tau"])
        measured.append(measured_ceiling(table, only_tau)["tau"])
    assert np.mean(ceilings) == pytest.approx(np.mean(truths), abs=0.03)
    assert np.mean(measured) < np.mean(truths) - 0.1  # noise on both sides


def test_without_noise_nothing_limits() -> None:
    _, table = noisy(20, 0.0)
    assert measured_ceiling(table, only_tau) == simulated_ceiling(table, only_tau) == {"tau": 1}


def test_one_seed_has_no_ceiling() -> None:
    _, table = noisy(20, 0.1, seeds=1)
    assert measured_ceiling(table, only_tau) == simulated_ceiling(table, only_tau) == {}
