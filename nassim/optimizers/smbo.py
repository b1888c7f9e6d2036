"""Sequential model-based optimization with an ensemble, the loop of PNAS (Liu et al., ECCV 2018).

A predictor learns from the architectures that were evaluated; those that it predicts to be the
best are evaluated next; it learns again. PNAS (arXiv 1712.00559) does this while cells grow from
one block to five. A store of whole cells has no smaller ones, so what is left is the loop, and
this is called SMBO rather than PNAS.

Where this differs from the paper:

- No progressive widening: the first 10 proposals are random, not all cells of one block.
- The predictor is an ensemble of five, each fitted to another four fifths of the evaluations, as
  in the paper; but of ridge regressions on one-hot decisions, not of LSTMs or multilayer
  perceptrons: there are tens of evaluations here and hundreds there. Ridge was chosen over trees
  for its speed, after a comparison on the bundled image and text stores.
- It is fitted anew after every 5 evaluations (paper: K = 256), from nothing.
- A share of 0.1 of the later proposals is random (paper: none).
- A run that failed counts as the worst that was told (paper: not said).
- Without a table, it chooses from random draws and from mutations of the best that it was told of
  (paper: all extensions of the best by one block).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from nassim.optimizers.base import (
    Candidates,
    Optimizer,
    Search,
    decisions_of,
    failed_as_worst,
    space_of,
)
from nassim.optimizers.proposals import Proposals, mutate
from nassim.options import check_count, check_share
from nassim.records import Architecture, FloatArray
from nassim.spaces.base import Space

__all__ = ["SMBO", "Ensemble"]

MEMBERS = 5
PENALTY = 1.0  # of each member's coefficients, squared
DRAWS = 100  # without a table: random architectures to choose from, and as many mutations
PARENTS = 5  # of the mutations: the best that were told
DIGITS = 9  # of predictions, so that other processors' last bits change no decision


class SMBO(Optimizer):
    """PNAS-style search without smaller cells: evaluate what an ensemble predicts to be best.

    Parameters
    ----------
    initial
        Random proposals at the start.
    batch
        New evaluations after which the ensemble is fitted again.
    epsilon
        Share of the later proposals that is random, 0 to 1.

    Raises
    ------
    InputError
        if an option is out of its range, or the candidates have no decisions.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> stored = Candidates([space.architecture((op, k, 0, 0, 0, 0)) for op in (0, 1)
    ...                      for k in range(5)])
    >>> search = SMBO(initial=4, epsilon=0).begin(stored, np.random.default_rng(0))
    >>> for run in search.ask(4):
    ...     search.tell(run, 1, 0.9 if run >= 5 else 0.1)
    >>> sorted(search.ask(2))  # 5 to 9 have the better first operation
    [7, 9]
    """

    quick_options: ClassVar[Mapping[str, object]] = {"initial": 6}

    def __init__(self, initial: int = 10, batch: int = 5, epsilon: float = 0.1) -> None:
        self.initial = check_count("initial", initial)
        self.batch = check_count("batch", batch)
        self.epsilon = check_share("epsilon", epsilon)

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        return _ModelBased(self, candidates, rng)


class Ensemble:
    """Ridge regressions that each saw another four fifths of the data; the mean of their answers.

    ``decisions`` are of architectures of a space, ``values`` (n,) what they are worth.

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> seen = [space.architecture((op,) * 6) for op in (0, 3)] * 20
    >>> ensemble = Ensemble(space, seen, np.array([0.2, 0.8] * 20), np.random.default_rng(0))
    >>> ensemble.predict(seen[:2]).round(2)
    array([0.2, 0.8])
    """

    def __init__(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        values: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        from sklearn.linear_model import Ridge

        self._space = space
        features = self._features(architectures)
        fifth = rng.permutation(len(values)) % MEMBERS
        self.members = []
        for member in range(MEMBERS):
            rows = fifth != member
            if not rows.any():  # there is but one
                rows = ~rows
            model = Ridge(PENALTY, solver="cholesky").fit(features[rows], values[rows])
            self.members.append(model)

    def predict(self, architectures: Sequence[Architecture]) -> FloatArray:
        """(architectures,)."""
        features = self._features(architectures)
        predictions = np.array([member.predict(features) for member in self.members])
        rounded: FloatArray = np.round(predictions.mean(axis=0), DIGITS)
        return rounded

    def _features(self, architectures: Sequence[Architecture]) -> FloatArray:
        """One-hot decisions, (architectures, the sum of all choices)."""
        decisions = decisions_of(architectures)
        one_hot = [np.eye(n)[decisions[:, k]] for k, n in enumerate(self._space.n_choices)]
        return np.concatenate(one_hot, axis=1)


class _ModelBased:
    listens = True

    def __init__(self, options: SMBO, candidates: Candidates, rng: np.random.Generator) -> None:
        if candidates.space is None:
            decisions_of(candidates.architectures)  # or an error, before anything is paid for
        self._options = options
        self._candidates = candidates
        self._rng = rng
        self._proposals = Proposals(candidates, rng)
        self._space = space_of(candidates)
        self._at_random = options.initial  # proposals still to be drawn at random
        self._value: dict[int, float] = {}
        self._fitted_to = 0  # how many evaluations the ensemble has seen
        self._ranking: list[Architecture] = []  # by its prediction, the best last

    def ask(self, count: int) -> list[int]:
        asked = (self._next() for _ in range(count))
        return [number for number in asked if number is not None]

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._value[run] = value

    def _next(self) -> int | None:
        if self._at_random > 0 or self._rng.random() < self._options.epsilon:
            self._at_random -= 1
            return self._proposals.random()
        if len(self._value) - self._fitted_to >= self._options.batch or not self._ranking:
            self._fitted_to = len(self._value)
            self._ranking = self._ranked()
        remaining = self._proposals.remaining
        while self._ranking:
            found = remaining.nearest(self._ranking.pop())
            if found is not None and found[1] == 0:  # it was not proposed before
                remaining.take(found[0])
                return found[0]
        return self._proposals.random()

    def _ranked(self) -> list[Architecture]:
        """What may be proposed, by ascending prediction; nothing before the first report."""
        values = np.array(list(self._value.values()))
        if not np.isfinite(values).any():
            return []
        values = failed_as_worst(values)
        told = [self._candidates[number] for number in self._value]
        if self._candidates.space is None:
            numbers = self._proposals.remaining.numbers.tolist()
            choice = [self._candidates[number] for number in numbers]
        else:
            best = [told[k] for k in np.argsort(-values, kind="stable")[:PARENTS].tolist()]
            choice = [self._space.sample(self._rng) for _ in range(DRAWS)]
            choice += [mutate(self._space, best[k % len(best)], self._rng) for k in range(DRAWS)]
        if not choice:
            return []
        predictions = Ensemble(self._space, told, values, self._rng).predict(choice)
        return [choice[k] for k in np.argsort(predictions, kind="stable").tolist()]
