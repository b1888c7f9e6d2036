from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nassim.datasets import load_dataset
from nassim.errors import InputError
from nassim.generator import Grid, Plan, Recipe, generate, retrain
from nassim.records import ACCURACY, Run
from nassim.store import Store

QUICK = Recipe("quick", epochs=3, batch_size=32, channels=4, n_train=64, n_valid=100, n_test=50)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("trained")
    grid = Grid("nasbench201", ("digits",), QUICK, count=3, seeds=(0, 1))
    generate(Plan(folder, (grid,)), workers=1, device="cpu", progress=False)
    return Store.open(folder)


def rewritten(store: Store, folder: Path, shift: float) -> Store:
    """The store with the validation curves of seed 0 moved by ``shift``."""

    def moved(run: Run) -> Run:
        if run.seed != 0:
            return run
        scores = run.scores | {"valid": (run.scores["valid"] + shift).clip(0, 1)}
        return dataclasses.replace(run, scores=scores)

    made = Store.create(folder, ACCURACY)
    made.append(
        [moved(run) for run in store.runs()], datasets=store.datasets, recipes=store.recipes
    )
    return made


def test_the_same_curves_come_out(trained: Store) -> None:
    results = list(retrain(trained, 6))
    assert [result.key for result in results] == trained.index().keys()
    assert all(result.identical and result.agrees for result in results)
    assert results[0].noise > 0
    assert str(results[0]).startswith("identical: digits, seed 0: ")


def test_what_is_drawn_depends_on_the_seed_alone(trained: Store) -> None:
    drawn = [[result.key for result in retrain(trained, 2, seed=s)] for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_run_that_is_near_agrees_and_another_does_not(trained: Store, tmp_path: Path) -> None:
    near = list(retrain(rewritten(trained, tmp_path / "near", 0.01), 6))
    assert [result.identical for result in near] == [False, True] * 3
    assert all(result.agrees for result in near)
    assert "within seed noise" in str(near[0])

    far = list(retrain(rewritten(trained, tmp_path / "far", 0.9), 6))
    noise = far[0].noise
    others = [dataclasses.replace(result, noise=noise / 100) for result in far[::2]]
    assert not any(result.agrees for result in others)
    assert str(others[0]).startswith("OTHER: digits, seed 0")


def test_without_a_second_seed_only_the_same_curve_agrees(trained: Store) -> None:
    result = next(iter(retrain(trained, 6)))
    unknown = dataclasses.replace(result, noise=float("nan"))
    assert unknown.agrees
    assert not dataclasses.replace(unknown, difference=0.01).agrees
    assert not dataclasses.replace(result, status=("ok", "diverged")).agrees


def test_refusals(trained: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 runs of store .* expected 1 to 6"):
        next(retrain(trained, 7))
    imported = Store.create(tmp_path / "imported", ACCURACY, importer={"format": "table"})
    with pytest.raises(InputError, match="was imported"):
        next(retrain(imported, 1))
    other = Store.create(tmp_path / "other", ACCURACY)
    data = dataclasses.replace(load_dataset("digits").record, sha256="0" * 64)
    other.append(trained.runs(), datasets=[data], recipes=trained.recipes)
    with pytest.raises(InputError, match="and had 000000000000 when store 'other' was trained"):
        next(retrain(other, 1))
    changed = Store.create(tmp_path / "changed", ACCURACY)
    settings = {QUICK.id: QUICK.settings | {"momentum": 0.5}}
    changed.append(trained.runs(), datasets=trained.datasets, recipes=settings)
    with pytest.raises(InputError, match=f"recipe '{QUICK.id}' make 'quick-"):
        next(retrain(changed, 1))
