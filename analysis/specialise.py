"""Once-for-All's search: a predictor of accuracies, and evolution within a budget.

    python analysis/specialise.py --store elastic

trains once-for-all networks, scores all parts with the shared weights, and lets a predictor learn
from so many of them (``--scored``). It writes scores and predictions to
analysis/results/specialise.parquet and prints

- what the predictor knows of the scores of other parts, and of full trainings;
- whether evolution finds the part of the highest prediction within a budget of multiply-adds, and
  how many parts it asks about for it;
- what a pick within a budget lacks of the best full training: by prediction, by the score itself
  and by the number of multiply-adds alone. Picks are of the parts that were trained fully.

It draws docs/figures/specialise.png. Without ``--store`` it reads what was written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from arguments import figure_path, is_there, one_truth, rank_parser, results_path, truth_stamp
from matplotlib.figure import Figure

from nassim.datasets import ImageData
from nassim.errors import InputError
from nassim.loading import build, parse_specifications
from nassim.networks import build_network, count_multiply_adds
from nassim.oneshot import ONE_SHOT
from nassim.oneshot.run import run_one_shot
from nassim.oneshot.specialise import AccuracyPredictor, evolve
from nassim.ranking.ceiling import measured_ceiling, simulated_ceiling
from nassim.ranking.scores import tau
from nassim.ranking.seeds import means
from nassim.records import Architecture, FloatArray, IntArray
from nassim.reports.drawing import PALETTE, new_figure, save_figure, styled
from nassim.reports.text import aligned, decimals, plural
from nassim.spaces import get_space
from nassim.spaces.elastic import ElasticSpace
from nassim.studies.results import read_table, to_table, write_table
from nassim.studies.truth import Truth

BUDGETS = (0.2, 0.3, 0.5, 0.7, 1.0)  # of the multiply-adds of the largest part
KIND = "one-shot method"
SEARCHES = 10  # evolutions for each budget
POPULATION, GENERATIONS = 100, 5  # the paper's population; its 500 generations are for 2e19 parts
PICKED_BY = {
    "predicted": "predictor",
    "score": "score of the shared weights",
    "multiply_adds": "multiply-adds",
}
SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("store_sha", pa.string()),
        ("space", pa.string()),
        ("dataset", pa.string()),
        ("seed", pa.int64()),
        ("nassim_version", pa.string()),
        ("method", pa.string()),
        ("run", pa.int32()),  # of the supernet
        ("architecture", pa.string()),
        ("multiply_adds", pa.int64()),
        ("score", pa.float64()),  # accuracy with the shared weights
        ("learned", pa.bool_()),  # whether the predictor saw it
        ("predicted", pa.float64()),
        ("test", pa.float64()),  # accuracy of full trainings, their mean; NaN where there is none
        ("ceiling", pa.float64()),  # of tau with full training, of a perfect predictor
        ("measured_ceiling", pa.float64()),  # of one training as the predictor of the others
    ]
)


def study(
    truth: Truth,
    images: ImageData,
    parts: list[Architecture],
    method: str,
    runs: int,
    scored: int,
    seed: int,
) -> list[dict[str, Any]]:
    """A row for each part and supernet."""
    space = elastic(truth.space)
    recipe = truth.trained_by()
    (specification,) = parse_specifications(method, ONE_SHOT, KIND)
    side = recipe.resolution or truth.dataset.shape[0]
    shape = (side, side, truth.dataset.shape[-1])
    sizes = {"channels": recipe.channels, "cells": recipe.cells, "classes": truth.dataset.classes}
    costs = [
        count_multiply_adds(build_network(each, input_shape=shape, **sizes), shape)
        for each in parts
    ]
    known = {
        each.id: value for each, value in zip(truth.architectures, means(truth.test), strict=True)
    }
    stamp = truth_stamp(truth, seed) | {
        "method": method,
        "ceiling": simulated_ceiling(truth.test, tau_alone).get("tau", np.nan),
        "measured_ceiling": measured_ceiling(truth.test, tau_alone).get("tau", np.nan),
    }
    rows = []
    for run in range(runs):
        found = run_one_shot(
            build(specification, KIND), space, images, recipe, parts, (), seed=seed + run
        )
        scores = found.scores.accuracy
        chosen = np.random.default_rng([seed, run]).permutation(len(parts))[:scored]
        predictor = AccuracyPredictor(
            space, [parts[k] for k in chosen], scores[chosen], seed=seed + run
        )
        for k, (part, guess) in enumerate(zip(parts, predictor(parts), strict=True)):
            rows.append(
                stamp
                | {
                    "run": run,
                    "architecture": part.id,
                    "multiply_adds": costs[k],
                    "score": scores[k],
                    "learned": bool((chosen == k).any()),
                    "predicted": guess,
                    "test": known.get(part.id, np.nan),
                }
            )
        print(f"{run + 1}/{runs} {method}", flush=True)
    return rows


def tau_alone(scores: FloatArray, values: FloatArray, _rows: IntArray) -> dict[str, float]:
    """What a ceiling is of."""
    return {"tau": tau(scores, values)}


def knowledge(table: pd.DataFrame) -> dict[str, FloatArray]:
    """What each supernet and its predictor know, (runs,) each."""
    found: dict[str, list[float]] = {}
    for _run, of in table.groupby("run"):
        unseen, trained = of[~of.learned], of[np.isfinite(of.test)]
        errors = unseen.predicted - unseen.score
        for name, value in {
            "prediction and score, parts not learned from": tau(
                unseen.predicted.to_numpy(), unseen.score.to_numpy()
            ),
            "their root mean square error (pp)": 100 * float(np.sqrt((errors**2).mean())),
            "prediction and full training": tau(
                trained.predicted.to_numpy(), trained.test.to_numpy()
            ),
            "score and full training": tau(trained.score.to_numpy(), trained.test.to_numpy()),
            "multiply-adds and full training": tau(
                trained.multiply_adds.to_numpy(), trained.test.to_numpy()
            ),
        }.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def regrets(table: pd.DataFrame, budget: float) -> dict[str, FloatArray]:
    """What picks of each kind lack of the best full training within a budget, (runs,), in pp; NaN
    where no part within it was trained fully."""
    limit = budget * table.multiply_adds.max()
    found: dict[str, list[float]] = {name: [] for name in PICKED_BY}
    for _run, of in table.groupby("run"):
        within = of[np.isfinite(of.test) & (of.multiply_adds <= limit)]
        for name in PICKED_BY:
            pick = within.test[within[name].idxmax()] if len(within) else np.nan
            found[name].append(100 * (within.test.max() - pick))
    return {name: np.array(values) for name, values in found.items()}


def elastic(name: str) -> ElasticSpace:
    """The space of that name, if its architectures are parts of one network."""
    space = get_space(name)
    if not isinstance(space, ElasticSpace):
        raise InputError(f"Space {name!r} has no parts of one network; expected 'elastic_tiny'.")
    return space


class Searches:
    """Evolutions on the predictions of one supernet; the whole table is looked at to judge them."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._space = elastic(table.space.iloc[0])
        self._predicted = dict(zip(table.architecture, table.predicted, strict=True))
        self._costs = dict(zip(table.architecture, table.multiply_adds, strict=True))

    def of(self, budget: float, seed: int) -> tuple[bool, int, int]:
        """Whether the best prediction is found, parts asked about, and parts within the budget."""
        limit = budget * max(self._costs.values())
        within = [name for name, cost in self._costs.items() if cost <= limit]

        def predicted(parts: list[Architecture]) -> FloatArray:
            return np.array([self._predicted[part.id] for part in parts])

        found = evolve(
            self._space,
            predicted,
            lambda part: self._costs[part.id] <= limit,
            np.random.default_rng(seed),
            population=POPULATION,
            generations=GENERATIONS,
        )
        best = max(self._predicted[name] for name in within)
        return found.value == best, found.evaluated, len(within)


def said(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    runs = table.run.nunique()
    learned = int(table[table.run == 0].learned.sum())
    trained = int(np.isfinite(table[table.run == 0].test).sum())
    lines = [
        f"{first.method} on {first.space}, {first.dataset}: {plural(runs, 'supernet')}, of "
        f"{len(table) // runs} parts {learned} teach the predictor, {trained} were trained fully",
        "",
    ]
    rows = [["Kendall's tau", "mean", "each"]]
    for name, values in knowledge(table).items():
        rows.append([name, decimals(values.mean()), " ".join(map(decimals, values))])
    rows.append(["ceiling / of one full training", decimals(first.ceiling), ""])
    rows[-1][2] = decimals(first.measured_ceiling)
    lines += [*aligned(rows), ""]
    supernets = [Searches(of) for _run, of in table.groupby("run")]
    rows = [["budget", "parts", "asked about", "best found", *PICKED_BY.values()]]
    for budget in BUDGETS:
        searches = [each.of(budget, seed) for each in supernets for seed in range(SEARCHES)]
        hits, asked, within = np.array(searches, float).T
        cells = [f"{100 * budget:g}%", f"{within[0]:.0f}", f"{asked.mean():.0f}"]
        cells.append(f"{hits.sum():.0f} of {len(hits)}")
        cells += [decimals(values.mean()) for values in regrets(table, budget).values()]
        rows.append(cells)
    lines += [*aligned(rows), ""]
    lines.append(
        "budget: of the multiply-adds of the largest part; asked about, best found: by evolution "
        f"({POPULATION} parts, {GENERATIONS} generations)."
    )
    lines.append(
        "The last three: what the pick by each lacks of the best full training within the budget, "
        "in pp of test accuracy, mean over supernets."
    )
    return "\n".join(lines)


def budgets_figure(table: pd.DataFrame) -> Figure:
    """Regret of picks against the budget, the mean and each supernet."""
    with styled():
        figure, (axes,) = new_figure(6.0, 3.4)
        at = np.arange(len(BUDGETS))
        for number, (name, text) in enumerate(PICKED_BY.items()):
            values = np.array([regrets(table, budget)[name] for budget in BUDGETS])
            shift = 0.12 * (number - 1)
            color = PALETTE[number]
            axes.plot(at + shift, values.mean(axis=1), "o-", color=color, markersize=5, label=text)
            for run in values.T:
                axes.plot(at + shift, run, ".", color=color, markersize=4, alpha=0.5)
        axes.set_xticks(at, [f"{100 * budget:g}%" for budget in BUDGETS])
        axes.set_xlabel("budget, % of the multiply-adds of the largest part")
        axes.set_ylabel("regret, pp of test accuracy")
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def main() -> None:
    parser = rank_parser(__doc__, name="specialise", methods="ofa")
    parser.add_argument("--scored", type=int, default=200, help="parts that teach the predictor")
    parser.set_defaults(space="elastic_tiny")
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        truth, images = one_truth(options)
        parts = list(elastic(truth.space).every())
        counts = (options.seeds, options.scored, options.seed)
        rows = study(truth, images, parts, options.methods, *counts)
        print(f"wrote {write_table(to_table(rows, SCHEMA), results)}")
    elif not is_there(results):
        return
    table = read_table(results, SCHEMA).to_pandas()
    print(said(table))
    print(f"wrote {save_figure(budgets_figure(table), figure_path(options))}")


if __name__ == "__main__":
    main()
