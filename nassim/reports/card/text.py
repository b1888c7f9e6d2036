"""A card as text for a terminal."""

from __future__ import annotations

from nassim.reports.card.notes import headline, unknowns
from nassim.reports.card.records import Card
from nassim.reports.card.sheets import Sheet, sheets
from nassim.reports.text import aligned, plural, wrapped

__all__ = ["card_text", "described"]

WIDTH = 120


def card_text(card: Card) -> str:
    """The card as tables, what they come to, and why a number is not there."""
    head = f"Store {card.name}, {described(card)}\nsha {card.sha}"
    if not card.datasets:
        return f"{head}\n\nNo runs yet.\n"
    parts = [head, "\n".join(line for text in headline(card) for line in wrapped(text, WIDTH, ""))]
    parts += [_block(sheet) for sheet in sheets(card).values()]
    if missing := unknowns(card):
        lines = [line for note in missing for line in wrapped(f"- {note}", WIDTH - 2)]
        parts.append("\n".join(["n/a, because", *(f"  {line}" for line in lines)]))
    return "\n\n".join(parts) + "\n"


def described(card: Card) -> str:
    """How large the store is, and what it measures."""
    better = "higher" if card.metric.higher_is_better else "lower"
    datasets = plural(len({made.dataset for made in card.datasets}), "dataset")
    return f"{plural(card.n_runs, 'run')} on {datasets}; {card.metric.name}, {better} is better"


def _block(sheet: Sheet) -> str:
    table = aligned([sheet.header, *sheet.rows])
    return "\n".join([*wrapped(sheet.title, WIDTH, ""), *(f"  {line}" for line in table)])
