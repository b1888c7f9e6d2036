"""Rules that no review has to look after: layers, light imports, one door for chance."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import nassim
from nassim.loading import load

PACKAGE = Path(nassim.__file__).parent

# Imports point from a layer to earlier ones, or stay within one folder.
LAYERS = (
    {"errors"},
    {"records"},
    {"loading", "options", "writing", "cluster"},
    {"spaces"},
    {"encodings", "networks", "datasets", "ranking"},
    {"reports"},
    {"store", "optimizers", "terminators"},
    {"generator"},
    {"simulator", "oneshot"},
    {"studies"},
    {"checks"},
    {"cli"},
    {"__main__"},
)
LEVEL = {folder: level for level, folders in enumerate(LAYERS) for folder in folders}

HEAVY = {"torch", "pandas", "sklearn", "matplotlib", "scipy"}
TABLES = (
    "nassim.datasets:DATASETS",
    "nassim.networks:NETWORKS",
    "nassim.oneshot:ONE_SHOT",
    "nassim.oneshot:SUPERNETS",
    "nassim.optimizers:OPTIMIZERS",
    "nassim.spaces:SPACES",
    "nassim.store.importers:IMPORTERS",
    "nassim.terminators:TERMINATORS",
)


class Module(NamedTuple):
    name: str  # nassim.store.card
    path: Path
    tree: ast.Module

    @property
    def folder(self) -> str:
        """Its part of the plan: ``store``, ``cli``; empty for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""


class Import(NamedTuple):
    target: str
    line: int
    at_top: bool  # executed when the module is imported


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")))


def _read(path: Path) -> Module:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    return Module(name, path, ast.parse(path.read_bytes(), str(path)))


def imports(
    tree: ast.AST, names: frozenset[str] = frozenset(), *, at_top: bool = True
) -> Iterator[Import]:
    """Every import in a syntax tree, those for type checkers alone left out.

    ``from a import b`` counts as ``a.b`` where that is one of ``names``, else as ``a``.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide where they lead"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(inner if inner in names else str(node.module), node.lineno, at_top)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            is_lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(node, names, at_top=at_top and not is_lazy)


def upward(module: Module) -> list[str]:
    """Imports of a module that point to its own level elsewhere, or above."""
    faults = []
    for found in imports(module.tree):
        parts = found.target.split(".")
        if parts[0] != "nassim" or len(parts) == 1 or parts[1] == module.folder:
            continue
        if LEVEL[parts[1]] >= LEVEL[module.folder]:
            faults.append(f"{module.path}:{found.line} ({module.name} -> {found.target})")
    return faults


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """A cycle of a graph, or nothing."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if found := visit(other, [*trail, node]):
                return found
        done.add(node)
        return []

    for node in sorted(graph):
        if found := visit(node, []):
            return found
    return []


def run_alone(code: str) -> str:
    """The output of code in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- layers ---------------------------------------------------------------------------------


def test_every_folder_has_a_layer() -> None:
    folders = {module.folder for module in modules()} - {""}
    assert folders <= set(LEVEL), "new folder: give it a place in LAYERS"


def test_imports_point_down() -> None:
    assert [fault for module in modules() if module.folder for fault in upward(module)] == []


def test_the_package_itself_imports_nothing() -> None:
    (package,) = (module for module in modules() if module.name == "nassim")
    assert [found.target for found in imports(package.tree)] == []


def test_an_upward_import_is_found_even_inside_a_function() -> None:
    code = "def f():\n    from nassim.studies import folds\n"
    module = Module("nassim.store.culprit", Path("culprit.py"), ast.parse(code))
    assert upward(module) == ["culprit.py:2 (nassim.store.culprit -> nassim.studies)"]


def test_no_import_cycles() -> None:
    names = frozenset(module.name for module in modules())
    graph = {
        module.name: {
            found.target
            for found in imports(module.tree, names)
            if found.at_top and found.target in names and found.target != module.name
        }
        for module in modules()
    }
    assert sum(map(len, graph.values())) > 50  # the graph is not empty by mistake
    assert cycle(graph) == []


def test_a_cycle_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


# --- light imports --------------------------------------------------------------------------

_HELP = """
import sys
from nassim.cli import main
try:
    main({arguments!r})
except SystemExit as leave:
    assert leave.code == 0, leave.code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import nassim",
        _HELP.format(arguments=["--help"]),
        _HELP.format(arguments=["terminate", "--help"]),
        _HELP.format(arguments=["rank", "--help"]),
        _HELP.format(arguments=["generate", "--help"]),
        _HELP.format(arguments=["import", "--help"]),
        _HELP.format(arguments=["stores"]),
    ],
    ids=["nassim", "help", "terminate help", "rank help", "generate help", "import help", "stores"],
)
def test_nothing_heavy_is_imported_by(code: str) -> None:
    out = run_alone(f"{code}\nimport sys\nprint('loaded:', *({HEAVY} & sys.modules.keys()))")
    assert out.splitlines()[-1] == "loaded:"


def test_nothing_heavy_is_imported_by_a_replay(tiny_store: Path) -> None:
    light = HEAVY - {"pandas"}  # which Arrow imports by itself to make an array of a list
    out = run_alone(
        f"""
import sys
from nassim.studies.folds import FoldPlan
from nassim.studies.termination import TerminationPlan, run_termination
plan = TerminationPlan("never,successive_halving,asha,median,last_value", orders=2)
study = run_termination(plan, FoldPlan({str(tiny_store)!r}, "sha", pool="all"))
print(len(study.results), *({light} & sys.modules.keys()))
"""
    )
    assert out.split() == ["30"]  # 5 methods x 3 targets x 2 orders, and nothing loaded


def test_heavy_packages_are_imported_at_the_top_only_where_nothing_replays() -> None:
    allowed = {
        "torch": {"networks", "generator", "oneshot", "terminators", "optimizers"},
        "sklearn": {"datasets"},
    }
    faults = [
        f"{module.path}:{found.line}: {found.target}"
        for module in modules()
        for found in imports(module.tree)
        if found.at_top
        and (package := found.target.split(".")[0]) in HEAVY
        and module.folder not in allowed.get(package, set())
    ]
    assert faults == []


# --- tables of parts ------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_each_entry_of_a_table_is_there(table: str) -> None:
    """Found in the source, so that no entry needs to be imported to be checked."""
    entries: Mapping[str, str] = load(table)
    assert entries
    assert list(entries) == sorted(entries)
    for name, path in entries.items():
        module, attribute, *_arguments = path.split(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{name}: there is no {module}"
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).read_bytes())
        defined = {
            node.name: node
            for node in tree.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        }
        assert attribute in defined, f"{name}: {module} defines no {attribute}"
        assert ast.get_docstring(defined[attribute]), f"{path} needs a docstring: the help shows it"


# --- one door for chance, none for the wall clock -------------------------------------------

DOORS = {"BitGenerator", "Generator", "PCG64", "SeedSequence", "default_rng"}
# Real seconds are measured where they are the result, and nowhere else.
CLOCKS = {"generator", "oneshot"}
CLOCK_FILES = {"nassim.studies.termination", "nassim.studies.search"}
WATCHES_CHANCE = {"nassim.checks.conditions"}  # whether a method uses global chance


def impurities(module: Module) -> list[str]:
    """Uses of a global random generator, or of the wall clock where it has no business."""
    if module.name in WATCHES_CHANCE:
        return []
    faults = []
    for found in imports(module.tree):
        if found.target == "random" or found.target.startswith("random."):
            faults.append(f"{module.path}:{found.line}: import random")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Attribute):
            continue
        name = ast.unparse(node)
        if not name.replace(".", "").isidentifier():  # np.random.default_rng(0).random
            continue
        for prefix in ("np.random.", "numpy.random."):
            rest = name.removeprefix(prefix)
            if rest != name and rest.split(".")[0] not in DOORS:
                faults.append(f"{module.path}:{node.lineno}: {name}")
        if name in ("torch.manual_seed", "torch.random.manual_seed", "torch.seed"):
            faults.append(f"{module.path}:{node.lineno}: {name}")
        is_clock = name in ("time.time", "time.monotonic", "time.perf_counter", "time.process_time")
        measures = module.folder in CLOCKS or module.name in CLOCK_FILES
        if is_clock and not (measures and name != "time.time"):
            faults.append(f"{module.path}:{node.lineno}: {name}")
    return faults


def test_no_global_chance_and_no_wall_clock() -> None:
    assert [fault for module in modules() for fault in impurities(module)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import random",
        "from random import shuffle",
        "import numpy as np\nnp.random.rand(3)",
        "import torch\ntorch.manual_seed(0)",
        "import time\ntime.time()",
        "import time\ntime.perf_counter()",
    ],
)
def test_an_impurity_is_found(code: str) -> None:
    culprit = Module("nassim.simulator.culprit", Path("culprit.py"), ast.parse(code))
    assert len(impurities(culprit)) == 1


# --- documentation --------------------------------------------------------------------------


def _public(module: Module) -> list[ast.ClassDef | ast.FunctionDef]:
    return [
        node
        for node in module.tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
    ]


def test_what_is_public_says_what_it_is() -> None:
    faults = [str(module.path) for module in modules() if not ast.get_docstring(module.tree)]
    for module in modules():
        faults += [
            f"{module.path}:{node.lineno}: {node.name}"
            for node in _public(module)
            if not ast.get_docstring(node)
        ]
    assert faults == []


def test_a_module_lists_what_is_public() -> None:
    faults = []
    for module in modules():
        targets = [
            ast.unparse(node.targets[0])
            for node in module.tree.body
            if isinstance(node, ast.Assign)
        ]
        if _public(module) and "__all__" not in targets:
            faults.append(str(module.path))
    assert faults == []
