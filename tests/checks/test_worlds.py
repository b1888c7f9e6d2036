from __future__ import annotations

import random
import time

import numpy as np
import pytest

from nassim.checks.conditions import global_chance, odd_clock
from nassim.checks.recording import Event, FixedOrder, Recorder
from nassim.checks.worlds import hard_worlds, permuted, relabelled, renamed, small_world
from nassim.errors import ContractError, LeakageError
from nassim.records import Action
from nassim.simulator import simulate
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Judge, Rule, View
from nassim.terminators.last_value import LastValue
from nassim.terminators.median import MedianRule

# --- worlds ------------------------------------------------------------------------------------


def test_curves_cross_so_that_decisions_matter() -> None:
    curves = small_world().target.curves
    early, late = (curves[:, k].argsort().argsort() for k in (0, -1))
    rank_correlation = np.corrcoef(early, late)[0, 1]
    assert -0.9 < rank_correlation < 0.9
    assert curves.min() >= 0
    assert curves.max() <= 1


def test_a_world_is_the_same_for_the_same_seed() -> None:
    small_world.cache_clear()
    one = small_world(seed=5).target.curves
    small_world.cache_clear()
    assert np.array_equal(one, small_world(seed=5).target.curves)
    assert not np.array_equal(one, small_world(seed=6).target.curves)


def test_every_other_architecture_was_trained_on_the_sources() -> None:
    world = small_world(n=5)
    for task in world.sources.tasks:
        known = [a in task.architectures for a in world.target.architectures]
        assert known == [True, False, True, False, True]


@pytest.mark.parametrize("kind", hard_worlds())
def test_a_hard_world_is_as_hard_as_it_says(kind: str) -> None:
    world = hard_worlds()[kind]
    replay, curves = world.replay(), world.target.curves
    lengths = replay.lengths_array
    assert {
        "ragged": lambda: len(set(lengths.tolist())) > 3 and replay.completes_array.all(),
        "failed": lambda: 0 < (~replay.completes_array).sum() < len(lengths) and 0 in lengths,
        "gaps": lambda: np.isneginf(replay.values_array[:, 0]).any() and np.isnan(curves).any(),
        "all_failed": lambda: not replay.completes_array.any() and 0 in lengths,
        "unmeasured": lambda: replay.completes_array.sum() == 2,
        "ties": lambda: len(set(replay.qualities)) == 1 and len(lengths) > 3,
        "one_candidate": lambda: len(lengths) == 1,
        "one_epoch": lambda: replay.table.max_epochs == 1 and len(lengths) > 3,
        "lower_is_better": lambda: not replay.table.metric.higher_is_better and (curves < 0).any(),
    }[kind]()


def test_permuting_renaming_and_relabelling_keep_the_curves() -> None:
    world = small_world(n=4, epochs=5)
    order = np.array([2, 0, 3, 1])
    other = permuted(world, order)
    assert np.array_equal(other.target.curves, world.target.curves[order])
    assert other.target.architectures[0] == world.target.architectures[2]
    assert other.target.n_params.tolist() == world.target.n_params[order].tolist()
    assert [a.id for a in renamed(world).target.architectures][:2] == ["candidate 0", "candidate 1"]
    swapped = relabelled(world)
    assert swapped.target.dataset.name == "world-2"
    assert [t.dataset.name for t in swapped.sources.tasks] == ["world-1", "world-0"]
    assert np.array_equal(swapped.target.curves, world.target.curves)


# --- recordings --------------------------------------------------------------------------------


@pytest.mark.parametrize("terminator", [ASHA(), LastValue(), MedianRule(2)])
def test_recording_changes_nothing(terminator: Rule) -> None:
    replay = small_world().replay()
    order = list(range(24))
    recorder = Recorder(terminator, watch=True)
    plain, recorded = (
        simulate(replay, FixedOrder(order), t, np.random.default_rng(0), workers=2)
        for t in (terminator, recorder)
    )
    assert plain.epochs.tolist() == recorded.epochs.tolist()
    assert plain.completed == recorded.completed
    assert "judge" not in vars(terminator)
    assert recorder.faults == []


def test_an_answer_that_is_no_action_is_refused() -> None:
    class Sloppy(Rule):
        def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
            return (1,)

        def judge(self, view: View) -> Judge:
            return _Sloppy()

    replay = small_world(n=2, epochs=3).replay()
    with pytest.raises(ContractError, match=r"_Sloppy.decide returned True; expected an Action"):
        simulate(replay, FixedOrder([0, 1]), Recorder(Sloppy()), np.random.default_rng(0))


class _Sloppy(Judge):
    def decide(self, run: int, epoch: int) -> Action:
        return True  # type: ignore[return-value]


def test_a_watched_view_has_public_names_only() -> None:
    views: list[View] = []

    class Keeps(ASHA):
        def judge(self, view: View) -> Judge:
            views.append(view)
            return super().judge(view)

    recorder = Recorder(Keeps(), watch=True)
    replay = small_world(n=2, epochs=3).replay()
    simulate(replay, FixedOrder([0, 1]), recorder, np.random.default_rng(0))
    (view,) = views
    assert view.value(0, 1) == replay.values[0, 0]
    for name in ("_replay", "table", "_trained"):
        with pytest.raises(LeakageError, match=f"asked the view for '{name}'"):
            getattr(view, name)
    assert len(recorder.faults) == 3


def test_events_read_well() -> None:
    assert str(Event("train", (1, 2), 3)) == "train 1 2 until epoch 3"
    assert str(Event("STOP", (1,), 3)) == "STOP 1 at epoch 3"


# --- conditions --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [3600.0, -5.0])
def test_clocks_go_as_they_are_told(step: float) -> None:
    real = time.perf_counter
    with odd_clock(step):
        assert time.perf_counter() - time.time() == -step
        assert time.monotonic_ns() - time.time_ns() == -step * 1e9
    assert time.perf_counter is real
    assert abs(time.time() - time.time()) < 1


def test_use_of_a_global_generator_is_noticed_and_undone() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    with global_chance(1) as unused:
        np.random.default_rng(0).random()
    with global_chance(1) as of_python:
        first = random.random()
    with global_chance(1) as of_numpy:
        np.random.random()  # noqa: NPY002
        second = random.random()
    assert (unused, of_python, of_numpy) == ([], ["random"], ["random", "numpy.random"])
    assert first == second
    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def test_so_is_torch_s() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    with global_chance(1) as used:
        torch.rand(1)
    assert used == ["torch"]
    assert torch.equal(before, torch.get_rng_state())
