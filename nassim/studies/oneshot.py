"""Do the scores of a one-shot method rank architectures as full training does?

The ground truth is a store's test accuracies of all (or many) architectures of a space, with
several seeds. Predictors that cost nothing are judged first: what a method adds is its distance
from those, and what is left to gain its distance from the ceiling that seed noise leaves.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import nassim
from nassim.errors import InputError, unknown_name
from nassim.loading import Specification, build, parse_specifications
from nassim.oneshot import ONE_SHOT
from nassim.ranking.scores import tau
from nassim.ranking.seeds import means
from nassim.records import FloatArray, IntArray
from nassim.spaces import get_space
from nassim.studies.fitting import each_task, mixed_seed
from nassim.studies.judging import Prediction, judge, random_rows
from nassim.studies.results import companion, to_table, write_table
from nassim.studies.truth import Truth

if TYPE_CHECKING:
    from nassim.oneshot.base import OneShot

__all__ = [
    "RANK_SCHEMA",
    "SCORES_SCHEMA",
    "TRACES_SCHEMA",
    "RankPlan",
    "RankStudy",
    "read_scores",
    "run_rank",
]

CHECKPOINTS = (0.75, 0.9)  # of a training, where scores are compared with those at its end
# Less than this share of the way from chance to the stand-alone networks, and nothing was trained.
TRAINED_SHARE = 0.2

_STAMP = [
    ("study", pa.string()),  # rank
    ("store", pa.string()),
    ("store_sha", pa.string()),
    ("metric_of_store", pa.string()),
    ("space", pa.string()),
    ("dataset", pa.string()),
    ("recipe", pa.string()),
    ("seed", pa.int64()),
    ("bn_mode", pa.string()),
    ("nassim_version", pa.string()),
]

RANK_SCHEMA = pa.schema(
    [
        *_STAMP,
        ("method", pa.string()),
        ("kind", pa.string()),  # trivial | one-shot | file
        ("metric", pa.string()),
        ("scope", pa.string()),  # classes | architectures | run | run N
        ("value", pa.float64()),  # mean over runs
        ("low", pa.float64()),  # 95%, over architectures, trainings and runs
        ("high", pa.float64()),
        ("ceiling", pa.float64()),  # of a perfect predictor, simulated
        ("measured_ceiling", pa.float64()),  # of one training that predicts the others
        ("n", pa.int32()),  # architectures
        ("seeds", pa.int32()),  # trainings of each
        ("runs", pa.int32()),  # supernets, or scores from a file
        ("note", pa.string()),
    ]
)

SCORES_SCHEMA = pa.schema(
    [
        *_STAMP,
        ("method", pa.string()),
        ("run", pa.int32()),
        ("step", pa.int32()),  # of the training; the last one's scores are judged
        ("last", pa.bool_()),
        ("architecture", pa.string()),
        ("canonical", pa.string()),
        ("accuracy", pa.float64()),  # of a file: its score
        ("loss", pa.float64()),
        ("truth", pa.float64()),  # mean test accuracy over seeds
        ("truth_deviation", pa.float64()),  # standard deviation over seeds
        ("n_params", pa.int64()),  # that are on a path from input to output
    ]
)

TRACES_SCHEMA = pa.schema(
    [
        ("method", pa.string()),
        ("run", pa.int32()),
        ("step", pa.int32()),
        ("name", pa.string()),
        ("value", pa.float64()),
    ]
)

_Row = dict[str, Any]


@dataclass(frozen=True)
class RankPlan:
    """What to judge, apart from the ground truth.

    Parameters
    ----------
    methods
        Specifications of one-shot methods, separated by commas; may be empty where ``scores`` is
        given.
    seeds
        Trainings of each method.
    bn_mode
        Statistics of the batch norms while architectures are scored; see
        ``nassim.oneshot.batchnorm``.
    scores
        A Parquet or CSV file with columns ``architecture``, ``score`` (higher is better) and
        perhaps ``seed``, to be judged too.
    draws
        Of the bootstrap.
    """

    methods: str = "spos"
    seeds: int = 3
    bn_mode: str = "recal"
    scores: str | None = None
    draws: int = 1000
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.draws < 1:
            name, value = ("seeds", self.seeds) if self.seeds < 1 else ("draws", self.draws)
            raise InputError(f"{name} is {value}; expected 1 or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more.")
        if not self.methods.strip() and self.scores is None:
            raise InputError("There is nothing to judge; expected methods, or a file of scores.")


@dataclass(frozen=True, eq=False)
class RankStudy:
    """A finished study: report, scores and traces."""

    report: pa.Table
    scores: pa.Table
    traces: pa.Table

    def write(self, path: str | Path) -> list[Path]:
        """Write the three files beside each other and return their paths."""
        return [
            write_table(self.scores, companion(path, "scores")),
            write_table(self.traces, companion(path, "traces")),
            write_table(self.report, path),
        ]


@dataclass(frozen=True)
class _Task:
    """One training of one method: what one process does at a time."""

    truth: Truth
    plan: RankPlan
    specification: Specification
    run: int


@dataclass(frozen=True, eq=False)
class _Trained:
    """What came of it. ``checkpoints`` maps a step to the scores of one of each class then."""

    accuracy: FloatArray
    loss: FloatArray
    step: int
    pick: int
    checkpoints: dict[int, tuple[FloatArray, FloatArray]]
    trace: list[tuple[int, str, float]]
    costs: dict[str, float]
    majority: float


def run_rank(
    plan: RankPlan,
    truth: Truth,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> RankStudy:
    """Judge trivial predictors, a file of scores, and one-shot methods.

    The report and the scores do not depend on ``workers``; what is measured in seconds does.

    Raises
    ------
    InputError
        if a method is unknown, its supernet has no such space, or the file is not what is
        expected.
    DataUnavailableError
        if the dataset's images can not be reached.
    """
    methods = plan.methods.strip()
    specifications = parse_specifications(methods, ONE_SHOT, "one-shot method") if methods else []
    for specification in specifications:  # before the work: what is wrong shows now
        build_one_shot(specification)
    params, flops = _live_sizes(truth)
    from_file = [] if plan.scores is None else [read_scores(plan.scores, truth)]
    tasks = [_Task(truth, plan, spec, run) for spec in specifications for run in range(plan.seeds)]
    trained: dict[tuple[str, int], _Trained] = {}
    for done, (task, answer) in enumerate(each_task(_named, tasks, workers), start=1):
        trained[task.specification.text, task.run] = answer
        if progress is not None:
            progress(done, len(tasks), f"{task.specification.text} run {task.run}")
    one_shot = [
        _prediction(spec.text, [trained[spec.text, run] for run in range(plan.seeds)], truth)
        for spec in specifications
    ]
    predictions = [
        *_trivial(truth, params, flops, [one.numbers["images"][0] for one in one_shot]),
        *from_file,
        *one_shot,
    ]
    stamp = {
        "study": "rank",
        "store": truth.store,
        "store_sha": truth.store_sha,
        "metric_of_store": truth.metric,
        "space": truth.space,
        "dataset": truth.dataset.name,
        "recipe": truth.recipe,
        "seed": plan.seed,
        "bn_mode": plan.bn_mode,
        "nassim_version": nassim.__version__,
    }
    report = random_rows(truth)
    for prediction in predictions:
        report += judge(prediction, truth, params, draws=plan.draws, seed=plan.seed)
    scores = [
        row for one in from_file for row in _score_rows(one.method, one.scores, truth, params)
    ]
    for (method, run), answer in trained.items():
        scores += _trained_rows(method, run, answer, truth, params)
    traces = [
        {"method": method, "run": run, "step": step, "name": name, "value": value}
        for (method, run), answer in trained.items()
        for step, name, value in answer.trace
    ]
    order = {text: k for k, text in enumerate([one.method for one in predictions])}

    def place(row: _Row) -> tuple[int, int]:
        return order[row["method"]], row["run"]

    return RankStudy(
        to_table([row | stamp for row in report], RANK_SCHEMA),
        to_table([row | stamp for row in sorted(scores, key=place)], SCORES_SCHEMA),
        to_table(sorted(traces, key=place), TRACES_SCHEMA),
    )


def build_one_shot(specification: Specification) -> OneShot:
    """The one-shot method of a specification.

    Raises
    ------
    InputError
        if an option is unknown or refused, or the class is no one-shot method.
    """
    from nassim.oneshot.base import OneShot

    method = build(specification, "one-shot method")
    if not isinstance(method, OneShot):
        raise InputError(
            f"{specification.path!r} is a {type(method).__name__}; expected a subclass of "
            "nassim.oneshot.base.OneShot."
        )
    return method


# --- trivial predictors -----------------------------------------------------------------------


def _live_sizes(truth: Truth) -> tuple[IntArray, IntArray]:
    """Weights and multiply-adds of what is on a path from input to output, (N,) each."""
    from nassim.networks import build_network, count_multiply_adds, count_parameters

    space, recipe = get_space(truth.space), _recipe(truth)
    height, width, channels = truth.dataset.shape
    limit = recipe.resolution or max(height, width)
    shape = (min(height, limit), min(width, limit), channels)
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


def _trivial(
    truth: Truth, params: IntArray, flops: IntArray, images: list[float]
) -> list[Prediction]:
    """What costs nothing, or is no supernet: sizes, and the first epochs of one training.

    The short training is judged by the seeds that it is not the beginning of. It is cut after the
    first epoch, and after as many as the dearest method's images would have paid for.
    """
    per_epoch = float(len(truth.architectures) * _n_train(truth))
    last = truth.valid.shape[2]
    epochs = {1, *(min(last, max(1, round(each / per_epoch))) for each in images)}
    predictions = [
        Prediction("live_params", "trivial", params[:, None].astype(np.float64)),
        Prediction("live_flops", "trivial", flops[:, None].astype(np.float64)),
    ]
    for epoch in sorted(epochs):
        note = f"all {len(truth.architectures)} architectures for {epoch} of {last} epochs"
        predictions.append(
            Prediction(
                f"short_training:epochs={epoch}",
                "trivial",
                truth.valid[:, :1, epoch - 1],
                judged_by=tuple(range(1, truth.test.shape[1])),
                numbers={"images": (per_epoch * epoch, note)},
            )
        )
    return predictions


def _n_train(truth: Truth) -> int:
    return min(truth.dataset.n_train, _recipe(truth).n_train or truth.dataset.n_train)


def _recipe(truth: Truth) -> Any:
    from nassim.generator.recipe import Recipe

    return Recipe(truth.recipe.rpartition("-")[0], **truth.settings)


# --- a file -----------------------------------------------------------------------------------


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
    if n < 5:
        raise InputError(
            f"Scores {str(path)!r} are of {n} different functions; expected 5 or more to rank."
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


# --- one-shot methods -------------------------------------------------------------------------


def _named(task: _Task) -> tuple[_Task, _Trained]:
    return task, _train(task)


def _train(task: _Task) -> _Trained:
    """Train a supernet and score all architectures of the truth."""
    import torch

    from nassim.datasets import FeatureData, load_dataset
    from nassim.generator.executors import choose_device
    from nassim.oneshot.base import Journal, Trained
    from nassim.oneshot.data import search_data
    from nassim.oneshot.supernet import Supernet

    truth, plan = task.truth, task.plan
    data = load_dataset(truth.dataset.name)
    if isinstance(data, FeatureData) or data.record.sha256 != truth.dataset.sha256:
        raise InputError(
            f"Dataset {truth.dataset.name!r} is not the images that store {truth.store!r} was "
            "trained on; take the version of nassim that is recorded in its runs."
        )
    seed = mixed_seed(plan.seed, task.run, truth.dataset.name)  # the same for every method
    recipe, device = _recipe(truth), choose_device(plan.device)
    method = build_one_shot(task.specification)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same numbers whatever the machine, and processes do not compete
    try:
        search = search_data(
            data,
            recipe,
            architecture_share=method.architecture_share,
            seed=seed,
            device=device,
        )
        supernet = Supernet(
            get_space(truth.space),
            channels=recipe.channels,
            cells=recipe.cells,
            classes=search.classes,
            inputs=truth.dataset.shape[-1],
            affine=method.affine,
            generator=torch.Generator().manual_seed(seed),
        ).to(device)
        counted = {"images": 0, "scoring_images": 0}

        def count(_module: Any, inputs: tuple[torch.Tensor]) -> None:
            counted["images" if torch.is_grad_enabled() else "scoring_images"] += len(inputs[0])

        supernet.stem.register_forward_pre_hook(count)
        one_each = truth.representatives(np.ones(len(truth.architectures), bool))
        some = [truth.architectures[row] for row in one_each]
        checkpoints: dict[int, tuple[FloatArray, FloatArray]] = {}
        scoring_seconds = 0.0

        def at_checkpoint(step: int, trained: Trained) -> None:
            nonlocal scoring_seconds
            began = time.perf_counter()
            found = trained.score(some, search, plan.bn_mode)  # type: ignore[arg-type]
            checkpoints[step] = found.accuracy, found.loss
            scoring_seconds += time.perf_counter() - began

        journal = Journal(CHECKPOINTS, at_checkpoint)
        began = time.perf_counter()
        trained = method.train(supernet, search, np.random.default_rng(seed), journal)
        ended = time.perf_counter()
        train_seconds = ended - began - scoring_seconds
        scores = trained.score(truth.architectures, search, plan.bn_mode)  # type: ignore[arg-type]
        pick = trained.pick(truth.architectures, scores)
        costs = {name: float(value) for name, value in counted.items()}
        costs |= {
            "train_seconds": train_seconds,
            "score_seconds": time.perf_counter() - ended,
        }
    finally:
        torch.set_num_threads(threads)
    ids = [architecture.id for architecture in truth.architectures]
    return _Trained(
        scores.accuracy,
        scores.loss,
        journal.step,
        ids.index(pick.id),
        checkpoints,
        [(point.step, point.name, point.value) for point in journal.points],
        costs,
        search.majority,
    )


def _prediction(method: str, runs: list[_Trained], truth: Truth) -> Prediction:
    """Scores are accuracies; among equal ones a smaller loss is better."""
    numbers = {name: (float(np.mean([r.costs[name] for r in runs])), "") for name in runs[0].costs}
    one_each = truth.representatives(np.ones(len(truth.architectures), bool))
    accuracy = float(np.mean([run.accuracy[one_each].mean() for run in runs]))
    alone = float(np.nanmean(truth.valid[one_each, :, -1]))
    chance = runs[0].majority
    trained = accuracy - chance >= TRAINED_SHARE * (alone - chance)
    verdict = f"{'trained' if trained else 'not trained'}: chance {chance:.3f}, alone {alone:.3f}"
    numbers["supernet_accuracy"] = accuracy, verdict
    spread = float(np.mean([run.accuracy[one_each].std() for run in runs]))
    numbers["supernet_spread"] = spread, ""
    for share, step in zip(CHECKPOINTS, sorted(runs[0].checkpoints), strict=False):
        agreement = [tau(run.checkpoints[step][0], run.accuracy[one_each]) for run in runs]
        note = f"of scores after {share:.0%} of the steps with the last ones"
        numbers[f"stability_{100 * share:g}"] = float(np.mean(agreement)), note
    by_loss = [tau(-run.loss[one_each], means(truth.test)[one_each]) for run in runs]
    numbers["tau_of_loss"] = float(np.mean(by_loss)), "scored by loss instead of accuracy"
    return Prediction(
        method,
        "one-shot",
        np.stack([run.accuracy for run in runs], axis=1),
        np.array([run.pick for run in runs]),
        numbers=numbers,
    )


# --- rows of scores ---------------------------------------------------------------------------


def _trained_rows(
    method: str, run: int, answer: _Trained, truth: Truth, params: IntArray
) -> list[_Row]:
    everything = np.arange(len(truth.architectures))
    one_each = truth.representatives(np.ones(len(everything), bool))
    parts = [(step, one_each, *pair) for step, pair in sorted(answer.checkpoints.items())]
    parts.append((answer.step, everything, answer.accuracy, answer.loss))
    return [
        _score_row(method, run, int(row), truth, params)
        | {
            "step": step,
            "last": rows is everything,
            "accuracy": float(one),
            "loss": float(other),
        }
        for step, rows, accuracy, loss in parts
        for row, one, other in zip(rows, accuracy, loss, strict=True)
    ]


def _score_rows(method: str, scores: FloatArray, truth: Truth, params: IntArray) -> list[_Row]:
    return [
        _score_row(method, run, int(row), truth, params)
        | {"step": 0, "last": True, "accuracy": float(scores[row, run]), "loss": math.nan}
        for run in range(scores.shape[1])
        for row in np.flatnonzero(np.isfinite(scores[:, run]))
    ]


def _score_row(method: str, run: int, row: int, truth: Truth, params: IntArray) -> _Row:
    values = truth.test[row][np.isfinite(truth.test[row])]
    architecture = truth.architectures[row]
    return {
        "method": method,
        "run": run,
        "architecture": architecture.id,
        "canonical": architecture.canonical_id,
        "truth": float(values.mean()),
        "truth_deviation": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        "n_params": int(params[row]),
    }
