"""Methods on spaces whose edges offer few operations, some of them without ``none`` or skips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nassim.checks import oneshot as checks
from nassim.checks.oneshot import RECIPE, _images, check_one_shot, one_shot_factory
from nassim.errors import InputError
from nassim.loading import load
from nassim.oneshot import ONE_SHOT
from nassim.oneshot.base import Journal
from nassim.oneshot.bender import draw_mask
from nassim.oneshot.darts import DARTS
from nassim.oneshot.data import search_data
from nassim.oneshot.fairdarts import FairMixture
from nassim.oneshot.mixture import Mixture
from nassim.oneshot.pdarts import CappedMixture, eliminate
from nassim.oneshot.supernet import NASBench201Supernet, Supernet, build_supernet
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import NASBench201Space

# one of each family (six functions are too few for landmarks)
IN_S4 = ("asap", "bender", "darts", "dartspt", "enas", "fairdarts", "nao", "pdarts", "robustdarts")
SMALL = [f"s{k}_tiny_3nodes" for k in range(1, 5)]


def build(name: str, *, affine: bool = False) -> Supernet:
    return build_supernet(get_space(name), channels=4, cells=1, classes=3, inputs=1, affine=affine)


@pytest.mark.parametrize("name", [*SMALL, "s1_tiny", "s4_tiny"])
@pytest.mark.parametrize("training", [False, True])
def test_one_hot_is_the_stand_alone_network(name: str, training: bool) -> None:
    """In training too: noise is drawn as often, from the same seed."""
    supernet = build(name).train(training)
    space = supernet.space
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    cells = list(space.every())
    for cell in cells[:: max(1, len(cells) // 8)]:
        own = supernet.standalone(cell)
        for _ in range(2):
            assert torch.equal(supernet(x, cell.decisions), own(x))
        assert own.training is training


def test_noise_of_a_supernet_is_drawn_anew_but_not_for_the_alphas() -> None:
    from nassim.oneshot.mixture import mixture_loss

    supernet = build("s4_tiny_3nodes").train()
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    gates = torch.full((3, 2), 0.5)
    batch = (x, torch.arange(4) % 3)
    first, again = (float(mixture_loss(supernet, gates, batch).detach()) for _ in range(2))
    assert first == again  # the same draw: it was made with copies of the buffers
    assert not torch.equal(supernet(x, gates.unbind()), supernet(x, gates.unbind()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [
        *(("s4_tiny_3nodes", method) for method in IN_S4),  # neither none nor skips, and noise
        *(("s3_tiny_3nodes", method) for method in ("asap", "bender", "fairdarts", "pdarts")),
        *(("s1_tiny_3nodes", method) for method in ("dartspt", "pdarts")),  # edges that differ
    ],
)
def test_a_method_keeps_its_contract(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [one.id for one in get_space(name).every()]
    monkeypatch.setattr(checks, "SPACES", {name: cells[:: max(1, len(cells) // 6)]})
    options = load(ONE_SHOT[method]).quick_options
    text = ":".join([method, *(f"{option}={value}" for option, value in options.items())])
    assert "check_standalone" in check_one_shot(one_shot_factory(text))


def test_an_edge_without_none_keeps_its_best() -> None:
    alphas = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]])
    assert Mixture(build("s2_tiny_3nodes"), alphas).discretise().decisions == (0, 1, 1)
    mixture = Mixture(build("s4_tiny_3nodes"), alphas)
    assert mixture.names() == ("noise", "nor_conv_3x3", "nor_conv_3x3")
    alphas = torch.tensor([[9.0, 1, 0], [9, 0, 1], [0, 0, 1]])
    assert Mixture(build("s3_tiny_3nodes"), alphas).discretise().decisions == (1, 2, 2)


def test_fairdarts_cuts_an_edge_only_to_a_none_that_is_offered() -> None:
    alphas = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.5, 0.0]])
    assert FairMixture(build("s3_tiny_3nodes"), alphas, 0.85).discretise().decisions == (1, 0, 0)
    mixture = FairMixture(build("s2_tiny_3nodes"), alphas[:, 1:], 0.85)
    assert mixture.discretise().decisions == (0, 1, 0)
    assert mixture.counted().all()


def test_the_limit_of_skips_knows_where_an_edge_has_its_skip() -> None:
    alphas = torch.zeros(6, 2)
    alphas[:, 0] = torch.tensor([1.0, 3.0, 2.0, 5.0, 4.0, 6.0])  # the last edge has none
    capped = CappedMixture(build("s1_tiny"), alphas, 2).discretise()
    assert capped.decisions == (1, 1, 1, 0, 0, 0)
    assert CappedMixture(build("s4_tiny"), alphas, 2).discretise().decisions == (0,) * 6


def test_stages_of_more_operations_than_there_are_remove_none() -> None:
    mixture = Mixture(build("s2_tiny_3nodes"), torch.zeros(3, 2))
    for keep in (5, 3, 2):
        eliminate(mixture, keep, none=True)
    assert mixture.alive.all()
    mixture = Mixture(build("s3_tiny_3nodes"), torch.tensor([[9.0, 1.0, 2.0]] * 3))
    eliminate(mixture, 2, none=True)
    assert mixture.alive.tolist() == [[0, 1, 1]] * 3


def test_a_path_that_noise_blocks_is_no_path() -> None:
    space = get_space("s4_tiny_3nodes")
    assert isinstance(space, NASBench201Space)
    rng = np.random.default_rng(0)
    noisy = 0.0
    for _ in range(200):
        mask = draw_mask(space, 0.9, rng)
        first, direct, second = mask[:, 1]
        assert direct or (first and second)
        noisy += mask[:, 0].sum()
    assert noisy  # an edge may keep its noise as well


@pytest.mark.parametrize(("name", "noted"), [("s2_tiny_3nodes", False), ("s4_tiny_3nodes", True)])
def test_edges_with_noise_are_noted_where_there_are_such(name: str, noted: bool) -> None:
    data = search_data(_images(), RECIPE, architecture_share=0.5)
    journal = Journal()
    DARTS(steps=20, batch_size=8).train(build(name), data, np.random.default_rng(0), journal)
    names = {point.name for point in journal.points}
    assert ("noise_edges" in names) is noted
    assert "skips" in names


def test_edges_must_offer_equally_many() -> None:
    class Ragged(NASBench201Space):
        name = "ragged"
        options = (("skip_connect",), ("none", "skip_connect"), ("none", "skip_connect"))
        n_choices = (1, 2, 2)

    assert len(list(itertools.islice(Ragged().every(), 9))) == 4
    with pytest.raises(InputError, match="offer 1 to 2 operations; expected as many"):
        NASBench201Supernet(Ragged(), channels=4, cells=1, classes=3, inputs=1)
