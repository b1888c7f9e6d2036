"""What many tests share: a tiny store, and the command line as a function."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import settings

from nassim.cli import main
from nassim.records import Architecture, Dataset, Run
from nassim.spaces import get_space
from nassim.store import Store

# Each process of a test run has a core. Two threads each would wait for one another most of the
# time; what must not depend on threads asks for them itself. It counts before PyTorch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, and no deadline: a busy machine is no fault of the code.
settings.register_profile("nassim", deadline=None, derandomize=True)
settings.load_profile("nassim")

EPOCHS = 6
DATASETS = (
    Dataset("clothes", "fashion", (8, 8, 1), 4, 40, 20, 20),
    Dataset("digits", "writing", (8, 8, 1), 4, 40, 20, 20),
    Dataset("letters", "writing", (8, 8, 1), 4, 40, 20, 20),
)


@pytest.fixture
def tiny_store(tmp_path: Path, tiny_store_master: Path) -> Path:
    """A store of a test's own, named ``tiny``, with made-up curves.

    Three datasets (two of one group), eight architectures each: four that all share, the first
    of them trained with two seeds, and four of the dataset's own, one of which diverged.
    """
    return Path(shutil.copytree(tiny_store_master, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def tiny_store_master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "tiny"
    space, rng = get_space("nasnet"), np.random.default_rng(0)
    shared = [space.sample(rng) for _ in range(4)]
    runs = []
    for dataset in DATASETS:
        for number, architecture in enumerate(shared + [space.sample(rng) for _ in range(4)]):
            for seed in (0, 1) if number == 0 else (0,):
                runs.append(_run(architecture, dataset, seed, rng, failed=number == 7))
    store = Store.create(path)
    store.append(runs, datasets=DATASETS, recipes={"short": {"epochs": EPOCHS}})
    return path


def _run(
    architecture: Architecture,
    dataset: Dataset,
    seed: int,
    rng: np.random.Generator,
    *,
    failed: bool,
) -> Run:
    epochs = 2 if failed else EPOCHS
    final = rng.uniform(0.5, 0.9)
    valid = final - 0.4 * np.exp(-0.5 * np.arange(epochs)) + rng.normal(0, 0.01, epochs)
    return Run(
        architecture.space,
        architecture.id,
        dataset.name,
        "short",
        seed,
        canonical_id=architecture.canonical_id,
        status="diverged" if failed else "ok",
        reason="made up" if failed else "",
        epochs=epochs,
        scores={
            "train": np.clip(valid + 0.05, 0, 1).astype(np.float32),
            "valid": valid.astype(np.float32),
            "test": (valid - 0.01).astype(np.float32),
        },
        train_loss=(2 - valid).astype(np.float32),
        epoch_seconds=np.full(epochs, rng.uniform(1, 3), np.float32),
        n_params=int(rng.integers(1_000, 9_000)),
        flops=int(rng.integers(10_000, 90_000)),
    )


@pytest.fixture(scope="session")
def cell_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store named ``tiny_cells``: made-up trainings of 3-node cells on digits, three seeds each.

    An architecture is the better the more convolutions of 3x3 it has; 24 of 125 texts, of which
    three are duplicates of others, and the last one's second seed diverged.
    """
    from nassim.datasets import load_dataset
    from nassim.generator.recipe import Recipe

    recipe = Recipe("tiny", epochs=4, batch_size=16, channels=4, shift=1)
    dataset, rng = load_dataset("digits").record, np.random.default_rng(0)
    runs = []
    every = list(get_space("nasbench201_3nodes").every())
    chosen = [*every[3::6], *(every[k] for k in (30, 31, 32))]
    for number, architecture in enumerate(chosen):
        level = 0.5 + 0.1 * architecture.decisions.count(3) + 0.02 * (number % 5)
        for seed in range(3):
            final = level + rng.normal(0, 0.01)
            valid = (final - 0.3 * np.exp(-np.arange(4.0))).astype(np.float32)
            test = np.array([np.nan, np.nan, np.nan, final], np.float32)
            ok = (number, seed) != (len(chosen) - 1, 1)
            runs.append(
                Run(
                    architecture.space,
                    architecture.id,
                    "digits",
                    recipe.id,
                    seed,
                    canonical_id=architecture.canonical_id,
                    status="ok" if ok else "diverged",
                    reason="" if ok else "made up",
                    epochs=4,
                    scores={"valid": valid, "test": test},
                    epoch_seconds=np.full(4, 0.5, np.float32),
                )
            )
    path = tmp_path_factory.mktemp("stores") / "tiny_cells"
    store = Store.create(path)
    store.append(runs, datasets=[dataset], recipes={recipe.id: recipe.settings})
    return path


class Outcome(NamedTuple):
    """What a command did."""

    exit_code: int
    out: str
    err: str


@pytest.fixture
def nassim(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """``nassim("card", store)`` runs the command in this process."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command may add the working folder

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leave:
            main([str(argument) for argument in arguments])
        code = leave.value.code
        captured = capsys.readouterr()
        return Outcome(code if isinstance(code, int) else 1, captured.out, captured.err)

    return run
