"""MAML: its gradient is exact, it learns to adapt, and adapts to the target alone."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.maml import MAML, adapted, initial_weights, one_hot, predict
from nassim.records import Sources, SourceTask
from nassim.spaces import get_space

Weights = tuple[Tensor, ...]


@functools.cache
def tasks() -> tuple[SourceTask, ...]:
    """The target is the last one."""
    return planted_tasks(n_datasets=4, n=150, epochs=3, rho=0.95, noise=0.2)


@functools.cache
def fitted(shuffled: bool = False) -> MAML:
    """Remembered, so do not change it."""
    rng = np.random.default_rng(0)
    sources = tasks()[:-1]
    if shuffled:
        sources = tuple(dataclasses.replace(t, values=rng.permutation(t.values)) for t in sources)
    optimizer = MAML(steps=120)
    optimizer.fit(Sources(sources), seed=0)
    return optimizer


def problem() -> tuple[Weights, Tensor, Tensor]:
    """Weights, and inputs (tasks, runs, inputs) and values of two tasks."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((2, 9, 3)))
    return initial_weights(3, rng), x, torch.from_numpy(rng.standard_normal((2, 9)))


def query_loss(weights: Weights, rate: float, *, first_order: bool = False) -> Tensor:
    _, x, y = problem()
    each = adapted(weights, x[:, :4], y[:, :4], rate, 3, first_order=first_order)
    return ((predict(each, x[:, 4:]) - y[:, 4:]) ** 2).mean()


def numeric_gradient(weights: Weights, rate: float, which: int, index: tuple[int, int]) -> float:
    losses = []
    for step in (1e-5, -1e-5):
        moved = [weight.detach().clone() for weight in weights]
        moved[which][index] += step
        moved_weights = tuple(weight.requires_grad_() for weight in moved)
        losses.append(query_loss(moved_weights, rate).item())
    return (losses[0] - losses[1]) / 2e-5


@pytest.mark.parametrize(("which", "index"), [(0, (1, 5)), (1, (0, 2)), (2, (3, 4)), (4, (7, 0))])
def test_the_second_order_gradient_is_exact(which: int, index: tuple[int, int]) -> None:
    weights, _, _ = problem()
    expected = numeric_gradient(weights, 0.2, which, index)
    gradient = torch.autograd.grad(query_loss(weights, 0.2), weights)[which][index].item()
    assert gradient == pytest.approx(expected, rel=1e-4)
    first_order = query_loss(weights, 0.2, first_order=True)
    other = torch.autograd.grad(first_order, weights)[which][index].item()
    assert other != pytest.approx(expected, rel=1e-4)  # so the test can tell them apart


def test_an_inner_rate_of_0_is_joint_training() -> None:
    weights, x, y = problem()
    joint = ((predict(weights, x[:, 4:]) - y[:, 4:]) ** 2).mean()
    expected = torch.autograd.grad(joint, weights)
    gradients = torch.autograd.grad(query_loss(weights, 0.0), weights)
    for a, b in zip(gradients, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_tasks_are_adapted_apart() -> None:
    weights, x, y = problem()
    both = adapted(weights, x, y, 0.1, 3)
    for task in range(2):
        alone = adapted(weights, x[task : task + 1], y[task : task + 1], 0.1, 3)
        for a, b in zip(both, alone, strict=True):
            assert torch.allclose(a[task], b[0], atol=1e-12)


def test_it_learns_to_adapt_where_joint_training_learns_nothing() -> None:
    """Half of the tasks are y = x, half y = -x: on average, there is nothing to know."""
    rng = np.random.default_rng(0)
    inputs = [torch.from_numpy(rng.uniform(-1, 1, (40, 1))) for _ in range(8)]
    values = [(-1.0) ** k * x[:, 0] for k, x in enumerate(inputs)]

    def error(optimizer: MAML, inputs: Sequence[Tensor], values: Sequence[Tensor]) -> float:
        weights = optimizer._learn(inputs, values, np.random.default_rng(1))
        x = torch.linspace(-1, 1, 21, dtype=torch.float64)[None, :, None]
        weights = tuple(weight.requires_grad_() for weight in weights)
        each = adapted(weights, x[:, ::4], -x[:, ::4, 0], optimizer.inner_rate, 1)
        return ((predict(each, x) + x[:, :, 0]) ** 2).mean().item()

    meta = error(MAML(inner_rate=0.2, inner_steps=1, steps=150), inputs, values)
    joint = MAML(inner_rate=0.0, inner_steps=1, steps=150)
    learned = error(joint, inputs, values)
    assert meta < learned / 5


def correlation(optimizer: MAML, told: int = 0) -> float:
    """Of the order of its proposals with the target's values, after it was told some."""
    target = tasks()[-1]
    search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(0))
    for number in range(told):
        search.tell(number, 3, float(target.values[number]))
    order = search.ask(len(target.values))
    return float(spearmanr(-np.arange(len(order)), target.values[order])[0])


def test_what_sources_have_in_common_is_learned_and_nothing_else() -> None:
    learned, shuffled = copy.copy(fitted()), copy.copy(fitted(shuffled=True))
    learned.epsilon = shuffled.epsilon = 0.0
    assert correlation(learned) > 0.4
    assert abs(correlation(shuffled)) < 0.2
    assert correlation(shuffled, told=60) > correlation(shuffled) + 0.1  # the target teaches it


def test_epsilon_is_the_share_of_random_proposals() -> None:
    target = tasks()[-1]
    orders = {}
    for epsilon in (0.0, 1.0):
        optimizer = MAML(epsilon=epsilon)
        optimizer._fitted = fitted()._fitted
        orders[epsilon] = [
            optimizer.begin(Candidates(target.architectures), np.random.default_rng(s)).ask(5)
            for s in range(2)
        ]
    assert orders[0.0][0] == orders[0.0][1]
    assert orders[1.0][0] != orders[1.0][1]


def test_a_failed_run_is_as_bad_as_the_worst_and_later_reports_replace_earlier_ones() -> None:
    target = Candidates(tasks()[-1].architectures)
    orders = []
    for reports in ([0.9, 0.5, -np.inf], [0.9, 0.5, 0.5], [0.1, 0.5, 0.5]):
        search = fitted().begin(target, np.random.default_rng(0))
        asked = search.ask(3)
        for number, value in zip(asked, reports, strict=True):
            search.tell(number, 1, value)
        search.tell(asked[0], 2, 0.9)
        orders.append(search.ask(40))
    assert orders[0] == orders[1] == orders[2]


def test_it_proposes_in_a_space_without_a_table() -> None:
    free = Candidates(space=get_space("nasnet"))
    search = fitted().begin(free, np.random.default_rng(0))
    assert search.ask(3) == [0, 1, 2]
    search.tell(0, 1, 0.5)
    search.tell(1, 1, 0.7)
    assert search.ask(1) == [3]


def test_one_hot() -> None:
    space = get_space("nasbench201_3nodes")
    encoded = one_hot([space.architecture((4, 0, 2))], space.n_choices)
    assert encoded[0].nonzero().ravel().tolist() == [4, 5, 12]


def test_there_must_be_sources_of_the_space() -> None:
    with pytest.raises(InputError, match=r"spaces \(none\)"):
        MAML().fit(Sources(()), seed=0)
    with pytest.raises(InputError, match="must be fitted"):
        MAML().begin(Candidates(tasks()[-1].architectures), np.random.default_rng(0))
    cells = Candidates(list(get_space("nasbench201_3nodes").every()))
    with pytest.raises(InputError, match="expected 'nasnet'"):
        fitted().begin(cells, np.random.default_rng(0))
    with pytest.raises(InputError, match="inner_steps is 0"):
        MAML(inner_steps=0)
