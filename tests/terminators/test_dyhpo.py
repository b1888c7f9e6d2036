"""DyHPO: incumbents at equal epochs, what the kernel reads, and its process."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, small_world
from nassim.errors import InputError
from nassim.simulator import Episode, simulate
from nassim.terminators import dyhpo
from nassim.terminators.dyhpo import DyHPO, expected_improvement, incumbents
from nassim.terminators.stepwise import Seen, budget_epochs

QUICK: dict[str, Any] = {"iterations": 5, "refinement": 1}
SOME = [4, 1, 2, 7, 1, 1, 1, 3]


def seen_of(world: World, trained: list[int]) -> Seen:
    """The world after these epochs of its first runs."""
    curves = world.target.curves
    counts = np.array(trained + [0] * (len(curves) - len(trained)))
    known = np.arange(curves.shape[1]) < counts[:, None]
    return Seen(np.where(known, curves, np.nan), counts)


def surrogate(world: World, **options: Any) -> Any:
    return dyhpo._Surrogate(DyHPO(**(QUICK | options)), world.target.architectures, seed=0)


def search(world: World, seed: int = 0, **options: Any) -> tuple[Recorder, Episode]:
    terminator = DyHPO(**(QUICK | options))
    terminator.fit(world.sources, seed)
    recorder, replay = Recorder(terminator), world.replay()
    order = FixedOrder(range(len(replay.lengths)))
    return recorder, simulate(replay, order, recorder, np.random.default_rng(0))


# -- what is compared ----------------------------------------------------------------------------


def test_an_incumbent_is_the_best_at_its_own_epoch() -> None:
    nan = np.nan
    curves = np.array([[0.3, 0.6, 0.7, nan], [0.5, nan, nan, nan], [0.4, 0.8, nan, nan]])
    seen = Seen(curves, np.array([3, 1, 2]))
    assert incumbents(seen).tolist() == [0.5, 0.8, 0.7, 0.8]  # the last: nobody was there


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.5, 0.1, 0.6), (0.7, 0.2, 0.6)])
def test_expected_improvement_is_its_integral(mean: float, deviation: float, best: float) -> None:
    def gain(value: float) -> float:
        return float((value - best) * norm.pdf(value, mean, deviation))

    found = expected_improvement(np.array([mean]), np.array([deviation]), np.array([best]))
    assert found[0] == pytest.approx(quad(gain, best, mean + 12 * deviation)[0])


def test_it_takes_the_highest_expected_improvement() -> None:
    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    free = np.array([0, 2, 3, 5, 7, 9])
    chosen = model.choose(seen, free)
    epochs = seen.trained[free] + 1
    mean, deviation = model._predict(seen, free, epochs)
    best = [np.nanmax(seen.curves[:, e - 1]) if e <= 7 else seen.best for e in epochs.tolist()]
    assert chosen == free[np.argmax(expected_improvement(mean, deviation, np.array(best)))]


def test_where_nothing_promises_anything_the_least_unlikely_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    mean, deviation = np.array([0.0, 0.1, 0.05]), np.full(3, 1e-3)
    monkeypatch.setattr(model, "_predict", lambda *_: (mean, deviation))
    monkeypatch.setattr(dyhpo, "incumbents", lambda seen: np.full(9, 0.9))
    assert model.choose(seen, np.array([0, 4, 5])) == 4


# -- the search ----------------------------------------------------------------------------------


def test_a_new_run_is_trained_for_one_epoch_and_so_are_others() -> None:
    recorder, episode = search(small_world(n=16, epochs=9), budget=0.4)
    jobs = [event for event in recorder.events if event.what == "train"]
    reached: dict[int, int] = {}
    for job in jobs[:-1]:
        (run,) = job.runs
        assert job.epoch == reached.get(run, 0) + 1
        reached[run] = job.epoch
    assert len(reached) > 10
    blocks = 1 + sum(a.runs != b.runs for a, b in itertools.pairwise(jobs))
    assert blocks > len(reached)  # some were left and taken up again
    assert episode.completed
    assert episode.epochs_charged <= budget_epochs(0.4, 16, 9)


def test_the_first_ten_values_are_of_new_runs() -> None:
    recorder, _ = search(small_world(n=16, epochs=9), budget=0.4)
    jobs = [event for event in recorder.events if event.what == "train"]
    assert [job.runs for job in jobs[:10]] == [(run,) for run in range(10)]
    assert {job.epoch for job in jobs[:10]} == {1}
    assert jobs[10].epoch == 2 or jobs[10].runs == (10,)


def test_with_fewer_than_ten_candidates_it_learns_from_what_there_is() -> None:
    _, episode = search(small_world(n=4, epochs=9), budget=0.7)
    assert episode.completed


def test_chance_comes_from_the_seed() -> None:
    world = small_world(n=16, epochs=9)
    first, again, other = (search(world, seed, budget=0.4)[0].events for seed in (0, 0, 1))
    assert first == again != other


def test_it_finds_the_good_half() -> None:
    """Curves that differ from the first epoch on: the rest of the budget goes to the best."""
    world = small_world(n=20, epochs=10)
    levels = np.linspace(0.3, 0.9, 20)[np.random.default_rng(0).permutation(20)]
    curves = levels[:, None] * (1 - 0.3 * np.exp(-np.arange(1, 11) / 2))
    _, episode = search(world.with_curves(curves), budget=0.3, iterations=50, refinement=5)
    assert levels[episode.pick] > np.quantile(levels, 0.7)
    assert np.corrcoef(levels, episode.epochs)[0, 1] > 0.3


# -- what the kernel reads -----------------------------------------------------------------------


def test_curves_end_one_epoch_before_what_is_predicted() -> None:
    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    places, epochs = np.array([3, 3, 1, 9]), np.array([7, 5, 1, 1])
    settings, curves, lengths = model._inputs(seen, places, epochs)
    assert lengths.tolist() == [6, 4, 0, 0]
    assert settings[:, -1].tolist() == pytest.approx([7 / 9, 5 / 9, 1 / 9, 1 / 9])
    assert curves[0].numpy() == pytest.approx(seen.curves[3, :6])
    assert (curves[1, 4:] == 0).all()
    assert (curves[2:] == 0).all()  # no curve: zeros
    scrambled = seen.curves.copy()
    scrambled[3, 6:] = 0.123
    again = model._inputs(Seen(scrambled, seen.trained), places, epochs)
    for before, after in zip((settings, curves, lengths), again, strict=True):
        assert torch.equal(before, after)


def test_what_was_paid_for_is_left_as_it_is() -> None:
    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    before = seen.curves.copy()
    model.choose(seen, np.arange(12))
    model.predict_ends(seen)
    np.testing.assert_array_equal(seen.curves, before)


def test_zeros_behind_a_curve_are_not_read() -> None:
    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    one = model._inputs(seen, np.array([0]), np.array([5]))  # four epochs
    both = model._inputs(seen, np.array([0, 3]), np.array([5, 8]))  # seven
    assert both[1].shape[1] > one[1].shape[1]
    with torch.no_grad():
        assert torch.allclose(model._kernel(both)[0], model._kernel(one)[0], atol=1e-12)


# -- the process ---------------------------------------------------------------------------------


def test_the_posterior_is_that_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    world = small_world(n=12, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    kernel = model._kernel
    given = model._inputs(seen, np.arange(8), np.ones(8, int))
    asked = model._inputs(seen, np.arange(12), np.full(12, 3))
    targets = torch.from_numpy(seen.curves[:8, 0])
    with torch.no_grad():
        kernel.guess_length(given)
        kernel.mean.fill_(0.3)
        kernel.log_variance.fill_(0.2)
        mean, variance = kernel.posterior(given, targets, asked)
        features, others = kernel(given).numpy(), kernel(asked).numpy()
    length = kernel.log_length.exp().item()
    scale, noise = np.exp(0.2), kernel.log_noise.exp().item() + dyhpo.LEAST_NOISE
    reference = GaussianProcessRegressor(
        ConstantKernel(scale) * RBF(length), alpha=noise, optimizer=None
    ).fit(features, targets.numpy() - 0.3)
    expected, deviation = reference.predict(others, return_std=True)
    assert np.allclose(mean, expected + 0.3, atol=1e-8)
    assert np.allclose(variance.sqrt(), deviation, atol=1e-6)
    with torch.no_grad():
        loss = kernel.loss(given, targets).item()
    constant = 0.5 * np.log(2 * np.pi)
    assert -loss - constant == pytest.approx(reference.log_marginal_likelihood_value_ / 8)


def test_training_explains_the_values_better() -> None:
    world = small_world(n=12, epochs=9)
    seen = seen_of(world, SOME)
    losses = []
    for iterations in (1, 60):
        model = surrogate(world, iterations=iterations)
        model.predict_ends(seen)
        where, when = dyhpo.thinned(seen, 256)
        values = seen.curves[where, when - 1]
        standard = Seen((seen.curves - values.mean()) / values.std(), seen.trained)
        targets = torch.from_numpy((values - values.mean()) / values.std())
        with torch.no_grad():
            losses.append(model._kernel.loss(model._inputs(standard, where, when), targets).item())
    assert losses[1] < losses[0] - 0.1


def test_it_is_refined_when_so_many_values_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = torch.optim.Adam.step

    def counted(self: torch.optim.Adam) -> None:
        steps.append(1)
        step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    world = small_world(n=12, epochs=9)
    model = surrogate(world, iterations=7, refinement=2, every=4)
    for known, expected in ((10, 7), (11, 7), (13, 7), (14, 9), (17, 9), (20, 11)):
        trained = np.bincount(np.arange(known) % 10, minlength=10).tolist()
        model.predict_ends(seen_of(world, trained))
        assert len(steps) == expected, known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 2}, "Option budget is 2"),
        ({"iterations": 0}, "Option iterations is 0"),
        ({"refinement": -1}, "Option refinement is -1"),
        ({"every": 0}, "Option every is 0"),
        ({"points": 0}, "Option points is 0"),
    ],
)
def test_odd_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DyHPO(**options)
