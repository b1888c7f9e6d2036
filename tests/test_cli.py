"""Each command: what it prints, where it writes, and that bad input costs one line."""

from __future__ import annotations

import hashlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

import click
import pyarrow.parquet as pq
import pytest

import nassim as package
from nassim import generator
from nassim.cli import cli, first_line
from nassim.errors import NassimError
from nassim.loading import load
from nassim.simulator.simulate import Accounting
from nassim.simulator.sources import Quality
from nassim.store import Store
from nassim.studies import termination
from nassim.studies.folds import LEAKAGE, Pool
from nassim.terminators import TERMINATORS

Nassim = Callable[..., Any]
FAST = ("--orders", "2", "--pool", "all", "--methods", "never,successive_halving:eta=2")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(commands(cli))


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_refused(outcome: Any, exit_code: int = 2) -> None:
    assert outcome.exit_code == exit_code, outcome
    assert re.fullmatch(r"nassim: [^\n]+\n", outcome.err), outcome.err
    assert "Traceback" not in outcome.err


# --- help -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_says_what_and_shows_how(command: tuple[str, ...], nassim: Nassim) -> None:
    code, out, _ = nassim(*command, "--help")
    assert code == 0
    said = out.partition("\n\n")[2].partition("\n\n")[0].strip()
    assert len(said) > 15, "the docstring of a command is its help"
    assert f"  nassim {' '.join(command)} " in out.partition("Example:\n")[2].replace("\n", " \n")


def test_help_lists_the_commands(nassim: Nassim) -> None:
    code, out, _ = nassim("--help")
    assert code == 0
    for command, *_ in COMMANDS:
        assert f"\n  {command} " in out


def test_help_lists_every_terminator_with_a_line(nassim: Nassim) -> None:
    listed = nassim("terminate", "--help").out.partition("Methods:\n")[2]
    for name in TERMINATORS:
        assert re.search(rf"^  {name} +\w", listed, re.MULTILINE), name


def test_every_importer_has_a_command(nassim: Nassim) -> None:
    known: Mapping[str, str] = load("nassim.store.importers:IMPORTERS")
    assert {command[1] for command in COMMANDS if command[0] == "import"} == set(known)


def test_first_line_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "costly.py").write_text(
        '"""All of it."""\nclass A:\n    """One.\n\n    Two."""\n1/0'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert first_line("costly:A") == "One."
    assert first_line("costly") == "All of it."
    assert first_line("no_such_module_at_all:A") == ""
    assert "costly" not in sys.modules


def test_choices_are_those_of_the_functions_behind() -> None:
    choices = {
        parameter.name: tuple(parameter.type.choices)
        for parameter in cli.commands["terminate"].params
        if isinstance(parameter.type, click.Choice)
    }
    assert choices == {
        "pool": get_args(Pool),
        "leave_out": ("dataset", "group"),
        "split": tuple(LEAKAGE),
        "quality": get_args(Quality),
        "runs": ("drawn", "first"),
        "accounting": get_args(Accounting),
    }


@pytest.mark.parametrize(
    "arguments", [["-m", "nassim"], ["-c", "from nassim.cli import main; main()"]]
)
def test_as_a_program(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"nassim, version {package.__version__}\n"


# --- what works -----------------------------------------------------------------------------


def test_stores(nassim: Nassim, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASSIM_DATA", str(tiny_store.parent))
    code, out, err = nassim("stores")
    assert (code, err) == (0, "")
    (line,) = (line for line in out.splitlines() if line.startswith("tiny "))
    assert line.split() == ["tiny", str(tiny_store), "27", "3", Store.open(tiny_store).sha[:12]]


def test_a_damaged_store_does_not_hide_the_others(
    nassim: Nassim, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASSIM_DATA", str(tiny_store.parent))
    (tiny_store.parent / "broken").mkdir()
    (tiny_store.parent / "broken" / "manifest.json").write_text("{")
    code, out, _ = nassim("stores")
    assert code == 0
    assert "\nbroken  " in out
    assert "\ntiny  " in out.replace("tiny    ", "tiny  ")


def test_card(nassim: Nassim, tiny_store: Path) -> None:
    code, out, err = nassim("card", tiny_store)
    assert (code, err) == (0, "")
    assert Store.open(tiny_store).sha[:12] in out
    assert "digits" in out


def test_card_page_and_figures(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "new" / "card.html", tmp_path / "figures"
    code, out, err = nassim("card", tiny_store, "--out", page, "--figures", figures, "--gap", "0.5")
    assert (code, err) == (0, "")
    assert str(page) in out.splitlines()[-1]
    assert "a gap of 0.50 pp" in out
    assert "a gap of 0.50 pp" in page.read_text(encoding="utf-8")
    assert [*page.parent.iterdir()] == [page]  # nothing of the writing is left
    assert {path.suffix for path in figures.iterdir()} == {".png", ".svg", ".pdf"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "/proc/no/such/place.html"],
        ["--out", "."],
        ["--figures", "/proc/no/such/folder"],
        ["--gap", "0"],
        ["--gap", "-1"],
        ["--gap", "nan"],
        ["--gap", "inf"],
        ["--gap", "much"],
    ],
    ids=" ".join,
)
def test_card_refuses(
    nassim: Nassim, tiny_store: Path, tmp_path: Path, arguments: list[str]
) -> None:
    before = contents(tmp_path)
    assert_refused(nassim("card", tiny_store, *arguments))
    assert contents(tmp_path) == before


def test_verify(nassim: Nassim, tiny_store: Path) -> None:
    code, out, err = nassim("verify", tiny_store)
    assert (code, err) == (0, "")
    assert "sound" in out


def test_diff(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    code, out, err = nassim("diff", tiny_store, tiny_store)
    assert (code, err) == (0, "")
    assert out.endswith("The stores hold the same results.\n")
    empty = Store.create(tmp_path / "empty")
    outcome = nassim("diff", empty.path, tiny_store)
    assert "only in second" in outcome.out
    assert_refused(outcome, 1)
    assert "The stores differ: " in outcome.err


def test_verify_lists_faults(nassim: Nassim, tiny_store: Path) -> None:
    (shard,) = tiny_store.glob("runs-*.parquet")
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    outcome = nassim("verify", tiny_store)
    assert_refused(outcome, 1)
    assert shard.name in outcome.out


@pytest.mark.parametrize("workers", [1, 2])
def test_terminate(nassim: Nassim, tiny_store: Path, tmp_path: Path, workers: int) -> None:
    out_file = tmp_path / "new folder" / "results.parquet"
    before = contents(tiny_store)
    code, out, err = nassim(
        "terminate", "--store", tiny_store, *FAST, "--out", out_file, "--workers", workers
    )
    assert code == 0, err
    assert Store.open(tiny_store).sha[:12] in out.splitlines()[0]
    assert "successive_halving:eta=2" in out
    assert str(out_file) in out.splitlines()[-1]
    assert re.search(r"^6/6 ", err, re.MULTILINE)  # progress, in plain lines: this is no terminal
    assert len(pq.ParquetFile(out_file).read()) == 3 * 2 * 2
    assert contents(tiny_store) == before


def test_terminate_takes_every_option(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "results.parquet"
    options = {
        "--store": tiny_store,
        "--methods": "asha:eta=2,last_value",
        "--targets": "digits, letters",
        "--orders": 3,
        "--model-seeds": 1,
        "--pool": "shared",
        "--leave-out": "group",
        "--split": "test",
        "--quality": "final",
        "--runs": "first",
        "--accounting": "restart",
        "--simulated-workers": 2,
        "--space": "nasnet",
        "--recipe": "short",
        "--size": 3,
        "--source-datasets": 1,
        "--source-architectures": 4,
        "--seed": 5,
        "--out": out_file,
    }
    words = [word for pair in options.items() for word in pair]
    code, _, err = nassim("terminate", *words, "--shuffled-sources")
    assert code == 0, err
    rows = pq.ParquetFile(out_file).read().to_pylist()
    assert len(rows) == 2 * 2 * 3
    for row in rows:
        assert row["pool"] == "shared"
        assert row["leave_out"] == "group"
        assert row["leakage"] == "test-seen"
        assert row["quality"] == "final"
        assert row["runs"] == "first"
        assert row["accounting"] == "restart"
        assert row["workers"] == 2
        assert row["candidates"] == 3
        assert row["source_datasets"] == 1
        assert row["source_architectures"] == 4
        assert row["shuffled_sources"]
    assert {row["target"] for row in rows} == {"digits", "letters"}


def test_search(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    results, page, again = (tmp_path / name for name in ("r.parquet", "page.html", "again.html"))
    options = ("--pool", "all", "--orders", 2, "--budget", 4, "--terminator", "never,asha")
    options += ("--methods", "random")
    code, out, err = nassim(
        "search", "--store", tiny_store, *options, "--out", results, "--report", page
    )
    assert code == 0, err
    assert "random + asha" in out
    assert len(pq.ParquetFile(results).read()) == 3 * 2 * 2
    assert (
        nassim("report", results, "--out", again, "--figures", tmp_path / "figures").exit_code == 0
    )
    assert again.read_text() == page.read_text()
    assert (tmp_path / "figures" / "regret.png").exists()


def test_rank(nassim: Nassim, cell_store: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "rank.parquet", tmp_path / "figures"
    arguments = ("rank", "--store", cell_store, "--space", "nasbench201_3nodes")
    arguments += ("--dataset", "digits", "--draws", 5, "--out", out)
    code, said, err = nassim(
        *arguments,
        *("--methods", "spos:steps=4:batch_size=16", "--seeds", 1, "--figures", figures),
        *("--report", tmp_path / "page.html"),
    )
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "NOT TRAINED" in said
    assert "its ranks say nothing" in page
    assert "ceiling" in said
    assert "live_params" in said
    assert {path.name for path in figures.iterdir()} >= {"top.svg", "scores.png", "compute.pdf"}
    code, _, err = nassim("report", out, "--out", tmp_path / "again.html")
    assert code == 0, err
    assert (tmp_path / "again.html").read_text() == page
    scored = tmp_path / "mine.csv"
    rows = pq.read_table(out.with_name("rank.scores.parquet")).to_pylist()
    lines = [f"{row['architecture']},{row['truth']}" for row in rows if row["last"]]
    scored.write_text("\n".join(["architecture,score", *lines]) + "\n")
    code, said, err = nassim(*arguments, "--scores", scored)
    assert code == 0, err
    (line, *_) = (line for line in said.splitlines() if line.startswith("mine.csv"))
    assert " 1.00 [" in line
    assert "spos" not in said


def test_a_page_is_of_one_kind_of_study(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    files = []
    for command in ("terminate", "search"):
        files.append(tmp_path / f"{command}.parquet")
        methods = "never" if command == "terminate" else "random"
        options = ("--pool", "all", "--methods", methods, "--orders", 1, "--out", files[-1])
        assert nassim(command, "--store", tiny_store, *options).exit_code == 0
    outcome = nassim("report", *files, "--out", tmp_path / "page.html")
    assert_refused(outcome, 2)
    assert "several kinds" in outcome.err


def test_the_seed_decides(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    written = []
    for number, seed in enumerate((1, 1, 2)):
        out_file = tmp_path / f"{number}.parquet"
        nassim("terminate", "--store", tiny_store, *FAST, "--seed", seed, "--out", out_file)
        written.append(out_file.read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_method_of_ones_own_lies_where_the_user_stands(tiny_store: Path, tmp_path: Path) -> None:
    """For the installed program and its worker processes, whose path is without that folder."""
    code = "from nassim.terminators.never import Never\nclass Mine(Never):\n    pass\n"
    (tmp_path / "own_terminator.py").write_text(code)
    program = Path(sys.executable).with_name("nassim")
    options = ["--pool", "all", "--orders", "1", "--methods", "own_terminator:Mine"]
    done = subprocess.run(
        [program, "terminate", "--store", tiny_store, *options, "--workers", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "own_terminator:Mine" in done.stdout


def test_terminate_report_and_figures(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    results, page, figures = tmp_path / "r.parquet", tmp_path / "r.html", tmp_path / "figures"
    code, out, err = nassim(
        "terminate", "--store", tiny_store, *FAST, "--out", results, "--report", page
    )
    assert code == 0, err
    assert str(page) in out.splitlines()[-1]
    assert "successive_halving" in page.read_text(encoding="utf-8")
    page.unlink()
    code, out, err = nassim("report", results, "--out", page, "--figures", figures)
    assert code == 0, err
    assert "successive_halving" in page.read_text(encoding="utf-8")
    assert {path.suffix for path in figures.iterdir()} >= {".png", ".svg", ".pdf"}


def test_report_of_several_files(nassim: Nassim, tiny_store: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file, method in zip(files, ("never", "median"), strict=True):
        options = ("--orders", 2, "--pool", "all", "--methods", method, "--out", file)
        assert nassim("terminate", "--store", tiny_store, *options).exit_code == 0
    code, _, err = nassim("report", *files, "--out", tmp_path / "both.html")
    assert code == 0, err
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "never" in text
    assert "median" in text


def test_import_table(nassim: Nassim, tmp_path: Path) -> None:
    table, mine = tmp_path / "curves.csv", tmp_path / "mine"
    table.write_text("dataset,net,epoch,acc,seconds\nd,a,1,50,2\nd,a,2,60,2\nd,b,1,40,3\n")
    arguments: tuple[object, ...]
    arguments = ("import", "table", table, "--into", mine, "--scale", "0.01")
    arguments += ("--map", "net=architecture", "--map", "acc=valid_accuracy", "--set", "recipe=r")
    code, out, err = nassim(*arguments)
    assert code == 0, err
    assert "their acc -> our valid_accuracy" in out
    assert Store.open(mine).n_runs == 2
    before = contents(mine)
    assert_refused(nassim(*arguments))  # the same runs again
    assert contents(mine) == before


def test_import_wide_table(nassim: Nassim, tmp_path: Path) -> None:
    table, mine = tmp_path / "wide.csv", tmp_path / "mine"
    table.write_text("dataset,architecture,lr,a1,a2\nd,x,0.1,0.5,0.6\nd,x,0.2,0.4,\n")
    code, _, err = nassim(
        "import", "table", table, "--into", mine, "--pattern", "a{epoch}", "--key", "lr"
    )
    assert code == 0, err
    assert sorted(Store.open(mine).index().epochs.tolist()) == [1, 2]


@pytest.mark.parametrize(("interrupted", "exit_code"), [(False, 0), (True, 1)])
def test_generate(
    nassim: Nassim, monkeypatch: pytest.MonkeyPatch, interrupted: bool, exit_code: int
) -> None:
    """That it trains is tested with the generator, and that it trains from here with README.md."""
    given: dict[str, Any] = {}
    signature = inspect.signature(generator.generate_from_file)

    def fake(*arguments: Any, **options: Any) -> generator.Summary:
        given.update(signature.bind(*arguments, **options).arguments)
        return generator.Summary(Path("mine"), 9, 4, 3, 0, 0, interrupted)

    monkeypatch.setattr(generator, "generate_from_file", fake)
    options = ("--workers", 3, "--device", "cuda:1", "--ray", "auto", "--seed", 7)
    code, out, err = nassim("generate", "plan.toml", *options)
    assert code == exit_code
    assert "3 runs trained into mine" in (err if interrupted else out)
    assert given == {
        "path": "plan.toml",
        "workers": 3,
        "device": "cuda:1",
        "ray": "auto",
        "seed": 7,
    }


@pytest.mark.parametrize("command", [("generate", "plan.toml"), ("terminate", "--orders", 1)])
def test_ray_without_an_address_is_one_that_is_started_here(
    nassim: Nassim,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_store: Path,
    command: tuple[object, ...],
) -> None:
    given: list[object] = []

    def stop(*arguments: Any, ray: str | None, **options: Any) -> NoReturn:
        given.append(ray)
        raise NassimError("far enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(generator, "generate_from_file", stop)
    monkeypatch.setattr(termination, "run_termination", stop)
    store = ("--store", tiny_store) if command[0] == "terminate" else ()
    for option in ((), ("--ray",), ("--ray", "auto")):
        assert nassim(*command, *store, *option)[0] == 1
    assert given == [None, "local", "auto"]


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--methods", "nevr"],
        ["--methods", ""],
        ["--methods", "never,never"],
        ["--methods", "never:"],
        ["--methods", "never:eta"],
        ["--methods", "never:eta=3"],
        ["--methods", "successive_halving:eta=1"],
        ["--methods", "successive_halving:eta=many"],
        ["--methods", "successive_halving:eta=2:eta=3"],
        ["--methods", "no_such_module:Class"],
        ["--methods", "nassim.records:NoSuchClass"],
        ["--methods", "nassim.records:Run"],
        ["--methods", "nassim.records:STATUSES"],
        ["--methods", "nassim.records:Metric"],
        ["--methods", "last_value:delta=2"],
        ["--targets", "moon"],
        ["--targets", ","],
        ["--targets", "digits,digits"],
        ["--orders", "0"],
        ["--orders", "many"],
        ["--model-seeds", "-1"],
        ["--pool", "some"],
        ["--leave-out", "everything"],
        ["--split", "merged"],
        ["--split", "train"],
        ["--quality", "best"],
        ["--runs", "all"],
        ["--accounting", "free"],
        ["--simulated-workers", "0"],
        ["--space", "moon"],
        ["--recipe", "moon"],
        ["--size", "1"],
        ["--workers", "0"],
        ["--seed", "-1"],
        ["--no-such-option", "1"],
        ["surplus"],
        ["--out", "/proc/no/such/place.parquet"],
        ["--report", "/proc/no/such/place.html"],
        ["--store", "no-such-store"],
        ["--store", "/no/such/folder"],
        ["--store", ""],
    ],
    ids=" ".join,
)
def test_terminate_refuses(
    nassim: Nassim, tiny_store: Path, tmp_path: Path, arguments: list[str]
) -> None:
    before = contents(tiny_store)
    out_file = tmp_path / "results.parquet"
    base = ["terminate", "--store", tiny_store, "--orders", 1, "--pool", "all", "--out", out_file]
    if "--methods" not in arguments:
        base += ["--methods", "never"]
    assert_refused(nassim(*base, *arguments))
    assert contents(tiny_store) == before
    assert not out_file.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["--no-such-option"],
        ["stores", "surplus"],
        ["card"],
        ["card", "no-such-store"],
        ["card", "."],
        ["explore"],
        ["explore", "no-such-store", "--out", "page.html"],
        ["explore", "images"],
        ["explore", "images", "--out", "."],
        ["explore", "images", "--out", "page.html", "--dataset", "no-such"],
        ["verify"],
        ["verify", "no-such-store"],
        ["checklist"],
        ["checklist", "no-such-file.parquet"],
        ["diff", "images"],
        ["diff", "images", "no-such-store"],
        ["generate"],
        ["generate", "no-such-plan.toml"],
        ["generate", "."],
        ["generate", "malformed.toml"],
        ["generate", "nonsense.toml"],
        ["generate", "nonsense.toml", "--device", "abacus"],
        ["generate", "nonsense.toml", "--workers", "0"],
        ["report"],
        ["report", "no-such-results.parquet"],
        ["report", "malformed.toml"],
        ["report", "."],
        ["import", "no-such-format", "x", "--into", "new"],
        ["import", "table", "malformed.toml"],
        ["import", "table", "no-such-table.csv", "--into", "new"],
        ["import", "table", "malformed.toml", "--into", "new"],
        ["import", "table", "good.csv", "--into", "malformed.toml"],
        ["import", "table", "good.csv", "--into", "new", "--map", "acc"],
        ["import", "table", "good.csv", "--into", "new", "--map", "acc=moon"],
        ["import", "table", "good.csv", "--into", "new", "--map", "a=seed", "--map", "b=seed"],
        ["import", "table", "good.csv", "--into", "new", "--set", "seed"],
        ["import", "table", "good.csv", "--into", "new", "--pattern", "acc"],
        ["import", "table", "good.csv", "--into", "new", "--scale", "-1"],
        ["import", "table", "good.csv", "--into", "new", "--metric", "beauty"],
        ["import", "table", "good.csv", "--into", "new", "--epoch-zero", "keep"],
        ["import", "table", "bad.csv", "--into", "new"],
        ["import", "nats-bench", ".", "--into", "new"],
        ["import", "nats-bench", ".", "--into", "new", "--datasets", ","],
        ["import", "nasbench201", "no-such-folder", "--into", "new"],
    ],
    ids=" ".join,
)
def test_bad_input_costs_one_line(
    nassim: Nassim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("malformed.toml").write_text("store = [")
    Path("nonsense.toml").write_text("moon = 1")
    Path("good.csv").write_text("dataset,architecture,epoch,valid_accuracy\nd,a,1,0.5\n")
    Path("bad.csv").write_text("dataset,architecture,epoch,valid_accuracy\nd,a,1,half\n")
    before = contents(tmp_path)
    outcome = nassim(*arguments)
    assert_refused(outcome)
    assert contents(tmp_path) == before
    assert not Path("new").exists()


@pytest.mark.parametrize("command", ["", "import"])
def test_without_a_command_it_explains_itself(nassim: Nassim, command: str) -> None:
    code, _, err = nassim(*command.split())
    assert code == 2
    assert "Commands:" in err


# --- what goes wrong later ------------------------------------------------------------------


def test_a_full_disk_is_one_line(
    nassim: Nassim, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("nassim.store.verify.verify", full)
    outcome = nassim("verify", tiny_store)
    assert_refused(outcome, 1)
    assert outcome.err == "nassim: No space left on device (somewhere).\n"


def test_a_message_of_several_lines_is_one_line(
    nassim: Nassim, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NassimError("first\n  second")

    monkeypatch.setattr("nassim.store.verify.verify", fail)
    assert nassim("verify", tiny_store).err == "nassim: first second\n"


def test_interrupted(nassim: Nassim, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt  # the signal itself is ignored in a shell's background jobs

    monkeypatch.setattr("nassim.store.verify.verify", interrupt)
    outcome = nassim("verify", tiny_store)
    assert outcome.exit_code == 1
    assert outcome.err.strip() == "nassim: interrupted."


def test_a_closed_pipe_is_no_error(tiny_store: Path) -> None:
    command = f"{sys.executable} -m nassim terminate --help | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("Usage: nassim terminate")


def test_a_bug_keeps_its_traceback(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nassim.cli import main

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nassim.store.verify.verify", bug)
    with pytest.raises(ZeroDivisionError):
        main(["verify", str(tiny_store)])


def test_progress_on_a_terminal_is_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nassim.cli import _Progress

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with _Progress() as progress:
        for done in range(1, 4):
            progress(done, 3, "digits")
    assert "0/3 [" in capsys.readouterr().err


def test_progress_elsewhere_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from nassim.cli import _Progress

    with _Progress() as progress:
        for done in range(1, 1001):
            progress(done, 1000, "digits")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "1000/1000 digits"


def test_import_into_an_address_is_refused(nassim: Nassim) -> None:
    outcome = nassim("import", "table", "curves.csv", "--into", "s3://shelf/mine")
    assert_refused(outcome)
    assert "--into is 's3://shelf/mine'; expected a folder of this machine" in outcome[2]
