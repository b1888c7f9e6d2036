"""One run: an architecture trained on a dataset with a seed under a recipe, and its curves.

Data stay on the device, an epoch is augmented at once and a batch is a slice, so that the time
goes into convolutions. A run that fails is a record (``diverged``, ``oom``, ``timeout``,
``error``), not an exception.

Seconds: on a CPU a run has one thread and its *process time* counts, which a busy machine does
not stretch; on a GPU it is wall time after synchronising.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nassim
from nassim.datasets import Data, ImageData
from nassim.generator import features, images
from nassim.generator.recipe import Recipe
from nassim.networks import build_network, count_multiply_adds, count_parameters
from nassim.records import Architecture, Run, Status

__all__ = ["train"]

EVALUATION_BATCH = 250  # larger ones leave the cache: 500 takes a quarter longer on a CPU

_Examples = images.DeviceImages | features.DeviceFeatures


class _Stopped(Exception):
    """The run ends early, with this status."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status


class _Epoch(NamedTuple):
    train_loss: float
    train_accuracy: float
    valid_accuracy: float = math.nan
    test_accuracy: float = math.nan
    seconds: float = math.nan
    evaluation_seconds: float = math.nan


def train(
    architecture: Architecture,
    data: Data,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
) -> Run:
    """Train one network and return its run, whatever happens.

    Curves: ``train_loss`` and train accuracy are averages over the epoch's batches while the
    weights move; validation accuracy is measured after the epoch; test accuracy after the last.
    ``evaluation_seconds`` are those of the validation inputs. The same seed gives the same
    curves on the same machine and versions; it decides the initial weights, and the order and
    augmentation of the inputs, which is the same for every architecture. An embedding is fitted
    before the first epoch; its seconds are not counted.
    """
    epochs: list[_Epoch] = []
    status: Status = "ok"
    reason = ""
    sizes = (0, 0)
    place = torch.device(device)
    try:
        torch.set_flush_denormal(True)  # dying weights must not slow a run a hundredfold
        examples = _to_device(data, recipe, place)
        network = build_network(
            architecture,
            channels=recipe.channels,
            cells=recipe.cells,
            skeleton=recipe.skeleton,
            classes=examples.classes,
            input_shape=examples.shape,
            generator=torch.Generator().manual_seed(seed),
        ).to(place)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if isinstance(examples, features.DeviceFeatures) and hasattr(network, "fit_embedding"):
            network.fit_embedding(examples.x_train)
        sizes = (count_parameters(network), count_multiply_adds(network, examples.shape))
        _train(network, examples, recipe, np.random.default_rng(seed), epochs)
    except _Stopped as stopped:
        status, reason = stopped.status, str(stopped)
    except (MemoryError, torch.OutOfMemoryError) as error:
        status, reason = "oom", _one_line(error)
    except Exception as error:  # one bad run must not end a generation; the store says why
        text = _one_line(error)
        status = "oom" if "can't allocate memory" in text else "error"
        reason = f"{type(error).__name__}: {text}"
    finally:
        torch.set_flush_denormal(False)  # the caller's process counts on subnormal numbers
    curves = np.array(epochs, np.float32).reshape(len(epochs), len(_Epoch._fields)).T
    train_loss, train_accuracy, valid, test, seconds, evaluation_seconds = curves
    return Run(
        space=architecture.space,
        architecture=architecture.id,
        canonical_id=architecture.canonical_id,
        dataset=data.record.name,
        recipe=recipe.id,
        seed=seed,
        status=status,
        reason=reason,
        epochs=len(epochs),
        scores={"train": train_accuracy, "valid": valid, "test": test},
        train_loss=train_loss,
        epoch_seconds=seconds,
        evaluation_seconds=evaluation_seconds,
        n_params=sizes[0],
        flops=sizes[1],
        device=_clock_text(place),
        hardware=_hardware(device),
        versions=f"nassim {nassim.__version__}, torch {torch.__version__}, numpy {np.__version__}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _to_device(data: Data, recipe: Recipe, device: torch.device) -> _Examples:
    if isinstance(data, ImageData):
        return images.to_device(data, recipe, device)
    return features.to_device(data, recipe, device)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [weights for weights in network.parameters() if weights.requires_grad]
    decay = recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(
        weights,
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=decay,
        nesterov=recipe.nesterov,
        fused=True,
    )


def _train(
    network: nn.Module,
    data: _Examples,
    recipe: Recipe,
    rng: np.random.Generator,
    epochs: list[_Epoch],
) -> None:
    """Train ``network`` and append each finished epoch to ``epochs``."""
    device = data.y_train.device
    clock = _clock(device)
    optimizer = _optimizer(network, recipe)
    group = optimizer.param_groups[0]
    factor = getattr(network, "learning_rate_factor", 1.0)
    steps = len(data.y_train) // recipe.batch_size
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    limit = recipe.limit_seconds or math.inf
    start = clock()
    for epoch in range(1, recipe.epochs + 1):
        began = clock()
        network.train()
        x, y = data.epoch(recipe, rng)
        loss_sum = torch.zeros((), device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        for step in range(steps):
            rate = _learning_rate(recipe, (epoch - 1) * steps + step, recipe.epochs * steps)
            group["lr"] = factor * rate
            batch = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            with autocast:
                scores = network(x[batch]).float()
                loss = F.cross_entropy(scores, y[batch], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach()
            correct += (scores.detach().argmax(dim=1) == y[batch]).sum()
            if device.type == "cpu" and clock() - start > limit:
                break
        mean_loss = float(loss_sum) / steps
        trained = clock()
        if trained - start > limit:
            raise _Stopped(
                "timeout", f"{trained - start:.1f} s at epoch {epoch}; limit_seconds is {limit:g}"
            )
        if not math.isfinite(mean_loss):
            raise _Stopped("diverged", f"train loss is {mean_loss} at epoch {epoch}")
        last = epoch == recipe.epochs
        result = _Epoch(mean_loss, int(correct) / len(y), seconds=trained - began)
        if last or epoch % recipe.valid_every == 0:
            accuracy = _accuracy(network, *data.valid, autocast)
            result = result._replace(valid_accuracy=accuracy, evaluation_seconds=clock() - trained)
        if last or (recipe.test_every and epoch % recipe.test_every == 0):
            accuracy = _accuracy(network, *data.test, autocast)
            result = result._replace(test_accuracy=accuracy)
        epochs.append(result)


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    if recipe.schedule == "step":
        return recipe.learning_rate * 0.1 ** ((2 * step >= steps) + (4 * step >= 3 * steps))
    return recipe.learning_rate


def _accuracy(network: nn.Module, x: Tensor, y: Tensor, autocast: torch.autocast) -> float:
    """The share of inputs that are classified rightly."""
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=x.device)
    with torch.inference_mode(), autocast:
        for start in range(0, len(y), EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            correct += (network(x[batch]).argmax(dim=1) == y[batch]).sum()
    return int(correct) / len(y)


def _clock(device: torch.device) -> Callable[[], float]:
    if device.type == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def _clock_text(device: torch.device) -> str:
    """Where a run's seconds pass, and which they are."""
    if device.type != "cpu":
        return f"{device}, wall time"
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}, process time"


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@lru_cache
def _hardware(device: str) -> str:
    """What the seconds were measured on."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(torch.device(device)))
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
