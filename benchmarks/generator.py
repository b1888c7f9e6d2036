"""How many runs a core trains in an hour: nassim's generator beside a plain PyTorch loop.

    OMP_NUM_THREADS=1 python benchmarks/generator.py [--architectures 3] [--datasets mnist,photos]

The plain loop is what one writes first: a ``Dataset`` with a transform, ``DataLoader``s, the
default memory format, ``optim.SGD``, an evaluation loop. It trains the same networks from the
same initial weights on the same images in the same order with the same shifts, so that learning
curves agree up to the order in which floating-point sums are taken. A third loop is the plain one
with channels last, to show what that alone gives. All run in this process on one thread, by
turns, and process CPU time counts, so that a busy machine distorts none.

Measured (AMD EPYC, busy, PyTorch 2.13; six networks on mnist, photos and digits, 25 epochs):
plain 255 runs a core-hour, plain with channels last 419, nassim 553, which is 2.20 +- 0.09 times
plain; final validation accuracy differs by 0.009 (r.m.s.), by far less than with another seed.
What gives it: channels last (pooling and depthwise convolutions), one gather for an epoch's
augmentation in place of a loader, large evaluation batches, no number read back in the loop.
Tried and left out: torch.jit.trace (12 to 18% less a step, but on its way out of PyTorch), one
flat vector of weights for the optimizer (4%), depthwise convolutions by hand (slower).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nassim.datasets import ImageData, load_dataset
from nassim.generator import Recipe
from nassim.generator.images import to_device
from nassim.generator.train import train
from nassim.networks import build_network
from nassim.records import Architecture
from nassim.spaces import get_space

# without flips and cutout, which the plain loop does not have
RECIPE = Recipe(
    "tiny",
    epochs=25,
    batch_size=80,
    learning_rate=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
    channels=8,
    cells=1,
    resolution=8,
    shift=1,
)


class ShiftedImages(Dataset):
    """Training images, one by one, each shifted by the amounts drawn for this epoch."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, shift: int) -> None:
        self.images, self.labels, self.shift = images, labels, shift
        self.shifts = np.zeros((len(images), 2), np.int64)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = F.pad(self.images[index], (self.shift,) * 4)
        top, left = self.shifts[index]
        _, height, width = self.images.shape[1:]
        return image[:, top : top + height, left : left + width], self.labels[index]


def plain_loop(
    architecture: Architecture,
    data: ImageData,
    recipe: Recipe,
    seed: int,
    layout: torch.memory_format,
) -> tuple[list[float], list[float]]:
    """Train loss and validation accuracy of each epoch."""
    images = to_device(data, recipe, torch.device("cpu"))
    margin = recipe.shift
    height, width, _ = images.shape
    x_train = images.padded[:, margin : margin + height, margin : margin + width]
    x_train = x_train.permute(0, 3, 1, 2).contiguous()
    x_valid = images.x_valid.permute(0, 3, 1, 2).contiguous()
    x_test = images.x_test.permute(0, 3, 1, 2).contiguous()
    train_set = ShiftedImages(x_train, images.y_train, recipe.shift)
    valid_loader = DataLoader(TensorDataset(x_valid, images.y_valid), recipe.batch_size)
    test_loader = DataLoader(TensorDataset(x_test, images.y_test), recipe.batch_size)
    network = build_network(
        architecture,
        channels=recipe.channels,
        cells=recipe.cells,
        classes=images.classes,
        input_shape=images.shape,
        generator=torch.Generator().manual_seed(seed),
    ).to(memory_format=layout)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    steps = len(x_train) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps)
    rng = np.random.default_rng(seed)
    losses, accuracies = [], []
    for _epoch in range(recipe.epochs):
        network.train()
        order = rng.permutation(len(x_train))[: steps * recipe.batch_size]
        train_set.shifts[order, 0] = rng.integers(0, 2 * recipe.shift + 1, len(order))
        train_set.shifts[order, 1] = rng.integers(0, 2 * recipe.shift + 1, len(order))
        loader = DataLoader(train_set, recipe.batch_size, sampler=order.tolist(), drop_last=True)
        total, correct = 0.0, 0
        for x, y in loader:
            optimizer.zero_grad()
            scores = network(x.contiguous(memory_format=layout))
            loss = F.cross_entropy(scores, y)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            correct += (scores.argmax(1) == y).sum().item()
        losses.append(total / steps)
        accuracies.append(evaluate(network, valid_loader, layout))
    evaluate(network, test_loader, layout)
    return losses, accuracies


def evaluate(network: torch.nn.Module, loader: DataLoader, layout: torch.memory_format) -> float:
    network.eval()
    correct, count = 0, 0
    with torch.no_grad():
        for x, y in loader:
            scores = network(x.contiguous(memory_format=layout))
            correct += (scores.argmax(1) == y).sum().item()
            count += len(y)
    return correct / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", default="mnist,photos")
    parser.add_argument("--architectures", type=int, default=3, help="of each dataset")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = dataclasses.replace(RECIPE, epochs=options.epochs)
    space, rng = get_space("nasnet"), np.random.default_rng(0)
    names = ("plain", "plain, channels last", "nassim")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    gaps, seed_gaps = [], []
    train(space.sample(rng), load_dataset("digits"), Recipe("warm", epochs=1), 0)
    print(f"{recipe.epochs} epochs; process seconds a run", flush=True)
    for dataset in options.datasets.split(","):
        data = load_dataset(dataset)
        for number in range(options.architectures):
            architecture = space.sample(rng)
            final: dict[str, float] = {}
            for turn in range(3):
                name = names[(turn + number) % 3]
                torch.set_flush_denormal(name == "nassim")
                start = time.process_time()
                if name == "nassim":
                    run = train(architecture, data, recipe, seed=0)
                    assert run.status == "ok", run.reason
                    final[name] = float(run.scores["valid"][-1])
                else:
                    layout = torch.channels_last if "last" in name else torch.contiguous_format
                    final[name] = plain_loop(architecture, data, recipe, 0, layout)[1][-1]
                seconds[name].append(time.process_time() - start)
            other = train(architecture, data, recipe, seed=1)
            gaps.append(final["nassim"] - final["plain"])
            seed_gaps.append(float(other.scores["valid"][-1]) - final["nassim"])
            print(
                f"  {dataset}: "
                + ", ".join(f"{name} {seconds[name][-1]:.2f}" for name in names)
                + f"; final validation accuracy {final['nassim']:.4f}, "
                f"plain {gaps[-1]:+.4f}, another seed {seed_gaps[-1]:+.4f}",
                flush=True,
            )
    ours = np.array(seconds["nassim"])
    for name in names:
        ratios = np.array(seconds[name]) / ours
        error = ratios.std(ddof=1) / math.sqrt(len(ratios)) if len(ratios) > 1 else math.nan
        print(
            f"{name}: {3600 * len(ours) / sum(seconds[name]):.0f} runs a core-hour; "
            f"{ratios.mean():.2f} +- {error:.2f} times nassim's seconds"
        )
    print(
        f"final validation accuracy, nassim less plain: mean {np.mean(gaps):+.4f}, "
        f"r.m.s. {np.sqrt(np.mean(np.square(gaps))):.4f}; between two seeds: "
        f"r.m.s. {np.sqrt(np.mean(np.square(seed_gaps))):.4f}"
    )


if __name__ == "__main__":
    main()
