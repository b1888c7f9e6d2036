"""The card as one self-contained HTML file, and its figures for papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nassim.reports.card.figures import (
    accuracy_figure,
    agreement_figure,
    cost_figure,
    noise_figure,
    power_figure,
    ranking_figure,
    search_figure,
)
from nassim.reports.card.notes import definitions, headline, unknowns
from nassim.reports.card.records import Card
from nassim.reports.card.sheets import Sheet, interval, number, sheets
from nassim.reports.card.text import described
from nassim.reports.drawing import FORMATS, save_all
from nassim.reports.markup import (
    breakable,
    definitions_html,
    document,
    escaped,
    figure_html,
    table_html,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["card_page", "save_card_figures"]


def card_page(card: Card) -> str:
    """The page as the text of one HTML file; the same bytes for the same card."""
    head = [f"<p class='quiet'>{escaped(described(card))}. Store sha {card.sha}.</p>"]
    title = f"Quality card of store {card.name}"
    if not card.datasets:
        return document(title, [*head, "<p>No runs yet.</p>"])
    tables, drawn = sheets(card), _figures(card)

    def figure(key: str, alt: str, caption: str) -> str:
        return figure_html(drawn[key](), key, alt, caption) if key in drawn else ""

    between = []
    if len(card.datasets) > 1:
        between = [
            "<h2>Do datasets rank architectures alike?</h2>",
            figure(
                "agreement",
                "Rank correlation between datasets",
                "Spearman's rho of the mean results of the architectures that two datasets share. "
                "Above the diagonal: the rho that two equal orders would show, given the seed "
                "noise of both.",
            ),
            _sheet_html(tables["agreement"]),
            _pairs_html(card),
        ]
    body = [
        *head,
        *(f"<p class='headline'>{escaped(sentence)}</p>" for sentence in headline(card)),
        *_missing_html(card),
        "<h2>Results of the architectures</h2>",
        figure(
            "accuracy",
            "Distribution of results over architectures",
            "Distribution of the architectures' results (mean over seeds) on each dataset; grey: "
            "the other datasets.",
        ),
        _sheet_html(tables["results"]),
        "<h2>Noise</h2>",
        figure(
            "noise",
            "Spread of architectures, seed noise and noise of the split's size",
            "Left: the spread between architectures beside what moves the result of one: another "
            "seed, and another draw of as many examples. Right: agreement of two seeds on the "
            "ranking of the architectures that have several.",
        ),
        _sheet_html(tables["noise"]),
        _sheet_html(tables["apart"]),
        "<h2>When the ranking settles</h2>",
        figure(
            "ranking",
            "Rank correlation of early values with results",
            "Spearman's rho of the values after a share of the epochs with the results of the "
            "same runs. Dotted: rho of the results of two seeds, over the architectures that have "
            "several. An early value above it says more about a run's result than the result of "
            "another seed does.",
        ),
        _sheet_html(tables["ranking"]),
        *between,
        "<h2>Random search</h2>",
        figure(
            "search",
            "Expected regret of random search",
            "Regret of the best of so many architectures, drawn without replacement.",
        ),
        _sheet_html(tables["search"]),
        "<h2>What it takes to see a difference</h2>",
        figure(
            "power",
            "Orders needed",
            "Orders (repetitions) of two independent random searches in which a gap of their mean "
            "regrets is seen with 80% power at 5%, two-sided.",
        ),
        _sheet_html(tables["power"]),
        _sheet_html(tables["architectures"]),
        "<h2>Runs and their cost</h2>",
        figure("cost", "Seconds of a run", "Seconds of the successful runs of each dataset."),
        _sheet_html(tables["runs"]),
        "<h2>Definitions</h2>",
        definitions_html(definitions(card)),
    ]
    return document(title, body)


def save_card_figures(
    card: Card, folder: str | Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write every figure of the card for a paper and return the paths.

    Raises
    ------
    InputError
        if a format is unknown, or a file cannot be written.
    """
    return save_all(_figures(card), folder, formats)


def _figures(card: Card) -> dict[str, Callable[[], Figure]]:
    """How to draw each figure that has something to show."""
    if not card.datasets:
        return {}
    shown = {
        "accuracy": (accuracy_figure, any(made.scores.n for made in card.datasets)),
        "noise": (noise_figure, any(made.scores.n for made in card.datasets)),
        "ranking": (
            ranking_figure,
            any(np.isfinite(made.ranking.rho).sum() > 1 for made in card.datasets),
        ),
        "agreement": (agreement_figure, card.agreement.pairs > 0),
        "search": (search_figure, any(made.scores.n > 1 for made in card.datasets)),
        "power": (power_figure, bool(np.isfinite(card.power.orders).any())),
        "cost": (cost_figure, any(made.seconds.n for made in card.datasets)),
    }
    return {name: _drawing(draw, card) for name, (draw, known) in shown.items() if known}


def _drawing(draw: Callable[[Card], Figure], card: Card) -> Callable[[], Figure]:
    return lambda: draw(card)


def _sheet_html(sheet: Sheet) -> str:
    rows = [("", [breakable(row[0]), *map(escaped, row[1:])]) for row in sheet.rows]
    return table_html(list(map(escaped, sheet.header)), rows, escaped(f"{sheet.title}."))


def _missing_html(card: Card) -> list[str]:
    notes = unknowns(card)
    if not notes:
        return []
    items = "".join(f"<li>{escaped(note)}</li>" for note in notes)
    return ["<h2>What is not known (n/a)</h2>", f"<ul>{items}</ul>"]


def _pairs_html(card: Card) -> str:
    """Each pair of datasets with its interval and ceiling."""
    found, labels = card.agreement, card.labels
    rows = [
        (
            "",
            [
                f"{breakable(labels[a])} and {breakable(labels[b])}",
                number(found.rho[a, b], 2),
                interval(found.low[a, b], found.high[a, b]),
                str(found.shared[a, b]),
                number(found.ceiling[a, b], 2),
            ],
        )
        for a in range(len(labels))
        for b in range(a + 1, len(labels))
    ]
    caption = "Pairs of datasets: rho, its 95% interval over architectures, and its ceiling."
    table = table_html(["", "rho", "95% interval", "n", "ceiling"], rows, caption)
    return f"<details><summary>Each pair</summary>{table}</details>"
