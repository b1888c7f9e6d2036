"""What is said of the architectures of a truth: by what costs nothing, a file, or supernets."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nassim.encodings import FeatureEncoder
from nassim.errors import InputError, unknown_name
from nassim.optimizers.sources import LinearModel
from nassim.ranking.scores import tau
from nassim.records import IntArray, Landmarks
from nassim.spaces import get_space
from nassim.studies.judging import Prediction
from nassim.studies.truth import FEWEST_ARCHITECTURES, Truth

if TYPE_CHECKING:
    from nassim.oneshot.run import OneShotRun

__all__ = [
    "landmark_prediction",
    "live_sizes",
    "one_shot_prediction",
    "read_scores",
    "trivial_predictions",
]

# Less than this share of the way from chance to the stand-alone networks, and nothing was trained.
TRAINED_SHARE = 0.2
EARLY_SHARES = (0.1, 0.25, 0.5)  # of the epochs, after which a learning curve is looked at

_Row = dict[str, Any]


def live_sizes(truth: Truth) -> dict[str, IntArray]:
    """Sizes of what is on a path from input to output, (N,) each, by the name of a predictor.

    ``live_params`` are weights, ``live_flops`` multiply-adds; of an imported table, what it says
    itself. ``live_convolutions`` are missing where a space has no networks, or none with them.
    """
    from torch import nn

    from nassim.networks import NETWORKS, build_network, count_multiply_adds, count_parameters

    sizes = {"live_params": truth.n_params, "live_flops": truth.flops}
    space, is_ours = get_space(truth.space), "channels" in truth.settings
    if space.name not in NETWORKS:  # the name: a space may have options
        return sizes
    options: dict[str, Any] = {"channels": 4, "cells": 1}  # which decide no number of convolutions
    resolution = None
    if is_ours:
        recipe = truth.trained_by()
        options = {"channels": recipe.channels, "cells": recipe.cells, "skeleton": recipe.skeleton}
        resolution = recipe.resolution
    *places, last = truth.dataset.shape
    shape = (*(min(size, resolution or size) for size in places), last)
    found = []
    for architecture in truth.architectures:
        network = build_network(
            space.architecture(space.pruned(architecture.decisions)),
            classes=truth.dataset.classes,
            input_shape=shape,
            **options,
        )
        convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
        of_ours = count_parameters(network), count_multiply_adds(network, shape) if is_ours else 0
        found.append((*of_ours, convolutions))
    params, flops, convolutions = np.array(found, np.int64).T
    if is_ours:
        sizes = {"live_params": params, "live_flops": flops}
    if np.ptp(convolutions) > 0:
        sizes["live_convolutions"] = convolutions
    return sizes


def trivial_predictions(
    truth: Truth, sizes: dict[str, IntArray], images: Sequence[float]
) -> list[Prediction]:
    """What costs nothing, or is no supernet: sizes, and the first epochs of one training.

    The short training is an early value of a learning curve whose rate has not fallen yet, and is
    judged by the seeds that it is not the beginning of. It is cut after the first epoch, after
    some shares of all, and after as many epochs as each of these numbers of ``images`` would have
    paid for (equal compute; one at least, though a supernet may cost less than that).
    """
    n, last = len(truth.architectures), truth.valid.shape[2]
    per_epoch = float(n * truth.images_per_epoch)
    paid = {min(last, max(1, round(each / per_epoch))) for each in images}
    early = {max(1, round(share * last)) for share in EARLY_SHARES} - {last}
    predictions = [
        Prediction(name, "trivial", size[:, None].astype(np.float64))
        for name, size in sizes.items()
    ]
    for epoch in sorted({1, *early, *paid}):
        scores = truth.valid[:, :1, epoch - 1]
        if np.isfinite(scores).sum() < FEWEST_ARCHITECTURES:
            continue  # not measured after that epoch
        note = f"all {n} architectures for {epoch} of {last} epochs"
        if epoch in paid:
            note += ", the nearest to a supernet's compute"
        predictions.append(
            Prediction(
                f"short_training:epochs={epoch}",
                "trivial",
                scores,
                judged_by=tuple(range(1, truth.test.shape[1])),
                numbers={"images": (per_epoch * epoch, note)},
            )
        )
    return predictions


def landmark_prediction(landmarks: Landmarks, truth: Truth) -> Prediction:
    """What a ridge regression on decisions makes of the same landmarks, without any supernet."""
    encoder = FeatureEncoder.fit(landmarks.architectures)
    rows = encoder.encode(landmarks.architectures)
    model = LinearModel.fit(rows, landmarks.values.astype(np.float64))
    scores = model.predict(encoder.encode(truth.architectures))
    name = f"ridge:landmarks={len(landmarks)}"
    return Prediction(name, "trivial", scores[:, None], numbers=_told(landmarks, truth))


def _told(landmarks: Landmarks, truth: Truth) -> dict[str, tuple[float, str]]:
    """Which full trainings a method was told of, and the images that they have cost."""
    if not len(landmarks):
        return {}
    trainings = len(landmarks) * truth.test.shape[1]
    images = trainings * truth.valid.shape[2] * truth.images_per_epoch
    note = "forward and back, in all trainings of the landmarks"
    return {
        "landmarks": (len(landmarks), " ".join(one.id for one in landmarks.architectures)),
        "landmark_images": (float(images), note),
    }


def read_scores(path: str | Path, truth: Truth, whole: Truth | None = None) -> Prediction:
    """Scores of anybody's predictor, from a Parquet or CSV file.

    ``truth`` is what is judged, and ``whole`` what it was cut from: scores of the rest of it are
    passed over.

    Columns: ``architecture`` (the store's text), ``score`` (higher is better) and, where there are
    several, ``seed``. Architectures that the truth has and the file has not are left out.

    Raises
    ------
    InputError
        if the file is missing or of another kind, a column is missing, a score is no number, an
        architecture is unknown, or one has two scores of one seed.
    """
    path = Path(path)
    rows = _rows_of(path)
    if not rows:
        raise InputError(f"Scores {str(path)!r} have no rows; expected one for each architecture.")
    for name in ("architecture", "score"):
        if name not in rows[0]:
            raise InputError(
                f"Scores {str(path)!r} have columns {', '.join(rows[0])}; expected 'architecture', "
                "'score' and perhaps 'seed'."
            )
    numbers = {one.id: k for k, one in enumerate(truth.architectures)}
    seeds = sorted({str(row.get("seed", 0)) for row in rows})
    scores = np.full((len(numbers), len(seeds)), np.nan)
    cut = {one.id for one in (whole or truth).architectures} - numbers.keys()
    for row in rows:
        text = row["architecture"]
        if text in cut:
            continue
        if text not in numbers:
            raise unknown_name(f"architecture of {truth.space} on {truth.dataset.name}", text, [])
        try:
            value = float(row["score"])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Scores {str(path)!r} give {text!r} the score {row['score']!r}; expected a number."
            ) from error
        place = numbers[text], seeds.index(str(row.get("seed", 0)))
        if math.isfinite(scores[place]):
            raise InputError(f"Scores {str(path)!r} have {text!r} twice; expected it once a seed.")
        scores[place] = value
    scored = np.isfinite(scores).all(axis=1)
    n = len(truth.representatives(scored))
    if n < FEWEST_ARCHITECTURES:
        raise InputError(
            f"Scores {str(path)!r} are of {n} different functions; expected "
            f"{FEWEST_ARCHITECTURES} or more to rank."
        )
    return Prediction(path.name, "file", scores)


def _rows_of(path: Path) -> list[_Row]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        return cast(list[_Row], pq.ParquetFile(path).read().to_pylist())
    except FileNotFoundError as error:
        raise InputError(
            f"There is no file {str(path)!r}; expected a Parquet or CSV file of scores."
        ) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"Scores {str(path)!r} cannot be read ({text}).") from error


def one_shot_prediction(
    method: str, runs: Sequence[OneShotRun], truth: Truth, landmarks: Landmarks | None = None
) -> Prediction:
    """The accuracies that supernets of one method give, what these cost, and a verdict.

    ``landmarks`` are what it was told of, none of which is in the truth.

    A pick counts as an architecture of the truth that is the same function; as none (-1) where
    the truth has none.
    """
    one_each = truth.representatives(np.ones(len(truth.architectures), bool))
    numbers = {name: (float(np.mean([r.costs[name] for r in runs])), "") for name in runs[0].costs}
    numbers["steps"] = float(np.mean([run.steps for run in runs])), ""
    numbers |= _told(landmarks or Landmarks(), truth)
    accuracies = np.stack([run.scores.accuracy for run in runs], axis=1)
    accuracy, chance = float(accuracies[one_each].mean()), runs[0].chance
    alone = float(np.nanmean(truth.valid[one_each, :, -1]))
    trained = accuracy - chance >= TRAINED_SHARE * (alone - chance)
    verdict = f"{'trained' if trained else 'not trained'}: chance {chance:.3f}, alone {alone:.3f}"
    numbers["supernet_accuracy"] = accuracy, verdict
    numbers["supernet_spread"] = float(accuracies[one_each].std(axis=0).mean()), ""
    ends = accuracies[one_each].T
    # a run that a method stopped early has none
    pairs = [(r.checkpoints[-1], end) for r, end in zip(runs, ends, strict=True) if r.checkpoints]
    if pairs:
        found = [tau(then.accuracy, end) for (_, then), end in pairs]
        note = f"tau of scores after step {pairs[0][0][0]} with those after the last"
        numbers["stability"] = float(np.mean(found)), note
    places = {one.canonical_id: k for k, one in reversed([*enumerate(truth.architectures)])}
    places |= {one.id: k for k, one in enumerate(truth.architectures)}
    picks = [places.get(p.id, places.get(p.canonical_id, -1)) for p in (run.pick for run in runs)]
    return Prediction(method, "one-shot", accuracies, np.array(picks), numbers=numbers)
