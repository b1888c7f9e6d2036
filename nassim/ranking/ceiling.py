"""How high a correlation with noisy measurements can be: the ceiling beside every tau.

``table`` (architectures, seeds) holds the results of stand-alone trainings, NaN where one is
missing (see ``nassim.ranking.seeds``). What is predicted are the means over seeds.
"""

from __future__ import annotations

import numpy as np

from nassim.ranking.scores import Statistics
from nassim.ranking.seeds import counts, means, pooled_deviation
from nassim.records import FloatArray

__all__ = ["measured_ceiling", "simulated_ceiling"]

DRAWS = 500


def measured_ceiling(table: FloatArray, statistics: Statistics) -> dict[str, float]:
    """A training as the predictor of the others: one seed against the mean of the rest, averaged.

    It errs by the noise of one training on one side and of the rest on the other, so a predictor
    may well exceed it. Without a name where no architecture has two trainings.

    >>> from nassim.ranking.scores import tau
    >>> table = np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0.6]])  # 1 pair of 3 differs
    >>> measured_ceiling(table, lambda scores, values, _: {"tau": tau(scores, values)})
    {'tau': 0.3333333333333333}
    """
    found: list[dict[str, float]] = []
    for seed in range(table.shape[1]):
        scores, values = table[:, seed], means(np.delete(table, seed, axis=1))
        known = np.flatnonzero(np.isfinite(scores + values))
        if len(known) > 1:
            found.append(dict(statistics(scores[known], values[known], known)))
    return _mean_of_each(found)


def simulated_ceiling(
    table: FloatArray,
    statistics: Statistics,
    *,
    noise: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, float]:
    """What a perfect predictor would reach: means of ``statistics`` over simulated trainings.

    True values are the means, drawn together so that their spread is what the noise leaves of the
    spread of the means; to each a mean of as much noise as it was measured with is added, normal
    with the pooled deviation, or ``noise`` where it is known better. Without a name where neither
    it nor a second training of any architecture is known.

    >>> from nassim.ranking.scores import tau
    >>> exact = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    >>> simulated_ceiling(exact, lambda scores, values, _: {"tau": tau(scores, values)})
    {'tau': 1.0}
    """
    known = np.flatnonzero(counts(table) > 0)
    values, times = means(table)[known], counts(table)[known]
    noise = pooled_deviation(table) if noise is None else noise
    if not np.isfinite(noise) or len(values) < 2:
        return {}
    errors = noise / np.sqrt(times)
    total = float(np.var(values, ddof=1))
    kept = max(0.0, 1 - float(np.mean(errors**2)) / total) if total > 0 else 0.0
    truth = values.mean() + np.sqrt(kept) * (values - values.mean())
    rng = np.random.default_rng(seed)
    return _mean_of_each(
        [dict(statistics(truth, truth + rng.normal(0, errors), known)) for _ in range(draws)]
    )


def _mean_of_each(found: list[dict[str, float]]) -> dict[str, float]:
    """Means by name; a draw in which there is nothing to correlate does not count."""
    if not found:
        return {}
    columns = {name: np.array([one[name] for one in found]) for name in found[0]}
    finite = {name: column[np.isfinite(column)] for name, column in columns.items()}
    return {name: float(np.mean(kept)) if len(kept) else np.nan for name, kept in finite.items()}
