from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nassim.errors import InputError
from nassim.oneshot.parsec import PARSEC, improve, posterior
from nassim.oneshot.policy import Categorical
from nassim.oneshot.supernet import build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")


def policy(logits: np.ndarray | None = None) -> Categorical:
    supernet = build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1)
    return Categorical(supernet, np.zeros((3, 5)) if logits is None else logits)


def loss_of(path: tuple[int, ...]) -> float:
    """A table: option 3 is better on each edge."""
    return 1.0 - 0.1 * path.count(3)


@pytest.mark.parametrize("tempering", [0.5, 1.0])
def test_the_better_option_wins(tempering: float) -> None:
    found, rng = policy(), np.random.default_rng(0)
    adam = torch.optim.Adam([found.logits], 0.1)
    for _ in range(120):
        paths = [found.draw(rng) for _ in range(4)]
        omega = posterior([loss_of(path) for path in paths], 64, tempering)
        improve(found, adam, paths, omega)
    assert found.logits.argmax(dim=1).tolist() == [3, 3, 3]
    assert found.logits.detach().softmax(1)[:, 3].min() > 0.7


def test_the_estimate_nears_the_exact_gradient_as_samples_grow() -> None:
    found = policy(np.random.default_rng(2).normal(size=(3, 5)))
    every = list(itertools.product(range(5), repeat=3))
    likelihood = torch.tensor([np.exp(-8 * loss_of(path)) for path in every])
    marginal = (found.log_pi(every).exp() * likelihood).sum().log()
    (exact,) = torch.autograd.grad(marginal, [found.logits])
    rng = np.random.default_rng(0)

    def error(samples: int) -> float:
        errors = []
        for _ in range(10):
            paths = [found.draw(rng) for _ in range(samples)]
            omega = posterior([loss_of(path) for path in paths], 64, 0.5)  # 64 ** 0.5 = 8
            total = (torch.from_numpy(omega) * found.log_pi(paths)).sum()
            (estimate,) = torch.autograd.grad(total, [found.logits])
            errors.append(float((estimate - exact).norm()))
        return float(np.mean(errors))

    assert error(400) < 0.35 * error(16)  # by 5, up to chance


def test_weights_add_up_to_1_and_hold_for_large_losses() -> None:
    omega = posterior([500.0, 501.0, 500.0], 64, 1.0)
    assert omega == pytest.approx([0.5, 0, 0.5])


def test_one_sample_is_refused() -> None:
    assert posterior([7.0], 64, 1.0).tolist() == [1.0]  # which says nothing of how good it is
    with pytest.raises(InputError, match="samples is 1; expected 2 or more"):
        PARSEC(samples=1)
