"""Extremely randomised trees as plain arrays: fitted by scikit-learn, read without it.

A fitted forest can be written to any file of arrays, holds no code, and predicts with numpy alone
what scikit-learn predicts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.records import FloatArray

__all__ = ["Forest", "fit_forest"]

_LEAF = -1


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary trees, their nodes in one numbering.

    ``roots`` (trees,) are nodes; ``feature`` (nodes,) is compared with ``threshold`` (nodes,), and
    -1 in a leaf; ``left`` (nodes,) is next where the feature is not above the threshold, else
    ``right``. A child has a higher number than its parent. ``values`` (nodes, outputs) is read in
    leaves.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    values: NDArray[np.float64]

    @classmethod
    def from_arrays(cls, arrays: dict[str, FloatArray], n_features: int) -> Forest:
        """The forest of the arrays that :meth:`arrays` gave.

        Raises
        ------
        InputError
            if they are no forest on so many features.
        """
        names = [field.name for field in fields(cls)]
        if sorted(arrays) != sorted(names):
            raise InputError(f"A forest has arrays {', '.join(names)}; got {', '.join(arrays)}.")
        forest = cls(**arrays)  # type: ignore[arg-type]  # checked below
        n = len(forest.feature)
        inner = np.flatnonzero(forest.feature != _LEAF)
        children = np.stack([forest.left, forest.right])
        sound = (
            all(len(arrays[name]) == n for name in names if name != "roots")
            and all(arrays[name].dtype.kind == "i" for name in ("roots", "feature"))
            and children.dtype.kind == "i"
            and forest.values.ndim == 2
            and bool(((forest.roots >= 0) & (forest.roots < n)).all())
            and bool((forest.feature[inner] < n_features).all() and (forest.feature >= _LEAF).all())
            and bool(((children[:, inner] > inner) & (children[:, inner] < n)).all())
        )
        if not sound:
            raise InputError("Arrays of a forest contradict each other; expected those of one fit.")
        return forest

    def arrays(self) -> dict[str, FloatArray]:
        """Its arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def predict(self, features: FloatArray) -> NDArray[np.float64]:
        """The mean over trees, (rows, outputs), of ``features`` (rows, features)."""
        rows = np.arange(len(features))[:, None]
        # scikit-learn compares in single precision
        features = np.asarray(features, np.float32)
        node = np.broadcast_to(self.roots, (len(features), len(self.roots))).copy()
        while True:
            feature = self.feature[node]
            inner = feature != _LEAF
            if not inner.any():
                break
            goes_left = features[rows, np.maximum(feature, 0)] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, child, node)
        total = np.zeros((len(features), self.values.shape[1]))
        for tree in range(len(self.roots)):  # one after the other: same sums for one row or many
            total += self.values[node[:, tree]]
        return total / len(self.roots)


def fit_forest(
    features: FloatArray,
    targets: FloatArray,
    seed: int,
    *,
    trees: int = 50,
    min_samples_leaf: int = 2,
) -> Forest:
    """Fit extremely randomised trees (Geurts, Ernst and Wehenkel 2006).

    ``features`` is (rows, features), ``targets`` (rows, outputs).

    >>> x = np.arange(8.0)[:, None]
    >>> fit_forest(x, x**2, seed=0, min_samples_leaf=1).predict(x[:3]).T.tolist()
    [[0.0, 1.0, 4.0]]
    """
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(trees, min_samples_leaf=min_samples_leaf, random_state=seed)
    model.fit(features, targets if targets.shape[1] > 1 else targets[:, 0])
    return _export([estimator.tree_ for estimator in model.estimators_])


def _export(trees: list[Any]) -> Forest:
    """scikit-learn's trees, their nodes numbered through."""
    starts = np.cumsum([0] + [tree.node_count for tree in trees])
    leaf = np.concatenate([tree.feature for tree in trees]) < 0

    def joined(name: str, at_leaf: int, starts: NDArray[np.integer]) -> NDArray[np.int32]:
        parts = [getattr(tree, name) + start for tree, start in zip(trees, starts, strict=True)]
        answer: NDArray[np.int32] = np.where(leaf, at_leaf, np.concatenate(parts)).astype(np.int32)
        return answer

    return Forest(
        starts[:-1].astype(np.int32),
        joined("feature", _LEAF, np.zeros_like(starts[:-1])),
        np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        joined("children_left", 0, starts[:-1]),
        joined("children_right", 0, starts[:-1]),
        np.where(leaf[:, None], np.concatenate([tree.value[:, :, 0] for tree in trees]), 0.0),
    )
