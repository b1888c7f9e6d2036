"""How good a supernet's weights say an architecture is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from nassim.oneshot.batchnorm import BatchNormMode, scoring_mode
from nassim.oneshot.data import SearchData
from nassim.oneshot.mixed import Gates
from nassim.oneshot.supernet import Supernet
from nassim.records import Architecture, FloatArray

__all__ = ["Scores", "score", "score_gates"]

_BATCH = 500  # with ``batch`` statistics, the images that share them


class Scores(NamedTuple):
    """Accuracy, a share, and cross-entropy on the scoring set, (architectures,) each."""

    accuracy: FloatArray
    loss: FloatArray


def score(
    supernet: Supernet,
    architectures: Sequence[Architecture],
    data: SearchData,
    mode: BatchNormMode = "recal",
) -> Scores:
    """Score each architecture alone, all on the same images; the supernet stays as it was."""
    pairs = [
        score_gates(supernet, architecture.decisions, data, mode) for architecture in architectures
    ]
    accuracy, loss = np.array(pairs, np.float64).reshape(-1, 2).T
    return Scores(accuracy, loss)


def score_gates(
    supernet: Supernet, gates: Gates, data: SearchData, mode: BatchNormMode = "recal"
) -> tuple[float, float]:
    """Accuracy and loss of what these gates make of the supernet, which may be a mixture."""
    correct, loss = 0, 0.0
    with scoring_mode(supernet, mode, gates, data.calibration), torch.no_grad():
        parts = (torch.split(part, _BATCH) for part in (data.scoring_x, data.scoring_y))
        for x, y in zip(*parts, strict=True):
            outputs = supernet(x, gates)
            correct += int((outputs.argmax(dim=1) == y).sum())
            loss += float(F.cross_entropy(outputs, y, reduction="sum"))
    n = len(data.scoring_y)
    return correct / n, loss / n
