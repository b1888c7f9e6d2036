"""What a reader of a public format hands over, and the report of an import.

A reader is one file and one function ``read(path, **options) -> Imported``; it never touches a
store. :func:`nassim.store.importers.import_into` does, once, after everything is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nassim.records import Dataset, Metric, Run

__all__ = ["Imported", "Report", "Split", "one_line"]

MINIMUM_OF_A_COPY = 5  # measured epochs: fewer may well agree by chance


@dataclass(frozen=True)
class Split:
    """One line of the split map: which of their columns became which of ours.

    An empty ``dataset`` or ``recipe`` means all of them.
    """

    theirs: str
    ours: str
    dataset: str = ""
    recipe: str = ""

    @property
    def label(self) -> str:
        """The key of this line in a manifest: ``ours``, or ``recipe/dataset/ours``."""
        return "/".join(part for part in (self.recipe, self.dataset, self.ours) if part)


@dataclass(frozen=True, eq=False, repr=False)
class Imported:
    """All that was read from a public table, in our words.

    ``merged`` names our columns in which validation and test images are mixed: a search must
    not see them unless it asks for them by name. ``notes`` are sentences for the report.
    """

    runs: tuple[Run, ...]
    datasets: tuple[Dataset, ...]
    recipes: Mapping[str, Mapping[str, object]]
    metric: Metric
    split_map: tuple[Split, ...]
    merged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Imported: {len(self.runs)} runs on {len(self.datasets)} datasets>"

    def stamp(self, format: str) -> dict[str, object]:
        """What the manifest of a new store remembers of its importer."""
        return {
            "format": format,
            "split_map": {split.label: split.theirs for split in self.split_map},
            "merged": list(self.merged),
        }


@dataclass(frozen=True)
class Report:
    """What an import did; ``to_text()`` is what the command prints."""

    format: str
    source: str
    store: Path
    n_runs: int
    n_architectures: int
    runs_of_dataset: Mapping[str, int]
    split_lines: tuple[str, ...]
    merged: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, imported: Imported, format: str, source: str, store: Path) -> Report:
        per_dataset: dict[str, int] = {}
        for run in imported.runs:
            per_dataset[run.dataset] = per_dataset.get(run.dataset, 0) + 1
        copies = n_copies(imported.runs)
        remark = (
            f"{copies} runs repeat the curve of another seed to the last digit: "
            "copies, not repetitions; seed noise would be understated."
        )
        return cls(
            format,
            source,
            store,
            len(imported.runs),
            len({(run.space, run.architecture) for run in imported.runs}),
            dict(sorted(per_dataset.items())),
            tuple(_split_lines(imported)),
            imported.merged,
            imported.notes + ((remark,) if copies else ()),
        )

    def to_text(self) -> str:
        per_dataset = ", ".join(f"{name} {n:,}" for name, n in self.runs_of_dataset.items())
        lines = [
            f"Imported {self.n_runs:,} runs of {self.n_architectures:,} architectures "
            f"({per_dataset}) from {self.source} ({self.format}) into {self.store}.",
            "Split map:",
            *(f"  {line}" for line in self.split_lines),
            *(f"Note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def n_copies(runs: Iterable[Run]) -> int:
    """Runs whose measured curves equal those of another seed, bit by bit.

    >>> curve = np.linspace(0.1, 0.6, 6, dtype=np.float32)
    >>> run = lambda seed: Run("table", "a", "d", "r", seed, epochs=6, scores={"valid": curve})
    >>> n_copies([run(0), run(1), run(2)])
    2
    """
    seen: set[tuple[str, str, str, str, bytes]] = set()
    copies = 0
    for run in runs:
        # curves of one constant value (a network that learns nothing) do agree by chance
        curves = [c for c in run.scores.values() if len(np.unique(c)) >= MINIMUM_OF_A_COPY]
        if not curves:
            continue
        content = b"".join(curve.tobytes() for curve in curves)
        key = (run.space, run.architecture, run.dataset, run.recipe, content)
        copies += key in seen
        seen.add(key)
    return copies


def one_line(error: BaseException, limit: int = 200) -> str:
    """The text of somebody else's error, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _split_lines(imported: Imported) -> list[str]:
    counts: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for run in imported.runs:
        curves = {imported.metric.column(split): curve for split, curve in run.scores.items()}
        curves["train_loss"] = run.train_loss
        for column, curve in curves.items():
            n_measured = int(np.count_nonzero(~np.isnan(curve)))
            extents = counts.setdefault((run.recipe, run.dataset, column), [])
            extents.append((n_measured, run.epochs))
    lines = []
    for split in imported.split_map:
        pairs = [
            pair
            for (recipe, dataset, column), found in counts.items()
            if column == split.ours
            and split.recipe in ("", recipe)
            and split.dataset in ("", dataset)
            for pair in found
        ]
        extent = ""
        if pairs:
            measured, epochs = [_range([pair[part] for pair in pairs]) for part in (0, 1)]
            extent = f" ({measured} of {epochs} epochs measured)"
        where = ", ".join(part for part in (split.dataset, split.recipe) if part)
        mark = "  [MERGED: validation and test mixed]" if split.ours in imported.merged else ""
        lines.append(
            f"{where + ': ' if where else ''}their {split.theirs} -> our {split.ours}{extent}{mark}"
        )
    return lines


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
