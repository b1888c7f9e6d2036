from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.oneshot.gdas import gumbel_gates
from nassim.oneshot.policy import Categorical
from nassim.oneshot.supernet import build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")


def images() -> torch.Tensor:
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def draws(n: int, logits: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    noise = np.random.default_rng(0).gumbel(size=(n, logits.shape[1]))
    return gumbel_gates(logits.expand(n, -1), noise, tau)


@pytest.mark.parametrize("tau", [10.0, 1.0, 0.1])
def test_forward_is_the_hard_path(tau: float) -> None:
    supernet = build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1).eval()
    logits = torch.zeros(3, 5, dtype=torch.float64, requires_grad=True)
    gates = gumbel_gates(logits, np.random.default_rng(3).gumbel(size=(3, 5)), tau).float()
    path = gates.argmax(dim=1).tolist()
    assert path[1] not in (0, path[0])  # a test with something to see
    assert sorted(gates.flatten().tolist()) == [0.0] * 12 + [1.0] * 3
    outputs = supernet(images(), list(gates))
    assert torch.equal(outputs, supernet(images(), path))
    (gradient,) = torch.autograd.grad(outputs.square().sum(), logits)
    assert gradient[1].abs().max() > 0
    assert gradient.sum(dim=1).abs().max() < 1e-9 * gradient.abs().max()  # of a softmax


def test_the_gradient_is_the_softmax_jacobian_times_the_gates_gradient() -> None:
    logits = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    noise = np.random.default_rng(1).gumbel(size=(1, 5))
    of_gates = torch.tensor([[0.0, 0.3, -1.0, 2.0, 0.1]], dtype=torch.float64)
    tau = 0.5
    gates = gumbel_gates(logits, noise, tau)
    (gradient,) = torch.autograd.grad((gates * of_gates).sum(), logits)
    p = ((logits.log_softmax(1) + torch.from_numpy(noise)) / tau).softmax(1).detach()
    expected = p * (of_gates - (p * of_gates).sum()) / tau
    # log_softmax shifts all scores alike, which a softmax does not see
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_choices_have_the_probabilities_of_alpha() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    shares = draws(10_000, logits).mean(dim=0)
    assert torch.allclose(shares, logits.softmax(1)[0], atol=0.02)
    policy = Categorical(
        build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1), logits.numpy()
    )
    rng = np.random.default_rng(0)
    paths = np.array([policy.draw(rng) for _ in range(5000)])
    found = np.bincount(paths[:, 0]) / len(paths)
    assert found == pytest.approx(logits.softmax(1)[0].numpy(), abs=0.025)


def test_a_cold_gradient_vanishes_and_a_hot_one_is_that_of_equal_shares() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64, requires_grad=True)

    def slope(tau: float) -> torch.Tensor:
        gates = gumbel_gates(logits, np.zeros((1, 3)), tau)
        return torch.autograd.grad(gates[0, 0], logits)[0] * tau

    assert slope(0.01).abs().max() < 1e-9
    assert torch.allclose(slope(1e4), torch.tensor([[2.0, -1.0, -1.0]]).double() / 9, atol=1e-3)


def test_a_policy_picks_the_most_probable_whatever_its_score() -> None:
    logits = np.zeros((3, 5))
    logits[:, 3] = 1.0
    policy = Categorical(build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1), logits)
    every = list(SPACE.every())
    likely = policy.log_probability(every)
    assert np.exp(likely).sum() == pytest.approx(1)
    assert every[int(likely.argmax())].decisions == (3, 3, 3)
    assert 0 < policy.entropy() < 1
