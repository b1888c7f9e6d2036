"""What the repairs of DARTS do, each on its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.oneshot import dartsplus
from nassim.oneshot.base import Journal
from nassim.oneshot.dartsplus import DARTSPlus
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.fairdarts import FairDARTS, FairMixture, zero_one_loss
from nassim.oneshot.mixture import NONE, SKIP, Mixture
from nassim.oneshot.supernet import Supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")


def build() -> Supernet:
    return Supernet(SPACE, channels=4, cells=1, classes=3, inputs=1, affine=False)


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, architecture_share=0.5)


class States(Journal):
    """Keeps the gates after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[torch.Tensor] = []

    def finished(self, step: int, steps: int, trained: object) -> None:
        super().finished(step, steps, trained)  # type: ignore[arg-type]
        assert isinstance(trained, Mixture)
        self.gates.append(trained.gates().detach().clone())

    def values(self, name: str) -> list[float]:
        return [point.value for point in self.points if point.name == name]


# --- FairDARTS ---------------------------------------------------------------------------------


def test_the_zero_one_loss_by_hand() -> None:
    alphas = torch.tensor([[5.0, 0.0, np.log(3), -np.log(3), 0.0]], requires_grad=True)
    loss = zero_one_loss(torch.sigmoid(alphas))  # none does not count; 3/4 and 1/4 are 1/4 off
    assert float(loss) == pytest.approx(-(2 / 16) / 4)
    loss.backward()
    slope = -2 * 0.25 * (3 / 16) / 4  # sigmoid' = 3/4 1/4
    assert alphas.grad is not None
    assert alphas.grad.flatten().tolist() == pytest.approx([0, 0, slope, -slope, 0])


def test_sigmoids_do_not_compete_and_are_cut_at_the_threshold() -> None:
    alphas = torch.zeros(3, 5)
    alphas[0, 2] = alphas[0, 3] = 3.0
    mixture = FairMixture(build(), alphas, 0.85)
    assert (mixture.gates()[0, 2:4] > 0.9).all()
    assert mixture.gates()[:, NONE].tolist() == [0, 0, 0]
    assert mixture.discretise().decisions == (2, NONE, NONE)
    assert NONE not in FairMixture(build(), torch.zeros(3, 5), 0.85).discretise().decisions


def test_the_zero_one_loss_drives_weights_from_a_half(data: SearchData) -> None:
    away = []
    for weight in (0, 1000):
        method = FairDARTS(weight=weight, steps=40, batch_size=8, alpha_rate=0.1)
        trained = method.train(build(), data, np.random.default_rng(0), Journal())
        assert isinstance(trained, Mixture)
        gates = trained.gates().detach()[:, 1:]
        away.append(float((gates - 0.5).abs().mean()))
    assert away[1] > away[0] + 0.1


# --- DARTS+ ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skips", "last"), [(1, 6), (2, 3), (3, 3)])
def test_darts_plus_ends_at_the_limit_of_skips(
    skips: int, last: int, data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    alphas = torch.zeros(3, 5)
    alphas[:, 3] = 5.0
    alphas[:skips, SKIP] = 9.0
    monkeypatch.setattr(dartsplus, "small_alphas", lambda supernet, rng: alphas)
    journal = States()
    method = DARTSPlus(steps=6, batch_size=8, warmup=2 / 6)
    method.train(build(), data, np.random.default_rng(0), journal)
    assert journal.step == last
    assert journal.values("stopped_at_skips") == ([skips] if last == 3 else [])
