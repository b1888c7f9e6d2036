"""Which searches collapsed, what it cost, and when it happened.

Reads what ``nassim.studies.collapse`` wrote, and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.ranking.intervals import Interval, bootstrap_interval
from nassim.records import FloatArray, IntArray
from nassim.reports.drawing import QUIET, Look, looks, new_figure, styled
from nassim.reports.text import NONE, aligned, decimals, plural, share_percent, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CollapseLine",
    "CollapseTable",
    "Course",
    "collapse_figure",
    "collapse_table",
    "courses",
    "share_interval",
]


@dataclass(frozen=True)
class CollapseLine:
    """One method, or cell to compare with, on one space.

    - ``collapsed``: of ``runs`` searches, with ``share`` its 95% interval.
    - ``culprits``: mean edges of the pick that have the operation.
    - ``test``: mean accuracy alone; ``regret_pp``: against the cell of the best validation
      accuracy among all that were trained, with its 95% interval over runs.
    - ``steps``: mean length of a search; 0 where nothing was searched.
    """

    method: str
    searches: bool
    runs: int
    collapsed: int
    share: Interval
    culprits: float
    test: float
    regret_pp: float
    regret: Interval
    steps: float


@dataclass(frozen=True)
class CollapseTable:
    """The lines of each space, methods first, in the order of the study."""

    spaces: dict[str, tuple[CollapseLine, ...]]
    chance: dict[str, float]  # the share of a space's cells that count as collapsed
    culprits: dict[str, str]
    offered: dict[str, int]
    dataset: str
    images: int
    noise: float
    steps: int
    seeds: int
    trainings: int

    def to_text(self, width: int = 120) -> str:
        """A block for each space, for a terminal."""
        lines = [
            f"Collapse on {self.dataset} ({self.images} training images, noise {self.noise:g}; "
            f"{plural(self.seeds, 'run')} of {self.steps} steps, "
            f"{plural(self.trainings, 'training')} of each cell)"
        ]
        for space, found in self.spaces.items():
            edges = plural(self.offered[space], "edge")
            lines += [
                "",
                f"{space}: collapsed is {self.culprits[space]} on four fifths of {edges}; so are "
                f"{share_percent(self.chance[space])} of all cells",
            ]
            rows = [["", "collapsed", "95%", "edges", "test %", "regret pp", "95%", "steps"]]
            for line in found:
                low, high = (share_percent(end) for end in line.share)
                rows.append(
                    [
                        line.method,
                        f"{line.collapsed} of {line.runs}",
                        f"{low} to {high}" if line.runs > 1 else NONE,
                        decimals(line.culprits, 1),
                        decimals(100 * line.test, 1),
                        decimals(line.regret_pp, 1, signed=True),
                        " to ".join(decimals(end, 1) for end in line.regret)
                        if line.runs > 1
                        else NONE,
                        f"{line.steps:.0f}" if line.searches else NONE,
                    ]
                )
            lines += aligned(rows)
        lines += [
            "",
            *wrapped(
                "Edges: of the picked cell that have the operation. Regret: test accuracy of the "
                "trained cell of the best validation accuracy, less that of the pick; the best of "
                "a few is a lucky one, so all regrets are a little too large. Intervals are over "
                "searches (shares: Wilson's), not over datasets: there is one.",
                width,
            ),
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Course:
    """One trace of one method on one space: the mean over runs that were noted at a step."""

    steps: IntArray
    mean: FloatArray
    low: FloatArray  # the least and the largest of the runs
    high: FloatArray


def collapse_table(results: pa.Table) -> CollapseTable:
    """What the results say, space by space.

    Raises
    ------
    InputError
        if there are no rows, or they are of several settings.
    """
    rows = results.to_pylist()
    if not rows:
        raise InputError("The results have no rows; expected what analysis/collapse.py wrote.")
    for name in ("dataset", "images", "noise", "steps", "seed", "trainings"):
        if len({row[name] for row in rows}) > 1:
            raise InputError(f"The results have several values of {name!r}; expected one study.")
    first = rows[0]
    names = dict.fromkeys(row["space"] for row in rows)
    spaces, searches = {}, 0
    for space in names:
        here = [row for row in rows if row["space"] == space]
        methods = sorted(dict.fromkeys(row["method"] for row in here), key=lambda m: _late(here, m))
        spaces[space] = tuple(_line(m, [r for r in here if r["method"] == m]) for m in methods)
        searches = max(searches, *(line.runs for line in spaces[space] if line.searches))
    one_each = {space: next(r for r in rows if r["space"] == space) for space in names}
    return CollapseTable(
        spaces,
        chance={space: row["chance"] for space, row in one_each.items()},
        culprits={space: row["culprit"] for space, row in one_each.items()},
        offered={space: row["offered"] for space, row in one_each.items()},
        dataset=first["dataset"],
        images=first["images"],
        noise=first["noise"],
        steps=first["steps"],
        seeds=searches,
        trainings=first["trainings"],
    )


def _late(rows: list[dict[str, Any]], method: str) -> bool:
    return not next(row["searches"] for row in rows if row["method"] == method)


def _line(method: str, rows: list[dict[str, Any]]) -> CollapseLine:
    def values(name: str) -> FloatArray:
        return np.array([row[name] for row in rows], np.float64)

    collapsed = int(values("collapsed").sum())
    return CollapseLine(
        method,
        rows[0]["searches"],
        len(rows),
        collapsed,
        share_interval(collapsed, len(rows)),
        float(values("culprits").mean()),
        float(values("test").mean()),
        float(values("regret_pp").mean()),
        bootstrap_interval([values("regret_pp")]),
        float(values("steps_done").mean()),
    )


def share_interval(count: int, of: int) -> Interval:
    """Wilson's 95% interval of a share: it is not empty where none or all of a few are counted.

    >>> [round(end, 2) for end in share_interval(5, 5)]
    [0.57, 1.0]
    >>> [round(end, 2) for end in share_interval(0, 5)]
    [0.0, 0.43]
    """
    z = 1.959964
    share, square = count / of, z * z / of
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / of + square / (4 * of))
    low, high = (min(1.0, max(0.0, end / (1 + square))) for end in (middle - half, middle + half))
    return Interval(0.0 if count == 0 else low, 1.0 if count == of else high)


def courses(traces: pa.Table, space: str, name: str) -> dict[str, Course]:
    """One trace of each method on a space, by method; a method without it is left out."""
    found: dict[str, dict[int, list[float]]] = {}
    for row in traces.to_pylist():
        if row["space"] == space and row["name"] == name:
            found.setdefault(row["method"], {}).setdefault(row["step"], []).append(row["value"])
    answer = {}
    for method, by_step in found.items():
        steps = sorted(by_step)
        ends = [(np.mean(by_step[s]), np.min(by_step[s]), np.max(by_step[s])) for s in steps]
        answer[method] = Course(np.array(steps), *np.array(ends).T)
    return answer


def collapse_figure(table: CollapseTable, traces: pa.Table, watched: str = "") -> Figure:
    """Edges with the culprit over steps on each space; below, eigenvalue and gap on one of them.

    ``watched`` is that one; where it is empty, the second or only space. Lines are means; they go
    on with the runs that are left where some ended early.
    """
    spaces = list(table.spaces)
    watched = watched or spaces[min(1, len(spaces) - 1)]
    if watched not in spaces:
        raise InputError(f"Space {watched!r} is not in the results; expected {', '.join(spaces)}.")
    methods = [
        line.method
        for line in table.spaces[watched]
        if line.method in courses(traces, watched, "culprits")
    ]
    look = looks(methods)
    panels = [(space, "culprits") for space in spaces]
    panels += [(watched, "eigenvalue"), (watched, "discretisation_gap")]
    columns = min(3, len(panels))
    with styled():
        rows = math.ceil(len(panels) / columns)
        figure, axes = new_figure(3.4 * columns, 2.5 * rows + 0.6, rows, columns)
        for panel, (space, name) in zip(axes, panels, strict=False):
            _panel(panel, table, space, name, courses(traces, space, name), look)
        for panel in axes[len(panels) :]:
            panel.set_visible(False)
        handles = [axes[0].plot([], [], **_style(look[method]))[0] for method in methods]
        figure.legend(handles, methods, loc="outside lower center", ncols=min(5, len(methods)))
    return figure


def _style(look: Look) -> dict[str, Any]:
    return {"color": look.color, "linestyle": look.dash, "linewidth": 1.3}


def _panel(
    axes: Axes,
    table: CollapseTable,
    space: str,
    name: str,
    found: dict[str, Course],
    look: dict[str, Look],
) -> None:
    for method, course in found.items():
        if method in look:
            axes.plot(course.steps, course.mean, **_style(look[method]))
    axes.set_xlabel("step")
    if name == "culprits":
        offered = table.offered[space]
        axes.set_ylim(-0.2, offered + 0.2)
        axes.axhline(math.ceil(0.8 * offered - 1e-9), color=QUIET, linewidth=0.8, linestyle=":")
        what = {"skip_connect": "skips", "noise": "edges of noise"}[table.culprits[space]]
        axes.set_title(f"{space}: {what} of {offered}")
    elif name == "eigenvalue":
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_title(f"{space}: largest eigenvalue")
    else:
        axes.set_title(f"{space}: discretisation gap, nats")
