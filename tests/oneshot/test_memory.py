"""What a training saves for backward: every storage once, and gone with its graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.oneshot.base import Trained
from nassim.oneshot.darts import DARTS
from nassim.oneshot.memory import WATCHED_EVERY, SavedBytes, WatchedJournal, state_bytes
from nassim.oneshot.mixed import Gates, Some
from nassim.oneshot.pcdarts import use_parts
from nassim.oneshot.supernet import Supernet, build_supernet
from nassim.spaces import get_space

KILO = 4 * 1024  # bytes of 1,024 numbers


@pytest.fixture
def x() -> Tensor:
    return torch.ones(1024, requires_grad=True)


def test_a_storage_counts_once(x: Tensor) -> None:
    with SavedBytes() as saved:
        y = x.exp()  # keeps y
        z = y * y.view(32, 32).view(1024)  # keeps y twice, through a view
    assert saved.now == saved.peak == KILO
    with SavedBytes() as apart:
        z = y * (y + 0)  # two storages of the same numbers
    assert apart.peak == 2 * KILO
    del z


def test_what_is_dropped_without_backward_is_let_go(x: Tensor) -> None:
    with SavedBytes() as saved:
        y = x.exp().exp()
        assert saved.now == 2 * KILO
        del y
    assert saved.now == 0


def test_the_peak_is_of_one_time_not_a_sum(x: Tensor) -> None:
    with SavedBytes() as saved:
        for _ in range(3):
            x.exp().exp().sum().backward()
    assert saved.peak == 2 * KILO
    assert saved.now == 0


def test_parameters_and_their_parts_are_there_anyway() -> None:
    weight = nn.Parameter(torch.ones(32, 32))
    with SavedBytes() as saved:
        y = torch.ones(1, 32) @ weight  # a constant input: autograd needs it for the weight
        z = torch.ones(1, 16, requires_grad=True) @ weight[:16]
    assert saved.peak == 4 * (32 + 16)
    with SavedBytes() as copied:
        w = torch.ones(1, 32, requires_grad=True) @ weight.detach().clone()
    assert copied.peak == KILO
    del y, z, w


def test_gradients_are_what_they_are_without() -> None:
    def gradients() -> list[Tensor]:
        net = supernet()
        x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        gates = torch.full((3, 5), 0.2, requires_grad=True)
        loss = net(x, gates.unbind()).square().sum()
        (first,) = torch.autograd.grad(loss, gates, create_graph=True)
        first.square().sum().backward()  # and second ones
        return [first, *(p.grad for p in net.parameters() if p.grad is not None)]

    plain = gradients()
    with SavedBytes() as saved:
        watched = gradients()
    assert saved.peak > 0
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


# --- of a supernet ----------------------------------------------------------------------------


def supernet() -> Supernet:
    space = get_space("nasbench201_3nodes")
    return build_supernet(space, channels=8, cells=1, classes=10, inputs=1, affine=False)


def bytes_of(gates: Gates, parts: int = 1) -> int:
    net, x = supernet(), torch.randn(16, 1, 8, 8)
    use_parts(net, parts)
    with SavedBytes() as saved:
        F.cross_entropy(net(x, gates), torch.zeros(16, dtype=torch.long)).backward()
    return saved.peak


def test_two_paths_keep_less_than_all_and_parts_keep_a_part() -> None:
    """What the papers of ProxylessNAS and PC-DARTS say of memory, as bytes."""
    none = bytes_of((0, 0, 0))
    conv = bytes_of((3, 3, 3)) - none
    pairs = {
        other: bytes_of([Some((3, other), torch.tensor([1.0, 0.0], requires_grad=True))] * 3) - none
        for other in (1, 2, 4)
    }
    every = torch.full((3, 5), 0.2, requires_grad=True).unbind()
    whole = bytes_of(every) - none
    # a mixture also keeps what each operation answers, for the gradient of its weight
    assert conv < pairs[1] < pairs[4] < pairs[2] < whole
    assert whole > 1.5 * pairs[1]
    half = bytes_of(every, parts=2) - none
    assert 0.45 < half / whole < 0.75
    assert bytes_of(every, parts=4) - none < half


# --- of a training ----------------------------------------------------------------------------


class _Steps:
    """A training whose step k saves ``sizes[k - 1]`` kilobytes of numbers."""

    def __init__(self, sizes: dict[int, int], steps: int) -> None:
        self.sizes, self.steps = sizes, steps

    def run(self, journal: WatchedJournal) -> None:
        trained = Trained(supernet())
        with journal:
            for step in range(1, self.steps + 1):
                x = torch.ones(1024 * self.sizes.get(step, 1), requires_grad=True)
                x.exp().sum().backward()
                journal.finished(step, self.steps, trained)
            torch.ones(1024 * 99, requires_grad=True).exp()


@pytest.mark.parametrize(
    ("step", "seen"), [(1, True), (2, False), (8, True), (15, True), (14, False)]
)
def test_each_seventh_step_is_watched(step: int, seen: bool) -> None:
    assert WATCHED_EVERY == 7
    journal = WatchedJournal()
    _Steps({step: 5}, 16).run(journal)
    assert max(journal.peaks) == (5 if seen else 1) * KILO
    assert len(journal.peaks) == 3
    assert journal.step == 16


def test_no_hook_is_left_behind(x: Tensor) -> None:
    journal = WatchedJournal()
    with pytest.raises(ZeroDivisionError), journal:
        raise ZeroDivisionError
    x.exp().sum().backward()
    assert journal.peaks == [0]


def test_checkpoints_are_not_watched() -> None:
    def at_checkpoint(step: int, trained: Trained) -> None:
        torch.ones(1024 * 50, requires_grad=True).exp().sum().backward()

    journal = WatchedJournal((0.5,), at_checkpoint)
    _Steps({}, 14).run(journal)
    assert journal.peaks == [KILO, KILO]


def test_state_is_counted() -> None:
    net = supernet()
    held = sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))
    assert state_bytes(net) == held
    assert state_bytes(nn.ModuleList([net, net])) == held


def test_the_second_order_keeps_more() -> None:
    from nassim.checks.oneshot import RECIPE, _images
    from nassim.oneshot.data import search_data

    data = search_data(_images(), RECIPE, architecture_share=0.5)

    def peaks() -> Iterator[int]:
        for order in (1, 1, 2):
            net = build_supernet(
                get_space("nasbench201_3nodes"),
                channels=4,
                cells=1,
                classes=3,
                inputs=1,
                affine=False,
            )
            with WatchedJournal() as journal:
                method = DARTS(order=order, steps=2, batch_size=8)
                method.train(net, data, np.random.default_rng(0), journal)
            yield max(journal.peaks)

    first, again, second = peaks()
    assert first == again
    assert second > first
