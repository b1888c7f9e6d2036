from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nassim.datasets import FeatureData
from nassim.errors import InputError
from nassim.generator import Recipe, executors, generate, read_plan, wanted_runs
from nassim.generator.features import to_device
from nassim.generator.train import train
from nassim.records import ACCURACY, Dataset
from nassim.spaces import get_space
from nassim.store import Store
from nassim.store.schema import to_table

SPACE = get_space("feedforward")
HIDDEN = SPACE.parse("svd:8:trained|1x32:relu:norm:drop0.2|lr1")
RECIPE = Recipe(
    "quick", epochs=4, batch_size=20, optimizer="adamw", learning_rate=0.01, weight_decay=0.01
)
CPU = torch.device("cpu")


def table(n: int = 200, features: int = 6, *, by_column: bool = True) -> FeatureData:
    """Two classes that a line parts, columns of quite different scales."""
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    for _ in range(3):
        x = rng.normal(size=(n, features))
        y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
        parts += [(3 + x * 10.0 ** np.arange(features)).astype(np.float32), y]
    record = Dataset("line", "line", (features,), 2, n, n, n, "made up", "none", "0")
    return FeatureData(record, *parts, by_column=by_column)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_columns_are_standardised_by_the_training_rows() -> None:
    data = table()
    shifted = dataclasses.replace(data, x_valid=data.x_train + 2 * data.x_train.std(0, ddof=1))
    features = to_device(shifted, RECIPE, CPU)
    np.testing.assert_allclose(features.x_train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(features.x_train.std(0), 1, rtol=1e-5)
    np.testing.assert_allclose(features.x_valid - features.x_train, 2, rtol=1e-4)
    assert features.shape == (6,)


def test_or_all_by_one_factor() -> None:
    data = table(by_column=False)
    features = to_device(data, RECIPE, CPU)
    factor = features.x_train.numpy() / data.x_train
    assert float(features.x_train.square().mean()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-5)
    np.testing.assert_allclose(features.x_test.numpy() / data.x_test, factor[0, 0], rtol=1e-5)


def test_an_epoch_holds_each_row_once_with_its_label() -> None:
    features = to_device(table(), RECIPE, CPU)
    rng = np.random.default_rng(0)
    x, y = features.epoch(RECIPE, rng)
    again, _ = features.epoch(RECIPE, rng)
    assert not torch.equal(x, again)
    order, expected = x[:, 0].argsort(), features.x_train[:, 0].argsort()
    assert torch.equal(x[order], features.x_train[expected])
    assert torch.equal(y[order], features.y_train[expected])


def test_caps_and_incomplete_batches() -> None:
    recipe = dataclasses.replace(RECIPE, n_train=50, n_valid=7)
    features = to_device(table(), recipe, CPU)
    x, y = features.epoch(recipe, np.random.default_rng(0))
    assert len(x) == len(y) == 40
    assert len(features.valid[0]) == len(features.valid[1]) == 7


def test_a_run_learns_and_has_whole_curves() -> None:
    run = train(HIDDEN, table(), RECIPE, seed=0)
    assert (run.status, run.reason, run.epochs) == ("ok", "", 4)
    assert np.isfinite(run.scores["valid"]).all()
    assert run.scores["valid"][-1] > 0.85
    assert run.n_params == 6 * 8 + 8 * 32 + 2 * 32 + 33 * 2
    to_table([run], ACCURACY)  # a store takes it


def test_the_same_seed_gives_the_same_curves_bit_by_bit() -> None:
    first = train(HIDDEN, table(), RECIPE, seed=7)
    torch.manual_seed(99)  # of no influence
    again = train(HIDDEN, table(), RECIPE, seed=7)
    other = train(HIDDEN, table(), RECIPE, seed=8)
    assert first.train_loss.tobytes() == again.train_loss.tobytes()
    assert first.scores["valid"].tobytes() == again.scores["valid"].tobytes()
    assert first.train_loss.tobytes() != other.train_loss.tobytes()


def test_the_factor_multiplies_the_learning_rate() -> None:
    slow = SPACE.parse(HIDDEN.id.replace("lr1", "lr0.1"))
    tenth = dataclasses.replace(RECIPE, learning_rate=0.001)
    np.testing.assert_allclose(
        train(slow, table(), RECIPE, seed=0).train_loss,
        train(HIDDEN, table(), tenth, seed=0).train_loss,
        rtol=1e-4,
    )


@pytest.mark.parametrize("training", ["trained", "frozen"])
def test_a_frozen_embedding_is_not_trained(training: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nassim.generator import train as module

    networks = []

    def remember(*arguments: object, **sizes: object) -> torch.nn.Module:
        networks.append(build(*arguments, **sizes))
        return networks[-1]

    build = module.build_network
    monkeypatch.setattr(module, "build_network", remember)
    architecture = SPACE.parse(f"random:8:{training}|0x8:relu:plain:drop0|lr1")
    train(architecture, table(), dataclasses.replace(RECIPE, epochs=1), seed=0)
    train(architecture, table(), RECIPE, seed=0)
    first, last = (network.embedding.weight for network in networks)
    assert torch.equal(first, last) == (training == "frozen")


# --- what does not go together --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("shift", 1), ("flip", True), ("cutout", 2), ("resolution", 8)),
        *(("channels", 4), ("cells", 2)),
    ],
)
def test_a_recipe_for_images_is_refused(key: str, value: object) -> None:
    recipe = dataclasses.replace(RECIPE, **{key: value})
    with pytest.raises(InputError, match=f"'{key}' {value}, which is for images, and .*'line'"):
        to_device(table(), recipe, CPU)


PLAN = """
[store]
path = "store"

[[recipe]]
name = "quick"
epochs = 2
batch_size = 20

[[grid]]
space = "feedforward"
datasets = ["vowel"]
recipe = "quick"
count = 6
seeds = [0, 1]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 2", "epochs = 2\nshift = 1", "'shift' 1, which is for images"),
        ('"feedforward"', '"nasnet"', r"'nasnet' read \(height.*dataset 'line' has shape \(6,\)"),
        ('"vowel"', '"digits"', r"read \(features\); dataset 'digits' has shape \(8, 8, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    if "digits" not in new:
        monkeypatch.setattr(executors, "_dataset", lambda name: table())
    (tmp_path / "plan.toml").write_text(PLAN.replace(old, new))
    with pytest.raises(InputError, match=message):
        generate(read_plan(tmp_path / "plan.toml"), workers=1, device="cpu", progress=False)
    assert not (tmp_path / "store").exists()


def test_a_store_of_it_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nassim: Callable[..., Any]
) -> None:
    def named(name: str) -> FeatureData:
        data = table()
        return dataclasses.replace(
            data, record=dataclasses.replace(data.record, name=name, group=name)
        )

    monkeypatch.setattr(executors, "_dataset", named)
    (tmp_path / "plan.toml").write_text(PLAN.replace('["vowel"]', '["vowel", "german", "ring"]'))
    summary = generate(read_plan(tmp_path / "plan.toml"), workers=1, device="cpu", progress=False)
    assert (summary.trained, summary.failed) == (36, 0)
    assert Store.open(tmp_path / "store").n_runs == 36
    methods = "never,last_value,lcranknet:steps=5"
    done = nassim(
        *("terminate", "--store", tmp_path / "store", "--methods", methods, "--pool", "all"),
        *("--orders", 2, "--model-seeds", 1, "--out", tmp_path / "out.parquet"),
    )
    assert done.exit_code == 0, done.err
    assert "lcranknet" in done.out


# --- the bundled plans ----------------------------------------------------------------------------

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("file", "datasets"),
    [("text/plan.toml", 9), ("text/fortunes.toml", 1), ("tabular/plan.toml", 14)],
)
def test_a_bundled_plan_has_250_shared_architectures_and_30_of_them_thrice(
    file: str, datasets: int
) -> None:
    runs = wanted_runs(read_plan(DATA / file))
    assert len(runs) == datasets * (250 + 2 * 30)
    first = [run.architecture.id for run in runs if run.dataset == runs[0].dataset]
    assert first[250:] == first[:30] * 2
    assert len({run.architecture.canonical_id for run in runs}) == 250
    tabular = wanted_runs(read_plan(DATA / "tabular" / "plan.toml"))
    assert first == [run.architecture.id for run in tabular if run.dataset == "vowel"]
    assert {run.recipe.id for run in runs} == {tabular[0].recipe.id}  # one recipe for all three
