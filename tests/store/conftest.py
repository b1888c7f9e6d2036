from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nassim.records import Dataset, Run
from nassim.store import Store

DATASETS = (Dataset("circles", "shapes", (8, 8, 1), classes=4), Dataset("digits", "digits"))
RECIPES = {"quick": {"lr": 0.1, "epochs": 4}, "long": {"lr": 0.01, "epochs": 8}}


def _make_run(architecture="a", seed=0, *, epochs=4, dataset="digits", recipe="quick", **changes):
    """A sound run; its values depend on its key alone."""
    rng = np.random.default_rng([seed % 2**32, *f"{architecture}{dataset}{recipe}".encode()])
    fields = {
        "scores": {"valid": rng.random(epochs).astype(np.float32)},
        "epoch_seconds": rng.uniform(0.5, 2, epochs).astype(np.float32),
        "train_loss": rng.normal(size=epochs).astype(np.float32),
        "n_params": int(rng.integers(1, 1000)),
        "device": "cpu",
        "created_at": "2024-01-01",
    }
    return Run("table", architecture, dataset, recipe, seed, epochs=epochs, **(fields | changes))


@pytest.fixture(scope="session")
def make_run():
    return _make_run


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    """Forty runs in no order: two datasets, two recipes, ragged, one failed, one never began."""
    made = [
        _make_run(f"net{n}", seed, dataset=dataset, recipe=recipe, epochs=1 + (n * 7 + seed) % 8)
        for n in range(5)
        for seed in (10, 9)  # canonical order is numeric: 9 before 10
        for dataset in ("digits", "circles")
        for recipe in ("quick", "long")
    ]
    made[3] = _make_run("net0", 77, epochs=2, status="diverged", reason="loss is not finite")
    made[8] = _make_run("net0", 78, epochs=0, scores={}, status="oom", reason="8 GB")
    order = np.random.default_rng(0).permutation(len(made))
    return [made[at] for at in order]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy disk takes half a second to sync; that it is asked to is tested in test_files."""
    monkeypatch.setattr("nassim.store.files.os.fsync", lambda handle: None)


@pytest.fixture(scope="session")
def store_master(tmp_path_factory: pytest.TempPathFactory, runs: list[Run]) -> Path:
    made = Store.create(tmp_path_factory.mktemp("master") / "store")
    for part in (runs[:20], runs[20:21], runs[21:]):
        made.append(part, datasets=DATASETS, recipes=RECIPES)
    return made.path


@pytest.fixture
def store(tmp_path: Path, store_master: Path) -> Store:
    """A store of ``runs`` in three shards, to be spoilt."""
    return Store.open(shutil.copytree(store_master, tmp_path / "store"))


@pytest.fixture
def descriptions() -> dict:
    return {"datasets": DATASETS, "recipes": RECIPES}
