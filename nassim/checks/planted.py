"""A planted store: made-up learning curves whose truth is known, for calibrating tests.

Nothing here is a measurement. An architecture of the NASNet space has a universal quality, made
of its operations, of pairs of operations within a block and of its depth; on a dataset it has
the quality q = rho * universal + sqrt(1 - rho²) * (own part of the dataset + noise), and ends at
``best - span * exp(-0.8 q)``. What a transfer method may gain is therefore set by ``rho``:
with ``rho=0`` there is nothing to transfer, and a test that still passes tests nothing.
"""

from __future__ import annotations

import numpy as np

from nassim.errors import InputError
from nassim.records import Architecture, Dataset, FloatArray, IntArray, SourceTask
from nassim.spaces import get_space
from nassim.spaces.nasnet import N_BLOCKS, OPERATIONS

__all__ = ["planted_tasks"]

# Millions of parameters of each operation, in the order of OPERATIONS: convolutions have weights.
_WEIGHT = np.array([0.20, 0.35, 0.0, 0.0, 0.02])
_CLASSES = 10
_GRID = 5000  # accuracies are multiples of 1 / 5000, as with 5,000 validation images


def planted_tasks(
    n_datasets: int = 5,
    n: int = 200,
    epochs: int = 100,
    rho: float = 0.8,
    noise: float = 0.4,
    slow: float = 0.0,
    overlap: int = 0,
    seed: int = 0,
) -> tuple[SourceTask, ...]:
    """Datasets ``planted-0``, ``planted-1``, ... with ``n`` complete runs each.

    Parameters
    ----------
    n_datasets, n, epochs
        Size of the store.
    rho
        Share of an architecture's quality that all datasets have in common, 0 to 1.
    noise
        Share of the rest that no description of the architecture explains, 0 to 1.
    slow
        How much slower good architectures are at the start. At 0 they are a little faster; at
        0.3 curves cross, and the first epochs mislead.
    overlap
        Architectures that are the same on all datasets; all others are unique.
    seed
        Same seed, same store.

    Raises
    ------
    InputError
        if ``rho`` or ``noise`` is not in [0, 1], or ``overlap`` not in 0 to ``n``.

    >>> task = planted_tasks(n_datasets=1, n=3, epochs=4)[0]
    >>> task.curves.shape, task.seconds.shape, task.architectures[0].space
    ((3, 4), (3, 4), 'nasnet')
    """
    for name, share in (("rho", rho), ("noise", noise)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} is {share!r}; expected a number from 0 to 1.")
    if not 0 <= overlap <= n:
        raise InputError(f"overlap is {overlap}; expected 0 to n = {n} architectures.")
    rng = np.random.default_rng(seed)
    space = get_space("nasnet")
    common = [space.sample(rng) for _ in range(overlap)]
    pools = [common + [space.sample(rng) for _ in range(n - overlap)] for _ in range(n_datasets)]
    features = [_features(pool) for pool in pools]
    universal = _linear(features, rng)
    tasks = []
    for k, pool in enumerate(pools):
        own = _linear(features, rng)[k]
        luck = rng.standard_normal(n)
        quality = rho * universal[k] + np.sqrt(1 - rho**2) * (
            np.sqrt(1 - noise**2) * own + noise * luck
        )
        curves = _curves(quality, epochs, slow, rng)
        tasks.append(_task(f"planted-{k}", pool, curves, rng))
    return tuple(tasks)


def _counts(pool: list[Architecture]) -> IntArray:
    """(architectures, 2, operations): how often each cell uses each operation."""
    operations = _decisions(pool)[..., 1]
    counts: IntArray = (operations[..., None] == np.arange(len(OPERATIONS))).sum(axis=(2, 3))
    return counts


def _features(pool: list[Architecture]) -> tuple[FloatArray, ...]:
    """Counts of operations, counts of pairs of operations within a block, and depths of inputs."""
    decisions = _decisions(pool)
    low, high = np.sort(decisions[..., 1], axis=-1).transpose(3, 0, 1, 2)
    kinds = range(len(OPERATIONS))
    pairs = [((low == a) & (high == b)).sum(axis=(1, 2)) for a in kinds for b in kinds[a:]]
    depths = decisions[..., 0].mean(axis=(2, 3))
    groups = _counts(pool).reshape(len(pool), -1), np.stack(pairs, axis=1), depths
    return tuple(group.astype(np.float64) for group in groups)


def _decisions(pool: list[Architecture]) -> IntArray:
    """(architectures, 2 cells, 5 blocks, 2 halves, input and operation)."""
    return np.array([a.decisions for a in pool]).reshape(-1, 2, N_BLOCKS, 2, 2)


def _linear(features: list[tuple[FloatArray, ...]], rng: np.random.Generator) -> list[FloatArray]:
    """A random linear function of the features, with mean 0 and variance 1 over the store.

    Counts of operations weigh twice as much as pairs, and as depths.
    """
    sizes = [len(each[0]) for each in features]
    groups = [np.concatenate(group) for group in zip(*features, strict=True)]
    parts = [_standard(_standard(g) @ rng.standard_normal(g.shape[1])) for g in groups]
    values = _standard(parts[0] + 0.5 * parts[1] + 0.5 * parts[2])
    return np.split(values, np.cumsum(sizes)[:-1])


def _standard(values: FloatArray) -> FloatArray:
    standard: FloatArray = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    return standard


def _curves(quality: FloatArray, epochs: int, slow: float, rng: np.random.Generator) -> FloatArray:
    """(runs, epochs) accuracies: a power law and a cosine, from guessing to the final value."""
    n = len(quality)
    guess = 1 / _CLASSES
    best = float(rng.uniform(0.88, 0.97))
    span = float(rng.uniform(0.015, 0.035))
    final = best - span * np.exp(-0.8 * quality)
    tendency = max(-1.0, 0.1 - 3 * slow)  # of good architectures to be fast
    speed = tendency * quality + np.sqrt(1 - tendency**2) * rng.standard_normal(n)
    exponent = 1.2 * np.exp(0.1 * speed)[:, None]
    t = np.arange(1, epochs + 1)
    power = (1 - (1 + t) ** -exponent) / (1 - (1 + epochs) ** -exponent)
    share = 0.85 * power + 0.15 * (1 - np.cos(np.pi * t / epochs)) / 2
    curves = guess + (final[:, None] - guess) * share
    curves = curves + (0.002 + 0.05 * (1 - share)) * rng.standard_normal((n, epochs))
    rounded: FloatArray = np.round(np.clip(curves, 0.0, 1.0) * _GRID) / _GRID
    return rounded


def _task(
    name: str,
    pool: list[Architecture],
    curves: FloatArray,
    rng: np.random.Generator,
) -> SourceTask:
    n, epochs = curves.shape
    millions = 0.5 + _counts(pool).sum(axis=1) @ _WEIGHT
    per_epoch = 10.0 * millions * rng.lognormal(0.0, 0.2, n)
    seconds = per_epoch[:, None] * rng.lognormal(0.0, 0.02, (n, epochs))
    return SourceTask(
        dataset=Dataset(name, group=name, classes=_CLASSES),
        architectures=tuple(pool),
        seeds=np.zeros(n, np.int64),
        curves=curves.astype(np.float32),
        lengths=np.full(n, epochs),
        values=curves.max(axis=1).astype(np.float32),
        failed=np.zeros(n, bool),
        seconds=seconds.astype(np.float32),
        n_params=np.round(millions * 1e6).astype(np.int64),
        flops=np.zeros(n, np.int64),
    )
