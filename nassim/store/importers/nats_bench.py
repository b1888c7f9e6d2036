"""NATS-Bench's own files: a folder of bzip2 pickles, ``meta`` and one per architecture.

Paper: Dong, Liu, Musial & Gabrys, "NATS-Bench: Benchmarking NAS Algorithms for Architecture
Topology and Size", TPAMI 2021. Both spaces are read: topology (``tss``, space ``nasbench201``)
and size (``sss``, space ``table``, texts such as ``64:64:64:64:64``).

What is measured on which images (accuracies are percentages there, shares here):

==================  ==========================  =============  =================================
dataset             trained on                  ``x-valid``    ``ori-test``
==================  ==========================  =============  =================================
cifar10-valid       half of the training set    other half     the test set -> ``test_accuracy``
cifar10             the whole training set      (there is no)  the test set -> ``test_accuracy``
cifar100            the whole training set      half a test    the test set = ``x-valid`` and
ImageNet16-120                                  set            ``x-test`` -> ``merged_accuracy``
==================  ==========================  =============  =================================

``x-valid`` becomes ``valid_accuracy`` and ``x-test`` ``test_accuracy`` at the epochs where they
were measured. Under 200 epochs of the topology space that is the last epoch only, for cifar100
and ImageNet16-120; in between there is ``ori-test`` alone, in which validation and test images
are mixed.

``cifar10`` has no validation set: a search on it would have to look at the test set. It is left
out unless asked for (``datasets=("cifar10",)`` or ``("all",)``), and then has test accuracy only.
"""

from __future__ import annotations

import bz2
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nassim.errors import InputError, unknown_name
from nassim.records import ACCURACY, FloatArray, Run
from nassim.spaces import get_space
from nassim.store.importers.base import Imported, Split, one_line
from nassim.store.importers.nasbench201 import DATASETS
from nassim.store.importers.pickles import unpickle

__all__ = ["read"]

SEARCHABLE = ("cifar10-valid", "cifar100", "ImageNet16-120")
META = "meta.pickle.pbz2"

# our split -> their name of the images, per dataset
SPLITS = {
    "cifar10-valid": {"valid": "x-valid", "test": "ori-test"},
    "cifar10": {"test": "ori-test"},
    "cifar100": {"valid": "x-valid", "test": "x-test", "merged": "ori-test"},
    "ImageNet16-120": {"valid": "x-valid", "test": "x-test", "merged": "ori-test"},
}

_FILE = re.compile(r"\d{6}\.pickle\.pbz2")


def read(
    path: str | Path,
    *,
    datasets: Sequence[str] = SEARCHABLE,
    epochs: Sequence[int | str] = (),
) -> Imported:
    """Read a folder such as ``NATS-tss-v1_0-3ffb9-simple``.

    Parameters
    ----------
    path
        the folder that holds ``meta.pickle.pbz2``; it may hold any part of the architectures.
    datasets
        of ``cifar10-valid``, ``cifar10``, ``cifar100``, ``ImageNet16-120``, or ``all``.
    epochs
        trainings to keep, by their length (200 and 12 in the topology space; 90, 12 and 1 in
        the size space); all if empty. Each length is a recipe of its own.

    Raises
    ------
    InputError
        if the folder is not NATS-Bench's, a file is damaged or names a class to run, or a
        dataset or length is unknown.
    """
    folder = Path(path)
    wanted = _wanted(datasets)
    files = _files(folder)
    names = _meta(folder)
    runs: list[Run] = []
    for file in files:
        content = _load(file)
        try:
            runs += _runs(content, wanted)
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from error
        except (
            AttributeError,
            IndexError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{file.name} is not built like a NATS-Bench file ({type(error).__name__}: "
                f"{one_line(error)}); fetch it again."
            ) from error
    runs, found = _of_length(runs, epochs)
    kind = "topology" if runs[0].space == "nasbench201" else "size"
    recipes = sorted({run.recipe for run in runs})
    measured = [
        Split(theirs, ACCURACY.column(split), dataset, recipe)
        for recipe in recipes
        for dataset in wanted
        for split, theirs in SPLITS[dataset].items()
        if any(run.recipe == recipe and run.dataset == dataset for run in runs)
    ]
    merged = ("merged_accuracy",) if any("merged" in SPLITS[dataset] for dataset in wanted) else ()
    return Imported(
        tuple(runs),
        tuple(DATASETS[dataset] for dataset in wanted),
        {
            recipe: {
                "benchmark": f"NATS-Bench {kind}",
                "epochs": max(run.epochs for run in runs if run.recipe == recipe),
                "seconds": "mean" if _has_mean_times(runs) else "measured",
            }
            for recipe in recipes
        },
        ACCURACY,
        (Split("train_acc1es", "train_accuracy"), Split("train_losses", "train_loss"), *measured),
        merged,
        tuple(_notes(runs, wanted, len(files), len(names), found)),
    )


# --- files ----------------------------------------------------------------------------------


def _wanted(datasets: Sequence[str]) -> tuple[str, ...]:
    names = (datasets,) if isinstance(datasets, str) else tuple(datasets)
    if "all" in names:
        return tuple(SPLITS)
    for name in names:
        if name not in SPLITS:
            raise unknown_name("dataset of NATS-Bench", name, [*SPLITS, "all"])
    return tuple(name for name in SPLITS if name in names) or SEARCHABLE


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(
            f"{folder} {what}; expected a folder such as NATS-tss-v1_0-3ffb9-simple, unpacked."
        )
    if not (folder / META).is_file():
        below = sorted(child.parent.name for child in folder.glob(f"*/{META}"))
        hint = f"did you mean {folder / below[0]}?" if below else "expected a NATS-Bench folder."
        raise InputError(f"{folder} has no {META}; {hint}")
    files = sorted(file for file in folder.iterdir() if _FILE.fullmatch(file.name))
    if not files:
        raise InputError(f"{folder} has no architecture files; expected 000000.pickle.pbz2 etc.")
    return files


def _load(file: Path) -> Any:
    try:
        content = bz2.decompress(file.read_bytes())
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{file.name} is damaged ({one_line(error)}); expected bzip2: fetch it again."
        ) from error
    return unpickle(content, file.name)


def _meta(folder: Path) -> Sequence[str]:
    meta = _load(folder / META)
    names = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(names, list):
        raise InputError(f"{META} of {folder} lists no 'meta_archs'; expected NATS-Bench's own.")
    return names


# --- from their structure to runs -----------------------------------------------------------


def _runs(content: Mapping[str, Any], wanted: tuple[str, ...]) -> list[Run]:
    """The runs of one architecture's file: length -> 'all_results' -> (dataset, seed)."""
    runs = []
    for length in content:
        information = content[length]
        text = information["arch_str"]
        is_topology = text.startswith("|")
        space = get_space("nasbench201" if is_topology else "table")
        architecture = space.parse(text)
        recipe = f"nats-{'tss' if is_topology else 'sss'}-{int(length)}"
        for (dataset, seed), result in information["all_results"].items():
            if dataset not in SPLITS:
                raise unknown_name("dataset of NATS-Bench", str(dataset), SPLITS)
            if dataset not in wanted:
                continue
            n = result["epochs"]
            if n != int(length):
                raise InputError(f"{dataset} has {n} epochs; expected {int(length)}.")
            evaluated_on = SPLITS[dataset].get("valid", "ori-test")
            scores = {
                split: _shares(
                    _evaluations(result["eval_acc1es"], theirs), n, f"{dataset} {theirs}"
                )
                for split, theirs in SPLITS[dataset].items()
            }
            scores["train"] = _shares(result["train_acc1es"], n, f"{dataset} train")
            runs.append(
                Run(
                    space.name,
                    architecture.id,
                    dataset,
                    recipe,
                    int(seed),
                    canonical_id=architecture.canonical_id,
                    epochs=n,
                    scores=scores,
                    train_loss=_curve(result["train_losses"], n, f"{dataset} train_losses"),
                    epoch_seconds=_curve(result["train_times"], n, f"{dataset} train_times"),
                    evaluation_seconds=_curve(
                        _evaluations(result["eval_times"], evaluated_on), n, f"{dataset} eval_times"
                    ),
                    n_params=round(float(result["params"]) * 1e6),
                    flops=round(float(result["flop"]) * 1e6),
                )
            )
    return runs


def _evaluations(values: Mapping[str, float], images: str) -> dict[int, float]:
    """Their ``{"x-valid@11": value}`` as ``{11: value}``; theirs count from 0."""
    prefix = f"{images}@"
    return {
        int(name[len(prefix) :]): value for name, value in values.items() if name.startswith(prefix)
    }


def _curve(values: Mapping[int, float] | None, n: int, what: str, scale: float = 1.0) -> FloatArray:
    """A curve of ``n`` epochs, NaN where nothing was measured; in their unit times ``scale``."""
    curve = np.full(n, np.nan)
    for epoch, value in (values or {}).items():
        if not 0 <= epoch < n:
            raise InputError(f"{what} has epoch {epoch}; expected 0 to {n - 1}.")
        if not math.isfinite(value):
            raise InputError(f"{what} at epoch {epoch} is {value}; expected a finite number.")
        curve[epoch] = value
    return (curve * scale).astype(np.float32)


def _shares(values: Mapping[int, float] | None, n: int, what: str) -> FloatArray:
    shares = _curve(values, n, what, 0.01)
    if np.any((shares < 0) | (shares > 1)):
        raise InputError(f"{what} is outside 0 to 100; expected percentages.")
    return shares


# --- the report -----------------------------------------------------------------------------


def _of_length(runs: list[Run], epochs: Sequence[int | str]) -> tuple[list[Run], list[int]]:
    """The runs of the wanted lengths, and all lengths there are."""
    found = sorted({run.epochs for run in runs})
    if not runs:
        raise InputError("No run of the wanted datasets is in these files; pass --datasets all.")
    wanted = {str(n) for n in ((epochs,) if isinstance(epochs, (int, str)) else epochs)}
    if unknown := sorted(wanted - {str(n) for n in found}):
        raise unknown_name("training length of these files", unknown[0], [str(n) for n in found])
    return [run for run in runs if not wanted or str(run.epochs) in wanted], found


def _has_mean_times(runs: Iterable[Run]) -> bool:
    return all(np.ptp(run.epoch_seconds) == 0 for run in runs if run.epochs > 1)


def _notes(
    runs: list[Run], wanted: tuple[str, ...], n_files: int, n_names: int, lengths: list[int]
) -> list[str]:
    notes = [f"{n_files:,} of the benchmark's {n_names:,} architectures are in this folder."]
    if "cifar10" in wanted:
        notes.append("cifar10 has no validation set: test_accuracy only, nothing to search on.")
    else:
        notes.append(
            "dataset cifar10 was left out: it has no validation set (--datasets all adds it, "
            "with test accuracy only)."
        )
    if left_out := sorted(set(lengths) - {run.epochs for run in runs}):
        notes.append(f"trainings of {', '.join(map(str, left_out))} epochs were left out.")
    if _has_mean_times(runs):
        notes.append(
            "times are the benchmark's synthetic ones: one mean epoch time for all epochs and "
            "seeds of an architecture, not measured per run."
        )
    return notes + _seed_notes(runs)


def _seed_notes(runs: list[Run]) -> list[str]:
    """How many architectures each seed has; datasets of the same counts on one line."""
    counts = Counter((run.recipe, run.dataset, run.seed) for run in runs)
    architectures = Counter(
        key[:2] for key in {(run.recipe, run.dataset, run.architecture) for run in runs}
    )
    datasets_of: dict[tuple[str, str], list[str]] = {}
    for (recipe, dataset), n in sorted(architectures.items()):
        seeds = {s: counts[r, d, s] for r, d, s in sorted(counts) if (r, d) == (recipe, dataset)}
        missing = sum(n - count for count in seeds.values())
        listed = ", ".join(f"{seed} ({count:,} architectures)" for seed, count in seeds.items())
        text = f"{listed}; {f'{missing:,} missing, left so' if missing else 'none missing'}."
        datasets_of.setdefault((recipe, text), []).append(dataset)
    return [
        f"seeds of {', '.join(datasets)} under {recipe}: {text}"
        for (recipe, text), datasets in datasets_of.items()
    ]
