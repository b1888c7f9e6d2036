"""DARTS- and SDARTS: what they add to DARTS, and that without it they are DARTS."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.errors import InputError
from nassim.oneshot import dartsminus, sdarts
from nassim.oneshot.auxiliary import Auxiliary, auxiliary
from nassim.oneshot.base import Journal, OneShot, Trained
from nassim.oneshot.darts import DARTS
from nassim.oneshot.dartsminus import DARTSMinus
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.mixture import mixture_loss, weight_step
from nassim.oneshot.sdarts import SDARTS, attacked
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import OPERATIONS

SPACE = get_space("nasbench201_3nodes")
SIZES = {"steps": 5, "batch_size": 8}


@pytest.fixture(scope="module")
def data() -> SearchData:
    return search_data(_images(), RECIPE, architecture_share=0.5)


def build() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1, affine=False)


def trained(method: OneShot, data: SearchData) -> Trained:
    return method.train(build(), data, np.random.default_rng(0), Journal())


def same(first: Trained, second: Trained) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("without", "with_it"),
    [
        (DARTSMinus(auxiliary=0.0, **SIZES), DARTSMinus(**SIZES)),
        (SDARTS(epsilon=0.0, **SIZES), SDARTS(**SIZES)),
        (SDARTS(epsilon=0.0, attack=2, **SIZES), SDARTS(attack=2, **SIZES)),
    ],
)
def test_without_what_it_adds_it_is_darts(
    without: OneShot, with_it: OneShot, data: SearchData
) -> None:
    darts = trained(DARTS(**SIZES), data)
    assert same(trained(without, data), darts)
    assert not same(trained(with_it, data), darts)


def test_the_auxiliary_connection_is_a_weight_more_of_the_skip(data: SearchData) -> None:
    """Added to the mixture, beta times the input is what beta more of skip is."""
    net, gates = build(), torch.full((3, 5), 0.2)
    more = gates.clone()
    more[:, OPERATIONS.index("skip_connect")] += 0.7
    batch = next(data.weight_batches(8, np.random.default_rng(0)))

    def loss(each: torch.Tensor) -> float:
        return float(mixture_loss(net, each, batch).detach())

    plain, expected = loss(gates), loss(more)
    with auxiliary(net) as beside:
        assert loss(gates) == plain
        beside.weight = 0.7
        assert loss(gates) == pytest.approx(expected, rel=1e-5)
        x, one = batch[0], SPACE.architecture((3, 1, 2))
        net.eval()
        assert torch.equal(net(x, one.decisions), net.standalone(one)(x))  # stays alone
    net.train()
    assert loss(gates) == plain


def test_the_auxiliary_connection_fades(data: SearchData, monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[float] = []

    class Noted(Journal):
        def finished(self, step: int, steps: int, trained: Trained) -> None:
            weights.append(hook.weight)

    hook = Auxiliary()
    monkeypatch.setattr(dartsminus, "auxiliary", lambda _net: nullcontext(hook))
    DARTSMinus(**SIZES).train(build(), data, np.random.default_rng(0), Noted())
    assert weights == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_an_attack_is_worse_than_noise_within_the_same_reach(data: SearchData) -> None:
    net, rng = build().train(), np.random.default_rng(0)
    batch = next(data.weight_batches(16, rng))
    logits = torch.zeros(3, 5)
    noise = torch.from_numpy(rng.uniform(-1, 1, (3, 5))).to(logits)
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def loss(noise: torch.Tensor) -> float:
        return float(mixture_loss(net, torch.softmax(logits + noise, dim=1), batch).detach())

    losses = [loss(noise)]
    for steps in (1, 7):
        found = attacked(noise, 1.0, steps, net, logits, batch)
        assert float(found.abs().max()) <= 1.0
        losses.append(loss(found))
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]
    assert torch.equal(attacked(noise, 1.0, 0, net, logits, batch), noise)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_an_attack_goes_where_the_loss_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a loss that is a known sum of the weights, to the corner of the reach."""
    slopes = torch.tensor([[2.0, -1.0], [-3.0, 0.5]])
    monkeypatch.setattr(
        sdarts, "mixture_loss", lambda _net, gates, _batch: (slopes * gates.log()).sum()
    )
    nothing = torch.zeros(2, 2)
    found = attacked(nothing, 0.5, 4, build(), nothing, (nothing, nothing))
    assert torch.equal(found, torch.tensor([[0.5, -0.5], [-0.5, 0.5]]))


def test_the_noise_grows_and_moves_no_alpha_by_itself(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    off: list[float] = []

    def noted(
        mixture: object, optimizer: object, rate: float, batch: object, gates: object
    ) -> float:
        logits = torch.log(gates)  # type: ignore[arg-type]
        clean = torch.log(mixture.gates().detach())  # type: ignore[attr-defined]
        apart = logits - clean
        off.append(float((apart - apart.mean(dim=1, keepdim=True)).abs().max()))
        return weight_step(mixture, optimizer, rate, batch, gates)  # type: ignore[arg-type]

    monkeypatch.setattr(sdarts, "weight_step", noted)
    trained(SDARTS(epsilon=0.3, steps=20, batch_size=8), data)
    assert all(0 < apart <= 2 * 0.3 * step / 20 for step, apart in enumerate(off, start=1))
    assert off[-1] > 0.15


@pytest.mark.parametrize(("method", "name"), [(DARTSMinus, "auxiliary"), (SDARTS, "epsilon")])
def test_a_negative_option_is_refused(method: type[OneShot], name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} is -0\.1; expected a number, 0 or more"):
        method(**{name: -0.1})


def test_an_attack_of_half_a_step_is_refused() -> None:
    with pytest.raises(InputError, match=r"attack is 0\.5"):
        SDARTS(attack=0.5)  # type: ignore[arg-type]  # as a command line may have it
