"""What the repairs of DARTS do, each on its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nassim.checks.oneshot import RECIPE, _images
from nassim.oneshot import dartsplus, robustdarts
from nassim.oneshot.asap import ASAP, AnnealedMixture
from nassim.oneshot.base import Journal
from nassim.oneshot.dartsplus import DARTSPlus
from nassim.oneshot.dartspt import DARTSPT, most_missed
from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.dropping import dropping
from nassim.oneshot.fairdarts import FairDARTS, FairMixture, zero_one_loss
from nassim.oneshot.mixture import ALPHA_DECAY, Mixture, mixture_loss, small_alphas
from nassim.oneshot.pdarts import PDARTS, CappedMixture, eliminate
from nassim.oneshot.robustdarts import RobustDARTS, hessian_eigenvalue, largest_eigenvalue
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
NONE, SKIP = 0, 1


def build() -> Supernet:
    return build_supernet(SPACE, channels=4, cells=1, classes=3, inputs=1, affine=False)


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
    loss = zero_one_loss(torch.sigmoid(alphas)[:, 1:])  # 3/4 and 1/4 are 1/4 off, of four
    assert float(loss.detach()) == pytest.approx(-(2 / 16) / 4)
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
    assert mixture.counted().tolist() == [[False, True, True, True, True]] * 3


def test_the_zero_one_loss_drives_weights_from_a_half(data: SearchData) -> None:
    away = []
    for weight in (0, 1000):
        method = FairDARTS(weight=weight, steps=10, batch_size=8, alpha_rate=0.3)
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


# --- RobustDARTS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eigenvalues", "largest"), [((4.0, 1.0, -2.0), 4.0), ((-5.0, 3.0, 1.0), 3.0), ((-4, -1), -1)]
)
def test_the_largest_eigenvalue_of_a_known_quadratic(
    eigenvalues: tuple[float, ...], largest: float
) -> None:
    rng = np.random.default_rng(0)
    n = len(eigenvalues)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    matrix = torch.from_numpy(q @ np.diag(eigenvalues) @ q.T)
    x = torch.from_numpy(rng.normal(size=n)).requires_grad_()
    (gradient,) = torch.autograd.grad(0.5 * x @ matrix @ x, x, create_graph=True)

    def product(vector: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(gradient, x, vector, retain_graph=True)[0]

    start = torch.from_numpy(rng.normal(size=n))
    assert largest_eigenvalue(product, start, 1e-9, 400) == pytest.approx(largest, rel=1e-5)
    assert largest_eigenvalue(product, start) == pytest.approx(largest, rel=0.1)


def test_the_eigenvalue_is_that_of_the_dense_hessian(data: SearchData) -> None:
    mixture = Mixture(
        build(), torch.from_numpy(np.random.default_rng(0).normal(size=(3, 5))).float()
    )
    batch = next(data.architecture_batches(16, np.random.default_rng(0)))

    def loss(alphas: torch.Tensor) -> torch.Tensor:
        return mixture_loss(mixture.supernet, torch.softmax(alphas, dim=1), batch)

    dense = torch.autograd.functional.hessian(loss, mixture.alphas.detach()).reshape(15, 15)
    found = hessian_eigenvalue(
        mixture, batch, small_alphas(mixture.supernet, np.random.default_rng(1))
    )
    assert found - ALPHA_DECAY == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=0.05)


def test_it_ends_when_the_mean_has_grown_and_with_the_alphas_of_before(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = iter([1, 1, 1, 1, 1, 1, 2, 4, 8, 16])  # means of 5: 1 ... 1.2, 1.8, so it ends at 4
    monkeypatch.setattr(robustdarts, "hessian_eigenvalue", lambda *_: float(next(series)))
    journal = States()
    method = RobustDARTS(steps=10, batch_size=8, every=1)
    trained = method.train(build(), data, np.random.default_rng(0), journal)
    assert isinstance(trained, Mixture)
    assert journal.step == 8
    assert journal.values("stopped") == [4]
    assert torch.equal(trained.gates(), journal.gates[8 - 4 - 1])


def test_drop_path_drops_all_of_an_image_and_only_in_training() -> None:
    supernet = build()
    edge = supernet.layers[0].edges[0]
    x = torch.randn(64, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with dropping(supernet, ["avg_pool_3x3"], np.random.default_rng(0), whole=True) as drop:
        whole = edge(x, 4)
        drop.rate = 0.5
        y = edge(x, 4)
        gone = (y == 0).flatten(1).all(dim=1)
        assert 20 < int(gone.sum()) < 44
        assert torch.allclose(y[~gone], 2 * whole[~gone])
        assert torch.equal(edge(x, 1), x)
        supernet.eval()
        assert torch.equal(edge(x, 4), whole)
    assert torch.equal(edge.train()(x, 4), whole)


# --- P-DARTS -----------------------------------------------------------------------------------


def test_weakest_operations_are_eliminated_and_none_before_the_last_stage() -> None:
    mixture = Mixture(
        build(), torch.tensor([[5.0, 1, 2, 3, 4], [1, 5, 4, 3, 2], [3, 3.1, 9, 0, 1]])
    )
    eliminate(mixture, 3, none=False)
    assert mixture.alive.tolist() == [[1, 0, 0, 1, 1], [0, 1, 1, 1, 0], [1, 1, 1, 0, 0]]
    eliminate(mixture, 2, none=True)
    assert mixture.alive.tolist() == [[0, 0, 0, 1, 1], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("cap", "decisions"), [(3, (1, 1, 1)), (2, (1, 3, 1)), (1, (1, 3, 2)), (9, (1, 1, 1))]
)
def test_the_weakest_skips_above_the_limit_give_way(cap: int, decisions: tuple[int, ...]) -> None:
    alphas = torch.zeros(3, 5)
    alphas[:, SKIP] = torch.tensor([4.0, 2.0, 3.0])
    alphas[:, NONE], alphas[1, 3], alphas[2, 2] = 9.0, 1.0, 1.0
    assert CappedMixture(build(), alphas, cap).discretise().decisions == decisions


def test_stages_have_fewer_operations_and_alphas_rest_at_their_begin(data: SearchData) -> None:
    journal = States()
    method = PDARTS(steps=9, batch_size=8)
    method.train(build(), data, np.random.default_rng(0), journal)
    assert journal.values("operations") == [9, 6]
    runs = [(gates > 0).sum(dim=1).tolist() for gates in journal.gates]
    assert runs == [[5] * 3] * 3 + [[3] * 3] * 3 + [[2] * 3] * 3
    assert torch.equal(journal.gates[0], journal.gates[1])
    assert not torch.equal(journal.gates[1], journal.gates[2])
    assert not journal.gates[-1][:, NONE].any()


# --- ASAP --------------------------------------------------------------------------------------


def test_the_number_of_operations_falls_to_one_an_edge(data: SearchData) -> None:
    journal = States()
    method = ASAP(steps=30, batch_size=8, alpha_rate=0.1)
    trained = method.train(build(), data, np.random.default_rng(0), journal)
    assert isinstance(trained, AnnealedMixture)
    counts = journal.values("operations")
    assert counts[0] == 12  # all but none
    assert counts == sorted(counts, reverse=True)
    assert any(3 < count < 12 for count in counts)  # some went on the way, not all at the end
    assert counts[17:] == [3] * 13
    assert trained.gates().max(dim=1).values.tolist() == [1, 1, 1]
    assert journal.values("discretisation_gap") == [pytest.approx(0, abs=1e-6)]


def test_pruning_compares_with_the_living_and_spares_the_best() -> None:
    mixture = AnnealedMixture(build(), torch.zeros(3, 5))
    mixture.temperature.fill_(0.5)
    with torch.no_grad():  # weights of e**(2 alpha): 4, 1, 1, 0.25 of 6.25
        mixture.alphas[0, 1:] = torch.tensor([4.0, 1.0, 1.0, 0.25]).log() / 2
    mixture.prune(0.4)
    assert mixture.alive.tolist() == [[0, 1, 1, 1, 0], [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    mixture.prune(None)
    assert mixture.alive.sum(dim=1).tolist() == [1, 1, 1]
    assert mixture.alive[0, 1] == 1
    mixture.prune(1.0)
    assert mixture.decided()


# --- DARTS-PT ----------------------------------------------------------------------------------


def test_the_most_missed_is_that_of_leave_one_out(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = Mixture(build(), torch.tensor([[9.0, 0, 1, 2, 3]] * 3))
    effect = torch.tensor([100.0, 4.0, 3.0, 2.0, 2.5])  # of a unit of weight on the loss

    def loss(_supernet: Supernet, gates: torch.Tensor, _batch: object) -> torch.Tensor:
        return -(gates[1] * effect).sum()

    monkeypatch.setattr("nassim.oneshot.dartspt.mixture_loss", loss)
    batch = next(data.architecture_batches(8, np.random.default_rng(0)))
    assert most_missed(mixture, 1, batch) == 4  # weight times effect; none is no candidate


def test_edges_are_decided_one_after_another_and_blank_alphas_rest(data: SearchData) -> None:
    journal = States()
    method = DARTSPT(blank=True, steps=4, batch_size=8)
    trained = method.train(build(), data, np.random.default_rng(0), journal)
    assert isinstance(trained, Mixture)
    decided = [int((gates == 1).any(dim=1).sum()) for gates in journal.gates]
    assert decided == [0, 0, 0, 0, 1, 2, 3]
    assert torch.equal(trained.alphas, small_alphas(build(), np.random.default_rng(0)))
    assert len(journal.values("keeps_what_weighs_most")) == 3
