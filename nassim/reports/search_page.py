"""The optimizer track as one self-contained HTML file; see :mod:`nassim.reports.page`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.ranking.intervals import RESAMPLES, smallest_sign_test
from nassim.reports.drawing import FORMATS, save_all
from nassim.reports.figures import anytime_figure
from nassim.reports.grid import split_settings
from nassim.reports.markup import (
    breakable,
    definitions_html,
    document,
    escaped,
    figure_html,
    table_html,
    true_minus,
    with_interval,
)
from nassim.reports.optimizers import EXPECTED, RegretTable, regret_figure, regret_table
from nassim.reports.page import timings_html
from nassim.reports.searches import anytime_table
from nassim.reports.text import NONE, cost_percent, p_value, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_search_figures", "search_findings", "search_page"]


def search_page(
    results: pa.Table,
    pool: pa.Table,
    timings: pa.Table | None = None,
    *,
    title: str = "Search: regret after k evaluations",
) -> str:
    """The report as the text of one HTML file.

    Parameters
    ----------
    results, pool, timings
        The tables of one study of optimizers, or of several, concatenated. Results of different
        settings get a section each.
    title
        Of the page.

    Raises
    ------
    InputError
        as :func:`nassim.reports.optimizers.regret_table`.
    """
    body: list[str] = []
    parts = split_settings(results) or [results]
    for number, part in enumerate(parts, start=1):
        table = regret_table(part, pool)
        if len(parts) > 1:
            body.append(f"<h2 class='part'>{number}. {escaped(table.title)}</h2>")
        body += _section_html(table, _figures(part, table), f"s{number}")
    if timings is not None and timings.num_rows:
        body += timings_html(timings)
    return document(title, body)


def save_search_figures(
    results: pa.Table,
    pool: pa.Table,
    folder: str | Path,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write every figure of the report for a paper (``regret``, ``anytime``); return the paths."""
    parts = split_settings(results) or [results]
    figures: dict[str, Callable[[], Figure]] = {}
    for number, part in enumerate(parts, start=1):
        prefix = f"{number}-" if len(parts) > 1 else ""
        drawn = _figures(part, regret_table(part, pool))
        figures |= {f"{prefix}{name}": draw for name, draw in drawn.items()}
    return save_all(figures, folder, formats)


def search_findings(table: RegretTable) -> list[str]:
    """What a reader must know before quoting the table, the unfavourable first."""
    notes = []
    if table.settings.leaks:
        notes.append(
            f"These results leak ({table.settings.leakage}): no number here estimates what a "
            "search on a clean validation set would reach."
        )
    last = table.evaluations[-1]
    behind, unclear, ahead = [], [], []
    for m, name in enumerate(table.methods):
        if name == table.baseline:
            continue
        difference = table.difference
        if difference.mean[m, -1] >= 0:
            behind.append(name)
        elif difference.high[m, -1] >= 0:
            unclear.append(name)
        else:
            ahead.append(name)
    where = f"after {plural(last, 'evaluation')}"
    for names, what in (
        (behind, f"No better than {table.baseline} {where}"),
        (
            unclear,
            f"Better than {table.baseline} {where} in the mean, but with an interval of the "
            "difference that includes zero",
        ),
        (ahead, f"Better than {table.baseline} {where}, the interval clear of zero"),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}.")
    n = len(table.targets)
    if n == 1:
        notes.append("One dataset: nothing here says how a method does on another one.")
    elif smallest_sign_test(n) > 1 - table.level:
        notes.append(
            f"With {n} datasets no two-sided sign test can reach p < "
            f"{smallest_sign_test(n):.3g}, whatever the methods do."
        )
    if n > 1 and table.learns.any():
        notes.append("A method that learns from the other datasets is given their runs for free.")
    if not np.isfinite(table.test.mean).any():
        notes.append("Test values were not measured, so there is no test regret.")
    return notes


def _figures(results: pa.Table, table: RegretTable) -> dict[str, Callable[[], Figure]]:
    return {
        "regret": lambda: regret_figure(table),
        "anytime": lambda: anytime_figure(anytime_table(results, table.methods)),
    }


# From here on: HTML.


def _section_html(
    table: RegretTable, figures: dict[str, Callable[[], Figure]], prefix: str
) -> list[str]:
    notes = search_findings(table)
    return [
        f"<p class='quiet'>{escaped(table.title)}.</p>",
        "<h2>Before you quote this</h2>",
        "<ul>" + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul>",
        "<h2>Regret after k evaluations</h2>",
        figure_html(
            figures["regret"](),
            f"{prefix}-regret",
            "Mean regret against the number of evaluations",
            "Mean regret over datasets of the best candidate found so far; bars are "
            f"{100 * table.level:g}% bootstrap intervals at the numbers of the table (of many "
            "methods, at the last). Grey and dashed: random search, its mean in closed form.",
        ),
        _means_html(table),
        f"<h2>Against {escaped(table.baseline)}</h2>",
        _differences_html(table),
        "<h2>Each dataset</h2>",
        *(_targets_html(table, k) for k in range(len(table.evaluations))),
        "<h2>Over time</h2>",
        figure_html(
            figures["anytime"](),
            f"{prefix}-anytime",
            "Regret of the incumbent over cost",
            "Regret of the best run completed so far over the training time that was spent: "
            "median over searches, with the band from the 25th to the 75th percentile.",
        ),
        "<h2>Definitions</h2>",
        definitions_html(table.definitions()),
        "<h2>Settings</h2>",
        _settings_html(table),
    ]


def _means_html(table: RegretTable) -> str:
    regret = table.regret
    rows = []
    for m, name in enumerate(table.methods):
        cells = [
            with_interval(regret.mean[m, k], regret.low[m, k], regret.high[m, k], table.amount)
            for k in range(len(table.evaluations))
        ]
        test = table.amount(table.test.mean[m, -1])
        rows.append(("", [breakable(name), *cells, test, cost_percent(table.cost[m])]))
    if np.isfinite(table.expected).all():
        means = map(table.amount, table.expected.mean(axis=0))
        rows.append(("bound", [EXPECTED, *means, "", ""]))
    header = ["method", *(f"k = {k}" for k in table.evaluations), "on test", "cost, %"]
    caption = f"Regret in units of {table.settings.unit}, with {100 * table.level:g}% intervals."
    return table_html(header, rows, escaped(caption))


def _differences_html(table: RegretTable) -> str:
    difference, form = table.difference, true_minus(table.signed)
    rows = []
    for m, name in enumerate(table.methods):
        if name == table.baseline:
            continue
        cells = [
            with_interval(difference.mean[m, k], difference.low[m, k], difference.high[m, k], form)
            + f" ({table.better[m, k]}/{table.worse[m, k]})"
            for k in range(len(table.evaluations))
        ]
        rows.append(("", [breakable(name), *cells, p_value(table.p[m, -1])]))
    header = ["method", *(f"k = {k}" for k in table.evaluations), "p (Holm)"]
    caption = "Negative is better; in brackets datasets on which it is better and worse."
    return table_html(header, rows, escaped(caption))


def _targets_html(table: RegretTable, k: int) -> str:
    rows = []
    for m, name in enumerate(table.methods):
        cells = [
            table.amount(cell) if np.isfinite(cell) else NONE
            for cell in table.regret.cells[m, :, k]
        ]
        rows.append(("", [breakable(name), *cells]))
    if np.isfinite(table.expected).all():
        rows.append(("bound", [EXPECTED, *map(table.amount, table.expected[:, k])]))
    header = [f"k = {table.evaluations[k]}", *map(breakable, table.targets)]
    return table_html(header, rows, "")


def _settings_html(table: RegretTable) -> str:
    settings = table.settings
    entries = [
        (field.name.replace("_", " "), str(getattr(settings, field.name)))
        for field in fields(settings)
        if getattr(settings, field.name) != ""
    ]
    entries += [
        ("targets", ", ".join(table.targets)),
        ("candidates", ", ".join(str(count) for count in table.candidates.tolist())),
        ("methods", ", ".join(table.methods)),
        ("intervals", f"{RESAMPLES:,} bootstrap resamples, seed 0"),
    ]
    return definitions_html(entries)
