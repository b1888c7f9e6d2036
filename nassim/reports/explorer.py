"""The explorer: a store as one page to look around in, with its runs and a script in it.

Unlike the other pages it needs a script; it fetches nothing either. Numbers are in it as base64
of little-endian arrays, a column each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import Metric
from nassim.reports.markup import document, escaped
from nassim.reports.text import plural

__all__ = ["SPLITS", "Explored", "explorer_page"]

LARGEST = 4_000_000  # values of curves in a page: 16 MB, a third more as base64
SPLITS = ("valid", "merged", "test")  # runs are compared by the first that was measured
LABELS = {"valid": "validation", "merged": "validation and test (mixed)", "test": "test"}

STYLE = """
main { max-width: 84rem; }
.controls { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: end; }
.controls label { display: grid; font-size: .85rem; color: var(--quiet); }
.controls select, .controls input, .controls button { font: inherit; font-size: .95rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.plots figure { margin: .8rem 0; }
.plots canvas { width: 100%; height: 24rem; display: block; }
.plots figcaption { color: var(--ink); font-weight: 600; }
#scatter { cursor: pointer; }
#hovered { min-height: 1.5em; overflow-wrap: anywhere; }
td { font-variant-numeric: tabular-nums; }
th label { word-break: break-all; }
th:first-child { min-width: 16rem; max-width: 34rem; font-weight: 400; }
"""

BODY = """
<noscript><p class="warning">This page needs JavaScript.</p></noscript>
<div class="controls">
<label>space, recipe <select id="table"></select></label>
<label>dataset <select id="dataset"></select></label>
<label>up <select id="y"></select></label>
<label>across <select id="x"></select></label>
<label><span>epoch <output id="epoch-shown"></output></span>
<input id="epoch" type="range" min="0" step="1"></label>
<label>find <input id="find" type="search" placeholder="part of an architecture"></label>
</div>
<p id="summary" role="status"></p>
<div class="plots">
<figure><figcaption id="scatter-title"></figcaption>
<canvas id="scatter" role="img" aria-label="All architectures, as in the list below"></canvas>
</figure>
<figure><figcaption id="curves-title"></figcaption>
<canvas id="curves" role="img" aria-label="Curves of the picked architectures"></canvas></figure>
</div>
<p id="hovered" class="quiet"></p>
<p class="quiet">A point is an architecture, the mean over its seeds; click it, or tick it in the
list, to pick it. A picked point has a line from its lowest seed to its highest, and each of its
seeds a curve. Grey: median and 10% to 90% of all architectures. The address keeps the view.
{thinned}</p>
<section id="picked"><h2>Picked <button id="clear" type="button">clear</button></h2>
<div class="scroll"><table id="picked-table"></table></div></section>
<details id="failed"><summary id="failed-count"></summary><ul id="failed-list"></ul></details>
<h2>Architectures</h2>
<div class="scroll"><table id="list-table"></table></div>
<p id="list-note" class="quiet"></p>
"""


@dataclass(frozen=True, eq=False)
class Explored:
    """What the page shows of a store; an array has an entry a run, in the store's order.

    ``curves`` (runs, epochs) are of ``split``, NaN where there is no value. ``numbers`` are what
    an axis may show: ``last``, ``best``, ``test``, ``train``, ``seconds``, ``parameters``,
    ``flops``; NaN where not known.
    """

    name: str
    sha: str
    metric: Metric
    split: str
    datasets: tuple[str, ...]  # of the whole store, in its order
    space: NDArray[np.object_]
    recipe: NDArray[np.object_]
    architecture: NDArray[np.object_]
    dataset: NDArray[np.object_]
    seed: NDArray[np.int64]
    status: NDArray[np.object_]
    reason: NDArray[np.object_]
    curves: NDArray[np.float32]
    numbers: Mapping[str, NDArray[Any]]


def explorer_page(explored: Explored, *, largest: int = LARGEST) -> str:
    """The page as the text of one HTML file; the same bytes for the same runs.

    Curves of more than ``largest`` values in all are thinned to fewer epochs, which the page says;
    results are always of the last epoch.

    Raises
    ------
    InputError
        if there are so many runs that not even one epoch of each fits.
    """
    n, width = explored.curves.shape
    if n > largest:
        raise InputError(
            f"{n:,} runs are more than the {largest:,} that a page holds; take some of them, as "
            f"with --dataset {explored.datasets[0]}."
        )
    epochs = _spread(width, largest // n)
    thinned = ""
    if len(epochs) < width:
        thinned = f"Curves have {len(epochs)} of {plural(width, 'epoch')}, evenly spread."
    about = f"{plural(n, 'run')}. Store sha {explored.sha}."
    script = resources.files("nassim.reports").joinpath("explorer.js").read_text("utf-8")
    return document(
        f"Store {explored.name}",
        [
            f"<style>{STYLE}</style>",
            f"<p class='quiet'>{escaped(about)}</p>",
            BODY.replace("{thinned}", thinned).strip(),
            f'<script id="store" type="application/json">{_json(_payload(explored, epochs))}'
            "</script>",
            f"<script>\n{script}</script>",
        ],
    )


def _payload(explored: Explored, epochs: NDArray[np.intp]) -> dict[str, Any]:
    """All that the script reads."""
    names = {
        name: sorted(set(getattr(explored, name))) for name in ("space", "recipe", "architecture")
    }
    names["dataset"] = list(explored.datasets)
    columns: dict[str, NDArray[Any]] = {
        **{name: _numbered(getattr(explored, name), texts) for name, texts in names.items()},
        "seed": explored.seed.astype(np.float64),
        "ok": (explored.status == "ok").astype(np.int32),
        **explored.numbers,
    }
    return {
        "n_runs": len(explored.seed),
        "metric": explored.metric.name,
        "higher": explored.metric.higher_is_better,
        "split": explored.split,
        "labels": LABELS,
        **{f"{name}s": texts for name, texts in names.items()},
        "epochs": epochs.tolist(),
        "columns": {name: _packed(values) for name, values in columns.items()},
        "curves": _packed(explored.curves[:, epochs - 1]),
        "failed": {
            int(row): [explored.status[row], explored.reason[row]]
            for row in np.flatnonzero(explored.status != "ok")
        },
    }


def _spread(width: int, most: int) -> NDArray[np.intp]:
    """All epochs from 1 to ``width``, or ``most`` of them, first and last included.

    >>> _spread(10, 4).tolist()
    [1, 4, 7, 10]
    >>> _spread(3, 100).tolist()
    [1, 2, 3]
    """
    if width <= most:
        return np.arange(1, width + 1)
    if most == 1:
        return np.array([width])
    return np.unique(np.linspace(1, width, most).round().astype(np.intp))


def _numbered(texts: NDArray[np.object_], names: list[str]) -> NDArray[np.int32]:
    """Each text as its position among ``names``."""
    position = {name: i for i, name in enumerate(names)}
    return np.fromiter((position[text] for text in texts), np.int32, len(texts))


def _packed(values: NDArray[Any]) -> dict[str, str]:
    kind = {"f": f"f{values.dtype.itemsize}", "i": "i4"}[values.dtype.kind]
    stored = np.ascontiguousarray(values, dtype=f"<{kind}")
    return {"kind": kind, "data": base64.b64encode(stored.tobytes()).decode("ascii")}


def _json(payload: dict[str, Any]) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
