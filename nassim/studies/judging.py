"""Scores held against the ground truth: the rows of a ranking report.

Isomorphic architectures count once: all but the rows of scope ``architectures`` are of the first
architecture of each class. A row has what is needed to read it: how many architectures, an
interval, and the ceilings that the noise of the ground truth leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from nassim.ranking.ceiling import measured_ceiling, simulated_ceiling
from nassim.ranking.clustered import SOURCES, clustered_intervals, tau_interval
from nassim.ranking.correlation import spearman
from nassim.ranking.intervals import Interval
from nassim.ranking.scores import (
    Statistics,
    best_rank_at,
    better_than_random,
    partial_tau,
    precision_at,
    regret,
    share_of,
    significant_tau,
    sparse_tau,
    tau,
    tau_in_top,
)
from nassim.ranking.seeds import counts, means, pooled_deviation
from nassim.records import FloatArray, IntArray
from nassim.studies.truth import Truth

__all__ = ["NOTHING", "TOP_SHARES", "Prediction", "judge", "judged", "random_rows"]

TOP_SHARES = (0.5, 0.2, 0.1)

_Row = dict[str, Any]
_SHARES = ("precision", "best_rank", "significant_share")
NOTHING = {"low": math.nan, "high": math.nan, "ceiling": math.nan, "measured_ceiling": math.nan}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one predictor says of the architectures of a truth.

    - ``scores`` (N, runs), higher is better; NaN where it says nothing of an architecture.
    - ``picks`` (runs,): the architecture that each run would train, by default its best score; -1
      where the truth has not got it.
    - ``kind``: ``trivial``, ``one-shot`` or ``file``.
    - ``judged_by``: the ground truth's seeds that it has not seen; all by default.
    - ``numbers``: what else is known of it, as its cost: (value, note) by name.
    """

    method: str
    kind: str
    scores: FloatArray
    picks: IntArray | None = None
    judged_by: tuple[int, ...] | None = None
    numbers: dict[str, tuple[float, str]] = field(default_factory=dict)


def judge(
    prediction: Prediction, truth: Truth, live_params: IntArray, *, draws: int, seed: int
) -> list[_Row]:
    """The rows of one predictor.

    Parameters
    ----------
    prediction, truth
        Of the same architectures.
    live_params
        (N,), weights on a path from input to output: the strata of the partial tau.
    draws, seed
        Of the bootstrap, and of the simulated ceiling.
    """
    table, known = judged(prediction, truth)
    # a single training of each says nothing of noise, but those that were set aside do
    noisy = table if counts(table).max(initial=0) > 1 else truth.test
    one_each, every = truth.representatives(known), np.flatnonzero(known)
    rows = _correlations(
        prediction.scores[one_each],
        table[one_each],
        noisy[one_each],
        live_params[one_each],
        draws,
        seed,
    )
    rows += _of_all(
        prediction.scores[every],
        table[every],
        noisy[every],
        truth.classes[every],
        one_each,
        draws,
        seed,
    )
    rows += _agreement(prediction.scores, one_each, every, truth.classes)
    rows += _picks(prediction, means(table), one_each, truth)
    rows += [
        {"metric": name, "scope": "run", "value": value, "n": len(every), "note": note, **NOTHING}
        for name, (value, note) in prediction.numbers.items()
    ]
    common: _Row = {"method": prediction.method, "kind": prediction.kind, "note": ""}
    common |= {"runs": prediction.scores.shape[1], "seeds": int(counts(table).max(initial=0))}
    return [common | row for row in rows]


def judged(prediction: Prediction, truth: Truth) -> tuple[FloatArray, np.ndarray]:
    """What a prediction is judged by, (N, seeds), and of which architectures it is, (N,)."""
    table = truth.test if prediction.judged_by is None else truth.test[:, prediction.judged_by]
    return table, np.isfinite(prediction.scores).all(axis=1) & (counts(table) > 0)


def random_rows(truth: Truth) -> list[_Row]:
    """What a uniform draw loses on average: the row that each regret is to be read beside."""
    known = counts(truth.test) > 0
    values = means(truth.test)[truth.representatives(known)]
    lacks = values.max() - values
    scale = float(values.max() - np.median(values))
    common: _Row = {
        "method": "random",
        "kind": "trivial",
        "scope": "classes",
        "note": "",
        "runs": 0,
    }
    common |= {"n": len(values), "seeds": int(counts(truth.test).max()), **NOTHING}
    normalised = float(lacks.mean()) / scale if scale > 0 else math.nan
    return [
        common | {"metric": "regret_pp", "value": 100 * float(lacks.mean())},
        common | {"metric": "normalised_regret", "value": normalised},
        common | {"metric": "better_than_random", "value": 0.5},
    ]


def _correlations(
    scores: FloatArray,
    table: FloatArray,
    noisy: FloatArray,
    strata: IntArray,
    draws: int,
    seed: int,
) -> list[_Row]:
    """Statistics with intervals and ceilings, over one architecture of each class.

    ``table`` are the trainings that scores are judged by, ``noisy`` those that tell of noise.
    """
    noise = pooled_deviation(noisy)
    statistics = _statistics(table, noise, strata)
    values, n = means(table), len(table)
    each = [statistics(column, values, np.arange(n)) for column in scores.T]
    intervals = clustered_intervals(statistics, scores, table, np.arange(n), seed=seed, draws=draws)
    measured = measured_ceiling(noisy, statistics)
    simulated = simulated_ceiling(table, statistics, noise=noise, seed=seed, draws=draws)
    rows = [
        {
            "metric": name,
            "scope": "classes",
            "value": float(np.mean([one[name] for one in each])),
            **_within(interval, 0.0 if name.startswith(_SHARES) else -1.0),
            "ceiling": simulated.get(name, math.nan),
            "measured_ceiling": measured.get(name, math.nan),
            "n": n,
        }
        for name, interval in intervals.items()
    ]

    whole = next(row for row in rows if row["metric"] == "tau")
    for source in SOURCES:
        alone = tau_interval(scores, table, np.arange(n), sources=(source,), seed=seed, draws=draws)
        rows.append(whole | _within(alone) | {"metric": f"tau_if_only_{source}_vary"})
    return rows


def _within(interval: Interval, least: float = -1.0) -> _Row:
    """The ends of an interval of a correlation or a share, of which none is beyond its bounds."""
    low, high = np.clip(interval, least, 1.0)
    return {"low": float(low), "high": float(high)}


def _statistics(table: FloatArray, deviation: float, strata: IntArray) -> Statistics:
    seeds = float(counts(table).mean())
    n = len(table)

    def statistics(scores: FloatArray, values: FloatArray, rows: IntArray) -> dict[str, float]:
        significant = significant_tau(scores, values, deviation, seeds)
        answer = {
            "tau": tau(scores, values),
            "sparse_tau": sparse_tau(scores, values),
            "significant_tau": significant.tau,
            "significant_share": significant.share,
            "spearman": spearman(scores, values),
            "partial_tau": partial_tau(scores, values, strata[rows]),
        }
        for share in TOP_SHARES:
            percent = f"{100 * share:g}"
            k = share_of(n, share)
            answer[f"tau_true_top_{percent}"] = tau_in_top(scores, values, share, "true")
            answer[f"tau_predicted_top_{percent}"] = tau_in_top(scores, values, share, "predicted")
            answer[f"precision_at_{percent}"] = precision_at(scores, values, k)
            answer[f"best_rank_at_{percent}"] = best_rank_at(scores, values, k)
        return answer

    return statistics


def _of_all(
    scores: FloatArray,
    table: FloatArray,
    noisy: FloatArray,
    classes: IntArray,
    one_each: IntArray,
    draws: int,
    seed: int,
) -> list[_Row]:
    """Tau over all architectures, duplicates included; classes are drawn whole."""
    if len(one_each) == len(table):
        return []

    def statistics(some: FloatArray, values: FloatArray, _: IntArray) -> dict[str, float]:
        return {"tau": tau(some, values)}

    interval = tau_interval(scores, table, classes, seed=seed, draws=draws)
    ceiling = simulated_ceiling(
        table, statistics, noise=pooled_deviation(noisy), seed=seed, draws=draws
    )
    values = means(table)
    return [
        {
            "metric": "tau",
            "scope": "architectures",
            "value": float(np.mean([tau(column, values) for column in scores.T])),
            **_within(interval),
            "ceiling": ceiling.get("tau", math.nan),
            "measured_ceiling": measured_ceiling(noisy, statistics).get("tau", math.nan),
            "n": len(table),
        }
    ]


def _agreement(
    scores: FloatArray, one_each: IntArray, every: IntArray, classes: IntArray
) -> list[_Row]:
    """Tau between runs, and how far scores of one function differ, as a share of the spread."""
    rows = []
    if scores.shape[1] > 1:
        taus = [tau(a, b) for a, b in combinations(scores[one_each].T, 2)]
        row = {"metric": "agreement_of_runs", "scope": "classes", "value": float(np.mean(taus))}
        rows.append(row | NOTHING | {"n": len(one_each)})
    if len(one_each) < len(every):
        _, member = np.unique(classes[every], return_inverse=True)
        within = []
        for column in scores[every].T:
            centres = np.bincount(member, column) / np.bincount(member)
            spread = float(np.std(centres))
            apart = math.sqrt(float(np.mean((column - centres[member]) ** 2)))
            within.append(apart / spread if spread > 0 else math.nan)
        row = {"metric": "spread_within_classes", "scope": "architectures"}
        rows.append(row | {"value": float(np.mean(within)), "n": len(every)} | NOTHING)
    return rows


def _picks(
    prediction: Prediction, values: FloatArray, one_each: IntArray, truth: Truth
) -> list[_Row]:
    """Regret of what each run would train, its rank, and the chance to beat random search.

    The rows of a run have the text of its pick as a note.
    """
    picks = prediction.picks
    if picks is None:
        picks = one_each[np.argmax(prediction.scores[one_each], axis=0)]
    classes = truth.classes
    # a pick counts as the architecture that stands for its class; one that the truth lacks is left
    # out of what follows, and the report says how many those are
    place = {int(classes[row]): k for k, row in enumerate(one_each)}
    chosen = np.array([place.get(int(classes[pick]), -1) if pick >= 0 else -1 for pick in picks])
    runs = np.flatnonzero(chosen >= 0)
    known: _Row = {"metric": "picks_in_truth", "scope": "classes", "value": len(runs) / len(picks)}
    if not len(runs):
        return [known | NOTHING | {"n": len(one_each)}]
    chosen = chosen[runs]
    measured, n = values[one_each], len(one_each)
    both = np.array([regret(measured, int(pick)) for pick in chosen])
    rows = [
        known,
        {"metric": "regret_pp", "scope": "classes", "value": 100 * float(both[:, 0].mean())},
        {"metric": "normalised_regret", "scope": "classes", "value": float(both[:, 1].mean())},
        {
            "metric": "better_than_random",
            "scope": "classes",
            "value": better_than_random(measured, chosen),
        },
    ]
    for run, pick, (lacks, _) in zip(runs, chosen, both, strict=True):
        beaten = float((measured < measured[pick]).mean())
        one: _Row = {"scope": f"run {run}", "note": truth.architectures[picks[run]].id}
        rows += [
            one | {"metric": "regret_pp", "value": 100 * float(lacks)},
            one | {"metric": "pick_percentile", "value": 100 * beaten},
        ]
    return [row | NOTHING | {"n": n} for row in rows]
