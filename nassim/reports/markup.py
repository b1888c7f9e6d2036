"""What every page is made of: one HTML file that carries its style and figures in itself.

It has no links, and only the explorer's has a script, so it can be mailed, archived and read on a
phone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nassim.reports.drawing import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "breakable",
    "definitions_html",
    "document",
    "escaped",
    "figure_html",
    "table_html",
    "true_minus",
    "with_interval",
]

PAGE_WIDTH = 7.2  # inches of a figure that is as wide as the page
STYLE = """
:root { color-scheme: light; --ink: #222; --quiet: #666; --line: #ddd; --front: #f1f6fa; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1rem 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; }
h2.part { font-size: 1.35rem; border-top: 3px solid var(--ink); padding-top: .8rem; }
.headline { font-size: 1.15rem; border-left: 4px solid #0072b2; padding-left: .9rem; }
.warning { border-left: 4px solid #d55e00; padding-left: .9rem; }
p, li { overflow-wrap: anywhere; }
li { margin: .25rem 0; }
figure { margin: 1.2rem 0; }
figcaption, caption, .quiet { color: var(--quiet); font-size: .9rem; }
caption { caption-side: bottom; text-align: left; padding-top: .4rem; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
.scroll svg { display: block; width: 100%; min-width: 36rem; height: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; vertical-align: top; }
th { font-weight: 600; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; white-space: normal;
  min-width: 4.2rem; }
th:first-child { text-align: left; position: sticky; left: 0; background: #fff;
  white-space: normal; min-width: 10rem; overflow-wrap: anywhere; }
tr.front td, tr.front th { background: var(--front); }
tr.bound td, tr.bound th { color: var(--quiet); font-weight: 400; }
td small { display: block; color: var(--quiet); font-size: .8rem; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .3rem 1rem;
  font-size: .92rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { dl { display: block; } dd { margin: 0 0 .5rem; } }
@media print { .scroll { overflow: visible; } .scroll svg { min-width: 0; } }
"""


def document(title: str, body: Sequence[str]) -> str:
    """The whole file: ``body`` are pieces of HTML, below the title."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join([f"<h1>{escaped(title)}</h1>", *body])
        + "\n</main>\n</body>\n</html>\n"
    )


def definitions_html(entries: Sequence[tuple[str, str]]) -> str:
    """A list of words and what they mean."""
    pairs = (f"<dt>{escaped(word)}</dt><dd>{escaped(meaning)}</dd>" for word, meaning in entries)
    return f"<dl>{''.join(pairs)}</dl>"


def table_html(
    header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], caption: str
) -> str:
    """A table of cells that are HTML already; each row is (class, cells)."""
    head = "".join(f"<th scope='col'>{cell}</th>" for cell in header)
    lines = [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for kind, (first, *others) in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        attribute = f" class='{kind}'" if kind else ""
        lines.append(f"<tr{attribute}><th scope='row'>{first}</th>{cells}</tr>")
    below = f"<p class='quiet'>{caption}</p>" if caption else ""
    body = "\n".join([*lines, "</tbody>"])
    return f"<div class='scroll'><table>{body}</table></div>{below}"


def with_interval(mean: float, low: float, high: float, form: Callable[[float], str]) -> str:
    """A number, and its interval in small below it."""
    spread = f"<small>[{form(low)}, {form(high)}]</small>" if np.isfinite(low) else ""
    return f"{form(mean)}{spread}"


def true_minus(form: Callable[[float], str]) -> Callable[[float], str]:
    """The same with a true minus sign."""
    return lambda value: re.sub(r"^-(?=\d)", "−", form(value))


def figure_html(figure: Figure, key: str, alt: str, caption: str) -> str:
    """A figure in the page; ``key`` keeps its inner names apart from those of other figures."""
    svg = to_svg(figure)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    root, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', root)
    rest = rest.replace('xlink:href="#', f'href="#{key}-')
    rest = re.sub(r'(?<![\w-])id="', f'id="{key}-', rest)
    rest = rest.replace("url(#", f"url(#{key}-")
    share = figure.get_figwidth() / PAGE_WIDTH
    narrow = f" style='max-width:{100 * share:.0f}%'" if share < 1 else ""
    opened = f'<svg {box.group(0) if box else ""}{narrow} role="img" aria-label="{escaped(alt)}">'
    return (
        f"<figure><div class='scroll'>{opened}{rest}</div>"
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )


def breakable(name: str) -> str:
    """A name that may be broken behind its colons and underscores."""
    return re.sub(r"([:_])", r"\1<wbr>", escaped(name))


def escaped(value: str) -> str:
    """Text as HTML."""
    return html.escape(value, quote=True)
