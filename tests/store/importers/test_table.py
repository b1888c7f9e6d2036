import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nassim.errors import DuplicateKeyError, InputError, UnknownNameError
from nassim.store.importers.table import read

LONG = """dataset,architecture,epoch,valid_accuracy,seconds
d1,a,1,0.5,10
d1,a,2,0.625,12
d1,b,1,0.25,3
d2,a,1,0.75,7
"""
WIDE = """net,data,lr,acc_1,acc_2,acc_3
a,d1,0.1,0.5,0.625,0.75
b,d1,0.1,0.25,,0.5
c,d1,0.2,0.125,,
"""
WIDE_OPTIONS = {"map": {"architecture": "net", "dataset": "data"}, "pattern": "acc_{epoch}"}


@pytest.fixture
def file(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def curve(run, split="valid"):
    return run.scores[split].tolist()


# --- what is read ---------------------------------------------------------------------------


def test_a_long_table(file):
    imported = read(file(LONG))
    runs = {(run.dataset, run.architecture): run for run in imported.runs}
    assert len(runs) == 3
    run = runs["d1", "a"]
    assert curve(run) == [0.5, 0.625]
    assert run.epoch_seconds.tolist() == [10, 12]
    assert (run.space, run.recipe, run.seed, run.status) == ("table", "table", 0, "ok")
    assert run.canonical_id == "a"
    assert [dataset.name for dataset in imported.datasets] == ["d1", "d2"]
    assert imported.recipes == {"table": {"seconds": "measured"}}
    assert imported.merged == ()


def test_the_order_of_rows_does_not_matter(file):
    header, *rows = LONG.splitlines()
    turned = "\n".join([header, *reversed(rows)]) + "\n"
    found = [
        [(run.key, curve(run), run.epoch_seconds.tolist()) for run in read(file(text)).runs]
        for text in (LONG, turned)
    ]
    assert sorted(found[0]) == sorted(found[1])


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz", "t.tsv"])
def test_other_kinds_of_files(file, tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        columns = {
            "dataset": ["d1", "d1"],
            "architecture": ["a", "a"],
            "epoch": pa.array([1, 2], pa.int32()),
            "valid_accuracy": pa.array([0.5, None], pa.float32()),
        }
        pq.write_table(pa.table(columns), path)
    else:
        text = "dataset,architecture,epoch,valid_accuracy\nd1,a,1,0.5\nd1,a,2,\n"
        if name.endswith("gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text.replace(",", "\t"))
    (run,) = read(path).runs
    np.testing.assert_array_equal(run.scores["valid"], np.float32([0.5, np.nan]))


def test_a_wide_table_with_ragged_curves(file):
    a, b, c = read(file(WIDE), **WIDE_OPTIONS).runs
    assert (a.epochs, b.epochs, c.epochs) == (3, 3, 1)  # a trailing empty cell: the run ended
    np.testing.assert_array_equal(b.scores["valid"], np.float32([0.25, np.nan, 0.5]))
    assert curve(c) == [0.125]


def test_without_times_one_epoch_is_one_unit_and_says_so(file):
    imported = read(file(WIDE), **WIDE_OPTIONS)
    assert imported.runs[0].epoch_seconds.tolist() == [1, 1, 1]
    assert imported.recipes == {"table": {"seconds": "epochs"}}
    assert any("one epoch counts as one unit" in note for note in imported.notes)
    assert any("lr" in note for note in imported.notes)  # left out, and named


def test_several_patterns_and_a_column_of_the_end(file):
    text = "architecture,e1a,e2a,e1t,e2t,test_accuracy\nx,0.5,0.75,2,3,0.625\n"
    imported = read(
        file(text),
        set={"dataset": "d"},
        wide={"valid_accuracy": "e{epoch}a", "seconds": "e{epoch}t"},
    )
    (run,) = imported.runs
    assert run.epoch_seconds.tolist() == [2, 3]
    np.testing.assert_array_equal(run.scores["test"], np.float32([np.nan, 0.625]))
    assert {split.ours: split.theirs for split in imported.split_map} == {
        "valid_accuracy": "e{epoch}a",
        "seconds": "e{epoch}t",
        "test_accuracy": "test_accuracy",
    }


def test_seconds_of_a_whole_run_are_divided_evenly(file):
    text = "architecture,dataset,acc_1,acc_2,seconds\nx,d,0.5,0.75,9\n"
    imported = read(file(text), pattern="acc_{epoch}")
    assert imported.runs[0].epoch_seconds.tolist() == [4.5, 4.5]
    assert any("divided evenly" in note for note in imported.notes)


def test_a_table_of_final_results(file):
    text = "architecture,dataset,valid_accuracy,seconds\nx,d,0.5,400\n"
    (run,) = read(file(text), set={"epoch": 200}).runs
    assert run.epochs == 200
    assert np.flatnonzero(~np.isnan(run.scores["valid"])).tolist() == [199]
    assert run.epoch_seconds.sum() == 400


def test_key_columns_become_part_of_the_candidate(file):
    runs = read(file(WIDE), **WIDE_OPTIONS, key=["lr"]).runs
    assert [run.architecture for run in runs] == ["a lr=0.1", "b lr=0.1", "c lr=0.2"]
    columns = {"dataset": "data"}
    runs = read(file(WIDE), map=columns, pattern="acc_{epoch}", key=["net", "lr"]).runs
    assert runs[0].architecture == "net=a lr=0.1"


def test_percentages_with_a_scale(file):
    text = LONG.replace("0.5", "50").replace("0.625", "62.5").replace("0.25", "25")
    runs = read(file(text.replace("0.75", "75")), scale=0.01).runs
    assert {tuple(curve(run)) for run in runs} == {(0.5, 0.625), (0.25,), (0.75,)}


def test_another_metric(file):
    text = "dataset,architecture,epoch,valid_perplexity\nptb,a,1,296.5\nptb,a,2,120\n"
    imported = read(file(text), metric="perplexity")
    assert curve(imported.runs[0]) == [296.5, 120]
    assert not imported.metric.higher_is_better
    assert imported.metric.bounds == (0, np.inf)


def test_merged_columns_are_marked(file):
    text = "dataset,architecture,epoch,merged_accuracy\nd,a,1,0.5\n"
    assert read(file(text)).merged == ("merged_accuracy",)


def test_a_failed_run_keeps_its_status(file):
    text = "dataset,architecture,epoch,valid_accuracy,status,reason\nd,a,1,,diverged,loss is NaN\n"
    (run,) = read(file(text)).runs
    assert (run.status, run.reason) == ("diverged", "loss is NaN")


def test_architectures_of_a_space_are_parsed(file):
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    text = f"dataset,architecture,epoch,valid_accuracy,space\nd,{cell},1,0.5,nasbench201\n"
    (run,) = read(file(text)).runs
    assert run.canonical_id == "nor_conv_3x3(x)"
    with pytest.raises(InputError, match=r"t.csv, row 2, column 'architecture': .*nasbench201"):
        read(file(text.replace("nor_conv_3x3", "conv")))


@pytest.mark.parametrize(
    ("epoch_zero", "expected"), [("first", [0.125, 0.5, 0.625]), ("untrained", [0.5, 0.625])]
)
def test_what_an_epoch_zero_is(file, epoch_zero, expected):
    wide = "dataset,architecture,acc_0,acc_1,acc_2\nd,a,0.125,0.5,0.625\n"
    long = "dataset,architecture,epoch,valid_accuracy\nd,a,0,0.125\nd,a,1,0.5\nd,a,2,0.625\n"
    (run,) = read(file(wide), pattern="acc_{epoch}", epoch_zero=epoch_zero).runs
    assert curve(run) == expected
    (run,) = read(file(long), epoch_zero=epoch_zero).runs
    assert curve(run) == expected


def test_an_untrained_network_took_no_seconds(file):
    text = "dataset,architecture,epoch,valid_accuracy,seconds\nd,a,0,0.1,0\nd,a,1,0.5,3\n"
    (run,) = read(file(text), epoch_zero="untrained").runs
    assert run.epoch_seconds.tolist() == [3]


def test_seeds_beyond_float_are_kept(file):
    text = f"dataset,architecture,epoch,valid_accuracy,seed\nd,a,1,0.5,{2**53 + 1}\n"
    assert read(file(text)).runs[0].seed == 2**53 + 1


# --- what is refused ------------------------------------------------------------------------

HEADER = "dataset,architecture,epoch,valid_accuracy"
BAD_ROWS = {
    "a percentage": ("d,a,1,55.5", [r"row 2", "'valid_accuracy'", "55.5", "--scale 0.01"]),
    "below zero": ("d,a,1,-0.1", ["row 2", "-0.1", "0 to 1"]),
    "text": ("d,a,1,0.5\nd,a,2,high", ["row 3", "'valid_accuracy'", "'high'", "a number"]),
    "infinity": ("d,a,1,inf", ["row 2", "inf", "status"]),
    "two keys": ("d,a,1,0.5\nd,b,1,0.5\nd,a,1,0.6", ["row 4", "row 2", "'a'", "'seed'", "--key"]),
    "a gap": ("d,a,1,0.5\nd,a,3,0.5", ["row 3", "is 3", "epoch 2", "no gaps"]),
    "no first epoch": ("d,a,2,0.5", ["row 2", "epoch 1"]),
    "epoch 0": ("d,a,0,0.5\nd,a,1,0.5", ["row 2", "'epoch'", "--epoch-zero"]),
    "epoch -1": ("d,a,-1,0.5", ["row 2", "'epoch'", "-1"]),
    "half an epoch": ("d,a,1.5,0.5", ["row 2", "1.5", "whole"]),
    "no epoch": ("d,a,,0.5", ["row 2", "'epoch'", "empty"]),
    "a huge epoch": ("d,a,99999999999999999999,0.5", ["row 2", "'epoch'"]),
    "no dataset": (",a,1,0.5", ["row 2", "'dataset'", "empty"]),
    "no architecture": ("d, ,1,0.5", ["row 2", "'architecture'", "empty"]),
    "nothing measured": ("d,a,1,", ["row 2", "no accuracy", "status"]),
    "a short row": ("d,a,1", ["cannot be read as CSV"]),
    "a long row": ("d,a,1,0.5,7", ["cannot be read as CSV"]),
    "no rows": ("", ["no rows"]),
}


def check_message(error, fragments):
    message = str(error.value)
    for fragment in fragments:
        assert fragment in message
    assert "\n" not in message


@pytest.mark.parametrize(("rows", "fragments"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows(file, rows, fragments):
    with pytest.raises(InputError) as error:
        read(file(f"{HEADER}\n{rows}\n" if rows else f"{HEADER}\n"))
    check_message(error, [*fragments, "t.csv"])


MORE = "dataset,architecture,epoch,valid_accuracy,seconds,status,n_params,group,seed,space"
BAD_CELLS = {
    "zero seconds": ("d,a,1,0.5,0,ok,1,g,0,table", ["'seconds'", "0", "above 0"]),
    "negative seconds": ("d,a,1,0.5,-2,ok,1,g,0,table", ["'seconds'", "-2"]),
    "missing seconds": ("d,a,1,0.5,,ok,1,g,0,table", ["'seconds'", "empty", "drop the column"]),
    "unknown status": ("d,a,1,0.5,1,dvierged,1,g,0,table", ["'status'", "'diverged'?"]),
    "unknown space": ("d,a,1,0.5,1,ok,1,g,0,os:path", ["'space'", "'os:path'", "Known"]),
    "parameters in millions": ("d,a,1,0.5,1,ok,1.5,g,0,table", ["'n_params'", "millions"]),
    "seed missing": ("d,a,1,0.5,1,ok,1,g,,table", ["'seed'", "empty"]),
    "seed is text": ("d,a,1,0.5,1,ok,1,g,one,table", ["'seed'", "'one'"]),
    "status changes": (
        "d,a,1,0.5,1,ok,1,g,0,table\nd,a,2,0.5,1,oom,1,g,0,table",
        ["row 3", "'oom'", "'ok'", "row 2"],
    ),
    "size changes": (
        "d,a,1,0.5,1,ok,1,g,0,table\nd,a,2,0.5,1,ok,2,g,0,table",
        ["row 3", "'n_params'", "row 2"],
    ),
    "two groups": (
        "d,a,1,0.5,1,ok,1,g,0,table\nd,b,1,0.5,1,ok,1,h,0,table",
        ["row 3", "'group'", "'h'", "'g'", "row 2"],
    ),
}


@pytest.mark.parametrize(("rows", "fragments"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_bad_cells(file, rows, fragments):
    with pytest.raises(InputError) as error:
        read(file(f"{MORE}\n{rows}\n"))
    check_message(error, [*fragments, "t.csv"])


BAD_FILES = {
    "empty": (b"", "t.csv", ["is empty"]),
    "only white space": (b" \n \n", "t.csv", ["is empty"]),
    "junk": (bytes(range(256)) * 4, "t.csv", ["binary"]),
    "latin-1": (f"{HEADER}\nd,caf\xe9,1,0.5\n".encode("latin-1"), "t.csv", ["UTF-8", "UTF8"]),
    "latin-1 header": ("dat\xe9,b\n1,2\n".encode("latin-1"), "t.csv", ["UTF-8"]),
    "utf-16": (LONG.encode("utf-16"), "t.csv", ["UTF-16"]),
    "a zip": (b"PK\x03\x04 and so on", "t.csv", ["zip"]),
    "columns twice": (b"dataset,dataset\n1,2\n", "t.csv", ["two columns", "'dataset'"]),
    "foreign parquet": (LONG.encode(), "t.parquet", ["Parquet"]),
    "damaged gzip": (b"\x1f\x8b and so on", "t.csv.gz", ["cannot be read"]),
}


@pytest.mark.parametrize(("content", "name", "fragments"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(file, content, name, fragments):
    with pytest.raises(InputError) as error:
        read(file(content, name))
    message = str(error.value)
    assert any(fragment in message for fragment in fragments)
    assert name in message
    assert "\n" not in message


def test_truncated_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    columns = {"dataset": ["d"], "architecture": ["a"], "epoch": [1], "valid_accuracy": [0.5]}
    pq.write_table(pa.table(columns), path)
    content = path.read_bytes()
    assert read(path).runs
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="Parquet"):
        read(path)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("valid_accuracy", ["0.5", "0.6"]),
        ("valid_accuracy", [True, False]),
        ("epoch", ["1", "2"]),
        ("epoch", [[1], [2]]),
        ("dataset", [b"\xff", b"\xfe"]),
        ("architecture", [{"x": 1}, {"x": 2}]),
    ],
)
def test_parquet_columns_of_the_wrong_type(tmp_path, column, values):
    columns = {"dataset": ["d", "d"], "architecture": ["a", "a"], "epoch": [1, 2]}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns | {"valid_accuracy": [0.5, 0.6]} | {column: values}), path)
    with pytest.raises(InputError, match=rf"{column}"):
        read(path)


BAD_OPTIONS = {
    "map names no column of theirs": ({"map": {"dataset": "Datasat"}}, ["'Datasat'", "dataset"]),
    "map names no column of ours": ({"map": {"datset": "d"}}, ["--map theirs=ours", "'dataset'?"]),
    "set names no column": ({"set": {"datset": "d"}}, ["--set", "'dataset'?"]),
    "set and there": ({"set": {"dataset": "d"}}, ["'dataset'", "--set"]),
    "key names no column": ({"key": ["lr"]}, ["'lr'", "--key"]),
    "no epoch in the pattern": ({"pattern": "acc_"}, ["'acc_'", "{epoch}"]),
    "pattern without columns": ({"pattern": "x_{epoch}"}, ["'x_{epoch}'", "valid_accuracy"]),
    "two patterns": (
        {"pattern": "a{epoch}", "wide": {"valid_accuracy": "b{epoch}"}},
        ["give one"],
    ),
    "wide label": ({"wide": {"dataset": "d{epoch}"}}, ["--wide", "'dataset'"]),
    "scale 0": ({"scale": 0}, ["--scale"]),
    "metric": ({"metric": "accurcy"}, ["'accuracy'?"]),
    "epoch zero": ({"epoch_zero": "frist"}, ["'first'?"]),
    "too many epochs": ({"set": {"epoch": 10**9}}, ["epoch"]),
}


@pytest.mark.parametrize(("options", "fragments"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(file, options, fragments):
    with pytest.raises(InputError) as error:
        read(file(LONG), **options)
    check_message(error, fragments)


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("dataset", "--set dataset=VALUE"),
        ("architecture", "--map Architecture=architecture"),
        ("epoch", "--set epoch=200"),
        ("valid_accuracy", "--map Valid_accuracy=valid_accuracy"),
    ],
)
def test_a_missing_column_tells_the_way_out(file, column, hint):
    with pytest.raises(InputError) as error:
        read(file(LONG.replace(column, column.capitalize(), 1)))
    check_message(
        error, [f"has no column {column!r}", hint, f"Did you mean '{column.capitalize()}"]
    )


def test_repeated_wide_rows_are_named(file):
    with pytest.raises(DuplicateKeyError) as error:
        read(file(WIDE + "a,d1,0.3,0.5,,\n"), **WIDE_OPTIONS)
    check_message(error, ["row 5", "row 2", "'seed'", "--key"])


def test_gaps_and_zero_in_wide_columns(file):
    text = "dataset,architecture,acc_1,acc_3\nd,a,0.5,0.6\n"
    with pytest.raises(InputError, match="'acc_3' where epoch 2"):
        read(file(text), pattern="acc_{epoch}")
    with pytest.raises(InputError, match=r"'acc_0': epoch 0.*--epoch-zero first"):
        read(file(text.replace("acc_3", "acc_0")), pattern="acc_{epoch}")


def test_keys_need_a_bare_list_of_candidates(file):
    with pytest.raises(InputError, match="--key lr"):
        read(file(WIDE), **WIDE_OPTIONS, key=["lr"], set={"space": "nasnet"})


def test_unknown_metric_is_an_unknown_name(file):
    with pytest.raises(UnknownNameError):
        read(file(LONG), metric="f1")


# --- published tables -----------------------------------------------------------------------

METAQNN = {
    "map": {"architecture": "net", "dataset": "training_dataset", "n_params": "num_params"},
    "pattern": "acc_{epoch}",
}


@pytest.mark.parametrize(
    ("name", "n", "first"), [("cifar10", 1000, 0.3152), ("svhn", 1300, 0.4906)]
)
def test_metaqnn(tables, name, n, first):
    imported = read(tables / "baker2018" / f"metaqnn_{name}.csv", **METAQNN)
    assert len(imported.runs) == n
    assert {run.epochs for run in imported.runs} == {20}
    assert {run.dataset for run in imported.runs} == {name}
    assert imported.runs[0].scores["valid"][0] == np.float32(first)
    assert imported.runs[0].n_params == {"cifar10": 370112, "svhn": 819584}[name]


def test_lstm_perplexities(tables):
    imported = read(
        tables / "baker2018" / "lstm_ptb.csv",
        map={"dataset": "training_dataset"},
        key=["n_layer", "n_inputs"],
        pattern="ep_{epoch}",
        epoch_zero="first",
        metric="perplexity",
    )
    assert len(imported.runs) == 280
    assert {run.epochs for run in imported.runs} == {60}
    assert imported.runs[0].architecture == "n_layer=2 n_inputs=90"
    assert imported.runs[0].scores["valid"][:2].tolist() == [296.0, 204.5]


def test_copies_in_a_published_table_are_refused(tables):
    with pytest.raises(DuplicateKeyError, match="repeats the key of row"):
        read(
            tables / "baker2018" / "deep_resnets_tinyimagenet.csv",
            map={"dataset": "training_dataset"},
            key=["num_blocks", "num_filters", "filter_size", "ss"],
            pattern="acc_{epoch}",
            epoch_zero="untrained",
        )


def test_naap440(tables):
    imported = read(
        tables / "naap440" / "naap440.csv",
        map={"architecture": "ModelId", "n_params": "NumParams", "flops": "NumMACs"},
        set={"dataset": "cifar10"},
        wide={"merged_accuracy": "e{epoch}Accuracy", "train_loss": "e{epoch}LossMean"},
    )
    assert len(imported.runs) == 440
    assert {len(run.train_loss) for run in imported.runs} == {90}
    assert imported.merged == ("merged_accuracy",)
