"""Made-up recordings, small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nassim.records import ACCURACY, Dataset
from nassim.reports.card.tables import Recorded, card_table


def make_recorded(
    results,
    *,
    name="digits",
    group="",
    architectures=None,
    early=None,
    test=None,
    status=None,
    seconds=10.0,
    recipe="quick",
    **dataset,
):
    """Results (architectures, seeds); a curve is ``early`` (runs, epochs) and then the result."""
    results = np.asarray(results, float)
    n, k = results.shape
    ends = results.ravel()[:, None]
    curves = ends if early is None else np.concatenate([np.asarray(early, float), ends], axis=1)
    architectures = np.arange(n) if architectures is None else np.asarray(architectures)
    return Recorded(
        Dataset(name, group or name, **dataset),
        recipe,
        architecture=np.repeat(architectures, k),
        seed=np.tile(np.arange(k), n),
        status=np.array(["ok"] * (n * k) if status is None else status, object),
        epochs=np.full(n * k, curves.shape[1]),
        scores={
            "valid": curves,
            "merged": np.full(curves.shape, np.nan),
            "test": np.full(curves.shape, np.nan) if test is None else np.asarray(test, float),
        },
        seconds=np.broadcast_to(np.asarray(seconds, float), (n * k,)),
    )


@pytest.fixture
def recorded():
    """A function that makes a recording up."""
    return make_recorded


@pytest.fixture
def card_of():
    """A function from recordings to their card."""

    def make(*parts, metric=ACCURACY, gap=0.001):
        return card_table("toy", "abc", metric, parts, gap=gap)

    return make


@pytest.fixture
def several(card_of):
    """A card of three datasets of two groups with three seeds, and early epochs."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.6, 0.9, (12, 1))
    parts = []
    for number, (name, group) in enumerate((("abc", "x"), ("bcd", "x"), ("<c&d>", "y"))):
        results = truth + 0.02 * rng.normal(size=(12, 3))
        early = np.stack([results.ravel() - 0.3 * rng.random(36) / epoch for epoch in (1, 9)], 1)
        parts.append(
            make_recorded(
                results,
                name=name,
                group=group,
                early=early,
                test=np.stack([np.full(36, np.nan)] * 2 + [results.ravel() - 0.01], 1),
                classes=4,
                n_valid=400,
                n_test=800 * (number + 1),
                majority=0.3,
            )
        )
    return card_of(*parts)
