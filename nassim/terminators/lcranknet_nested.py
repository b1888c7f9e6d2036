"""LCRankNet with what it reads chosen by the sources: a nested leave-one-dataset-out.

What one dataset says of architectures may hold on the next, or not; so may the level of its curves.
Here each of some source datasets is left out in turn, forms of :class:`LCRankNet` are fitted on the
others and rank its runs, and after each epoch the form that ranked best is taken. The target has
no part in it. This is ours, not the paper's (see ``docs/methods/lcranknet.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from nassim.errors import InputError
from nassim.options import check_count
from nassim.ranking.correlation import spearman
from nassim.records import FloatArray, Incumbent, Metric, Prefixes, Sources, SourceTask
from nassim.terminators.base import Estimator
from nassim.terminators.lcranknet import LENGTHS, LCRankNet

__all__ = ["FORMS", "NestedLCRankNet"]

# Options of LCRankNet, the plain one first: of equally good forms the first is taken.
FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"residual": True},
    {"architecture": False},
    {"architecture": False, "residual": True},
)


class NestedLCRankNet(Estimator):
    """LCRankNet that reads what ranked best where one source after another was left out.

    Parameters
    ----------
    delta
        Stop if p(better than the incumbent) <= delta, as LCRankNet.
    epochs
        ``"sparse"``, ``"every"``, or a tuple of epochs (see ``Estimator``).
    at_zero
        Whether a run may be refused before its first epoch, from its architecture alone.
    left_out
        Source datasets that are left out, one at a time; drawn, where there are more.
    steps
        Training steps of each network. There are ``len(FORMS)`` for each dataset that is left
        out, and one for each form that was chosen.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    reads_architectures = True
    from_epoch = 0
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 2, "left_out": 1}

    def __init__(
        self,
        delta: float = 0.45,
        epochs: str | int | tuple[int, ...] = "sparse",
        at_zero: bool = False,
        left_out: int = 3,
        steps: int = 1200,
    ) -> None:
        super().__init__(delta, epochs, at_zero)
        self.left_out = check_count("left_out", left_out)
        self.steps = check_count("steps", steps)
        # the form that reads curves of each length and beyond, and what each chosen form learned
        self.chosen: dict[int, int] = {}
        self._fitted: dict[int, LCRankNet] = {}

    def fit(self, sources: Sources, seed: int) -> None:
        """Choose a form for each length of curves, and train the chosen on all sources.

        Raises
        ------
        InputError
            if there are not two source datasets with two runs each.
        """
        tasks = [task for task in sources.tasks if len(task.architectures) > 1]
        if len(tasks) < 2:
            raise InputError(
                f"lcranknet_nested was given {len(tasks)} source dataset(s) with two runs or more; "
                "it leaves one of them out and expects 2. Use lcranknet, or a store of at least "
                "three datasets."
            )
        rng = np.random.default_rng([3, seed])
        lengths = [length for length in LENGTHS if length < max(t.curves.shape[1] for t in tasks)]
        correlations = np.array(
            [
                self._correlations(tasks, int(number), lengths, sources.metric, seed)
                for number in rng.permutation(len(tasks))[: self.left_out]
            ]
        )
        self.chosen = _best_forms(correlations, lengths)
        self._fitted = {
            form: self._learned(form, sources, seed) for form in sorted(set(self.chosen.values()))
        }

    def _correlations(
        self, tasks: list[SourceTask], number: int, lengths: list[int], metric: Metric, seed: int
    ) -> list[list[float]]:
        """Spearman's rho of each form (forms, lengths) on the dataset that it did not see."""
        others = Sources(tuple(tasks[:number] + tasks[number + 1 :]), metric)
        unseen = tasks[number]
        found = []
        for form in range(len(FORMS)):
            network = self._learned(form, others, seed)
            found.append([_correlation(network, unseen, length, metric) for length in lengths])
        return found

    def _learned(self, form: int, sources: Sources, seed: int) -> LCRankNet:
        network = LCRankNet(steps=self.steps, **FORMS[form])
        network.fit(sources, seed)
        return network

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        """One score a run, (runs,), of the form that was chosen for this epoch; as LCRankNet's."""
        if not self._fitted:
            raise InputError(
                "lcranknet_nested must be fitted on source datasets before it can estimate."
            )
        reached = max(length for length in self.chosen if length <= prefixes.epoch)
        return self._fitted[self.chosen[reached]].estimate(prefixes)

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        """As LCRankNet's: both runs are read after the same epoch, so by the same form."""
        return next(iter(self._fitted.values())).probability(estimates, incumbent)


def _correlation(network: LCRankNet, task: SourceTask, length: int, metric: Metric) -> float:
    """Of the scores of a task's runs, cut after ``length`` epochs, with what they are worth."""
    n_epochs = task.curves.shape[1]
    if not network.from_epoch <= length < n_epochs:
        return np.nan
    there = task.lengths >= length
    architectures = tuple(a for a, known in zip(task.architectures, there, strict=True) if known)
    prefixes = Prefixes(
        architectures,
        task.curves[there, :length],
        task.n_params[there],
        task.flops[there],
        n_epochs,
        metric,
    )
    return spearman(network.estimate(prefixes), task.values[there])


def _best_forms(correlations: FloatArray, lengths: list[int]) -> dict[int, int]:
    """For each length the form of the highest mean over datasets; (datasets, forms, lengths).

    >>> one = np.array([[[0.5, 0.6], [np.nan, 0.9]], [[0.7, 0.8], [np.nan, 0.7]]])
    >>> _best_forms(one, [0, 5])
    {0: 0, 5: 1}
    """
    known = np.isfinite(correlations)
    count = known.sum(axis=0)
    total = np.where(known, correlations, 0.0).sum(axis=0)
    means = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
    return {length: int(means[:, at].argmax()) for at, length in enumerate(lengths)}
