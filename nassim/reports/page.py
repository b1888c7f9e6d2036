"""One self-contained HTML file, and figures for papers: the same bytes for the same results.

The page carries its style and its figures (SVG) in itself; it has no scripts and no links, so it
can be mailed, archived and read on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.ranking.intervals import RESAMPLES, smallest_sign_test
from nassim.reports.drawing import FORMATS, save_all
from nassim.reports.figures import anytime_figure, curves_figure, front_figure, targets_figure
from nassim.reports.grid import Settings, split_settings
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
from nassim.reports.searches import CurvesTable, anytime_table, curves_table
from nassim.reports.termination import (
    BUDGET_MATCHED,
    ComparisonTable,
    TerminationTable,
    comparison_table,
    termination_table,
    timings_table,
)
from nassim.reports.text import (
    NONE,
    cost_percent,
    decimals,
    duration,
    p_value,
    plural,
    ratio,
    share_percent,
    times,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["findings", "headline", "report_page", "save_figures", "timings_html"]

CHEAP = 0.1  # the headline is about methods that cost at most this share of full training


@dataclass(frozen=True, eq=False)
class _Section:
    """Everything that is said about the results of one combination of settings."""

    table: TerminationTable
    against_random: ComparisonTable
    against_baseline: ComparisonTable | None
    curves: CurvesTable
    figures: dict[str, Callable[[], Figure]]


def report_page(
    results: pa.Table,
    pool: pa.Table,
    timings: pa.Table | None = None,
    *,
    title: str = "Early termination: regret and cost",
) -> str:
    """The report as the text of one HTML file.

    Parameters
    ----------
    results, pool, timings
        The tables of one study, or of several, concatenated (``pyarrow.concat_tables``). Results
        of different settings get a section each.
    title
        Of the page.

    Raises
    ------
    InputError
        if there are no results, the same search stands in them twice with different outcomes, or
        the pool does not belong to them.
    """
    parts = split_settings(results) or [results]
    sections = [_section(part, pool) for part in parts]
    body = []
    differing = _differing([section.table.settings for section in sections])
    for number, section in enumerate(sections):
        if len(sections) > 1:
            values = [f"{name} {_setting(section.table.settings, name)}" for name in differing]
            body.append(f"<h2 class='part'>{number + 1}. {escaped(', '.join(values))}</h2>")
        body += _section_html(section, f"s{number + 1}")
    if timings is not None and timings.num_rows:
        body += timings_html(timings)
    return document(title, body)


def save_figures(
    results: pa.Table,
    pool: pa.Table,
    folder: str | Path,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write every figure of the report for a paper and return the paths.

    The files are called ``front``, ``targets``, ``anytime`` and ``curves``, with a number before
    them if the results have several settings.

    Raises
    ------
    InputError
        if a format is unknown, a file cannot be written, and as :func:`report_page`.
    """
    parts = split_settings(results) or [results]
    figures: dict[str, Callable[[], Figure]] = {}
    for number, part in enumerate(parts):
        prefix = f"{number + 1}-" if len(parts) > 1 else ""
        drawn = _section(part, pool).figures
        figures |= {f"{prefix}{name}": draw for name, draw in drawn.items()}
    return save_all(figures, folder, formats)


def headline(table: TerminationTable, against_random: ComparisonTable) -> str:
    """The result in plain words: the cheap method with the least regret, beside random search.

    Which method is named follows a rule that is stated, so that nobody picks: the lowest mean
    regret among methods that cost at most a tenth of full training, or the cheapest one.
    """
    m, opening = _headline_method(table)
    name, unit = table.methods[m], _unit_in_words(table)
    n = len(table.targets)
    on = f"on {plural(n, 'dataset')}" if n > 1 else f"on {table.targets[0]}"
    low, high = table.regret.low[m], table.regret.high[m]
    less = f" ({times(table.speed_up[m])} less)" if table.speed_up[m] > 1.05 else ""
    sentences = [
        f"{opening} picked an architecture that is {table.amount(table.regret.mean[m])} {unit} "
        f"worse than the best of the pool, in the mean {on} ({100 * table.level:g}% interval "
        f"{table.amount(low)} to {table.amount(high)}), for {cost_percent(table.cost.mean[m])}% of "
        f"the cost of training every candidate fully{less}."
    ]
    random = table.amount(table.random_regret.mean[m])
    at = against_random.methods.index(name)
    difference = against_random.regret
    signed = true_minus(against_random.amount)
    ends = f"{signed(difference.low[at])} to {signed(difference.high[at])}"
    if difference.high[at] < 0:
        verdict = f"the difference is clear of zero ({ends})"
    elif difference.low[at] > 0:
        verdict = f"so the method is worse than chance at its price (difference {ends})"
    else:
        verdict = f"the interval of the difference includes zero ({ends})"
    sentences.append(f"Random search for the same cost is {random} worse; {verdict}.")
    if table.settings.leaks:
        sentences.append(
            f"Leakage '{table.settings.leakage}': the search saw what a test should have kept."
        )
    return " ".join(sentences)


def findings(table: TerminationTable, against_random: ComparisonTable) -> list[str]:
    """What a reader must know before quoting the table, the unfavourable first."""
    notes = []
    s, unit = table.settings, table.settings.unit
    if s.leaks:
        notes.append(
            f"These results leak ({s.leakage}): no number here estimates what a search on a clean "
            "validation set would reach."
        )

    def numbers(m: int) -> str:
        return f"{table.amount(table.regret.mean[m])} {unit} at {cost_percent(table.cost.mean[m])}%"

    for learned in (True, False):  # a learned method behind a simple one is the first news
        for m, name in enumerate(table.methods):
            by = table.dominators[m]
            if not by or learned != table.learns[m] or name == "never":
                continue
            simple = [other for other in by if not table.learns[table.methods.index(other)]]
            other = (simple if learned and simple else by)[0]
            rest = f" (and by {len(by) - 1} more)" if len(by) > 1 else ""
            notes.append(
                f"{name} ({numbers(m)}) is dominated by {other} "
                f"({numbers(table.methods.index(other))}){rest}."
            )
    worse, unclear = [], []
    for at, name in enumerate(against_random.methods):
        m = table.methods.index(name)
        if table.cost.mean[m] > 0.995:
            continue
        if against_random.regret.mean[at] >= 0:
            worse.append(
                f"{name} ({table.amount(table.regret.mean[m])} against "
                f"{table.amount(table.random_regret.mean[m])} {unit})"
            )
        elif against_random.regret.high[at] >= 0:
            unclear.append(name)
    if worse:
        notes.append(f"No better than random search at the same cost: {_and(worse)}.")
    if unclear:
        notes.append(
            "Better than random search at the same cost in the mean, but with an interval of the "
            f"difference that includes zero: {_and(unclear)}."
        )
    killers = [
        f"{name} ({share_percent(table.killed_best.mean[m])})"
        for m, name in enumerate(table.methods)
        if table.killed_best.mean[m] >= 0.5
    ]
    if killers:
        notes.append(
            "Stop the best candidate in half of the searches or more, so their regret is small "
            f"only because others come close to it: {_and(killers)}."
        )
    missing = [name for m, name in enumerate(table.methods) if not table.complete[m]]
    if missing:
        notes.append(f"Not measured on every dataset, so not comparable: {_and(missing)}.")
    n = len(table.targets)
    if n == 1:
        notes.append("One dataset: nothing here says how a method does on another one.")
    elif smallest_sign_test(n) > 1 - table.level:
        notes.append(
            f"With {n} datasets no two-sided sign test can reach p < "
            f"{smallest_sign_test(n):.3g}, whatever the methods do: read effect sizes and "
            "intervals, and do not claim significance."
        )
    if int(table.orders.max()) == 1:
        notes.append("One order of the candidates: chance within a dataset is not measured.")
    if n > 1:
        others = float(np.mean(table.full_seconds.sum() - table.full_seconds))
        notes.append(
            "A method that learns from the other datasets is given their runs for free; training "
            f"the pools of the other targets took {s.time(others)} in the mean fold."
        )
    if not np.isfinite(table.test_regret.mean).any():
        notes.append("Test values were not measured, so there is no test regret.")
    return notes


def _section(results: pa.Table, pool: pa.Table) -> _Section:
    table = termination_table(results, pool)
    anytime = anytime_table(results)
    m, _ = _headline_method(table)
    regrets = table.regret.cells[m]
    worst = int(np.argmax(np.where(np.isnan(regrets), -np.inf, regrets)))
    curves = curves_table(results, pool, table.methods[m], table.targets[worst])
    against = [name for name in ("last_value", "never") if name in table.methods]
    return _Section(
        table=table,
        against_random=comparison_table(results, BUDGET_MATCHED),
        against_baseline=(
            comparison_table(results, against[0]) if against and len(table.methods) > 1 else None
        ),
        curves=curves,
        figures={
            "front": lambda: front_figure(table),
            "targets": lambda: targets_figure(table),
            "anytime": lambda: anytime_figure(anytime),
            "curves": lambda: curves_figure(curves),
        },
    )


def _headline_method(table: TerminationTable) -> tuple[int, str]:
    """The method that the headline names, and how the sentence begins, with the rule in it."""
    regret = np.where(table.complete, table.regret.mean, np.inf)
    cost = np.where(table.complete, table.cost.mean, np.inf)
    if not table.complete.any():
        return 0, f"No method was measured on every dataset. Where it was, {table.methods[0]}"
    if len(table.methods) == 1:
        return 0, table.methods[0]
    cheap = np.flatnonzero(cost <= CHEAP)
    if len(cheap) == 0:
        best = int(np.lexsort((regret, cost))[0])
        return best, f"The cheapest method, {table.methods[best]},"
    best = int(cheap[np.lexsort((cost[cheap], regret[cheap]))[0]])
    least = f"at most {100 * CHEAP:g}% of training everything"
    if len(cheap) == 1:
        return best, f"The one method that costs {least}, {table.methods[best]},"
    return best, (
        f"Of the {len(cheap)} methods that cost {least}, {table.methods[best]} has the lowest "
        "mean regret: it"
    )


def _unit_in_words(table: TerminationTable) -> str:
    return "percentage points" if table.settings.unit == "pp" else table.settings.unit


def _and(words: Sequence[str], most: int = 6) -> str:
    """
    >>> _and(["a"]), _and(["a", "b", "c"]), _and(["a", "b", "c", "d"], most=3)
    ('a', 'a, b and c', 'a, b and 2 others')
    """
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# From here on: HTML.


def _section_html(section: _Section, prefix: str) -> list[str]:
    table, curves = section.table, section.curves
    unit = table.settings.unit
    notes = findings(table, section.against_random)
    kind = "warning" if table.settings.leaks else "headline"
    return [
        f"<p class='{kind}'>{escaped(headline(table, section.against_random))}</p>",
        "<h2>Before you quote this</h2>",
        "<ul>" + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul>",
        "<h2>Regret and cost</h2>",
        f"<p class='quiet'>{escaped(table.title)}.</p>",
        _summary_html(table),
        figure_html(
            section.figures["front"](),
            f"{prefix}-front",
            "Mean regret against mean cost",
            f"Mean regret against mean cost over datasets, with {100 * table.level:g}% intervals. "
            "The grey band joins the methods on the front; the dashed line is random search "
            "(full trainings only) at the cost of each method; the star is the oracle.",
        ),
        "<h2>Each dataset</h2>",
        _targets_html(table),
        figure_html(
            section.figures["targets"](),
            f"{prefix}-targets",
            "Regret and cost on each dataset",
            "The same for each dataset. What differs between datasets is what the intervals are "
            "made of; seeds within a dataset are averaged in a dot.",
        ),
        "<h2>Paired comparisons</h2>",
        _comparison_html(section.against_random),
        *([_comparison_html(section.against_baseline)] if section.against_baseline else []),
        "<h2>Over time</h2>",
        figure_html(
            section.figures["anytime"](),
            f"{prefix}-anytime",
            "Regret of the incumbent over cost",
            "Regret of the best run completed so far: median over searches, with the band from "
            "the 25th to the 75th percentile. A line begins when half of the searches have "
            "completed a run, and ends with a marker where the method was done.",
        ),
        "<h2>One search</h2>",
        figure_html(
            section.figures["curves"](),
            f"{prefix}-curves",
            "Learning curves of one search",
            f"What {curves.method} did on {curves.target}, the dataset with its largest mean "
            f"regret, in order {curves.order_seed}: it picked an architecture "
            f"{table.amount(curves.regret)} {unit} worse than the best for "
            f"{cost_percent(curves.cost)}% of the cost." + _other_run(table),
        ),
        "<h2>Definitions</h2>",
        definitions_html(table.definitions()),
        "<h2>Settings</h2>",
        _settings_html(table),
    ]


def _other_run(table: TerminationTable) -> str:
    if table.settings.runs != "drawn":
        return ""
    return (
        " Curves are of the first recorded run of each candidate; where a candidate was trained "
        "with several seeds, the search may have replayed another one."
    )


def _summary_html(table: TerminationTable) -> str:
    unit, level = table.settings.unit, f"{100 * table.level:g}%"
    header = [
        "method",
        f"regret, {unit} [{level}]",
        "random, same cost",
        "regret on test",
        f"cost, % [{level}]",
        "full trainings",
        "speed-up",
        "best killed",
    ]
    rows = []
    for m in range(len(table.methods)):
        regret, cost = table.regret, table.cost
        cells = [
            _marked(table, m),
            with_interval(regret.mean[m], regret.low[m], regret.high[m], table.amount),
            table.amount(table.random_regret.mean[m]),
            table.amount(table.test_regret.mean[m]),
            with_interval(cost.mean[m], cost.low[m], cost.high[m], cost_percent),
            decimals(table.trainings.mean[m], 1),
            times(table.speed_up[m]),
            share_percent(table.killed_best.mean[m]),
        ]
        rows.append(("front" if table.front[m] and len(table.methods) > 1 else "", cells))
    oracle = float(np.mean(table.oracle_cost))
    trainings = float(np.mean(table.oracle_cost * table.candidates))
    cells = ["oracle", table.amount(0.0), "", "", cost_percent(oracle), decimals(trainings, 1)]
    rows.append(("bound", [*cells, times(1 / oracle), share_percent(0.0)]))
    marks = "".join(table.marks(m) for m in range(len(table.methods)))
    meanings = [f"{word} {meaning}" for word, meaning in table.definitions() if word in marks]
    return table_html(header, rows, escaped(". ".join(meanings) + "." if meanings else ""))


def _targets_html(table: TerminationTable) -> str:
    rows = []
    for m in range(len(table.methods)):
        cells = [_marked(table, m)]
        for t in range(len(table.targets)):
            if np.isnan(table.regret.cells[m, t]):
                cells.append(NONE)
                continue
            error = table.regret.errors[m, t]
            spread = f"<small>± {table.amount(error)}</small>" if np.isfinite(error) else ""
            cost = cost_percent(table.cost.cells[m, t])
            cells.append(f"{table.amount(table.regret.cells[m, t])} / {cost}{spread}")
        rows.append(("front" if table.front[m] and len(table.methods) > 1 else "", cells))
    oracle = [f"{table.amount(0.0)} / {cost_percent(cost)}" for cost in table.oracle_cost]
    rows.append(("bound", ["oracle", *oracle]))
    rows.append(("bound", ["training everything", *map(duration, table.full_seconds)]))
    header = ["method", *(breakable(target) for target in table.targets)]
    caption = f"Regret in {_unit_in_words(table)} / cost in %; ± standard error over seeds."
    return table_html(header, rows, escaped(caption))


def _comparison_html(table: ComparisonTable) -> str:
    header = [
        f"against {escaped(table.baseline)}",
        f"difference, {table.unit} [{100 * table.level:g}%]",
        *("better", "worse", "tied", "p", "p (Holm)", "cost ratio"),
    ]
    rows = []
    for m, name in enumerate(table.methods):
        regret = table.regret
        cells = [
            breakable(name),
            with_interval(regret.mean[m], regret.low[m], regret.high[m], true_minus(table.amount)),
            *(str(count[m]) for count in (table.better, table.worse, table.tied)),
            *(p_value(table.p[m]), p_value(table.p_holm[m]), ratio(table.cost_ratio[m])),
        ]
        rows.append(("", cells))
    caption = "; ".join(f"{word}: {meaning}" for word, meaning in table.definitions())
    return table_html(header, rows, escaped(caption + "."))


def timings_html(timings: pa.Table) -> list[str]:
    """The section of the methods' own seconds."""
    table = timings_table(timings)
    rows = [
        ("", [breakable(name), str(table.fits[m]), *map(duration, seconds)])
        for m, name in enumerate(table.methods)
        for seconds in [(table.fit[m], table.fit_most[m], table.search[m])]
    ]
    return [
        "<h2>The methods' own computing</h2>",
        "<p class='quiet'>Real seconds on the machine that ran the study; they differ from run to "
        "run, are in no number above, and do not move the simulated clock.</p>",
        table_html(
            ["method", "fits", "a fit, mean", "longest fit", "replay of all orders"], rows, ""
        ),
    ]


def _settings_html(table: TerminationTable) -> str:
    settings = table.settings
    entries = [
        (field.name.replace("_", " "), _setting(settings, field.name)) for field in fields(settings)
    ]
    entries += [
        ("targets", ", ".join(table.targets)),
        ("candidates", ", ".join(str(count) for count in table.candidates.tolist())),
        ("seeds", table.seeds_text),
        ("methods", ", ".join(table.methods)),
        ("nassim", ", ".join(table.versions)),
        ("intervals", f"{RESAMPLES:,} bootstrap resamples, seed 0"),
    ]
    return definitions_html(entries)


def _setting(settings: Settings, name: str) -> str:
    return str(getattr(settings, name))


def _differing(settings: Sequence[Settings]) -> list[str]:
    names = [field.name for field in fields(Settings)]
    return [name for name in names if len({getattr(one, name) for one in settings}) > 1]


def _marked(table: TerminationTable, m: int) -> str:
    """A method's name with its footnote marks, which stay on its last line."""
    marks = table.marks(m)
    return breakable(table.methods[m]) + (f"&nbsp;{marks}" if marks else "")
