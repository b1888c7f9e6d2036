from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.errors import InputError
from nassim.oneshot.enas import ENAS, Reinforce
from nassim.optimizers.controller import Controller

CHOICES = (5, 5, 5)


def policy(seed: int = 0) -> Controller:
    return Controller(CHOICES, n_tasks=0, width=16, rng=np.random.default_rng(seed))


def share_of(controller: Controller, option: int) -> float:
    """How often the controller draws an option, over all decisions."""
    rng = np.random.default_rng(1)
    return float(np.mean([np.equal(controller.sample(rng)[0], option) for _ in range(100)]))


def test_the_policy_concentrates_on_a_better_operation() -> None:
    controller, rng = policy(), np.random.default_rng(0)
    assert share_of(controller, 3) < 0.4
    reinforce = Reinforce(controller, learning_rate=2e-2, entropy=1e-4)
    for _ in range(80):
        reinforce.step(lambda path: path.count(3) / 3, 5, rng)
    assert share_of(controller, 3) > 0.8
    assert reinforce.sampled_entropy < 2  # from 3 ln 5 = 4.8 nats


def test_of_equal_rewards_nothing_is_learned() -> None:
    controller = policy()
    before = {name: value.clone() for name, value in controller.state_dict().items()}
    reinforce = Reinforce(controller, learning_rate=1e-2, entropy=0.0)
    for _ in range(3):
        assert reinforce.step(lambda _path: 0.5, 4, np.random.default_rng(0)) == 0.5
    assert all(torch.equal(before[k], v) for k, v in controller.state_dict().items())


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    """The mean over samples of (R - b) grad log pi, against all 125 paths."""
    controller = policy()
    every = torch.cartesian_prod(*(torch.arange(5) for _ in CHOICES))
    rewards = (every == 3).double().mean(dim=1)
    expected = (controller(every).exp() * rewards).sum()
    (exact,) = torch.autograd.grad(expected, [controller.bias])
    rng = np.random.default_rng(0)
    drawn = torch.tensor([controller.sample(rng)[0] for _ in range(2000)])
    advantages = (drawn == 3).double().mean(dim=1) - 0.2
    (mean,) = torch.autograd.grad((advantages * controller(drawn)).mean(), [controller.bias])
    assert torch.cosine_similarity(mean.flatten(), exact.flatten(), dim=0) > 0.95


def test_an_option_that_is_not_above_0_is_refused() -> None:
    with pytest.raises(InputError, match="samples is 0"):
        ENAS(samples=0)
