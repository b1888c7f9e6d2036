"""Do two predictors rank differently? Rows of a ranking report that compare them in pairs.

Architectures, trainings and supernets are drawn once and judge both, so that what makes a draw hard
for both is no difference. Supernets of equal number are paired too: one run of every method begins
with the same seed. A pair is judged on what both may be judged on: architectures that both score,
and trainings that neither has seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from nassim.ranking.clustered import mean_tau_draws, paired_difference
from nassim.ranking.intervals import holm
from nassim.ranking.scores import tau
from nassim.ranking.seeds import counts, means
from nassim.records import FloatArray, IntArray
from nassim.studies.judging import NOTHING, Prediction, judged
from nassim.studies.truth import FEWEST_ARCHITECTURES, Truth

__all__ = ["comparison_rows"]

_Row = dict[str, Any]


def comparison_rows(
    predictions: Sequence[Prediction], truth: Truth, *, draws: int, seed: int
) -> list[_Row]:
    """``tau_difference`` of each method with each trivial predictor, and with each later method.

    p-values are adjusted by Holm's procedure over the methods that are compared with one trivial
    predictor, and over all pairs of methods. A pair with fewer than five architectures in common is
    left out.

    Parameters
    ----------
    predictions
        Of the same ``truth``; those of kind ``trivial`` are not compared with each other.
    draws, seed
        Of the bootstrap.
    """
    methods = [one for one in predictions if one.kind != "trivial"]
    families = [
        [(method, one) for method in methods] for one in predictions if one.kind == "trivial"
    ]
    families.append(list(combinations(methods, 2)))
    known = _Drawn(truth, draws, seed)
    rows = []
    for pairs in families:
        found = [row for pair in pairs if (row := _row(*pair, known))]
        adjusted = holm(np.array([row["p"] for row in found]))
        rows += [row | {"p_holm": float(p)} for row, p in zip(found, adjusted, strict=True)]
    return rows


def _row(first: Prediction, second: Prediction, known: _Drawn) -> _Row | None:
    rows, seeds = known.shared(first, second)
    if len(rows) < FEWEST_ARCHITECTURES:
        return None
    (one, one_drawn), (other, other_drawn) = (
        known.taus(each, rows, seeds) for each in (first, second)
    )
    found = paired_difference(one, other, one_drawn, other_drawn)
    return NOTHING | {
        "method": first.method,
        "kind": first.kind,
        "against": second.method,
        "metric": "tau_difference",
        "scope": "classes",
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "n": len(rows),
        "seeds": int(counts(known.truth.test[np.ix_(rows, seeds)]).max()),
        "runs": first.scores.shape[1],
        "note": "",
    }


class _Drawn:
    """Taus of predictions in all draws, each computed once for the same architectures and seeds."""

    def __init__(self, truth: Truth, draws: int, seed: int) -> None:
        self.truth = truth
        self._draws, self._seed = draws, seed
        self._taus: dict[tuple[str, bytes, bytes], tuple[float, FloatArray]] = {}

    def shared(self, first: Prediction, second: Prediction) -> tuple[IntArray, IntArray]:
        """Rows, one of each class, and columns of the truth that both are judged by."""
        columns = np.arange(self.truth.test.shape[1])
        known = np.ones(len(self.truth.architectures), bool)
        for one in (first, second):
            known &= judged(one, self.truth)[1]
            if one.judged_by is not None:
                columns = np.intersect1d(columns, one.judged_by)
        known &= counts(self.truth.test[:, columns]) > 0
        return self.truth.representatives(known), columns

    def taus(
        self, prediction: Prediction, rows: IntArray, seeds: IntArray
    ) -> tuple[float, FloatArray]:
        """Mean tau over runs, and that in each draw (draws,)."""
        key = prediction.method, rows.tobytes(), seeds.tobytes()
        if key not in self._taus:
            scores, table = prediction.scores[rows], self.truth.test[np.ix_(rows, seeds)]
            drawn = mean_tau_draws(
                scores, table, np.arange(len(rows)), seed=self._seed, draws=self._draws
            )
            whole = [tau(column, means(table)) for column in scores.T]
            self._taus[key] = float(np.mean(whole)) if whole else math.nan, drawn
        return self._taus[key]
