"""MAML on a predictor: learn on other datasets how to learn which architectures are good.

Finn, Abbeel & Levine, "Model-agnostic meta-learning", ICML 2017, arXiv 1703.03400.

A network predicts the quality of an architecture. On a task i, a few steps of gradient descent on
a few runs (the support) adapt it, and it is judged by others (the query):

    w_i = w - inner_rate * gradient of L_i(support; w), repeated
    w  <- w - outer_rate * gradient of the mean of L_i(query; w_i)

The second line's gradient goes through the first (second order). To search a new dataset, the
network is adapted to what was told so far, and the candidate that it ranks highest is next.

Where it differs. The use as an optimizer is ours, and so are the network (two hidden layers of 32
units, tanh, on one-hot decisions), all rates and numbers of steps but those of inner steps (5 in
training, 10 in use), and epsilon. Values are standardised for each task.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nassim.errors import InputError
from nassim.networks.threads import one_thread
from nassim.optimizers.base import (
    Candidates,
    Optimizer,
    Remaining,
    Search,
    check_space,
    choices_of,
    decisions_of,
    failed_as_worst,
)
from nassim.options import check_count, check_number, check_share
from nassim.records import Architecture, Sources
from nassim.spaces import get_space
from nassim.spaces.base import Space

__all__ = ["MAML", "adapted", "predict"]

WIDTH = 32  # of the two hidden layers
META_BATCH = 4  # tasks of an outer step
SUPPORT = (5, 10, 20)  # runs to adapt to, one of these in each outer step
QUERY = 40  # runs to judge by
USE_STEPS = 10  # inner steps on the target
DRAWS = 200  # architectures that are ranked for each proposal, where there is no table
SCORE_DIGITS = 6  # predictions are rounded, so that last bits change no proposal

Float64 = NDArray[np.float64]
Weights = tuple[Tensor, ...]


class MAML(Optimizer):
    """Propose what a meta-learned predictor, adapted to the target's runs, ranks highest.

    Parameters
    ----------
    inner_rate, inner_steps
        Of gradient descent on a task's support, in training. A rate of 0 is joint training.
    outer_rate, steps
        Of Adam, and how many outer steps.
    first_order
        Treat adapted weights as constants plus w (FOMAML): cheaper, and no second derivatives.
    epsilon
        Share of proposals that are drawn at random.

    Raises
    ------
    InputError
        if an option is out of its range.
    """

    uses_sources = True
    quick_options: ClassVar[Mapping[str, object]] = {"steps": 3}

    def __init__(
        self,
        inner_rate: float = 0.05,
        inner_steps: int = 5,
        outer_rate: float = 3e-3,
        steps: int = 800,
        first_order: bool = False,
        epsilon: float = 0.1,
    ) -> None:
        self.inner_rate = check_number("inner_rate", inner_rate)
        self.inner_steps = check_count("inner_steps", inner_steps)
        self.outer_rate = check_number("outer_rate", outer_rate, above=0)
        self.steps = check_count("steps", steps, least=0)
        self.first_order = first_order
        self.epsilon = check_share("epsilon", epsilon)
        self._fitted: tuple[Weights, str] | None = None  # and the space

    def fit(self, sources: Sources, seed: int) -> None:
        """Meta-learn the weights on the source datasets; same seed and sources, same weights.

        Raises
        ------
        InputError
            if no source dataset has runs enough for a support and a query, or sources are of
            several spaces.
        """
        tasks = [task for task in sources.tasks if len(task.architectures) > SUPPORT[0]]
        spaces = sorted({a.space for task in tasks for a in task.architectures})
        if len(spaces) != 1:
            raise InputError(
                f"MAML was given source datasets of spaces {', '.join(spaces) or '(none)'} with "
                f"more than {SUPPORT[0]} runs; expected one space. Use a store with at least two "
                "datasets of it, or naml, which needs no other dataset."
            )
        n_choices = get_space(spaces[0]).n_choices
        rng = np.random.default_rng(seed)
        with one_thread():
            inputs = [one_hot(task.architectures, n_choices) for task in tasks]
            values = [torch.from_numpy(standardised(task.values)) for task in tasks]
            self._fitted = self._learn(inputs, values, rng), spaces[0]

    def begin(self, candidates: Candidates, rng: np.random.Generator) -> Search:
        if self._fitted is None:
            raise InputError("MAML must be fitted on source datasets before it can search.")
        weights, space = self._fitted
        check_space(candidates, space)
        return _Ranking(candidates, rng, weights, self.inner_rate, self.epsilon)

    def _learn(
        self, inputs: Sequence[Tensor], values: Sequence[Tensor], rng: np.random.Generator
    ) -> Weights:
        weights = initial_weights(inputs[0].shape[1], rng)
        adam = torch.optim.Adam(weights, lr=self.outer_rate)
        fewest = min(map(len, values))
        for step in range(self.steps):
            for group in adam.param_groups:
                group["lr"] = self.outer_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
            n_support = min(int(rng.choice(SUPPORT)), fewest // 2 + 1)
            n_both = min(n_support + QUERY, fewest)
            drawn = rng.integers(len(values), size=META_BATCH).tolist()
            rows = [torch.from_numpy(rng.permutation(len(values[k]))[:n_both]) for k in drawn]
            x = torch.stack([inputs[k][some] for k, some in zip(drawn, rows, strict=True)])
            y = torch.stack([values[k][some] for k, some in zip(drawn, rows, strict=True)])
            each = adapted(
                weights,
                x[:, :n_support],
                y[:, :n_support],
                self.inner_rate,
                self.inner_steps,
                first_order=self.first_order,
            )
            loss = ((predict(each, x[:, n_support:]) - y[:, n_support:]) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        return tuple(weight.detach() for weight in weights)


# -- the network, for several tasks at once ------------------------------------------------------


def initial_weights(n_inputs: int, rng: np.random.Generator) -> Weights:
    """Matrices and biases of three layers, float64; drawn from ``rng``, nothing is global."""
    widths = (n_inputs, WIDTH, WIDTH, 1)
    weights: list[Tensor] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        bound = 1 / math.sqrt(fan_in)
        weights.append(torch.from_numpy(rng.uniform(-bound, bound, (fan_in, fan_out))))
        weights.append(torch.zeros(1, fan_out, dtype=torch.float64))
    return tuple(weight.requires_grad_() for weight in weights)


def predict(weights: Weights, x: Tensor) -> Tensor:
    """Qualities (tasks, n) of inputs (tasks, n, inputs).

    Weights are the same for all tasks, or have a first axis of tasks.
    """
    *hidden, matrix, bias = weights
    for at in range(0, len(hidden), 2):
        x = torch.tanh(x @ hidden[at] + hidden[at + 1])
    return (x @ matrix + bias)[..., 0]


def adapted(
    weights: Weights, x: Tensor, y: Tensor, rate: float, steps: int, *, first_order: bool = False
) -> Weights:
    """Weights of each task after gradient descent on its squared error, with an axis of tasks.

    They are differentiable in ``weights``: wholly, or (``first_order``) as if gradients were
    constants. Tasks do not mix: the gradient of the sum of their losses is that of each.
    """
    each = tuple(weight.expand(len(x), *weight.shape) for weight in weights)
    for _ in range(steps):
        loss = ((predict(each, x) - y) ** 2).mean(dim=1).sum()
        gradients = torch.autograd.grad(loss, each, create_graph=not first_order)
        each = tuple(w - rate * g for w, g in zip(each, gradients, strict=True))
    return each


def one_hot(architectures: Sequence[Architecture], n_choices: Sequence[int]) -> Tensor:
    """(architectures, sum of choices) zeros and ones, one for each decision."""
    decisions = torch.from_numpy(decisions_of(architectures))
    choices = torch.tensor(n_choices)
    encoded = torch.zeros(len(decisions), sum(n_choices), dtype=torch.float64)
    return encoded.scatter_(1, decisions + choices.cumsum(0) - choices, 1.0)


def standardised(values: NDArray[np.floating]) -> Float64:
    """With mean 0 and deviation 1; without a finite value, as bad as the worst; all 0 if equal.

    >>> standardised(np.array([1.0, 3.0, -np.inf])).round(3).tolist()
    [-0.707, 1.414, -0.707]
    """
    if not np.isfinite(values).any():
        return np.zeros(len(values))
    known = failed_as_worst(values)
    deviation = float(known.std())
    return (known - known.mean()) / deviation if deviation > 1e-12 else np.zeros(len(known))


# -- the search ----------------------------------------------------------------------------------


class _Ranking:
    listens = True

    def __init__(
        self,
        candidates: Candidates,
        rng: np.random.Generator,
        weights: Weights,
        rate: float,
        epsilon: float,
    ) -> None:
        self._candidates = candidates
        self._remaining = Remaining(candidates)
        self._rng = rng
        self._weights = tuple(weight.clone().requires_grad_() for weight in weights)
        self._rate = rate
        self._epsilon = epsilon
        self._values: dict[int, float] = {}
        self._n_choices = choices_of(candidates)
        self._table: Tensor | None = None
        if candidates.space is None and len(candidates):
            self._table = one_hot(candidates.architectures, self._n_choices)

    def ask(self, count: int) -> list[int]:
        with one_thread():
            weights = self._adapted()
            if self._candidates.space is not None:
                return self._draw(self._candidates.space, weights, count)
            if self._table is None or count < 1:
                return []
            left = self._remaining.numbers
            ranked = left[_order(weights, self._table[left])].tolist()
        asked = []
        for _ in range(min(count, len(ranked))):
            by_chance = self._rng.random() < self._epsilon
            place = int(self._rng.integers(len(ranked))) if by_chance else 0
            number = int(ranked.pop(place))
            self._remaining.take(number)
            asked.append(number)
        return asked

    def tell(self, run: int, epoch: int, value: float) -> None:
        self._values[run] = value

    def _adapted(self) -> Weights:
        """The weights of a batch of one task, the target; as they were learned until two runs
        differ."""
        told = sorted(self._values)
        values = standardised(np.array([self._values[number] for number in told]))
        if not values.any():
            return self._weights
        x = one_hot([self._candidates[number] for number in told], self._n_choices)[None]
        y = torch.from_numpy(values)[None]
        return adapted(self._weights, x, y, self._rate, USE_STEPS, first_order=True)

    def _draw(self, space: Space, weights: Weights, count: int) -> list[int]:
        """The best of some architectures of the space, for each proposal; fewer if it runs out."""
        asked: list[int] = []
        for _ in range(count):
            drawn = [space.sample(self._rng) for _ in range(DRAWS)]
            order = _order(weights, one_hot(drawn, self._n_choices)).tolist()
            if self._rng.random() < self._epsilon:
                order = range(DRAWS)
            for place in order:
                found = self._remaining.nearest(drawn[place])
                if found is not None:
                    self._remaining.take(found[0])
                    asked.append(found[0])
                    break
        return asked


def _order(weights: Weights, x: Tensor) -> NDArray[np.intp]:
    """Rows of inputs (n, inputs), the best predicted first; among equals, the first."""
    with torch.no_grad():
        predicted = predict(weights, x[None])[0].numpy().round(SCORE_DIGITS)
    return np.argsort(-predicted, kind="stable")
