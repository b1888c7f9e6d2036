"""The page of a ranking study: one self-contained HTML file, as :mod:`nassim.reports.page`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from nassim.reports.drawing import FORMATS, save_all
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
from nassim.reports.oneshot import (
    BASELINE,
    LEVEL,
    SETTINGS,
    RankTable,
    rank_table,
    score_points,
    scores_figure,
    top_figure,
    top_table,
)
from nassim.reports.rank_figures import (
    agreement_figure,
    agreement_table,
    best_of_figure,
    best_of_table,
    compute_figure,
    compute_table,
    difference_table,
    differences_figure,
)
from nassim.reports.text import NONE, decimals, p_value, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["rank_findings", "rank_page", "save_rank_figures"]

# by the name of a figure: what a screen reader says, and what stands below it
_SAID = {
    "top": (
        "Kendall's tau within the truly best share of the architectures, against that share",
        "Tau within the truly best, with 95% intervals. The black line is what a perfect predictor "
        "would reach in spite of seed noise; what is above it is luck or leakage.",
    ),
    "differences": (
        "Matrix of differences of tau between methods and predictors",
        "Tau of the row less that of the column, in the same draws. A dot: p below 0.05 (Holm).",
    ),
    "best_of": (
        "Regret if the best k by score are trained, against k, with random search as a band",
        "What the best of the k first architectures by score lacks of the best of all, mean over "
        "runs. The band is the mean of k uniform draws and one standard deviation.",
    ),
    "compute": (
        "Kendall's tau against images trained on",
        "Tau against what it cost: images that went forward and back, of short trainings summed "
        "over all architectures. Dashed lines cost nothing; bars are 95% intervals.",
    ),
    "agreement": (
        "Matrix of tau between the runs of all methods",
        "Tau between the scores of any two runs, which differ in initial weights, in the split of "
        "the images and in chance of the training. The same number begins with the same seed.",
    ),
    "scores": (
        "Score of each architecture against its accuracy after full training",
        "Means over runs and over trainings, with their standard deviations as bars.",
    ),
}
_TITLES = {
    "top": "Within the best",
    "differences": "Compared in pairs",
    "best_of": "Training the best k",
    "compute": "What a ranking costs",
    "agreement": "Do runs agree?",
    "scores": "Scores and truth",
}


def rank_page(
    studies: Sequence[tuple[pa.Table, pa.Table]],
    *,
    title: str = "One-shot methods: ranking against full training",
) -> str:
    """The report as the text of one HTML file.

    Parameters
    ----------
    studies
        Report and scores of each, a section each.
    title
        Of the page.

    Raises
    ------
    InputError
        as :func:`nassim.reports.oneshot.rank_table`.
    """
    body: list[str] = []
    for number, (report, scores) in enumerate(studies, start=1):
        table = rank_table(report)
        if len(studies) > 1:
            about = f"{table.about['space']} on {table.about['dataset']}"
            body.append(f"<h2 class='part'>{number}. {escaped(about)}</h2>")
        body += _section_html(table, _figures(table, scores), f"s{number}")
    return document(title, body)


def save_rank_figures(
    studies: Sequence[tuple[pa.Table, pa.Table]],
    folder: str | Path,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write every figure of the report for a paper, and return the paths.

    They are called as the keys of what the page shows (``top``, ``compute`` and so on), with a
    number before them if there are several studies.
    """
    figures: dict[str, Callable[[], Figure]] = {}
    for number, (report, scores) in enumerate(studies, start=1):
        prefix = f"{number}-" if len(studies) > 1 else ""
        drawn = _figures(rank_table(report), scores)
        figures |= {f"{prefix}{name}": draw for name, draw in drawn.items()}
    return save_all(figures, folder, formats)


def rank_findings(table: RankTable) -> list[str]:
    """What a reader must know before quoting the table, the unfavourable first."""
    notes = [
        f"{method} was not trained ({note}): its ranks say nothing."
        for method, note in table.untrained.items()
    ]
    behind: list[str] = []
    unclear: list[str] = []
    ahead: list[str] = []
    for method in table.judged:
        row = table.differences.get((method, BASELINE))
        if row is None or not math.isfinite(row["value"]):
            continue
        group = ahead if row["value"] > 0 else behind
        (group if row["p_holm"] < LEVEL else unclear).append(method)
    for names, what in (
        (behind, f"Ranks worse than {BASELINE}, which costs nothing"),
        (unclear, f"Not told apart from {BASELINE} (p after Holm {LEVEL:g} or more)"),
        (ahead, f"Ranks better than {BASELINE} (p after Holm below {LEVEL:g})"),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}.")
    best = table.best_trivial
    tau = decimals(table.value(best, "tau"))
    notes.append(f"The best of what is trivial is {best}, with a tau of {tau}.")
    row = table.rows[BASELINE, "tau", "classes"]
    notes.append(
        f"With {plural(row['seeds'], 'training')} of each of {row['n']} architectures a perfect "
        f"predictor would reach a tau of {decimals(row['ceiling'])}, within the truly best tenth "
        f"of {decimals(table.rows[BASELINE, 'tau_true_top_10', 'classes']['ceiling'])}."
    )
    above = [
        method
        for method in table.methods
        if (found := table.rows.get((method, "tau", "classes")))
        and found["value"] >= found["ceiling"]
    ]
    if above:
        notes.append(
            f"At the ceiling or above, so look for leakage or duplicates: {', '.join(above)}."
        )
    single = [m for m in table.judged if table.rows[m, "picks_in_truth", "classes"]["runs"] == 1]
    if single:
        notes.append(f"One run, whose chance is in no interval: {', '.join(single)}.")
    return notes


def _figures(table: RankTable, scores: pa.Table) -> dict[str, Callable[[], Figure]]:
    """How to draw each figure for which there is something to draw."""
    figures: dict[str, Callable[[], Figure]] = {"top": lambda: top_figure(top_table(table))}
    if table.differences:
        figures["differences"] = lambda: differences_figure(difference_table(table))
    compute = compute_table(table)
    if compute.methods:
        figures["compute"] = lambda: compute_figure(compute)
    if scores.num_rows:
        figures["best_of"] = lambda: best_of_figure(best_of_table(scores))
        figures["agreement"] = lambda: agreement_figure(agreement_table(scores))
        figures["scores"] = lambda: scores_figure(score_points(scores))
    return figures


# From here on: HTML.


def _section_html(
    table: RankTable, figures: dict[str, Callable[[], Figure]], prefix: str
) -> list[str]:
    notes = rank_findings(table)
    body = [
        "<h2>Before you quote this</h2>",
        "<ul>" + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul>",
        "<h2>Correlation with full training</h2>",
        _correlations_html(table),
    ]
    for name, (alt, caption) in _SAID.items():
        if name in figures:
            body.append(f"<h2>{_TITLES[name]}</h2>")
            body.append(figure_html(figures[name](), f"{prefix}-{name}", alt, caption))
            if name == "differences":
                body.append(_differences_html(table))
            if name == "compute":
                body.append(_costs_html(table))
    return [
        *body,
        "<h2>Definitions</h2>",
        definitions_html(_DEFINITIONS),
        "<h2>Settings</h2>",
        definitions_html([(name.replace("_", " "), str(table.about[name])) for name in SETTINGS]),
    ]


def _correlations_html(table: RankTable) -> str:
    form, rows = true_minus(decimals), []
    for method in table.methods:
        row = table.rows.get((method, "tau", "classes"))
        kind = "" if method in table.judged else "bound"
        regret = form(table.value(method, "regret_pp"))
        if row is None:
            rows.append((kind, [breakable(method), *[NONE] * 5, regret, NONE, NONE]))
            continue
        cells = [
            breakable(method),
            str(row["n"]),
            with_interval(row["value"], row["low"], row["high"], form),
            f"{decimals(row['ceiling'])} / {decimals(row['measured_ceiling'])}",
            form(table.value(method, "partial_tau")),
            form(table.value(method, "tau_true_top_20")),
            regret,
            str(row["runs"]),
            str(row["seeds"]),
        ]
        rows.append((kind, cells))
    header = ["", "n", "tau", "ceiling", "same params", "top 20%", "regret, pp", "runs", "seeds"]
    return table_html(header, rows, "Grey: predictors that cost nothing, or hardly anything.")


def _differences_html(table: RankTable) -> str:
    form = true_minus(lambda value: decimals(value, signed=True))
    found = difference_table(table)
    rows = []
    for i, method in enumerate(found.methods):
        cells = [breakable(method)]
        for j in range(len(found.others)):
            value, p = found.difference[i, j], found.p[i, j]
            if not math.isfinite(value):
                cells.append(NONE)
                continue
            number = with_interval(value, found.low[i, j], found.high[i, j], form)
            cells.append(f"{number}<small>p {escaped(p_value(p))}</small>")
        rows.append(("", cells))
    header = ["tau of, less that of", *map(breakable, found.others)]
    caption = (
        "With 95% intervals; p two-sided, after Holm over the methods of a column, or, between "
        "methods, over all pairs of them."
    )
    return table_html(header, rows, caption)


def _costs_html(table: RankTable) -> str:
    names = {
        "images": (1, "images trained"),
        "scoring_images": (1, "images scored"),
        "train_seconds": (1, "seconds trained"),
        "score_seconds": (1, "seconds scored"),
        "mean_saved_bytes": (1000, "kB kept, mean"),
        "peak_saved_bytes": (1000, "kB kept, most"),
        "state_bytes": (1000, "kB held"),
    }
    rows = []
    for method in table.methods:
        values = [table.value(method, name, "run") / unit for name, (unit, _) in names.items()]
        if math.isfinite(values[0]):
            cells = [f"{value:,.0f}" if math.isfinite(value) else NONE for value in values]
            rows.append(("", [breakable(method), *cells]))
    header = ["", *(word for _, word in names.values())]
    return table_html(header, rows, "Of one run, mean over runs.")


_DEFINITIONS = [
    (
        "tau",
        "Kendall's tau-b between scores and the mean test accuracy of full trainings, over n "
        "architectures of different function; mean over runs, with a 95% bootstrap interval over "
        "architectures, trainings and runs.",
    ),
    (
        "ceiling",
        "What a perfect predictor would reach (simulated), and what one training reaches that "
        "predicts the others.",
    ),
    ("same params", "Tau over pairs of architectures with equally many live parameters."),
    ("top 20%", "Tau within the truly best fifth."),
    ("regret", "What the method's own pick lacks of the best mean, mean over runs."),
    (
        "kB kept",
        "What autograd saved for backward at one time, every storage once and parameters left "
        "out, of each seventh step; a count, the same on every machine.",
    ),
    ("kB held", "Parameters and statistics of all that was learned."),
    (
        "not trained",
        "The supernet is less than a fifth of the way from chance to the stand-alone networks.",
    ),
]
