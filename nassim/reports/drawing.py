"""One look for all figures: colours, axes, labels that do not overlap, files of equal bytes.

matplotlib is imported inside the functions, and its global state (pyplot) is never touched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nassim.errors import InputError
from nassim.records import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FORMATS",
    "Look",
    "family",
    "label",
    "log_percent_axis",
    "looks",
    "new_figure",
    "place_labels",
    "regret_axis",
    "save_all",
    "save_figure",
    "styled",
    "to_svg",
]

FORMATS = ("png", "svg", "pdf")
INK, QUIET, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
# Okabe and Ito's palette without its yellow, which is lost on white, and three of Tol's: told
# apart by people with any of the common colour blindnesses, together with the markers.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#882255", "#332288", "#999933"),
)
MARKERS = "osD^vPX<>ph*d8"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # looks the same on every machine
    "svg.hashsalt": "nassim",
    "pdf.fonttype": 42,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Look:
    """How one method is drawn, the same in every figure of a report."""

    color: str
    marker: str
    dash: Any


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each method: variants of one method share its colour, not its marker or dash.

    >>> look = looks(["asha", "asha:eta=4", "median"])
    >>> look["asha"].color == look["asha:eta=4"].color, look["asha"].dash == look["median"].dash
    (True, True)
    """
    families: dict[str, list[str]] = {}
    for name in sorted(methods):
        families.setdefault(family(name), []).append(name)
    answer: dict[str, Look] = {}
    colors = 0
    for first, names in families.items():
        rounds = colors // len(PALETTE)  # a colour that is used again gets another dash
        if first == "never":
            color = INK
        else:
            color = PALETTE[colors % len(PALETTE)]
            colors += 1
        for variant, name in enumerate(names):
            marker = MARKERS[len(answer) % len(MARKERS)]
            answer[name] = Look(color, marker, DASHES[(variant + rounds) % len(DASHES)])
    return answer


def label(method: str) -> str:
    """A method's specification on as many lines as it has words worth one.

    >>> label("successive_halving:eta=4:min_epochs=2")
    'successive_halving\\neta=4 min_epochs=2'
    """
    name = family(method)
    options = method[len(name) :].strip(":").replace(":", " ")
    return f"{name.rsplit(':', 1)[-1]}\n{options}".strip()


def family(method: str) -> str:
    """A method's name without its options; a user's own class is ``module:Class``.

    >>> family("asha:eta=4"), family("mymodule:MyClass:delta=0.1")
    ('asha', 'mymodule:MyClass')
    """
    parts = method.split(":")
    own = len(parts) > 1 and "=" not in parts[1]
    return ":".join(parts[: 2 if own else 1])


@contextmanager
def styled() -> Iterator[None]:
    """The look of all figures, while something is drawn or saved."""
    import matplotlib

    with matplotlib.rc_context(RC):
        yield


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches and its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.ravel())


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; its format is the ending of the path. The same figure, the same bytes.

    Raises
    ------
    InputError
        if the format is unknown, or the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lstrip(".")
    if kind not in FORMATS:
        raise InputError(f"Figure format {kind!r} is unknown; expected {', '.join(FORMATS)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with styled():
            figure.savefig(path, metadata=_NO_DATE[kind])
    except OSError as error:
        raise InputError(
            f"A figure cannot be written to {str(path)!r} ({error.strerror}); name another folder."
        ) from error
    return path


def save_all(
    figures: Mapping[str, Callable[[], Figure]], folder: str | Path, formats: Sequence[str]
) -> list[Path]:
    """Draw and write figures, each in all formats, named by its key; the paths written.

    Raises
    ------
    InputError
        as :func:`save_figure`.
    """
    written = []
    for name, draw in figures.items():
        figure = draw()
        written += [save_figure(figure, Path(folder) / f"{name}.{kind}") for kind in formats]
    return written


def to_svg(figure: Figure) -> str:
    """A figure as SVG text, without the lines that only a file of its own needs."""
    text = io.StringIO()
    with styled():
        figure.savefig(text, format="svg", metadata=_NO_DATE["svg"])
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def log_percent_axis(
    axes: Axes, low: float, high: float, label: str, *, sparse: bool = False
) -> None:
    """A logarithmic x axis in percent, with as many round ticks as there is room for."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(low, high)
    decades = math.log10(high / low)
    steps: tuple[int, ...] = (1, 2, 5) if decades > 1 else (1, 2, 3, 4, 5, 7)
    if sparse or decades > 3.5:
        steps = (1,)
    ticks = [step * 10.0**power for power in range(-6, 5) for step in steps]
    axes.xaxis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(label)


def regret_axis(axes: Axes, high: float, label: str, which: Literal["x", "y"] = "y") -> None:
    """A square-root axis from zero: it shows zero, and tells 0.05 from 0.1 beside 3."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    high = high if math.isfinite(high) and high > 0 else 1.0
    axis = axes.xaxis if which == "x" else axes.yaxis
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_scale("function", functions=(_signed_root, _signed_square))
    axes.set(**{f"{which}lim": (-((0.03 * math.sqrt(high)) ** 2), high), f"{which}label": label})
    ticks = [0.0]
    for value in (step * 10.0**power for power in range(-6, 9) for step in (1, 2, 3, 5)):
        near = 0.085 * math.sqrt(high)  # in the square root, what keeps two labels apart
        if value <= high and math.sqrt(value) - math.sqrt(ticks[-1]) >= near:
            ticks.append(value)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _signed_root(values: FloatArray) -> FloatArray:
    answer: FloatArray = np.sign(values) * np.sqrt(np.abs(values))
    return answer


def _signed_square(values: FloatArray) -> FloatArray:
    answer: FloatArray = np.sign(values) * np.square(values)
    return answer


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    colors: Sequence[str],
    obstacles: Sequence[Sequence[tuple[float, float]]] = (),
    bold: Sequence[bool] = (),
) -> None:
    """Write a label near each point, away from other labels, points and lines.

    Parameters
    ----------
    axes
        With its limits and everything else already drawn.
    points
        In data coordinates; not finite ones get no label.
    texts, colors, bold
        One a point.
    obstacles
        Lines in data coordinates, as lists of points, that labels should not cover.
    """
    import matplotlib.patheffects
    from matplotlib.figure import Figure

    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # settles the layout
    figure.set_layout_engine("none")
    scale = figure.dpi / 72  # pixels a point
    pixels = axes.transData.transform(np.array(points, np.float64).reshape(-1, 2))
    chosen = np.flatnonzero(np.isfinite(pixels).all(axis=1)).tolist()
    taken = [_around(pixels[chosen], 4.5 * scale)]
    for line in obstacles:
        taken.append(_boxes_along(axes.transData.transform(np.array(line, np.float64)), scale))
    occupied = np.concatenate(taken)
    inside = np.array(axes.get_window_extent().extents)
    apart = np.hypot(*(pixels[:, None] - pixels[None, :]).transpose(2, 0, 1))
    crowd = (apart < 60 * scale).sum(axis=1)
    halo = matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")
    # crowded points first: they have the fewest places to choose from
    for k in sorted(chosen, key=lambda k: (-crowd[k], k)):
        text = axes.annotate(
            texts[k],
            points[k],
            textcoords="offset points",
            xytext=(0, 0),
            fontsize=8,
            color=colors[k],
            weight="bold" if bold and bold[k] else "normal",
            linespacing=0.95,
            annotation_clip=False,
            zorder=6,
            path_effects=[halo],
        )
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height])
        corners, distances = _places(size, scale)
        boxes = np.concatenate([pixels[k] + corners, pixels[k] + corners + size], axis=1)
        covered = _shared(boxes, occupied).sum(axis=1)
        outside = size.prod() - _shared(boxes, inside[None])[:, 0]
        best = int(np.argmin(0.35 * distances + 0.6 * covered + 2.0 * outside))
        text.set_position(tuple(corners[best] / scale))
        occupied = np.concatenate([occupied, boxes[best : best + 1]])
        _leader(axes, pixels[k], boxes[best], colors[k], 9 * scale)


def _places(size: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    """Where the lower left corner of a text may be, (k, 2) pixels from its point, and how far
    the text is then from the point, (k,)."""
    corners, distances = [], []
    for distance in (7, 12, 20, 30, 42, 56, 72, 90):
        for angle in (0, 45, 315, 90, 270, 180, 135, 225, 22, 338, 67, 293, 158, 202, 113, 247):
            way = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
            # the side of the box that faces the point is so far away from it
            corners.append(distance * scale * way + size * (way - 1) / 2)
            distances.append(distance * scale)
    return np.array(corners), np.array(distances)


def _shared(some: FloatArray, others: FloatArray) -> FloatArray:
    """Areas that boxes (x0, y0, x1, y1) have in common, (some, others)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    areas: FloatArray = np.maximum(0.0, high - low).prod(axis=2)
    return areas


def _around(points: FloatArray, radius: float) -> FloatArray:
    """Square boxes around points, (points, 4)."""
    return np.concatenate([points - radius, points + radius], axis=1)


def _boxes_along(line: FloatArray, scale: float) -> FloatArray:
    """Small boxes that cover a line, (k, 4)."""
    boxes: list[FloatArray] = [np.zeros((0, 4))]
    for start, end in pairwise(line):
        if np.isfinite([start, end]).all():
            steps = max(1, math.ceil(float(np.abs(end - start).max()) / (6 * scale)))
            along = np.linspace(0, 1, steps + 1)[:, None]
            boxes.append(_around(start + (end - start) * along, 3 * scale))
    return np.concatenate(boxes)


def _leader(axes: Axes, point: FloatArray, box: FloatArray, color: str, least: float) -> None:
    """A thin line from a point to its label, if the label is not right beside it."""
    from matplotlib.lines import Line2D

    near = np.clip(point, box[:2], box[2:])
    if float(np.hypot(*(near - point))) < least:
        return
    ends = axes.transData.inverted().transform(np.array([point, near]))
    axes.add_line(Line2D(ends[:, 0], ends[:, 1], color=color, linewidth=0.6, alpha=0.7, zorder=2.5))
