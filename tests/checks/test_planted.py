"""The planted store: what was planted is there, and nothing where nothing was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.records import SourceTask


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b)[0])


def between_datasets(tasks: tuple[SourceTask, ...]) -> float:
    """Mean rank correlation of the qualities of two datasets, on the same architectures."""
    pairs = [(a, b) for k, a in enumerate(tasks) for b in tasks[:k]]
    return float(np.mean([correlation(a.values, b.values) for a, b in pairs]))


def after(tasks: tuple[SourceTask, ...], epoch: int) -> float:
    """Mean rank correlation of the value after an epoch with the quality."""
    return float(np.mean([correlation(t.curves[:, epoch - 1], t.values) for t in tasks]))


def test_records_are_whole() -> None:
    tasks = planted_tasks(n_datasets=2, n=7, epochs=9)
    assert [task.dataset.name for task in tasks] == ["planted-0", "planted-1"]
    for task in tasks:
        assert len(task.architectures) == 7
        assert task.curves.shape == task.seconds.shape == (7, 9)
        assert task.lengths.tolist() == [9] * 7
        assert not task.failed.any()
        assert (task.seconds > 0).all()
        assert (task.n_params > 0).all()
        assert (task.values == task.curves.max(axis=1)).all()
        assert np.allclose(task.curves * 5000, np.round(task.curves * 5000), atol=1e-3)
        assert task.curves.min() >= 0
        assert task.curves.max() <= 1


def test_the_same_seed_gives_the_same_store() -> None:
    first, again, other = (planted_tasks(n_datasets=2, n=6, epochs=5, seed=s) for s in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert a.architectures == b.architectures != c.architectures
        assert a.curves.tobytes() == b.curves.tobytes() != c.curves.tobytes()
        assert a.seconds.tobytes() == b.seconds.tobytes()


def test_only_overlapping_architectures_are_on_several_datasets() -> None:
    first, second = planted_tasks(n_datasets=2, n=10, epochs=3, overlap=4)
    assert first.architectures[:4] == second.architectures[:4]
    ids = {a.id for task in (first, second) for a in task.architectures}
    assert len(ids) == 4 + 6 + 6


def test_rho_is_what_datasets_have_in_common() -> None:
    stores = [
        planted_tasks(n_datasets=4, n=150, epochs=20, overlap=150, rho=rho) for rho in (0.0, 0.8, 1)
    ]
    nothing, much, everything = (between_datasets(store) for store in stores)
    assert abs(nothing) < 0.25
    assert 0.45 < much < 0.8
    assert everything > 0.95


def test_curves_say_more_with_every_epoch() -> None:
    tasks = planted_tasks(n=100)
    shares = [after(tasks, epoch) for epoch in (1, 5, 20, 50)]
    assert shares == sorted(shares)
    assert 0.2 < shares[0] < 0.5
    assert shares[-1] > 0.85


def test_slow_starters_mislead() -> None:
    tasks = planted_tasks(n=100, slow=0.3)
    assert after(tasks, 1) < 0.05
    assert after(tasks, 50) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 1.2}, "rho is 1.2; expected a number from 0 to 1"),
        ({"noise": -0.1}, "noise is -0.1; expected a number from 0 to 1"),
        ({"n": 5, "overlap": 6}, "overlap is 6; expected 0 to n = 5"),
    ],
)
def test_what_cannot_be_planted_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        planted_tasks(**options)  # type: ignore[arg-type]
