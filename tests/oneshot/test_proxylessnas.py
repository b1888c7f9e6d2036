from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot.base import Journal
from nassim.oneshot.data import search_data
from nassim.oneshot.mixed import Some
from nassim.oneshot.policy import Categorical
from nassim.oneshot.proxylessnas import (
    ProxylessNAS,
    chain_rule,
    draw_gates,
    draw_pairs,
    move_pairs,
)
from nassim.oneshot.supernet import build_supernet, mixed_op
from nassim.spaces import get_space


def some_logits(rows: int = 1) -> torch.Tensor:
    return torch.randn(rows, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_gate_has_the_gradient_of_what_it_would_let_through() -> None:
    edge = mixed_op(4).double()
    x = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(1)).double()
    gates = torch.tensor([1.0, 0.0]).double().requires_grad_()
    y = edge(x, Some((3, 4), gates))
    assert torch.equal(y, edge(x, 3))  # what is closed adds nothing
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((y * slope).sum(), gates)
    expected = [float((slope * edge(x, number).detach()).sum()) for number in (3, 4)]
    assert gradient.tolist() == pytest.approx(expected, rel=1e-9)


def test_the_chain_rule_is_the_gradient_of_the_expected_loss() -> None:
    """Of a loss that is linear in the gates: sum of p_j c_j, by autograd through the softmax."""
    alpha, losses = some_logits().requires_grad_(), some_logits().flip(1)
    expected_loss = (alpha.softmax(1) * losses).sum()
    (exact,) = torch.autograd.grad(expected_loss, alpha)
    assert torch.allclose(chain_rule(losses, alpha.detach().softmax(1)), exact, atol=1e-12)


def test_pairs_in_expectation_point_where_all_gates_do() -> None:
    alpha, losses = 0.3 * some_logits(), some_logits().flip(1)
    p = alpha.softmax(1)[0]
    mean = torch.zeros(1, 5, dtype=torch.float64)
    for first, second in itertools.permutations(range(5), 2):
        pair = torch.tensor([[first, second]])
        gradient = chain_rule(losses.gather(1, pair), alpha.gather(1, pair).softmax(1))
        chance = p[first] * p[second] / (1 - p[first])
        mean += chance * torch.zeros(1, 5).double().scatter(1, pair, gradient)
    exact = chain_rule(losses, p[None])
    assert torch.cosine_similarity(mean, exact).item() > 0.98


def test_pairs_and_gates_are_drawn_by_alpha() -> None:
    alpha, rng = some_logits().expand(4000, 5), np.random.default_rng(0)
    pairs = draw_pairs(alpha, rng)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    p = alpha[0].softmax(0)
    first = torch.bincount(pairs[:, 0], minlength=5) / len(pairs)
    assert torch.allclose(first.double(), p, atol=0.03)
    gates = draw_gates(torch.tensor([[0.2, 0.8]]).expand(4000, 2), rng)
    assert gates.sum(dim=1).eq(1).all()
    assert float(gates[:, 1].mean()) == pytest.approx(0.8, abs=0.02)


def test_a_step_of_a_pair_leaves_other_probabilities() -> None:
    policy = torch.nn.Parameter(some_logits(3))
    adam = torch.optim.Adam([policy], 0.1, betas=(0.0, 0.999))
    for seed in range(3):  # later steps have a past that must not move what is not drawn
        before = policy.detach().softmax(1)
        pairs = draw_pairs(policy.detach(), np.random.default_rng(seed))
        move_pairs(policy, pairs, torch.tensor([[0.5, -0.5]]).double().expand(3, 2), adam)
        change = policy.detach().softmax(1) - before
        assert change.gather(1, pairs).abs().min() > 1e-3
        assert (change.gather(1, pairs)[:, 0] < 0).all()
        assert change.scatter(1, pairs, 0.0).abs().max() < 1e-12


def test_alpha_is_frozen_in_warm_up_and_two_operations_are_kept_after_it() -> None:
    supernet = build_supernet(
        get_space("nasbench201_3nodes"), channels=4, cells=1, classes=3, inputs=1
    )
    most: list[int] = []

    def note(_edge: object, inputs: tuple[torch.Tensor, object]) -> None:
        gate = inputs[1]
        most.append(len(gate.numbers) if isinstance(gate, Some) else 1)
        assert isinstance(gate, int | Some)

    supernet.layers[0].edges[0].register_forward_pre_hook(note)
    seen: list[torch.Tensor] = []
    journal = Journal((0.25, 0.5, 1.0), lambda _, one: seen.append(_logits(one)))
    data = search_data(_images(), RECIPE, architecture_share=0.5)
    method = ProxylessNAS(steps=12, warm_up=6, batch_size=16)
    method.train(supernet, data, np.random.default_rng(0), journal)
    assert torch.equal(seen[0], seen[1])  # after 3 and 6 steps
    assert not torch.equal(seen[1], seen[2])
    assert most == [1] * 6 + [1, 2] * 6


def _logits(trained: object) -> torch.Tensor:
    assert isinstance(trained, Categorical)
    return trained.logits.detach().clone()


def test_a_warm_up_longer_than_the_training_is_refused() -> None:
    with pytest.raises(InputError, match="warm_up is 9; expected 0 to 8"):
        ProxylessNAS(steps=8, warm_up=9)
