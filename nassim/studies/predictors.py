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

from nassim.errors import InputError, unknown_name
from nassim.ranking.scores import tau
from nassim.ranking.seeds import counts
from nassim.records import IntArray
from nassim.spaces import get_space
from nassim.studies.judging import Prediction
from nassim.studies.truth import FEWEST_ARCHITECTURES, FEWEST_SEEDS, Truth

if TYPE_CHECKING:
    from nassim.oneshot.run import OneShotRun

__all__ = ["live_sizes", "one_shot_prediction", "read_scores", "trivial_predictions"]

# Less than this share of the way from chance to the stand-alone networks, and nothing was trained.
TRAINED_SHARE = 0.2

_Row = dict[str, Any]


def live_sizes(truth: Truth) -> tuple[IntArray, IntArray]:
    """Weights and multiply-adds of what is on a path from input to output, (N,) each.

    Of an imported table, what it says itself.
    """
    if "channels" not in truth.settings:
        return truth.n_params, truth.flops
    from nassim.networks import build_network, count_multiply_adds, count_parameters

    space, recipe = get_space(truth.space), truth.trained_by()
    *places, last = truth.dataset.shape
    shape = (*(min(size, recipe.resolution or size) for size in places), last)
    sizes = []
    for architecture in truth.architectures:
        network = build_network(
            space.architecture(space.pruned(architecture.decisions)),
            channels=recipe.channels,
            cells=recipe.cells,
            classes=truth.dataset.classes,
            input_shape=shape,
            skeleton=recipe.skeleton,
        )
        sizes.append((count_parameters(network), count_multiply_adds(network, shape)))
    params, flops = np.array(sizes, np.int64).T
    return params, flops


def trivial_predictions(
    truth: Truth, params: IntArray, flops: IntArray, images: Sequence[float]
) -> list[Prediction]:
    """What costs nothing, or is no supernet: sizes, and the first epochs of one training.

    The short training is judged by the seeds that it is not the beginning of. It is cut after the
    first epoch, and after as many as each of these numbers of ``images`` would have paid for. Where
    one training alone is left to judge it by, it is left out: nothing says how high its tau can be.
    """
    n, last = len(truth.architectures), truth.valid.shape[2]
    n_train = min(truth.dataset.n_train, truth.settings.get("n_train") or truth.dataset.n_train)
    per_epoch = float(n * n_train)
    epochs = {1, *(min(last, max(1, round(each / per_epoch))) for each in images)}
    predictions = [
        Prediction("live_params", "trivial", params[:, None].astype(np.float64)),
        Prediction("live_flops", "trivial", flops[:, None].astype(np.float64)),
    ]
    if counts(truth.test[:, 1:]).max(initial=0) < FEWEST_SEEDS:
        return predictions
    for epoch in sorted(epochs):
        scores = truth.valid[:, :1, epoch - 1]
        if np.isfinite(scores).sum() < FEWEST_ARCHITECTURES:
            continue  # not measured after that epoch
        note = f"all {n} architectures for {epoch} of {last} epochs"
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


def read_scores(path: str | Path, truth: Truth) -> Prediction:
    """Scores of anybody's predictor, from a Parquet or CSV file.

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
    for row in rows:
        text = row["architecture"]
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


def one_shot_prediction(method: str, runs: Sequence[OneShotRun], truth: Truth) -> Prediction:
    """The accuracies that supernets of one method give, what these cost, and a verdict.

    A pick counts as an architecture of the truth that is the same function; as none (-1) where
    the truth has none.
    """
    one_each = truth.representatives(np.ones(len(truth.architectures), bool))
    numbers = {name: (float(np.mean([r.costs[name] for r in runs])), "") for name in runs[0].costs}
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
