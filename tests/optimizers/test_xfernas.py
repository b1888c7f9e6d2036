"""XferNAS: what it has in common with NAO, what the residual is, and what it transfers."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.epd import EncoderPredictorDecoder
from nassim.optimizers.nao import NAO, LatentSearch
from nassim.optimizers.ridge import Ridge
from nassim.optimizers.xfernas import XferNAS
from nassim.records import FloatArray, Sources, SourceTask
from nassim.spaces import get_space

QUICK = {"source_steps": 20, "steps": 10, "refit_steps": 2, "refit_every": 4, "hidden": 8}


@functools.cache
def tasks() -> tuple[SourceTask, ...]:
    return planted_tasks(n_datasets=4, n=80, epochs=2)


def fitted(sources: tuple[SourceTask, ...], seed: int = 0, **options: object) -> XferNAS:
    optimizer = XferNAS(**{**QUICK, **options})  # type: ignore[arg-type]
    optimizer.fit(Sources(sources), seed)
    return optimizer


def network_of(optimizer: XferNAS) -> EncoderPredictorDecoder:
    assert optimizer._fitted is not None
    return optimizer._fitted.network


def searched(optimizer: NAO, target: SourceTask, count: int = 20, seed: int = 0) -> list[int]:
    search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(seed))
    asked = []
    for _ in range(count):
        (candidate,) = search.ask(1)
        search.tell(candidate, 2, float(target.values[candidate]))
        asked.append(candidate)
    return asked


def codes(optimizer: XferNAS, target: SourceTask) -> torch.Tensor:
    network = network_of(optimizer)
    with torch.no_grad():
        return network.code(network.encode(network.strings.encode(target.architectures)))


# -- NAO, but for what it knows ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("propose", "normalise"), [("gradient", "minmax"), ("gradient", "zscore"), ("rank", "minmax")]
)
def test_without_sources_it_is_nao(propose: str, normalise: str) -> None:
    options = {"propose": propose, "normalise": normalise}
    quick = {name: value for name, value in QUICK.items() if name != "source_steps"}
    nao = NAO(**{**quick, **options})  # type: ignore[arg-type]
    expected = searched(nao, tasks()[0], 20)
    for residual in (False, True):
        xfernas = fitted((), residual=residual, **options)
        assert searched(xfernas, tasks()[0], 20) == expected
    assert searched(xfernas, tasks()[0], 20, seed=1) != expected


def test_with_sources_it_is_not() -> None:
    quick = {name: value for name, value in QUICK.items() if name != "source_steps"}
    nao = NAO(**quick, normalise="zscore")  # type: ignore[arg-type]
    xfernas = fitted(tasks()[1:], residual=False)
    assert searched(xfernas, tasks()[0], 5) != searched(nao, tasks()[0], 5)


def test_a_search_leaves_what_was_fitted_as_it_is() -> None:
    optimizer = fitted(tasks()[1:])
    before = [parameter.clone() for parameter in network_of(optimizer).parameters()]
    first = searched(optimizer, tasks()[0])
    assert searched(optimizer, tasks()[0]) == first
    after = list(network_of(optimizer).parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


# -- the universal function and the residual -----------------------------------------------------


def test_a_dataset_of_which_nothing_is_known_has_no_residual() -> None:
    optimizer = fitted(tasks()[1:], source_steps=60)
    network, code = network_of(optimizer), codes(optimizer, tasks()[0])
    with torch.no_grad():
        universal = network.predictor(code)[:, 0]
        assert torch.equal(network.score(code), universal)
        for dataset in (1, 2, 3):  # and those of which something is known have one
            of = torch.full((len(code),), dataset)
            assert (network.score(code, of) - universal).abs().max() > 1e-3
    assert (network.datasets.weight[0] == 0).all()


def test_the_first_proposals_do_not_depend_on_what_datasets_are_called() -> None:
    sources = tasks()[1:]
    others = tuple(
        dataclasses.replace(t, dataset=dataclasses.replace(t.dataset, name=f"other-{k}"))
        for k, t in enumerate(sources)
    )
    assert searched(fitted(sources), tasks()[0], 4) == searched(fitted(others), tasks()[0], 4)


def test_the_first_proposals_are_not_drawn() -> None:
    optimizer = fitted(tasks()[1:])
    assert searched(optimizer, tasks()[0], 4, seed=0) == searched(optimizer, tasks()[0], 4, seed=1)


@pytest.mark.parametrize("propose", ["gradient", "rank"])
def test_the_residual_of_the_target_grows_with_its_results(propose: str) -> None:
    optimizer = fitted(tasks()[1:], propose=propose, source_steps=60)
    search = optimizer.begin(Candidates(tasks()[0].architectures), np.random.default_rng(0))
    assert isinstance(search, LatentSearch)
    code = codes(optimizer, tasks()[0])
    found = []
    for _ in range(9):
        (candidate,) = search.ask(1)
        with torch.no_grad():
            found.append(float(search._network.residual(code).abs().max()))
        search.tell(candidate, 2, float(tasks()[0].values[candidate]))
    assert found[:4] == [0.0] * 4
    assert min(found[4:]) > 0  # after the first training on results


def test_an_endless_penalty_leaves_no_residual() -> None:
    def residual(penalty: float) -> float:
        optimizer = fitted(tasks()[1:], penalty=penalty, source_steps=60)
        network, code = network_of(optimizer), codes(optimizer, tasks()[0])
        with torch.no_grad():
            of = torch.ones(len(code), dtype=torch.int64)
            return float(network.residual(code, of).abs().max())

    assert residual(1e6) < 0.01 < residual(0.0)


# -- what it learns from -------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["zscore", "rank"])
def test_the_scale_of_a_source_changes_nothing(normalise: str) -> None:
    first, *others = tasks()[1:]
    scaled = dataclasses.replace(first, values=4 * first.values.astype(np.float64) - 2)
    plain = dataclasses.replace(first, values=first.values.astype(np.float64))
    before = fitted((plain, *others), normalise=normalise)
    after = fitted((scaled, *others), normalise=normalise)
    assert torch.allclose(codes(before, tasks()[0]), codes(after, tasks()[0]), atol=1e-4)
    assert searched(before, tasks()[0]) == searched(after, tasks()[0])


@pytest.mark.parametrize("n_sources", [1, 8])
def test_sources_of_any_number_and_size(n_sources: int) -> None:
    sources = [tasks()[1 + k % 3] for k in range(n_sources)]
    few = dataclasses.replace(
        sources[0], architectures=sources[0].architectures[:1], values=sources[0].values[:1]
    )
    broken = dataclasses.replace(sources[0], values=np.full(80, np.nan))
    partly = dataclasses.replace(
        sources[0], values=np.where(np.arange(80) < 20, -np.inf, sources[0].values)
    )
    optimizer = fitted((*sources, few, broken, partly))
    assert len(set(searched(optimizer, tasks()[0]))) == 20


def test_the_gradient_starts_from_different_source_architectures() -> None:
    task = tasks()[1]
    twice = dataclasses.replace(
        task, architectures=task.architectures * 2, values=np.tile(task.values, 2)
    )
    optimizer = fitted((twice,), top=6)
    assert optimizer._fitted is not None
    decisions = network_of(optimizer).strings.decisions(optimizer._fitted.starts)
    assert len(np.unique(decisions, axis=0)) == 6
    network = network_of(optimizer)
    with torch.no_grad():
        scores = network.predictor(network.code(network.encode(optimizer._fitted.starts)))[:, 0]
    assert (scores[:-1] >= scores[1:] - 1e-5).all()


def share_of_better(related: bool) -> FloatArray:
    """The share of the pool that is better than what is proposed before any result, the first and
    the mean of the first five, over two folds of each of two planted stores, (folds, 2).

    Of random architectures it is one half.
    """
    rng = np.random.default_rng(0)
    found = []
    for seed in range(2):
        planted = planted_tasks(n_datasets=4, n=150, epochs=2, seed=seed)
        for fold in range(2):
            target, sources = planted[fold], planted[:fold] + planted[fold + 1 :]
            if not related:
                sources = tuple(
                    dataclasses.replace(t, values=rng.permutation(t.values)) for t in sources
                )
            optimizer = fitted(sources, source_steps=80, hidden=16)
            search = optimizer.begin(Candidates(target.architectures), np.random.default_rng(0))
            better = [float((target.values > target.values[k]).mean()) for k in search.ask(5)]
            found.append([better[0], np.mean(better)])
    return np.array(found)


def test_the_first_architectures_are_better_than_random_ones() -> None:
    first, first_five = share_of_better(related=True).mean(axis=0)
    _, twin = share_of_better(related=False).mean(axis=0)
    assert first < 0.25
    assert first_five < 0.25
    assert not twin < 0.25  # of five, because one random draw may be lucky


@pytest.mark.slow
def test_before_any_result_it_ranks_nearly_as_well_as_ridge() -> None:
    """Whose features the planted qualities are all but linear in."""
    found = []
    for seed in range(2):
        planted = planted_tasks(epochs=2, seed=seed)
        for fold in range(2):
            target, sources = planted[fold], planted[:fold] + planted[fold + 1 :]
            xfernas, ridge = XferNAS(), Ridge()
            xfernas.fit(Sources(sources), seed=0)
            ridge.fit(Sources(sources), seed=0)
            n = len(target.architectures)
            search = ridge.begin(Candidates(target.architectures), np.random.default_rng(0))
            places = np.empty(n)
            places[search.ask(n)] = np.arange(n)
            with torch.no_grad():
                scores = network_of(xfernas).score(codes(xfernas, target)).numpy()
            found.append([spearmanr(s, target.values)[0] for s in (scores, -places)])
    neural, linear = np.mean(found, axis=0)
    assert neural >= linear - 0.1
    assert linear > 0.6


# -- without a table, and what is refused --------------------------------------------------------


@pytest.mark.parametrize("propose", ["gradient", "rank"])
def test_without_a_table_it_writes_its_own_from_the_first(propose: str) -> None:
    candidates = Candidates(space=get_space("nasnet"))
    optimizer = fitted(tasks(), propose=propose)
    search = optimizer.begin(candidates, np.random.default_rng(0))
    assert len(set(search.ask(8))) == 8
    search.tell(0, 2, 0.5)
    assert len(set(search.ask(8))) == 8


def test_another_space_is_refused() -> None:
    space = get_space("nasbench201")
    other = tuple(space.architecture((k % 5,) * 6) for k in range(80))
    with pytest.raises(InputError, match="of space 'nasbench201'; expected 'nasnet'"):
        fitted(tasks()).begin(Candidates(other), np.random.default_rng(0))
    mixed = dataclasses.replace(tasks()[0], architectures=other)
    with pytest.raises(InputError, match="of spaces nasbench201, nasnet; expected one space"):
        fitted((mixed, tasks()[1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_steps": 0}, "Option source_steps is 0; expected a whole number, 1 or more"),
        ({"penalty": -1.0}, "Option penalty is -1.0; expected a number, 0 or more"),
        ({"normalise": "raw"}, "Option normalise is 'raw'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        XferNAS(**options)  # type: ignore[arg-type]
