"""What the pages of docs/ quote of result files, written there again.

    python analysis/quoted.py            # writes what has changed, and says where
    python analysis/quoted.py --check    # only says, and exits with 1 if anything has

A quotation is a fenced text or a table below a comment that says what it shows::

    <!-- quoted: termination images/termination paragraphs=0:3 -->

which is ``KIND RESULTS OPTION=VALUE ...``: a function of this file, a result file below
analysis/results, and what the function is given. So no number of a table was typed. Where the
bundled store is another today than the results are of, the quotation begins by saying so.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import sources_needed as cuts

from nassim.errors import InputError, unknown_name
from nassim.reports import (
    calibration_table,
    ranking_table,
    sweep_table,
    termination_table,
    timings_table,
)
from nassim.reports.oneshot import rank_table
from nassim.reports.optimizers import regret_table
from nassim.reports.ranking import RankingTable
from nassim.reports.sweep import SweepTable
from nassim.reports.termination import TerminationTable
from nassim.reports.text import NONE, cost_percent, decimals, share_percent
from nassim.store import Store
from nassim.studies.calibration import DECISIONS_SCHEMA
from nassim.studies.oneshot import RANK_SCHEMA
from nassim.studies.ranking import RANKING_SCHEMA
from nassim.studies.results import read_study, read_table

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
DATA = HERE.parent / "data"
COMMENT = re.compile(r"<!-- quoted: (?P<what>.+) -->")
FENCE = "```"
FORMER = "*Of a former state of the store"
CORRELATION = "Spearman with the best value of a run after epoch"
PARTS = {  # of LCRankNet, by the option that takes them away
    "transfer=false": "transfer (20 completed runs of the target instead)",
    "architecture=false": "architecture",
    "curve=false": "learning curve",
    "dataset_embedding=false": "dataset embedding",
    "loss=pointwise": "pairs (pointwise instead)",
    "fusion=concat": "late fusion (one head instead)",
}


class Quotation(NamedTuple):
    """Lines ``start:end`` of a page, and what they should be."""

    what: str
    start: int
    end: int
    lines: list[str]


def quotations(lines: Sequence[str]) -> Iterator[Quotation]:
    """The quotations of a page.

    Raises
    ------
    InputError
        if a comment names what there is not, or stands above neither a fenced text nor a table.
    """
    for at, line in enumerate(lines):
        found = COMMENT.fullmatch(line)
        if found is None:
            continue
        below = lines[at + 1 :]
        if below[:1] and below[0].startswith(FORMER):
            below = below[2:]
        shown = len(lines) - len(below)
        if below[:1] and below[0].startswith(FENCE) and FENCE in below[1:]:
            size = 2 + sum(1 for _ in takewhile(lambda each: each != FENCE, below[1:]))
        else:
            size = sum(1 for _ in takewhile(lambda each: each.startswith("|"), below))
        if size == 0:
            raise InputError(f"Below {line!r} is neither a fenced text that ends nor a table.")
        yield Quotation(found["what"], at + 1, shown + size, quoted(found["what"]))


def quoted(what: str) -> list[str]:
    """The lines that ``KIND RESULTS OPTION=VALUE ...`` stands for."""
    kind, results, *options = what.split()
    if kind not in KINDS:
        raise unknown_name("kind of quotation", kind, KINDS)
    shown = KINDS[kind](results, **dict(option.split("=", 1) for option in options))
    return [*former(results), *shown]


def former(results: str) -> list[str]:
    """What stands above results of another state of a bundled store than today's; else nothing."""
    first = pq.read_table(_path(results), columns=["store", "store_sha"]).to_pylist()[0]
    name, sha = first["store"], first["store_sha"]
    if not (DATA / name).is_dir() or sha == _sha(name):
        return []
    return [f"{FORMER} `{name}`, sha {sha[:12]}.*", ""]


def refreshed(text: str) -> tuple[str, list[str]]:
    """A page with its quotations as the results have them, and those that were otherwise."""
    lines = text.splitlines()
    changed = []
    for quotation in reversed(list(quotations(lines))):
        part = slice(quotation.start, quotation.end)
        if lines[part] != quotation.lines:
            lines[part] = quotation.lines
            changed.append(quotation.what)
    return "\n".join(lines) + "\n", changed[::-1]


# -- fenced texts --------------------------------------------------------------------------------


def termination(results: str, paragraphs: str = "0:") -> list[str]:
    """Paragraphs of what ``nassim terminate`` prints."""
    return _fenced(_termination(results).to_text(), paragraphs)


def search(results: str, paragraphs: str = "0:") -> list[str]:
    """Paragraphs of what ``nassim search`` prints."""
    study = read_study(_path(results))
    return _fenced(regret_table(study.results, study.pool).to_text(), paragraphs)


def calibration(results: str, paragraphs: str = "0:") -> list[str]:
    """Paragraphs of what ``analysis/calibration.py`` prints."""
    decisions = read_table(_path(results), DECISIONS_SCHEMA)
    return _fenced(calibration_table(decisions).to_text(), paragraphs)


def sweep(results: str, methods: str) -> list[str]:
    """Of what ``analysis/front.py`` prints, the front and all settings of some methods; of the
    first of these, what it surely dominates too."""
    table = _sweep(results)
    wanted = methods.split(",")
    header, *lines = table.to_text().split("\n\n")[1].splitlines()
    kept = [header]
    for m, line in enumerate(lines):
        by_first = any(name.partition(":")[0] == wanted[0] for name in table.surely[m])
        if table.table.front[m] or table.families[m] in wanted or by_first:
            kept.append(line)
    return _fenced("\n".join(kept))


def rank(results: str) -> list[str]:
    """Of what ``nassim rank`` prints the correlations: what costs nothing first, then methods from
    the best on; of those whose supernet is not trained, tau alone."""
    table = rank_table(read_table(_path(results), RANK_SCHEMA))
    header, *rest = table.to_text().split("\n\n")[1].splitlines()
    lines = {line.split()[0]: line for line in rest}
    free = [name for name in lines if name not in table.judged]
    ordered = sorted(table.judged, key=lambda name: -table.value(name, "tau"))
    trained = [lines[name] for name in ordered if name not in table.untrained]
    cut = header.index("tau") + len("tau")
    others = [lines[name][:cut] for name in ordered if name in table.untrained]
    said = ["not trained (supernet near chance; their ranks say nothing):"] if others else []
    kept = [header, *(lines[name] for name in free), *trained, *said, *others]
    return _fenced("\n".join(kept))


def _fenced(text: str, paragraphs: str = "0:") -> list[str]:
    start, _, stop = paragraphs.partition(":")
    chosen = text.split("\n\n")[int(start) : int(stop) if stop else None]
    return [f"{FENCE}text", *"\n\n".join(chosen).splitlines(), FENCE]


# -- tables --------------------------------------------------------------------------------------


def methods(results: str, methods: str) -> list[str]:
    """Regret and cost of some early-termination methods, a row each."""
    table = _termination(results)
    rows = [["", "regret in pp", "95%", "random search, same cost", "cost in %"]]
    rows[0].append("best candidate stopped")
    for name in methods.split(","):
        m = _number(name, table.methods)
        low, high = table.amount(table.regret.low[m]), table.amount(table.regret.high[m])
        rows.append(
            [
                f"`{name}`",
                table.amount(table.regret.mean[m]),
                f"{low} to {high}",
                table.amount(table.random_regret.mean[m]),
                cost_percent(table.cost.mean[m]),
                share_percent(table.killed_best.mean[m]),
            ]
        )
    return _rows(rows)


def targets(results: str, methods: str) -> list[str]:
    """Regret / cost of some early-termination methods on each target."""
    table = _termination(results)
    rows = [["", "mean", "95%", "random search, same cost", *table.targets]]
    for name in methods.split(","):
        m = _number(name, table.methods)
        pairs = [(table.regret.mean[m], table.cost.mean[m])]
        pairs += zip(table.regret.cells[m], table.cost.cells[m], strict=True)
        mean, *each = [f"{table.amount(regret)} / {cost_percent(cost)}" for regret, cost in pairs]
        low, high = table.amount(table.regret.low[m]), table.amount(table.regret.high[m])
        random = table.amount(table.random_regret.mean[m])
        rows.append([f"`{name}`", mean, f"{low} to {high}", random, *each])
    return _rows(rows)


def ranking(results: str, methods: str, less: str = "") -> list[str]:
    """How early estimators rank, a row each; then those of ``less`` against the baseline."""
    table = _ranking(results)
    rows = [[CORRELATION, *map(str, table.epochs)]]
    for name in methods.split(","):
        means = table.spearman.mean[_number(name, table.methods)]
        rows.append([f"`{name}`", *(decimals(mean) for mean in means)])
    for name in filter(None, less.split(",")):
        m = _number(name, table.methods)
        difference = [decimals(mean, signed=True) for mean in table.difference.mean[m]]
        ends = zip(table.difference.low[m], table.difference.high[m], strict=True)
        interval = [
            f"{decimals(low, signed=True)}, {decimals(high, signed=True)}" for low, high in ends
        ]
        rows.append([f"`{name}` less `{table.baseline}`", *map(_or_nothing, difference)])
        rows.append(["95% interval over datasets", *map(_or_nothing, interval)])
    return _rows(rows)


def components(results: str) -> list[str]:
    """The correlations of LCRankNet, and how they differ without each of its parts."""
    full = next(name for name in _ranking(results).methods if name.startswith("lcranknet:"))
    table = _ranking(results, full)
    rows = [[CORRELATION, *map(str, table.epochs)]]
    rows.append([f"all of it, `{full}`", *map(decimals, table.spearman.mean[0])])
    for m, name in enumerate(table.methods):
        part = PARTS.get(name.removeprefix(f"{full}:"))
        if part or name == "lcranknet":
            less = f"less {part}" if part else "less reconstruction loss (the default here)"
            rows.append([less, *_marked(table, m)])
    return _rows(rows)


def sources(results: str) -> list[str]:
    """Correlations with fewer sources; marked where they are surely worse than with all."""
    read = cuts.named(read_table(_path(results), RANKING_SCHEMA))
    table = ranking_table(read, "lcranknet, all")
    rows = [[CORRELATION, *map(str, table.epochs)]]
    for m, name in enumerate(table.methods):
        cut = name.partition(", ")[2]
        rows.append([cut, *_marked(table, m, table.spearman.mean[m])])
    return _rows(rows)


def timings(results: str, least: str = "5") -> list[str]:
    """Real seconds of the methods' own computing, over all targets; those below ``least`` in one
    row. Settings of one estimator share its fits, which stand in the row of each."""
    rows = [["seconds", "a fit", "all fits", "all searches"]]
    table = timings_table(read_study(_path(results)).timings)
    fits, searches = table.fits * table.fit, table.fits * table.search
    quick = fits + searches < float(least)
    order = np.argsort(-(fits + searches), kind="stable")
    for m in order[~quick[order]].tolist():
        cells = [f"{table.fit[m]:.1f}", f"{fits[m]:.0f}"] if fits[m] > 1 else ["-", "-"]
        rows.append([f"`{table.methods[m]}`", *cells, f"{searches[m]:.0f}"])
    rows.append([f"{quick.sum()} others", "-", "-", f"{searches[quick].sum():.0f}"])
    return _rows(rows)


def _marked(table: RankingTable, m: int, values: Sequence[float] | None = None) -> list[str]:
    """Differences to the baseline, with a star where the interval leaves 0 out; or ``values``, with
    a star where they are surely lower."""
    difference = table.difference
    cells = []
    for e, mean in enumerate(difference.mean[m]):
        lower, higher = difference.high[m, e] < 0, difference.low[m, e] > 0
        if values is None:
            cell, star = decimals(mean, signed=True), lower or higher
        else:
            cell, star = decimals(values[e]), lower
        cells.append(_or_nothing(cell) + (" *" if star else ""))
    return cells


def _or_nothing(text: str) -> str:
    return "" if NONE in (text, text.partition(",")[0]) else text


def _rows(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _number(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise unknown_name("method of these results", name, names)
    return list(names).index(name)


# -- result files --------------------------------------------------------------------------------


@cache
def _sha(store: str) -> str:
    return Store.open(DATA / store).sha


@cache
def _termination(results: str) -> TerminationTable:
    study = read_study(_path(results))
    return termination_table(study.results, study.pool)


@cache
def _sweep(results: str) -> SweepTable:
    return sweep_table(read_study(_path(results)).results)


@cache
def _ranking(results: str, baseline: str = "last_value") -> RankingTable:
    return ranking_table(read_table(_path(results), RANKING_SCHEMA), baseline)


def _path(results: str) -> Path:
    return HERE / "results" / f"{results}.parquet"


KINDS: dict[str, Callable[..., list[str]]] = {
    function.__name__: function
    for function in (
        *(termination, search, calibration, sweep, rank),
        *(methods, targets, timings, ranking, components, sources),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    stale = False
    for path in sorted(DOCS.rglob("*.md")):
        text, changed = refreshed(path.read_text(encoding="utf-8"))
        for what in changed:
            print(f"{path.relative_to(DOCS.parent)}: {what}")
        stale = stale or bool(changed)
        if changed and not options.check:
            path.write_text(text, encoding="utf-8")
    sys.exit(1 if stale and options.check else 0)


if __name__ == "__main__":
    main()
