from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nassim.errors import InputError
from nassim.generator import read_plan, wanted_runs
from nassim.spaces import get_space

HEAD = """
[store]
path = "store"

[[recipe]]
name = "quick"
epochs = 2
"""
GRID = """
[[grid]]
space = "nasnet"
datasets = ["digits", "mnist"]
recipe = "quick"
count = 3
unique = true
seeds = [0, 5]
"""
DATA = Path(__file__).parents[2] / "data"
BUNDLED = DATA / "images" / "plan.toml"
CELLS = DATA / "cells" / "plan.toml"


def plan_file(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def wanted(folder: Path, text: str) -> list[tuple[str, str, int]]:
    runs = wanted_runs(read_plan(plan_file(folder, HEAD + text)))
    return [(run.architecture.canonical_id, run.dataset, run.seed) for run in runs]


def test_round_the_datasets_and_seed_by_seed(tmp_path: Path) -> None:
    runs = wanted(tmp_path, GRID)
    assert [(dataset, seed) for _, dataset, seed in runs] == (
        [("digits", 0), ("mnist", 0)] * 3 + [("digits", 5), ("mnist", 5)] * 3
    )
    assert len({architecture for architecture, _, _ in runs}) == 6
    assert [a for a, _, _ in runs[:6]] == [a for a, _, _ in runs[6:]]


def test_shared_architectures(tmp_path: Path) -> None:
    runs = wanted(tmp_path, GRID.replace("unique = true", "unique = false"))
    assert len(runs) == 12
    assert len({architecture for architecture, _, _ in runs}) == 3


def test_a_sample_depends_on_its_seed_and_dataset_alone(tmp_path: Path) -> None:
    def of_digits(text: str) -> list[str]:
        return [
            a for a, dataset, seed in wanted(tmp_path, text) if dataset == "digits" and seed == 0
        ]

    first = of_digits(GRID)
    assert of_digits(GRID.replace("count = 3", "count = 8"))[:3] == first
    assert of_digits(GRID.replace('["digits", "mnist"]', '["animals", "digits"]')) == first
    other = GRID.replace("unique = true", "unique = true\nsample_seed = 4")
    assert of_digits(other + GRID)[3:] == first
    assert not set(of_digits(other)) & set(first)


def test_a_run_that_two_grids_want_is_wanted_once(tmp_path: Path) -> None:
    assert wanted(tmp_path, GRID + GRID) == wanted(tmp_path, GRID)


def test_named_architectures(tmp_path: Path) -> None:
    conv = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    text = f"""
[[grid]]
space = "nasbench201"
datasets = ["digits"]
recipe = "quick"
architectures = ["{conv}"]
"""
    (run,) = wanted_runs(read_plan(plan_file(tmp_path, HEAD + text)))
    assert run.architecture.id == conv
    assert run.seed == 0


@pytest.mark.parametrize(("every", "n"), [("text", 125), ("class", 60)])
def test_every_architecture_of_a_space(tmp_path: Path, every: str, n: int) -> None:
    text = GRID.replace("nasnet", "nasbench201_3nodes").replace("unique = true", "")
    text = text.replace("count = 3", f'every = "{every}"')
    runs = wanted_runs(read_plan(plan_file(tmp_path, HEAD + text)))
    assert len(runs) == n * 2 * 2
    assert [(run.dataset, run.seed) for run in runs[:3]] == [
        *(("digits", 0), ("mnist", 0)),
        ("digits", 0),
    ]
    listed = [run.architecture for run in runs[: 2 * n : 2]]
    assert len({one.id for one in listed}) == n
    assert len({one.canonical_id for one in listed}) == 60
    first: dict[str, str] = {}
    for one in get_space("nasbench201_3nodes").every():
        first.setdefault(one.canonical_id, one.id)
    if every == "class":  # in the space's order, each class by its first text
        assert [one.id for one in listed] == list(first.values())


def test_a_space_with_options(tmp_path: Path) -> None:
    text = GRID.replace("nasnet", "nasbench101:vertices=5")
    runs = wanted_runs(read_plan(plan_file(tmp_path, HEAD + text)))
    assert {run.key.space for run in runs} == {"nasbench101"}
    assert {run.architecture.id.count("|") for run in runs} == {3}


@pytest.mark.parametrize("path", ["mine.npz", "own/mine/", "./mine:size=8", "mine.csv:label=kind"])
def test_own_data_are_sought_beside_the_plan_and_named_by_file_or_folder(
    path: str, tmp_path: Path
) -> None:
    text = GRID.replace('["digits", "mnist"]', f'["{path}"]')
    run = wanted_runs(read_plan(plan_file(tmp_path, HEAD + text)))[0]
    assert run.dataset == f"{tmp_path}/{path}"
    assert run.key.dataset == "mine"


def test_the_store_is_relative_to_the_plan(tmp_path: Path) -> None:
    assert read_plan(plan_file(tmp_path, HEAD + GRID)).store == tmp_path / "store"


def test_more_architectures_than_a_space_has(tmp_path: Path) -> None:
    from nassim.generator import plan as module

    text = HEAD + GRID.replace("nasnet", "nasbench201").replace("count = 3", "count = 9000")
    plan = read_plan(plan_file(tmp_path, text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DRAWS", 20)  # in vain is soon enough here
        with pytest.raises(InputError, match="different architectures; the grid asks for 18000"):
            wanted_runs(plan)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('path = "store"', 'path = "store', "is not TOML: .*line"),
        ('path = "store"', "path = 3", r"'path' of \[store\] is 3; expected a text"),
        ('path = "store"', "", r"\[store\] has no key 'path'"),
        ("[store]", "[stor]", "'stor'. Did you mean 'store'"),
        ("epochs = 2", "epoch = 2", "'epoch'. Did you mean 'epochs'"),
        ("epochs = 2", 'epochs = "2"', "'epochs' is '2'; expected a whole number"),
        ("epochs = 2", "epochs = -2", "'epochs' is -2; expected 1 or more"),
        ("epochs = 2", "epochs = 2\nlearning_rate = inf", "'learning_rate' is inf"),
        ("[[recipe]]", "[recipe]", "'recipe' of the file is .*; expected a list"),
        ('"nasnet"', '"nasnett"', "space is called 'nasnett'. Did you mean 'nasnet'"),
        ('"mnist"]', '"mnits"]', "dataset is called 'mnits'. Did you mean 'mnist'"),
        ('"mnist"]', "7]", "'datasets' of .* holds 7; expected a text"),
        ('"mnist"]', '"digits"]', "each once"),
        ('["digits", "mnist"]', "[]", "one or more"),
        ('recipe = "quick"', 'recipe = "slow"', "recipe is called 'slow'"),
        ("count = 3", "count = 0", "'count' of .* is 0; expected 1 or more"),
        ("count = 3", "count = 3.5", "'count' of .* is 3.5; expected a whole number"),
        ("count = 3", "", "has none of the keys 'count', 'architectures' and 'every'"),
        ("count = 3", "count = 3\nevery = 'text'", "has 'count' and 'every' of the keys"),
        ("count = 3", "every = true", "'every' of .* is True; expected a text"),
        ("count = 3", "every = 'all'", "'every' of .* is 'all'; expected 'text' or 'class'"),
        ("count = 3", "every = 'text'", "Space 'nasnet' has .* too many to list"),
        ('"nasnet"', '"nasnet:cells=3"', "Space 'nasnet' has no option 'cells'"),
        ('"nasnet"', '"nasbench101:vertices=9"', "'vertices' of .* is 9; expected 2 to 7"),
        ("count = 3", 'architectures = ["0sep3"]', "not of space 'nasnet'"),
        ("unique = true", 'unique = "yes"', "'unique' of .* is 'yes'; expected true or false"),
        ("seeds = [0, 5]", "seeds = [0, -5]", "holds -5; expected 0 or more"),
        ("seeds = [0, 5]", "seeds = 0", "'seeds' of .* is 0; expected a list"),
        ("seeds = [0, 5]", "seeds = [true]", "'seeds' of .* holds True; expected a whole number"),
        ("seeds = [0, 5]", "seed = [0]", "'seed'. Did you mean 'seeds'"),
    ],
)
def test_malformed_plans(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = HEAD + GRID
    assert old in text
    path = plan_file(tmp_path, text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        wanted_runs(read_plan(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_skeleton_is_for_one_space(tmp_path: Path) -> None:
    text = (HEAD + GRID).replace("epochs = 2", 'epochs = 2\nskeleton = "RN"')
    assert wanted_runs(read_plan(plan_file(tmp_path, text)))
    path = plan_file(tmp_path, text.replace('"nasnet"', '"nasbench201"'))
    with pytest.raises(InputError, match="'skeleton' 'RN', which is for spaces 'nasnet'"):
        read_plan(path)


def test_two_recipes_of_one_name(tmp_path: Path) -> None:
    recipe = '[[recipe]]\nname = "quick"\nepochs = 3\n'
    with pytest.raises(InputError, match=r"two .* named 'quick'"):
        read_plan(plan_file(tmp_path, HEAD + recipe + GRID))


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml' cannot be read \(No such file"):
        read_plan(tmp_path / "none.toml")


def test_the_bundled_plan() -> None:
    plan = read_plan(BUNDLED)
    assert plan.store == BUNDLED.parent
    runs = wanted_runs(plan)
    unique = runs[:300]
    assert len({run.architecture.canonical_id for run in unique}) == 300
    assert len({run.key for run in runs[300:480]}) == 5 * 12 * 3
    assert len({run.architecture.canonical_id for run in runs[300:480]}) == 12
    assert len(runs) == 5 * 200 + 5 * 50 * 3


def test_the_bundled_plan_of_cells() -> None:
    plan = read_plan(CELLS)
    assert plan.store == CELLS.parent
    runs = wanted_runs(plan)
    keys = [run.key for run in runs]
    small = [key for key in keys if key.space == "nasbench201_3nodes"]
    assert len(small) == 125 * 3 * 3 + 60 * 3 + 60 * 2
    graphs = [run.architecture for run in runs if run.key.space == "nasbench101"]
    assert len(graphs) == (91 + 3 * 200) * 2
    classes = {one.canonical_id for one in graphs}
    assert Counter(one.count("|") + 2 for one in classes) == {
        2: 1,
        3: 6,
        4: 84,
        **dict.fromkeys((5, 6, 7), 200),
    }
    assert len(runs) == len(small) + len(graphs)
