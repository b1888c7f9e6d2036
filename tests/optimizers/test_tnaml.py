"""NAML and T-NAML: what transfers does help, what does not exist cannot be transferred."""

from __future__ import annotations

import dataclasses
import functools
import pickle

import numpy as np
import pytest
import torch

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Optimizer
from nassim.optimizers.controller import PolicySearch
from nassim.optimizers.tnaml import NAML, TNAML
from nassim.records import Sources, SourceTask
from nassim.spaces import get_space

SEEDS = range(4)


@functools.cache
def tasks() -> tuple[SourceTask, ...]:
    """The target is the last one, of which 50 are candidates."""
    *sources, target = planted_tasks(n_datasets=4, n=300, epochs=3, rho=0.95, noise=0.2)
    few = dataclasses.replace(
        target, architectures=target.architectures[:50], values=target.values[:50]
    )
    return (*sources, few)


@functools.cache
def fitted(shuffled: bool = False, scale: float = 1.0, steps: int = 250) -> TNAML:
    """Remembered, so do not change it."""
    rng = np.random.default_rng(0)
    sources = [
        dataclasses.replace(task, values=scale * (rng.permutation(values) if shuffled else values))
        for task in tasks()[:-1]
        for values in [task.values.astype(np.float64)]
    ]
    optimizer = TNAML(width=12, steps=steps)
    optimizer.fit(Sources(tuple(sources)), seed=0)
    return optimizer


def standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def mean_quality(optimizer: Optimizer, k: int = 10) -> float:
    """Of the first ``k`` proposals, in standard deviations, over seeds."""
    target = tasks()[-1]
    qualities = standard(target.values.astype(np.float64))
    found = []
    for seed in SEEDS:
        search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(seed))
        for _ in range(k):
            (asked,) = search.ask(1)
            search.tell(asked, 3, float(target.values[asked]))
            found.append(qualities[asked])
    return float(np.mean(found))


def test_transfer_helps_and_shuffled_sources_do_not() -> None:
    alone = mean_quality(NAML(width=12))
    transferred = mean_quality(fitted())
    shuffled = mean_quality(fitted(shuffled=True))
    assert transferred > alone + 0.3
    assert shuffled < alone + 0.3
    assert abs(alone) < 0.6  # so early, no better than chance


def test_the_scale_of_a_source_s_values_does_not_matter() -> None:
    first, other = (fitted(scale=scale, steps=20)._fitted for scale in (1.0, 100.0))
    assert first is not None
    assert other is not None
    for a, b in zip(first[0].parameters(), other[0].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-9)


def test_the_target_moves_its_own_embedding_and_no_other() -> None:
    optimizer = fitted()
    assert optimizer._fitted is not None
    known = optimizer._fitted[0]
    before = [parameter.detach().clone() for parameter in known.parameters()]
    target = tasks()[-1]
    search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(0))
    assert isinstance(search, PolicySearch)
    assert known.tasks is not None
    assert search.controller.tasks is not None
    drawn = search.controller.tasks.weight[-1].detach().clone()
    for _ in range(3):
        for asked in search.ask(2):
            search.tell(asked, 3, float(target.values[asked]))
    search.ask(1)
    now = search.controller.tasks.weight
    assert len(now) == len(known.tasks.weight) + 1
    assert torch.equal(now[:-1], known.tasks.weight)
    assert not torch.equal(now[-1], drawn)
    assert not torch.equal(search.controller.weight, known.weight)
    for was, parameter in zip(before, known.parameters(), strict=True):
        assert torch.equal(was, parameter)  # begin leaves the optimizer as it is


def test_sources_have_embeddings_of_their_own() -> None:
    optimizer = fitted()
    assert optimizer._fitted is not None
    controller, space = optimizer._fitted
    assert space == "nasnet"
    assert controller.n_tasks == 3
    decisions = torch.tensor([tasks()[0].architectures[0].decisions])
    assert len({controller(decisions, task).item() for task in range(3)}) == 3


def test_a_fitted_optimizer_can_be_sent_to_another_process() -> None:
    optimizer = fitted(steps=20)
    target = Candidates(tasks()[-1].architectures)
    orders = [
        each.begin(target, np.random.default_rng(0)).ask(9)
        for each in (optimizer, pickle.loads(pickle.dumps(optimizer)))
    ]
    assert orders[0] == orders[1]


def test_it_proposes_in_a_space_without_a_table() -> None:
    free = Candidates(space=get_space("nasnet"))
    search = fitted(steps=20).begin(free, np.random.default_rng(0))
    for asked in search.ask(3):
        search.tell(asked, 1, 0.1 * asked)
    assert search.ask(2) == [3, 4]


def test_there_must_be_sources_of_the_space() -> None:
    with pytest.raises(InputError, match="no source dataset"):
        TNAML().fit(Sources(()), seed=0)
    with pytest.raises(InputError, match="must be fitted"):
        TNAML().begin(Candidates(tasks()[-1].architectures), np.random.default_rng(0))
    cells = Candidates(list(get_space("nasbench201_3nodes").every()))
    with pytest.raises(InputError, match="expected 'nasnet'"):
        fitted(steps=20).begin(cells, np.random.default_rng(0))
    with pytest.raises(InputError, match="expected 'nasnet'"):
        fitted(steps=20).begin(Candidates(space=get_space("nasbench201")), np.random.default_rng(0))
    with pytest.raises(InputError, match="source_entropy is -1"):
        TNAML(source_entropy=-1)
