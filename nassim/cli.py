"""The command line. Each command parses, calls one function, prints.

Exit codes: 0, 1 (the work failed) or 2 (bad usage or input); an error is one line on stderr.
At the top this imports click alone, and a command imports what it calls when it is called:
a help text needs neither numpy nor torch.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from nassim import __version__
from nassim.errors import InputError, NassimError
from nassim.loading import load
from nassim.writing import write_whole

if TYPE_CHECKING:
    from tqdm import tqdm

    from nassim.simulator.sources import Quality
    from nassim.store import Store
    from nassim.studies.folds import FoldPlan
    from nassim.studies.results import Study

__all__ = ["cli", "first_line", "main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave; whatever a user can cause ends in one line, never a traceback."""
    try:
        cli.main(arguments, prog_name="nassim", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "nassim"
        _leave(f"{error.format_message()} See '{asked} --help'.", 2)
    except NassimError as error:
        _leave(str(error), error.exit_code)
    except click.Abort:  # Ctrl-C
        _leave("interrupted.", 1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _leave(f"{error.strerror or error}{where}.", 1)
    sys.exit(0)


def _leave(message: str, exit_code: int) -> NoReturn:
    click.echo(f"nassim: {' '.join(message.split())}", err=True)
    sys.exit(exit_code)


# --- help -----------------------------------------------------------------------------------


class _Command(click.Command):
    """A command whose help ends with what can be named, and an example.

    ``lists`` is where the table of names is (``module:TABLE``); its methods are not imported.
    """

    def __init__(self, *args: Any, example: str, lists: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.lists = lists

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.lists:
            known: Mapping[str, str] = load(self.lists)
            with formatter.section("Methods"):
                formatter.write_dl([(name, first_line(path)) for name, path in known.items()])
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")


def first_line(path: str) -> str:
    """The first line of the docstring of ``module:name`` or ``module``, which is not imported.

    >>> first_line("nassim.errors:InputError")
    'A value is not what was expected.'
    """
    module, _, name = path.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    found: ast.Module | ast.ClassDef | ast.FunctionDef
    found = tree = ast.parse(Path(spec.origin).read_bytes())
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            found = node
    return (ast.get_docstring(found) or "").partition("\n")[0]


# --- options --------------------------------------------------------------------------------

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_COUNT = click.IntRange(min=1)


def _local(ctx: click.Context, parameter: click.Parameter, value: str) -> Path:
    from nassim.store import is_remote

    if is_remote(value):
        raise InputError(
            f"--into is {value!r}; expected a folder of this machine, which may be copied there."
        )
    return Path(value)


_into = click.option(
    "--into",
    callback=_local,
    metavar="DIRECTORY",
    required=True,
    help="Folder of the store; made if it is not there.",
)
_ray = click.option(
    "--ray",
    metavar="[ADDRESS]",
    is_flag=False,
    flag_value="local",
    help="Work on a Ray cluster: HOST:PORT, or 'auto' for the one that runs here; without an "
    "address, one is started for this command.",
)


def _pairs(flag: str, usage: str, texts: Iterable[str], key: int = 0) -> dict[str, str]:
    """``left=right`` texts as a mapping from the left, or with ``key=1`` from the right."""
    pairs: dict[str, str] = {}
    for text in texts:
        sides = left, right = text.partition("=")[::2]
        if not left or not right:
            raise InputError(f"{flag} is {text!r}; expected {usage}.")
        if sides[key] in pairs:
            raise InputError(f"{flag} gives {sides[key]!r} twice; give it once.")
        pairs[sides[key]] = sides[1 - key]
    return pairs


def _names(flag: str, text: str) -> list[str]:
    """Names separated by commas, none of them twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"{flag} is {text!r}; expected names separated by commas.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{flag} names {name!r} twice; name it once.")
    return names


def _check_place(flag: str, path: Path) -> None:
    """Before hours of work: that a file can be written there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(
            f"{flag} {str(path)!r} cannot be written ({error.strerror}); name another place."
        ) from error


# --- printing -------------------------------------------------------------------------------


class _Progress:
    """How far the work is, on stderr: a bar on a terminal, elsewhere a line for each tenth."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._tenths = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int, what: str) -> None:
        if sys.stderr.isatty():
            from tqdm import tqdm

            if self._bar is None:
                self._bar = tqdm(total=total, leave=False, dynamic_ncols=True)
            self._bar.set_postfix_str(what, refresh=False)
            self._bar.update(done - self._bar.n)
        elif done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            click.echo(f"{done}/{total} {what}", err=True)


def _said_of(store: Store) -> str:
    """What a command reads, so that a result can be traced back to it."""
    return (
        f"Store {store.name} ({store.path}): {store.n_runs:,} runs on {len(store.datasets)} "
        f"datasets, sha {store.sha[:12]}"
    )


_split = click.option(
    "--split",
    type=click.Choice(["valid", "merged", "test"]),
    default="valid",
    show_default=True,
    help="What is searched on; all but 'valid' leak, and the results say so.",
)
_quality = click.option(
    "--quality",
    type=click.Choice(["max", "final"]),
    default="max",
    show_default=True,
    help="What a run is worth: its best or its last value.",
)
_space = click.option("--space", help="The search space, where the store has several.")
_recipe = click.option("--recipe", help="The training recipe, where the store has several.")
_workers = click.option("--workers", type=_COUNT, default=1, show_default=True, help="Processes.")
_seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all chance."
)

_STUDY_OPTIONS = (
    click.option("--store", help="Name or path of a store.  [default: the bundled one]"),
    click.option("--targets", help="Datasets to search on, separated by commas.  [default: all]"),
    click.option(
        "--pool",
        type=click.Choice(["disjoint", "shared", "all"]),
        default="disjoint",
        show_default=True,
        help="Candidates that only the target has, that every dataset has, or both.",
    ),
    click.option(
        "--leave-out",
        type=click.Choice(["dataset", "group"]),
        default="dataset",
        show_default=True,
        help="What a method must not learn from: the target, or its whole group.",
    ),
    _split,
    _quality,
    click.option(
        "--runs",
        type=click.Choice(["drawn", "first"]),
        default="drawn",
        show_default=True,
        help="Which training seed is replayed where there are several.",
    ),
    click.option(
        "--accounting",
        type=click.Choice(["continue", "restart"]),
        default="continue",
        show_default=True,
        help="What a resumed run pays: its new epochs, or all of them again.",
    ),
    click.option(
        "--simulated-workers",
        type=_COUNT,
        default=1,
        show_default=True,
        help="Trainings side by side on the virtual clock.",
    ),
    _space,
    _recipe,
    click.option("--size", type=click.IntRange(min=2), help="Draw so many candidates of a target."),
    click.option("--source-datasets", type=_COUNT, help="Learn from so many other datasets only."),
    click.option(
        "--source-architectures", type=_COUNT, help="Learn from so many architectures of each only."
    ),
    click.option(
        "--shuffled-sources",
        is_flag=True,
        help="Exchange each source's results among its architectures: there is nothing to learn.",
    ),
    _workers,
    _ray,
    _seed,
    click.option(
        "--out",
        type=_FILE,
        default=Path("results.parquet"),
        show_default=True,
        help="Where the results go.",
    ),
    click.option("--report", type=_FILE, help="Write a page of tables and figures too."),
)


def _study(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all studies have, below a command's own."""
    for option in reversed(_STUDY_OPTIONS):
        command = option(command)
    return command


# --- commands -------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nassim")
def cli() -> None:
    """A benchmark-backed simulator for neural architecture search.

    A store holds recorded trainings; search methods are compared by replaying them on a virtual
    clock. 'nassim COMMAND --help' shows an example of each command.
    """
    folder = os.getcwd()
    if folder not in sys.path:  # --methods mymodule:MyClass may lie where the user stands
        sys.path.append(folder)


@cli.command(cls=_Command, example="nassim stores")
def stores() -> None:
    """List the stores that can be named.

    These are the bundled ones, and the folders of $NASSIM_DATA.
    """
    from nassim.reports.text import aligned
    from nassim.store import Store, known_stores

    rows = [("name", "path", "runs", "datasets", "sha")]
    for name, path in known_stores().items():
        try:
            store = Store.open(path)
        except NassimError as error:
            rows.append((name, f"{path} ({error})", "-", "-", "-"))
        else:
            size = (f"{store.n_runs:,}", str(len(store.datasets)))
            rows.append((name, str(path), *size, store.sha[:12]))
    click.echo("\n".join(aligned(rows, left=2)))


@cli.command(
    cls=_Command,
    example="nassim card images\nnassim card images --out card.html --figures figures",
)
@click.argument("store")
@click.option("--out", type=_FILE, help="Write a page of tables and figures too.")
@click.option("--figures", type=_FOLDER, help="Save each figure there, as PNG, SVG and PDF.")
@click.option(
    "--gap",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    help="Difference that a study should see: percentage points, or the metric's unit.",
)
def card(store: str, out: Path | None, figures: Path | None, gap: float) -> None:
    """Describe STORE: sizes, seed noise, rank correlations, power.

    What a comparison on it can show, and how many orders or seeds that takes.
    """
    from nassim.reports.card.text import card_text
    from nassim.store import Store, find_store
    from nassim.store.card import card as make_card

    opened = Store.open(find_store(store))
    if out is not None:
        _check_place("--out", out)
    if figures is not None:
        _check_place("--figures", figures / "figure.png")
    made = make_card(opened, gap=gap / 100 if opened.metric.bounds == (0.0, 1.0) else gap)
    click.echo(card_text(made))
    written = []
    if out is not None:
        from nassim.reports.card.page import card_page

        write_whole(out, card_page(made).encode())
        written.append(out)
    if figures is not None:
        from nassim.reports.card.page import save_card_figures

        written += save_card_figures(made, figures)
    if written:
        click.echo(f"Wrote {', '.join(map(str, written))}")


@cli.command(
    cls=_Command,
    example="nassim explore images --out explore.html\n"
    "nassim explore cells --dataset mnist --space nasbench101 --out explore.html",
)
@click.argument("store")
@click.option("--out", type=_FILE, required=True, help="Where the page goes.")
@click.option("--dataset", metavar="NAME", help="Runs on this dataset only.")
@click.option("--space", metavar="NAME", help="Runs of this search space only.")
@click.option("--recipe", metavar="NAME", help="Runs under this recipe only.")
def explore(
    store: str, out: Path, dataset: str | None, space: str | None, recipe: str | None
) -> None:
    """Make a page to look around in STORE: every architecture, curve and rank.

    One HTML file that fetches nothing; choose the axes, find architectures, compare their curves
    and their ranks on all datasets, and share a view by its address.
    """
    from nassim.reports.explorer import explorer_page
    from nassim.store import Store, find_store
    from nassim.store.explore import explored

    opened = Store.open(find_store(store))
    _check_place("--out", out)
    page = explorer_page(explored(opened, dataset=dataset, space=space, recipe=recipe))
    write_whole(out, page.encode())
    click.echo(f"Wrote {out}")


@cli.command(
    cls=_Command, example="nassim verify images\nnassim verify images --retrain 5 --seed 1"
)
@click.argument("store")
@click.option(
    "--retrain",
    type=_COUNT,
    metavar="N",
    help="Also train N of its runs again, drawn by --seed, and compare the curves.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:1.")
def verify(store: str, retrain: int | None, seed: int, device: str) -> None:
    """Check STORE: schema, hashes, ranges, duplicates, times.

    Faults are listed, and the exit code is then 1. A run that is trained again gives the same
    curve on the same kind of machine; elsewhere it ends within the noise between seeds.
    """
    from nassim.reports.text import plural
    from nassim.store import Store, find_store
    from nassim.store.verify import notes
    from nassim.store.verify import verify as find_faults

    path = find_store(store)
    faults = find_faults(path)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise NassimError(f"{plural(len(faults), 'fault')} in store {str(path)!r}.")
    for note in notes(path):
        click.echo(f"Note: {note}")
    opened = Store.open(path)
    click.echo(f"Store {opened.name} ({path}) is sound.")
    if retrain is not None:
        from nassim.generator.retrain import retrain as train_again

        others = 0
        for result in train_again(opened, retrain, seed=seed, device=device):
            click.echo(result)
            others += not result.agrees
        if others:
            raise NassimError(f"{plural(others, 'run')} of {retrain} came out as another.")


@cli.command(
    cls=_Command, example="nassim diff images ./trained\nnassim diff images s3://bucket/images"
)
@click.argument("first")
@click.argument("second")
def diff(first: str, second: str) -> None:
    """Compare the runs of FIRST and SECOND, two stores.

    Runs that only one has, and runs of both that came out differently. Measured seconds, and when
    and on what a run was trained, make no difference. The exit code is 1 if there is any.
    """
    from nassim.store import Store, find_store
    from nassim.store.diff import diff as compare
    from nassim.store.diff import diff_text, verdict

    stores = [Store.open(find_store(name)) for name in (first, second)]
    for store in stores:
        click.echo(_said_of(store))
    found = compare(*stores)
    click.echo(diff_text(found))
    if not found.equal:
        raise NassimError(verdict(found))
    click.echo(verdict(found))


class _Formats(click.Group):
    """A command for each importer; one without options of its own needs no code here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._known())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.commands or name not in self._known():
            return self.commands.get(name)

        @click.command(
            name,
            cls=_Command,
            help=first_line(self._known()[name].partition(":")[0]),
            example=f"nassim import {name} --into mine",
        )
        @click.argument("path", required=False)
        @_into
        def command(path: str | None, into: Path) -> None:
            _import(name, path, into)

        return command

    def _known(self) -> Mapping[str, str]:
        from nassim.store.importers import IMPORTERS

        return IMPORTERS


@cli.group("import", cls=_Formats)
def import_() -> None:
    """Import a public table into a store."""


def _import(name: str, path: str | None, into: Path, **options: Any) -> None:
    from nassim.store.importers import import_into

    click.echo(import_into(name, path, into, **options).to_text())


@import_.command(
    "table",
    cls=_Command,
    example="nassim import table curves.csv --into mine --map lr_curve=valid_accuracy\n"
    "nassim import table wide.csv --into mine --pattern 'acc_{epoch}' --scale 0.01",
)
@click.argument("file")
@_into
@click.option("--map", "map_", multiple=True, metavar="THEIRS=OURS", help="A column's name there.")
@click.option(
    "--pattern", help="Their columns of validation values, where a row is a run: 'acc_{epoch}'."
)
@click.option("--wide", multiple=True, metavar="OURS=PATTERN", help="The same for any curve.")
@click.option("--set", "set_", multiple=True, metavar="OURS=VALUE", help="A column not there.")
@click.option("--key", multiple=True, metavar="THEIRS", help="A column that is part of the name.")
@click.option("--scale", type=float, default=1.0, help="0.01 turns percentages into shares.")
@click.option("--metric", default="accuracy", show_default=True, help="accuracy|error|perplexity")
@click.option(
    "--epoch-zero", default="refuse", show_default=True, help="refuse|first|untrained: epoch 0 is?"
)
def import_table(
    file: str,
    into: Path,
    map_: tuple[str, ...],
    pattern: str | None,
    wide: tuple[str, ...],
    set_: tuple[str, ...],
    key: tuple[str, ...],
    scale: float,
    metric: str,
    epoch_zero: str,
) -> None:
    """Import a CSV or Parquet FILE of learning curves.

    A row is an epoch, or a run (--pattern, --wide, or --set epoch=N for the end alone).

    Our columns: dataset, architecture, epoch, valid_accuracy (also train_, test_, merged_),
    train_loss, seconds, seed, n_params, flops, space, recipe, status, reason, group.
    """
    _import(
        "table",
        file,
        into,
        map=_pairs("--map", "THEIRS=OURS", map_, key=1),
        pattern=pattern,
        wide=_pairs("--wide", "OURS=PATTERN", wide),
        set=_pairs("--set", "OURS=VALUE", set_),
        key=key,
        scale=scale,
        metric=metric,
        epoch_zero=epoch_zero,
    )


@import_.command(
    "nats-bench",
    cls=_Command,
    example="nassim import nats-bench NATS-tss-v1_0-3ffb9-simple --into nats --epochs 200",
)
@click.argument("folder")
@_into
@click.option(
    "--datasets",
    help="cifar10-valid, cifar100, ImageNet16-120, cifar10, or all.  "
    "[default: those with a validation set]",
)
@click.option("--epochs", help="Lengths of training to keep, as in '12,200'.  [default: all]")
def import_nats_bench(folder: str, into: Path, datasets: str | None, epochs: str | None) -> None:
    """Import NATS-Bench's own FOLDER of files, or a part of it."""
    _import(
        "nats-bench",
        folder,
        into,
        datasets=None if datasets is None else _names("--datasets", datasets),
        epochs=None if epochs is None else _names("--epochs", epochs),
    )


@cli.command(
    cls=_Command,
    example="nassim generate plan.toml --workers 4\nnassim generate plan.toml --device cuda\n"
    "nassim generate plan.toml --ray 10.0.0.1:6379",
)
@click.argument("plan")
@click.option(
    "--workers", type=_COUNT, help="Processes.  [default: one a core, or several on a GPU]"
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@_ray
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Added to each seed of the plan, to train all of it once more.",
)
def generate(plan: str, workers: int | None, device: str, ray: str | None, seed: int) -> None:
    """Train what PLAN (a TOML file) names and its store lacks.

    What is finished is in the store; interrupt it, and the same command goes on.
    """
    from nassim.generator import generate_from_file

    summary = generate_from_file(plan, workers=workers or 0, device=device, ray=ray, seed=seed)
    if summary.interrupted:
        raise NassimError(str(summary))
    click.echo(summary)


@cli.command(
    cls=_Command,
    example="nassim terminate --methods successive_halving,asha:eta=4 --orders 5\n"
    "nassim terminate --store mine --targets digits --pool all --report report.html",
    lists="nassim.terminators:TERMINATORS",
)
@click.option(
    "--methods",
    help="Terminators, as in 'never,asha:eta=4'; 'module:Class' for your own.  "
    "[default: all of those below that the store and the pool can serve]",
)
@click.option(
    "--orders",
    type=_COUNT,
    default=20,
    show_default=True,
    help="Random orders of the candidates, the same for every method.",
)
@click.option(
    "--model-seeds",
    type=_COUNT,
    default=3,
    show_default=True,
    help="Fits of each method that learns from other datasets.",
)
@_study
def terminate(methods: str | None, orders: int, model_seeds: int, **options: Any) -> None:
    """Compare early-termination methods by regret and cost.

    The candidates of a target come in random orders; a method decides how long each is trained.
    What it learns, it learns from the other datasets. The results do not depend on --workers.
    """
    from nassim.reports.page import report_page
    from nassim.reports.termination import termination_table
    from nassim.studies.termination import TerminationPlan, default_methods, run_termination

    plan = TerminationPlan(
        methods,
        orders,
        model_seeds,
        options["seed"],
        options["simulated_workers"],
        options["accounting"],
        options["runs"],
    )

    def run(folds: FoldPlan, targets: list[str] | None, **how: Any) -> Study:
        if plan.methods is None:
            for method, reason in default_methods(folds, targets)[1].items():
                click.echo(f"Note: {method} is left out: {reason}.")
        return run_termination(plan, folds, targets, **how)

    _run_study(
        run,
        lambda study: termination_table(study.results, study.pool).to_text(),
        report_page,
        options,
    )


@cli.command(
    cls=_Command,
    example="nassim search --methods random,evolution --budget 20\n"
    "nassim search --store mine --terminator never,asha --targets digits --report report.html",
    lists="nassim.optimizers:OPTIMIZERS",
)
@click.option(
    "--methods",
    help="Optimizers, as in 'random,evolution:sample=5'; 'module:Class' for your own.  "
    "[default: a selection of those below]",
)
@click.option(
    "--terminator",
    default="never",
    show_default=True,
    help="What ends trainings early (see nassim terminate); several for each optimizer in turn.",
)
@click.option(
    "--budget",
    type=_COUNT,
    default=33,
    show_default=True,
    help="Candidates that a search may start.",
)
@click.option(
    "--surrogate",
    type=_FILE,
    help="Search the whole space on this file of 'nassim surrogate', not the store's candidates.",
)
@click.option(
    "--orders",
    type=_COUNT,
    default=10,
    show_default=True,
    help="Searches of each method, with seeds that all methods share.",
)
@click.option(
    "--model-seeds",
    type=_COUNT,
    default=2,
    show_default=True,
    help="Fits of each method that learns from other datasets.",
)
@_study
def search(
    methods: str | None,
    terminator: str,
    budget: int,
    surrogate: Path | None,
    orders: int,
    model_seeds: int,
    **options: Any,
) -> None:
    """Compare optimizers by regret after k evaluations and over time.

    An optimizer proposes candidates of a target and is told how they did. What it knows before, it
    learned from the other datasets. The results do not depend on --workers.
    """
    from nassim.reports.optimizers import regret_table
    from nassim.reports.search_page import search_page
    from nassim.studies.search import DEFAULT_OPTIMIZERS, SearchPlan, run_search

    plan = SearchPlan(
        DEFAULT_OPTIMIZERS if methods is None else methods,
        terminator,
        budget,
        None if surrogate is None else str(surrogate),
        orders,
        model_seeds,
        options["seed"],
        options["simulated_workers"],
        options["accounting"],
        options["runs"],
    )
    _run_study(
        functools.partial(run_search, plan),
        lambda study: regret_table(study.results, study.pool).to_text(),
        search_page,
        options,
    )


def _run_study(
    run: Callable[..., Study],
    said: Callable[[Study], str],
    page_of: Callable[..., str],
    options: dict[str, Any],
) -> None:
    """Run a study on the folds that its options name, write its files, and print its table."""
    from nassim.store import DEFAULT_STORE, Store, find_store
    from nassim.studies.folds import FoldPlan

    store, targets, out, report = (options[name] for name in ("store", "targets", "out", "report"))
    opened = Store.open(find_store(DEFAULT_STORE if store is None else store))
    named = (
        *("pool", "leave_out", "space", "recipe", "split", "quality", "size"),
        *("source_datasets", "source_architectures", "shuffled_sources"),
    )
    folds = FoldPlan(
        str(opened.path),
        opened.sha,
        **{name: options[name] for name in named},
        pool_seed=options["seed"],
    )
    chosen = None if targets is None else _names("--targets", targets)
    _check_place("--out", out)
    if report is not None:
        _check_place("--report", report)
    click.echo(_said_of(opened))
    with _Progress() as progress:
        study = run(
            folds, chosen, workers=options["workers"], ray=options["ray"], progress=progress
        )
    written = study.write(out)
    click.echo(said(study))
    if report is not None:
        write_whole(report, page_of(study.results, study.pool, study.timings).encode())
        written.append(report)
    click.echo(f"Wrote {', '.join(map(str, written))}")


@cli.command(
    cls=_Command,
    example="nassim surrogate images --out surrogate.npz\n"
    "nassim surrogate mine --space nasnet --recipe long --out mine.npz",
)
@click.argument("store")
@click.option(
    "--out",
    type=_FILE,
    default=Path("surrogate.npz"),
    show_default=True,
    help="Where the surrogates go.",
)
@_space
@_recipe
@_split
@_quality
@_seed
def surrogate(
    store: str,
    out: Path,
    space: str | None,
    recipe: str | None,
    split: str,
    quality: Quality,
    seed: int,
) -> None:
    """Fit what any architecture would reach on STORE's datasets.

    A search of the whole space needs such a file. The table says how well it predicts
    architectures that it was not fitted on.
    """
    from nassim.store import Store, find_store
    from nassim.studies.folds import FoldPlan
    from nassim.studies.surrogate import fit_surrogates, held_out_table

    opened = Store.open(find_store(store))
    plan = FoldPlan(
        str(opened.path),
        opened.sha,
        pool="all",
        space=space,
        recipe=recipe,
        split=split,
        quality=quality,
    )
    _check_place("--out", out)
    click.echo(_said_of(opened))
    with _Progress() as progress:
        fitted = fit_surrogates(plan, seed=seed, progress=progress)
    fitted.save(out)
    click.echo(held_out_table(fitted))
    click.echo(f"Wrote {out}")


@cli.command(
    cls=_Command,
    example="nassim rank --store cells --space nasbench201_3nodes --dataset mnist\n"
    "nassim rank --store cells --space nasbench201_3nodes --dataset mnist --scores mine.csv",
    lists="nassim.oneshot:ONE_SHOT",
)
@click.option("--store", required=True, help="Name or path of a store with several seeds.")
@click.option("--space", required=True, help="The search space.")
@click.option("--dataset", required=True, help="The dataset of the full trainings.")
@click.option("--recipe", help="Their recipe, where the store has several.")
@click.option(
    "--methods",
    help="One-shot methods, as in 'spos,spos:law=strings'; 'module:Class' for your own.  "
    "[default: spos; none with --scores]",
)
@click.option(
    "--seeds", type=_COUNT, default=3, show_default=True, help="Trainings of each method."
)
@click.option(
    "--bn-mode",
    default="recal",
    show_default=True,
    help="Batch-norm statistics for scoring: collected anew (recal), of the scored images (batch), "
    "or as trained (running); several, separated by commas, score the same supernets.",
)
@click.option(
    "--scores",
    type=_FILE,
    help="Judge these too: Parquet or CSV with columns architecture, score and perhaps seed.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=5),
    default=500,
    show_default=True,
    help="Judge so many different functions at most; of more, some are drawn.",
)
@click.option("--draws", type=_COUNT, default=1000, show_default=True, help="Of the bootstrap.")
@_workers
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:1.")
@_seed
@click.option(
    "--out",
    type=_FILE,
    default=Path("rank.parquet"),
    show_default=True,
    help="Where the report goes.",
)
@click.option("--report", type=_FILE, help="Write a page of tables and figures too.")
@click.option("--figures", type=_FOLDER, help="Save each figure there, as PNG, SVG and PDF.")
def rank(
    store: str,
    space: str,
    dataset: str,
    recipe: str | None,
    out: Path,
    report: Path | None,
    figures: Path | None,
    workers: int,
    methods: str | None,
    scores: Path | None,
    **options: Any,
) -> None:
    """Judge one-shot methods by full trainings.

    A method trains one supernet; its scores of all architectures are compared with what a store
    records of these, beside predictors that cost nothing and the ceiling that seed noise leaves.
    Methods are compared in pairs, in the same draws of a bootstrap.
    """
    from nassim.reports.oneshot import rank_table
    from nassim.reports.rank_page import rank_page, save_rank_figures
    from nassim.store import Store, find_store
    from nassim.studies.oneshot import RankPlan, run_rank
    from nassim.studies.truth import load_truth

    if methods is None:
        methods = "" if scores is not None else "spos"
    plan = RankPlan(methods, scores=None if scores is None else str(scores), **options)
    opened = Store.open(find_store(store))
    truth = load_truth(opened, space, dataset, recipe)
    _check_place("--out", out)
    if report is not None:
        _check_place("--report", report)
    if figures is not None:
        _check_place("--figures", figures / "figure.png")
    click.echo(_said_of(opened))
    with _Progress() as progress:
        study = run_rank(plan, truth, workers=workers, progress=progress)
    written = study.write(out)
    click.echo(rank_table(study.report).to_text())
    tables = [(study.report, study.scores)]
    if report is not None:
        write_whole(report, rank_page(tables).encode())
        written.append(report)
    if figures is not None:
        written += save_rank_figures(tables, figures)
    click.echo(f"Wrote {', '.join(map(str, written))}")


@cli.command(
    cls=_Command, example="nassim report results.parquet --out report.html --figures figures"
)
@click.argument("results", nargs=-1, required=True)
@click.option(
    "--out",
    type=_FILE,
    default=Path("report.html"),
    show_default=True,
    help="One page that needs nothing beside it.",
)
@click.option("--figures", type=_FOLDER, help="Save each figure there, as PNG, SVG and PDF.")
def report(results: tuple[str, ...], out: Path, figures: Path | None) -> None:
    """Make a page of tables and figures from RESULTS.

    These are the files that 'nassim terminate' wrote, or 'nassim search', or 'nassim rank'; the two
    beside each are read too.
    """
    import pyarrow as pa

    from nassim.reports import page, rank_page, search_page
    from nassim.studies.oneshot import read_rank
    from nassim.studies.results import read_study, study_kind

    _check_place("--out", out)
    ranked = [path for path in results if study_kind(path) == "rank"]
    studies = [read_study(path) for path in results if path not in ranked]
    kinds = {study.kind for study in studies} | {"rank" for _ in ranked}
    if len(kinds) > 1:
        raise InputError(
            f"The files are of several kinds of study ({', '.join(sorted(kinds))}); report the "
            "files of each kind for themselves."
        )
    if ranked:
        found = [read_rank(path) for path in ranked]
        tables = [(study.report, study.scores) for study in found]
        write_whole(out, rank_page.rank_page(tables).encode())
        saved = rank_page.save_rank_figures(tables, figures) if figures is not None else []
        click.echo(f"Wrote {', '.join(map(str, [out, *saved]))}")
        return
    if kinds == {"search"}:
        page_of, figures_of = search_page.search_page, search_page.save_search_figures
    else:
        page_of, figures_of = page.report_page, page.save_figures
    rows = pa.concat_tables([study.results for study in studies])
    pool = pa.concat_tables([study.pool for study in studies])
    timings = pa.concat_tables([study.timings for study in studies])
    write_whole(out, page_of(rows, pool, timings).encode())
    written = [out]
    if figures is not None:
        written += figures_of(rows, pool, figures)
    click.echo(f"Wrote {', '.join(map(str, written))}")


@cli.command(
    cls=_Command,
    example="nassim checklist results.parquet\n"
    "nassim checklist rank.parquet --store ./mine > checklist.md\n"
    "nassim checklist results.parquet --list automl",
)
@click.argument("results", nargs=-1, required=True)
@click.option("--store", help="Where it is that they were made on.  [default: by its name]")
@click.option(
    "--list",
    "practices",
    type=click.Choice(("nas", "automl")),
    default="nas",
    show_default=True,
    help="The NAS best practices, or the AutoML Conference's submission checklist.",
)
def checklist(results: tuple[str, ...], store: str | None, practices: str) -> None:
    """Fill in a checklist of the field for RESULTS.

    The fourteen practices of Lindauer and Hutter (2020), or the submission checklist of the AutoML
    Conference (2025), as a Markdown list: what these files and their store show, and what is left
    for you to say.
    """
    from nassim.studies.checklist import checklist as fill_in
    from nassim.studies.checklist import checklist_text

    click.echo(checklist_text(fill_in(results, store, practices)))
