from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from nassim.checks.stores import check_holds_no_mark, marked_fold
from nassim.errors import ContractError, InputError, LeakageError, UnknownNameError
from nassim.optimizers.random_search import RandomSearch
from nassim.records import ACCURACY, Architecture, Dataset, FloatArray, Metric, Sources
from nassim.simulator import Episode, TableSource, simulate
from nassim.simulator.forest import Forest, _export, fit_forest
from nassim.simulator.surrogate import About, Encoder, Surrogate, SurrogateReplay, Surrogates, load
from nassim.simulator.surrogate_fit import fit_surrogate
from nassim.spaces import Space, get_space
from nassim.terminators.base import Terminator
from nassim.terminators.last_value import LastValue
from nassim.terminators.never import Never
from nassim.terminators.successive_halving import SuccessiveHalving

EPOCHS = 8
SIGMA = 0.03  # of a run's level
GAIN = np.array([-0.03, 0.0, 0.02, 0.04, 0.01])  # of each operation on an edge


def planted(
    n: int = 120, seed: int = 0, *, space: str = "nasbench201", shuffled: bool = False
) -> tuple[TableSource, FloatArray]:
    """Levels that are linear in the operations, plus noise; test values, (n,), below them."""
    rng = np.random.default_rng(seed)
    searched = get_space(space)
    architectures = list(
        {one.id: one for one in (searched.sample(rng) for _ in range(2 * n))}.values()
    )
    architectures = architectures[:n]
    gains = np.array([GAIN[list(one.decisions)].sum() for one in architectures])
    level = 0.6 + gains + SIGMA * rng.standard_normal(len(architectures))
    if shuffled:
        level = rng.permutation(level)
    curves = level[:, None] - 0.3 * np.exp(-np.arange(EPOCHS))
    seconds = np.exp(gains)[:, None] * np.ones(EPOCHS)
    return table_of(architectures, curves, seconds), curves.max(axis=1) - rng.uniform(0, 0.1, n)


def table_of(
    architectures: list[Architecture],
    curves: FloatArray,
    seconds: FloatArray,
    metric: Metric = ACCURACY,
    failed: FloatArray | None = None,
) -> TableSource:
    n, epochs = curves.shape
    return TableSource(
        Dataset("made up", "made up", classes=10),
        architectures,
        np.arange(n),
        curves,
        seconds,
        np.full(n, epochs),
        np.zeros(n, bool) if failed is None else failed,
        metric=metric,
    )


def fitted(table: TableSource, test: FloatArray, seed: int = 0) -> Surrogate:
    space = get_space(table.architectures[0].space)
    return fit_surrogate(table, test, Encoder.fit(space, table.architectures), Sources(()), seed)


def file_of(surrogate: Surrogate) -> Surrogates:
    units = {"made up": "seconds"}
    about = About("s", "sha", "nasbench201", "", "valid", "max", units, seed=0)
    return Surrogates(about, {surrogate.curves.dataset.name: surrogate})


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return fitted(*planted())


@pytest.fixture(scope="module")
def small() -> Surrogate:
    return fitted(*planted(n=20))


@pytest.fixture(scope="module")
def surrogates(surrogate: Surrogate) -> Surrogates:
    return file_of(surrogate)


@pytest.fixture
def space() -> Space:
    return get_space("nasbench201")


def others(space: Space, n: int = 400) -> list[Architecture]:
    rng = np.random.default_rng(9)
    return [space.sample(rng) for _ in range(n)]


# --- forests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_forest_predicts_what_scikit_learn_predicts(outputs: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 5)), rng.normal(size=(80, outputs))
    model = ExtraTreesRegressor(20, random_state=0, min_samples_leaf=2).fit(x, y.squeeze())
    forest = _export([estimator.tree_ for estimator in model.estimators_])
    new = rng.normal(size=(300, 5))
    expected = model.predict(new).reshape(300, outputs)
    assert np.abs(forest.predict(new) - expected).max() < 1e-12
    assert np.array_equal(forest.predict(new[7:8]), forest.predict(new)[7:8])
    again = Forest.from_arrays(forest.arrays(), 5)
    assert np.array_equal(again.predict(new), forest.predict(new))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda nodes: np.zeros_like(nodes)),  # a circle: it would never arrive
        ("right", lambda nodes: nodes + 1_000_000),
        ("feature", lambda nodes: nodes + 3),
        ("values", lambda values: values[1:]),
        ("roots", lambda roots: roots - 1),
    ],
)
def test_arrays_that_are_no_forest_are_refused(
    name: str, change: Callable[[FloatArray], FloatArray]
) -> None:
    x = np.arange(20.0).reshape(10, 2)
    arrays = fit_forest(x, x, seed=0, trees=3).arrays()
    assert Forest.from_arrays(arrays, 2)
    with pytest.raises(InputError, match="contradict"):
        Forest.from_arrays(arrays | {name: change(arrays[name])}, 2)


# --- what it predicts --------------------------------------------------------------------------


def test_held_out_figures_find_what_was_planted(surrogate: Surrogate) -> None:
    held = surrogate.held_out
    assert held.architectures == held.runs == 120
    assert held.tau > 0.6
    assert held.tau_test > 0.4
    assert held.r2_seconds > 0.7
    assert SIGMA < held.noise < 1.5 * SIGMA
    assert len(held.mae) == EPOCHS
    assert np.isnan(held.tau_other_datasets)  # there were no sources


def test_they_find_nothing_where_nothing_is() -> None:
    held = fitted(*planted(shuffled=True)).held_out
    assert abs(held.tau) < 0.2
    assert held.r2 < 0.1


def test_isomorphic_architectures_are_held_out_together() -> None:
    """Each architecture twice, under two texts: its twin must not give its noise away."""
    table, test = planted(n=60, shuffled=True)
    twins = [dataclasses.replace(one, id=one.id + " ") for one in table.architectures]
    twice = table_of(
        [*table.architectures, *twins],
        np.tile(table.values, (2, 1)),
        np.tile(np.diff(table.cumulative, axis=1), (2, 1)),
    )
    space = get_space("nasbench201")
    encoder = Encoder.fit(space, table.architectures)
    held = fit_surrogate(twice, np.tile(test, 2), encoder, Sources(()), seed=0).held_out
    assert abs(held.tau) < 0.3


def test_the_mean_is_the_planted_one(surrogate: Surrogate, space: Space) -> None:
    architectures = others(space)
    truth = [0.6 + GAIN[list(one.decisions)].sum() for one in architectures]
    assert np.corrcoef(surrogate.curves.expected(architectures), truth)[0, 1] > 0.85


def test_noise_has_the_planted_variance(surrogate: Surrogate, space: Space) -> None:
    architectures = others(space)
    drawn, _ = surrogate.curves.draw(architectures, seed=3)
    noise = drawn - surrogate.curves.means(architectures)
    # the level's noise and, on top, what the trees do not know of the linear part
    assert SIGMA < noise[:, -1].std() < 1.5 * SIGMA
    assert np.corrcoef(noise[:, 2], noise[:, -1])[0, 1] > 0.95  # planted: whole curves move


def test_expected_is_the_mean_over_seeds(surrogate: Surrogate, space: Space) -> None:
    one = others(space, 1)
    draws = [surrogate.curves.draw(one, seed)[0].max() for seed in range(600)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - surrogate.curves.expected(one)[0]) < 4 * error


def test_failed_runs_are_left_out_and_counted() -> None:
    table, test = planted(n=20)
    curves = table.values.copy()
    curves[:5] = 0.9  # would mislead if they were used
    failed = np.arange(20) < 5
    partly = table_of(list(table.architectures), curves, np.ones(curves.shape), failed=failed)
    surrogate = fitted(partly, test)
    assert surrogate.held_out.left_out == 0.25
    assert surrogate.held_out.architectures == 15
    assert surrogate.curves.expected(table.architectures[:5]).max() < 0.85


def test_a_metric_where_lower_is_better_keeps_its_bounds() -> None:
    table, test = planted(n=20)
    loss = Metric("loss", False, (0.0, float("inf")))
    surrogate = fitted(
        table_of(
            list(table.architectures),
            0.02 * (1 - table.values),  # near the bound, so that noise would cross it
            np.ones(table.values.shape),
            loss,
        ),
        -test,
    )
    drawn, _ = surrogate.curves.draw(others(get_space("nasbench201"), 50), seed=0)
    assert drawn.max() <= 0
    assert drawn.min() > -0.05


def test_a_table_without_test_values_has_none() -> None:
    table, test = planted(n=20)
    surrogate = fitted(table, np.full_like(test, np.nan))
    assert surrogate.gap is None
    assert np.isnan(surrogate.test(table.architectures[:2], seed=0)).all()
    assert np.isnan(surrogate.held_out.tau_test)


def test_test_values_follow_validation_with_the_planted_gap(
    surrogate: Surrogate, space: Space
) -> None:
    architectures = others(space)
    drawn, _ = surrogate.curves.draw(architectures, seed=3)
    gap = surrogate.test(architectures, seed=3) - drawn.max(axis=1)
    assert -0.06 < gap.mean() < -0.04  # planted: uniform from -0.1 to 0
    assert 0.02 < gap.std() < 0.045


def test_too_few_architectures_are_refused() -> None:
    with pytest.raises(InputError, match="9 architectures have complete curves on 'made up'"):
        fitted(*planted(n=9))


def test_a_space_without_decisions_is_refused() -> None:
    with pytest.raises(InputError, match="'table' has no decisions"):
        Encoder.fit(get_space("table"), [get_space("table").parse("a")])


def test_isomorphic_architectures_are_encoded_alike() -> None:
    space = get_space("feedforward")
    one = space.parse("none:32:frozen|0x128:tanh:norm:drop0.5|lr0.3")
    same = space.parse("none:8:trained|0x8:relu:plain:drop0|lr0.3")
    other = space.parse("none:8:trained|0x8:relu:plain:drop0|lr1")
    rows = Encoder.fit(space, [one, same, other]).encode([one, same, other])
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


# --- determinism -------------------------------------------------------------------------------


def test_an_answer_does_not_depend_on_what_is_asked_beside(
    surrogate: Surrogate, space: Space
) -> None:
    architectures = others(space, 30)
    curves, seconds = surrogate.curves.draw(architectures, seed=1)
    backwards = surrogate.curves.draw(architectures[::-1], seed=1)
    assert np.array_equal(backwards[0][::-1], curves)
    assert np.array_equal(backwards[1][::-1], seconds)
    alone = surrogate.curves.draw(architectures[4:5], seed=1)
    assert alone[0].tobytes() == curves[4:5].tobytes()
    assert alone[1].tobytes() == seconds[4:5].tobytes()
    assert np.array_equal(
        surrogate.curves.expected(architectures)[4:5], surrogate.curves.expected(architectures[4:5])
    )


def test_another_seed_is_another_training(surrogate: Surrogate, space: Space) -> None:
    architectures = others(space, 30)
    first, second = (surrogate.curves.draw(architectures, seed)[0] for seed in (1, 2))
    assert (first != second).any(axis=1).mean() > 0.9
    assert (first.std(axis=0) > 0).all()


def test_the_same_seed_fits_the_same_surrogate(small: Surrogate) -> None:
    again, other = (fitted(*planted(n=20), seed).curves for seed in (0, 1))
    assert np.array_equal(again.noise, small.curves.noise)
    assert np.array_equal(again.level.threshold, small.curves.level.threshold)
    assert not np.array_equal(other.level.threshold, small.curves.level.threshold)


# --- files -------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(
    surrogates: Surrogates, tmp_path: Path, space: Space
) -> None:
    path, again = tmp_path / "a.npz", tmp_path / "b.npz"
    surrogates.save(path)
    read = load(path)
    read.save(again)
    assert path.read_bytes() == again.read_bytes()
    assert read.about == surrogates.about
    assert read.datasets == ("made up",)
    assert read.held_out("made up").tau == surrogates.held_out("made up").tau
    architectures = others(space, 20)
    for before, after in zip(
        surrogates["made up"].curves.draw(architectures, 5),
        read["made up"].curves.draw(architectures, 5),
        strict=True,
    ):
        assert before.tobytes() == after.tobytes()
    assert np.array_equal(
        surrogates["made up"].test(architectures, 5), read["made up"].test(architectures, 5)
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'made up'"):
        read.replay("made-up", seed=0)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    surrogates: Surrogates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.npz"
    surrogates.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, step, full_disk)
    with pytest.raises(InputError, match=r"cannot be written to .*a\.npz' \(No space left"):
        surrogates.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(surrogates: Surrogates, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in ("folder", "nowhere/a.npz"):
        with pytest.raises(InputError, match="name another place with --out"):
            surrogates.save(tmp_path / place)
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_damaged_file_is_refused(surrogates: Surrogates, tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    surrogates.save(whole)
    payload = whole.read_bytes()
    with np.load(whole) as file:
        arrays = dict(file)
    culprits = {
        "text.npz": b"not a surrogate",
        "empty.npz": b"",
        "short.npz": payload[: len(payload) // 2],
        "flipped.npz": payload[:5000] + bytes([payload[5000] ^ 1]) + payload[5001:],
    }
    for name, contents in culprits.items():
        (tmp_path / name).write_bytes(contents)
    np.savez(tmp_path / "changed.npz", **arrays | {"0.centre": arrays["0.centre"] + 1})
    np.savez(tmp_path / "lacking.npz", description=arrays["description"], sha256=arrays["sha256"])
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    np.savez(tmp_path / "objects.npz", **arrays | {"0.centre": np.array([{}], object)})
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in (
        *(*culprits, "changed.npz", "lacking.npz", "other.npz", "objects.npz"),
        *("single.npy", "nowhere.npz"),
    ):
        with pytest.raises(
            InputError, match=r"is no surrogate that can be read .*nassim surrogate"
        ):
            load(tmp_path / name)


# --- searches ----------------------------------------------------------------------------------


def search(
    replay: SurrogateReplay, terminator: Terminator | None = None, budget: int | None = 30
) -> Episode:
    rng = np.random.default_rng(7)
    return simulate(replay, RandomSearch(), terminator or Never(), rng, budget=budget)


def test_a_whole_search_runs_in_it(surrogates: Surrogates) -> None:
    replay = surrogates.replay("made up", seed=0)
    episode = search(replay, SuccessiveHalving(eta=2))
    assert len(episode.started) == 30
    assert 1 <= len(episode.completed) < 30
    pick = replay.architectures[episode.pick]
    drawn, seconds = surrogates["made up"].curves.draw([pick], seed=0)
    assert replay.qualities[episode.pick] == drawn.max()
    assert replay.cumulative[episode.pick, EPOCHS] == pytest.approx(seconds.sum())
    again = search(surrogates.replay("made up", seed=0), SuccessiveHalving(eta=2))
    assert (again.pick, again.seconds) == (episode.pick, episode.seconds)


def test_only_what_was_named_is_in_it(surrogates: Surrogates) -> None:
    replay = surrogates.replay("made up", seed=0)
    episode = search(replay, budget=5)
    assert len(replay.lengths) == len(replay.architectures) == len(episode.epochs) == 5
    task = replay.as_source(np.array(episode.completed))
    assert task.curves.shape == task.seconds.shape == (5, EPOCHS)
    assert np.array_equal(task.values, task.curves.max(axis=1))


def test_an_estimator_is_asked_once_for_each_run_and_epoch(surrogates: Surrogates) -> None:
    asked: list[str] = []

    class Counting(LastValue):
        def estimate(self, prefixes):  # type: ignore[no-untyped-def]
            asked.extend(f"{one.id} {prefixes.epoch}" for one in prefixes.architectures)
            return super().estimate(prefixes)

    episode = search(surrogates.replay("made up", seed=0), Counting())
    assert len(episode.completed) < 30  # some were stopped
    assert asked
    assert len(asked) == len(set(asked))


def test_a_search_of_a_whole_space_needs_a_budget(surrogates: Surrogates) -> None:
    with pytest.raises(InputError, match=r"whole space 'nasbench201' .*give it a budget"):
        search(surrogates.replay("made up", seed=0), budget=None)


def test_runs_serve_one_search(surrogates: Surrogates) -> None:
    replay = surrogates.replay("made up", seed=0)
    search(replay)
    with pytest.raises(ContractError, match="another search"):
        search(replay)


def test_regret_is_counted_from_the_best_expected_reference() -> None:
    table, test = planted(n=60, space="nasbench201_3nodes")
    surrogate = fitted(table, test)
    whole = list(get_space("nasbench201_3nodes").every())
    assert surrogate.best_expected == surrogate.curves.expected(whole).max()


# --- test values -------------------------------------------------------------------------------


def test_no_test_value_is_reached_from_a_search(small: Surrogate) -> None:
    marks = frozenset(small.noise_gap.ravel().tolist())
    replay = file_of(small).replay("made up", seed=0)
    search(replay)
    check_holds_no_mark({"replay": replay}, marks)
    with pytest.raises(LeakageError):  # the check can fail
        check_holds_no_mark({"replay": [replay, small]}, marks)


def test_curves_do_not_depend_on_test_values(small: Surrogate) -> None:
    table, test = planted(n=20)
    other = fitted(table, test[::-1])
    architectures = others(get_space("nasbench201"), 10)
    mine, theirs = small.curves.draw(architectures, 0), other.curves.draw(architectures, 0)
    assert np.array_equal(mine[0], theirs[0])
    assert np.array_equal(mine[1], theirs[1])
    assert not np.array_equal(small.test(architectures, 0), other.test(architectures, 0))


# --- the command -------------------------------------------------------------------------------


def test_the_command_fits_all_datasets_of_a_store(
    tmp_path: Path, nassim: Callable[..., tuple[int, str, str]]
) -> None:
    marked_fold(tmp_path / "store", seed=0)
    out = tmp_path / "surrogate.npz"
    code, printed, err = nassim("surrogate", tmp_path / "store", "--out", out)
    assert code == 0, err
    surrogates = load(out)
    assert surrogates.datasets == ("world-0", "world-1", "world-2")
    assert surrogates.about.space == "nasnet"
    for name in surrogates.datasets:
        assert f"\n{name}" in printed
        assert np.isfinite(surrogates.held_out(name).tau_other_datasets)


def test_a_store_that_is_too_small_is_refused_in_one_line(
    tiny_store: Path, tmp_path: Path, nassim: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = nassim("surrogate", tiny_store, "--out", tmp_path / "surrogate.npz")
    assert code == 2
    assert "7 architectures have complete curves on 'clothes'" in err
