"""The controller: its probabilities are exact, and its gradient is that of REINFORCE."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from nassim.optimizers.base import Candidates, choices_of
from nassim.optimizers.controller import (
    Controller,
    Learning,
    PolicySearch,
    policy_loss,
)
from nassim.spaces import get_space

SMALL = get_space("nasbench201_3nodes")
EVERY = list(SMALL.every())
LEARNING = Learning(0.02, decay=0.9, entropy=0.0, batch=8, clip=0.2, normalise=True)


def controller(n_tasks: int = 0, scale: float = 1.0, seed: int = 0) -> Controller:
    made = Controller(SMALL.n_choices, n_tasks, width=6, rng=np.random.default_rng(seed))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= scale
    return made


def search(candidates: Candidates, learning: Learning = LEARNING, seed: int = 0) -> PolicySearch:
    return PolicySearch(candidates, np.random.default_rng(seed), controller(scale=5), 0, learning)


def pool_probabilities(policy: PolicySearch) -> np.ndarray:
    """Of the candidates that are left, from the definition."""
    left = policy._remaining.numbers
    with torch.inference_mode():
        scores = policy.controller(torch.tensor([EVERY[k].decisions for k in left]))
    return (scores.exp() / scores.exp().sum()).numpy()


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    every = torch.tensor(list(itertools.product(*map(range, SMALL.n_choices))))
    for task in range(2):
        probabilities = controller(n_tasks=2, scale=5)(every, task).exp()
        assert probabilities.sum().item() == pytest.approx(1.0, abs=1e-12)
        assert probabilities.max() > 1.2 * probabilities.min()  # not uniform by mistake


def test_what_is_sampled_has_the_log_probability_of_teacher_forcing() -> None:
    space = get_space("nasnet")  # decisions differ in their number of values
    policy = Controller(space.n_choices, 1, width=5, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for _ in range(3):
        decisions, log_probability = policy.sample(rng)
        assert space.architecture(decisions).decisions == decisions
        assert policy(torch.tensor([decisions])).item() == pytest.approx(log_probability, rel=1e-9)


def test_samples_are_as_frequent_as_probable() -> None:
    policy = controller(scale=8)
    rng = np.random.default_rng(0)
    drawn = [policy.sample(rng)[0][0] for _ in range(1500)]
    with torch.inference_mode():
        chances = policy(torch.tensor([a.decisions for a in EVERY])).exp().numpy()
    first = np.array([a.decisions[0] for a in EVERY])
    expected = np.array([1500 * chances[first == value].sum() for value in range(5)])
    counts = np.bincount(drawn, minlength=5)
    assert ((counts - expected) ** 2 / expected).sum() < 18.5  # 4 degrees of freedom, p = 0.001


def test_the_pool_policy_is_normalised_over_what_is_left() -> None:
    policy = search(Candidates(EVERY))
    for _ in range(3):
        expected = dict(zip(policy._remaining.numbers, pool_probabilities(policy), strict=True))
        asked = policy.ask(2)
        assert sum(expected.values()) == pytest.approx(1.0)
        first, second = (policy._proposals[number] for number in asked)
        assert np.exp(first.log_probability) == pytest.approx(expected[asked[0]])
        rest = 1 - expected[asked[0]]  # what was proposed has no probability any more
        assert np.exp(second.log_probability) == pytest.approx(expected[asked[1]] / rest)
        assert asked[0] not in second.left  # type: ignore[operator]


def test_the_gradient_is_reinforce_s() -> None:
    """Against finite differences of -A log p, for a proposal of the present policy."""
    policy = search(Candidates(EVERY[:9]))
    (asked,) = policy.ask(1)
    log_probability, _ = policy._log_probability([asked], [policy._proposals[asked]])
    before = log_probability.detach()
    loss = policy_loss(log_probability, before, torch.tensor([1.5]).double(), clip=0.2)
    (gradient,) = torch.autograd.grad(loss, [policy.controller.bias])
    step = 1e-6
    for index in ((1, 0), (1, 1), (2, 4)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                policy.controller.bias[index] += sign * step
                moved, _ = policy._log_probability([asked], [policy._proposals[asked]])
                policy.controller.bias[index] -= sign * step
            values.append(-1.5 * moved.item())
        assert gradient[index].item() == pytest.approx(
            (values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-8
        )


def test_a_ratio_beyond_the_clip_is_not_followed_further() -> None:
    log_p = torch.tensor([0.5, 0.5, -0.5], requires_grad=True)
    policy_loss(log_p, torch.zeros(3), torch.tensor([1.0, -1.0, 1.0]), clip=0.2).backward()  # type: ignore[no-untyped-call]
    assert log_p.grad is not None
    assert log_p.grad[0] == 0  # already more probable than the clip allows
    assert log_p.grad[1] > 0
    assert log_p.grad[2] < 0


def test_advantages() -> None:
    advantages = LEARNING.advantages(np.array([0.5, 0.7, 0.6]))
    assert advantages[1] > advantages[2] > advantages[0]
    assert LEARNING.advantages(np.array([0.3])).tolist() == [0.0]
    assert LEARNING.advantages(np.full(4, 0.1)).tolist() == [0.0] * 4  # a constant reward
    assert LEARNING.advantages(np.full(2, -np.inf)).tolist() == [0.0] * 2
    failed = LEARNING.advantages(np.array([0.5, 0.9, -np.inf]))
    worst = LEARNING.advantages(np.array([0.5, 0.9, 0.5]))
    assert failed.tolist() == worst.tolist()


def test_the_scale_of_rewards_does_not_matter_once_normalised() -> None:
    rewards = np.random.default_rng(0).random(9)
    assert LEARNING.advantages(100 * rewards) == pytest.approx(LEARNING.advantages(rewards))
    orders = []
    for scale in (1.0, 100.0):
        policy = search(Candidates(EVERY))
        order = []
        for k in range(12):
            (asked,) = policy.ask(1)
            policy.tell(asked, 1, scale * float(rewards[k % 9]))
            order.append(asked)
        orders.append(order)
    assert orders[0] == orders[1]


def test_a_later_report_replaces_an_earlier_one() -> None:
    orders = []
    for first in ([], [0.1], [-np.inf, 0.3]):
        policy = search(Candidates(EVERY))
        order = policy.ask(4)
        for k, number in enumerate(order):
            for epoch, value in enumerate([*first, 0.5 + k / 10], start=1):
                policy.tell(number, epoch, value)
        orders.append(order + policy.ask(20))
    assert orders[0] == orders[1] == orders[2]


def test_the_policy_moves_to_the_best_operation() -> None:
    """Operation 3 on the first edge is good, and nothing else matters."""
    policy = search(Candidates(EVERY), dataclasses.replace(LEARNING, learning_rate=0.05))
    good = np.array([architecture.decisions[0] == 3 for architecture in EVERY])
    every = torch.tensor([architecture.decisions for architecture in EVERY])
    shares = []
    for _ in range(40):
        with torch.inference_mode():
            probabilities = policy.controller(every).exp().numpy()
        shares.append(probabilities[good].sum())
        (number,) = policy.ask(1)
        policy.tell(number, 1, 0.9 if good[number] else 0.5)
    assert shares[0] < 0.35
    assert shares[-1] > 0.7


@pytest.mark.parametrize("name", ["nasbench201_3nodes", "nasbench101"])
def test_without_a_table_it_samples_and_learns(name: str) -> None:
    free = Candidates(space=get_space(name))
    policy = PolicySearch(
        free,
        np.random.default_rng(0),
        Controller(choices_of(free), 0, width=6, rng=np.random.default_rng(0)),
        0,
        LEARNING,
    )
    asked: list[int] = []
    for _ in range(6):
        new = policy.ask(3)
        for number in new:
            policy.tell(number, 1, float(np.mean(free[number].decisions)))
        asked += new
    assert asked == list(range(18))
    assert len({architecture.id for architecture in free.architectures}) == 18
    assert policy.notes["policy_steps"] == 5


def test_a_small_space_runs_out() -> None:
    free = Candidates(space=SMALL)
    policy = PolicySearch(free, np.random.default_rng(0), controller(), 0, LEARNING)
    assert sorted(policy.ask(200)) == list(range(125))


def test_the_embedding_of_a_new_task_joins_the_others() -> None:
    known = controller(n_tasks=2)
    more = known.with_new_task(np.random.default_rng(0))
    assert known.tasks is not None
    assert more.tasks is not None
    assert more.tasks.weight.shape[0] == 3
    assert torch.equal(more.tasks.weight[:2], known.tasks.weight)
    decisions = torch.tensor([[1, 2, 3]])
    assert more(decisions, 1).item() == known(decisions, 1).item()
    assert more(decisions, 2).item() != known(decisions, 1).item()
