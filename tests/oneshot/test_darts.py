from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal
from nassim.oneshot.darts import DARTS, unrolled_gradient
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.mixture import (
    Mixture,
    mixture_loss,
    small_alphas,
    weight_step,
)
from nassim.oneshot.scoring import Scores
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
RATE = 0.1
NONE, SKIP = 0, 1


def build() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1, affine=False)


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, architecture_share=0.5)


@pytest.fixture
def double() -> Iterator[None]:
    """The size of numbers, and a smooth activation: a ReLU's kinks spoil second derivatives."""
    before = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(before)


def test_second_order_is_the_gradient_through_the_step_of_the_optimizer(double: None) -> None:
    rng = np.random.default_rng(0)
    supernet = build()
    mixture = Mixture(supernet, torch.from_numpy(rng.standard_normal((3, 5))))
    optimizer = DARTS(learning_rate=RATE).weight_optimizer(supernet, RECIPE)
    batch, other = (
        (torch.from_numpy(rng.normal(size=(8, 1, 8, 8))), torch.arange(8) % 3) for _ in range(2)
    )
    weight_step(mixture, optimizer, RATE, batch)  # leaves a momentum
    before = {name: value.clone() for name, value in mixture.state_dict().items()}
    found = unrolled_gradient(mixture, optimizer, RATE, batch, other)
    after = mixture.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)

    def loss_after_step(alphas: torch.Tensor) -> float:
        copy = build()
        copy.load_state_dict(supernet.state_dict())
        stepped = Mixture(copy, alphas)
        theirs = DARTS(learning_rate=RATE).weight_optimizer(copy, RECIPE)
        theirs.load_state_dict(deepcopy(optimizer.state_dict()))  # a step moves the momenta
        loss = mixture_loss(copy, stepped.gates().detach(), batch)
        for parameter, gradient in zip(
            copy.parameters(), torch.autograd.grad(loss, list(copy.parameters())), strict=True
        ):
            parameter.grad = gradient
        theirs.step()
        return float(mixture_loss(copy, stepped.gates(), other).detach())

    alphas, expected = mixture.alphas.detach(), torch.zeros(3, 5)
    for place in np.ndindex(3, 5):
        shift = torch.zeros(3, 5)
        shift[place] = 1e-5
        expected[place] = (loss_after_step(alphas + shift) - loss_after_step(alphas - shift)) / 2e-5
    first = torch.autograd.grad(mixture_loss(supernet, mixture.gates(), other), mixture.alphas)[0]
    assert (found - expected).norm() / expected.norm() < 1e-4
    assert (first - expected).norm() / expected.norm() > 5e-3


def test_at_rate_zero_the_second_order_is_the_first(data: SearchData) -> None:
    mixture = Mixture(build(), small_alphas(build(), np.random.default_rng(0)))
    optimizer = DARTS().weight_optimizer(mixture.supernet, RECIPE)
    one, other = (next(data.weight_batches(8, np.random.default_rng(k))) for k in range(2))
    loss = mixture_loss(mixture.supernet, mixture.gates(), other)
    first = torch.autograd.grad(loss, mixture.alphas)[0]
    assert torch.equal(unrolled_gradient(mixture, optimizer, 0.0, one, other), first)


@pytest.mark.parametrize("order", [1, 2])
def test_alphas_rest_in_the_warm_up_and_move_after(order: int, data: SearchData) -> None:
    seen: list[torch.Tensor] = []

    class Watch(Journal):
        def finished(self, step: int, steps: int, trained: object) -> None:
            assert isinstance(trained, Mixture)
            seen.append(trained.alphas.detach().clone())

    method = DARTS(order=order, steps=4, batch_size=8, warmup=0.5)
    method.train(build(), data, np.random.default_rng(0), Watch())
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], small_alphas(build(), np.random.default_rng(0)))
    assert not (seen[1] == seen[2]).any()


def test_the_discretised_cell_has_no_none() -> None:
    alphas = torch.zeros(3, 5)
    alphas[:, NONE], alphas[0, 3], alphas[1, SKIP], alphas[2, 2] = 9.0, 1.0, 2.0, 3.0
    mixture = Mixture(build(), alphas)
    assert mixture.discretise().decisions == (3, SKIP, 2)
    mixture.alive[0, 3] = 0  # removed: another takes its place, and it has no weight
    assert mixture.discretise().decisions == (SKIP, SKIP, 2)
    assert mixture.gates()[0, 3] == 0
    assert mixture.gates().sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_a_pick_is_the_discretised_cell_or_one_of_its_function_or_the_next() -> None:
    alphas = torch.zeros(3, 5)
    alphas[0, SKIP], alphas[1, 3], alphas[2, 2] = 3.0, 2.0, 1.0
    mixture = Mixture(build(), alphas)
    chosen = SPACE.architecture((SKIP, 3, 2))
    others = [SPACE.architecture(d) for d in ((2, 2, 2), (SKIP, 3, 4), (SKIP, 2, 2))]
    nothing = Scores(np.zeros(4), np.zeros(4))
    assert mixture.pick([*others, chosen], nothing) == chosen
    assert mixture.pick(others, nothing) == others[1]
    twins = [one for one in SPACE.every() if one.canonical_id == chosen.canonical_id]
    twin = next(one for one in twins if one != chosen)
    assert mixture.pick([*others, twin], nothing) == twin


def test_traces_are_noted(data: SearchData) -> None:
    journal = Journal()
    DARTS(steps=20, batch_size=8).train(build(), data, np.random.default_rng(0), journal)
    values = {point.name: point.value for point in journal.points}
    assert set(values) == {"train_loss", "skips", "entropy", "discretisation_gap"}
    assert 0 < values["entropy"] < np.log(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"order": 3}, "order is 3"), ({"warmup": 1.0}, "warmup is 1.0"), ({"steps": 0}, "steps is")],
)
def test_options_are_checked(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DARTS(**options)  # type: ignore[arg-type]
