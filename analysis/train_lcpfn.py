"""Train the network of ``lcpfn`` on curves of its prior, and say what it has learned.

    python analysis/train_lcpfn.py --steps 8000

draws 50 curves a step, prints the loss and writes nassim/terminators/lcpfn.npz. Without
``--steps`` it looks at what was written: its header, and how well it predicts fresh curves.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nassim.terminators.lcpfn import (
    BUCKETS,
    HEADS,
    HIDDEN,
    LAYERS,
    LENGTH,
    WEIGHTS,
    WIDTH,
    Network,
    observed,
    place,
    sample_curves,
    weight_shapes,
)

ASKED = 16  # epochs of a curve that are asked for in a step
BLOCK = 100  # steps whose curves are drawn together
LEARNING_RATE = 1e-3
WARM_UP = 0.1  # share of the steps
CLIP_NORM = 1.0


def train(
    steps: int, batch: int, seed: int, every: int = 100
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Weights after some steps of Adam on ``batch`` curves each, and the mean loss (negative log
    density of a value that is asked for) of every ``every`` steps."""
    rng = np.random.default_rng(seed)
    weights = {name: torch.from_numpy(array) for name, array in initial(rng).items()}
    for weight in weights.values():
        weight.requires_grad_()
    optimizer = torch.optim.Adam(weights.values(), betas=(0.9, 0.98))
    losses: list[float] = []
    recent = 0.0
    for step in range(steps):
        if step % BLOCK == 0:
            curves, noise = sample_curves(min(BLOCK, steps - step) * batch, rng)
            values = torch.from_numpy(observed(curves, noise, rng)).float()
        # A run is judged early, so short beginnings are drawn as often as long ones.
        cut = round(math.exp(rng.uniform(0.0, math.log(LENGTH - 1))))
        left = np.sort(rng.permutation(np.arange(cut, LENGTH))[:ASKED])
        at = step % BLOCK * batch
        some = values[at : at + batch]
        loss = _loss(
            _logits(weights, np.arange(1.0, cut + 1), some[:, :cut], left + 1.0), some[:, left]
        )
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _schedule((step + 1) / steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), CLIP_NORM)
        optimizer.step()
        recent += loss.item() / every
        if (step + 1) % every == 0:
            losses.append(recent)
            print(f"step {step + 1} of {steps}: loss {recent:.3f}", flush=True)
            recent = 0.0
    return {name: weight.detach().numpy() for name, weight in weights.items()}, losses


def initial(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights before the training."""
    weights = {}
    for name, shape in weight_shapes().items():
        if name.endswith("norm"):
            drawn = np.stack([np.ones(shape[1]), np.zeros(shape[1])])
        elif name.endswith("bias"):
            drawn = np.zeros(shape)
        else:
            drawn = rng.uniform(-1.0, 1.0, shape) / math.sqrt(shape[0])
        weights[name] = drawn.astype(np.float32)
    return weights


def _schedule(done: float) -> float:
    """The learning rate rises to 1 and falls to 0 as a cosine."""
    return (
        min(done / WARM_UP, 1.0)
        * (1 + math.cos(math.pi * max(done - WARM_UP, 0) / (1 - WARM_UP)))
        / 2
    )


def _logits(w: Mapping[str, Tensor], x: np.ndarray, y: Tensor, asked: np.ndarray) -> Tensor:
    """``Network.__call__`` in PyTorch, which has derivatives; a test compares them."""
    n, known = y.shape
    places = torch.from_numpy(place(x)).to(y.dtype).expand(n, -1, -1)
    points = torch.cat([places, y[:, :, None]], 2) @ w["known"] + w["known_bias"]
    questions = torch.from_numpy(place(asked)).to(y.dtype) @ w["asked"] + w["asked_bias"]
    z = torch.cat([points, questions.expand(n, -1, -1)], 1)
    for k in range(LAYERS):
        normal = _normal(z, w[f"{k}.attention_norm"])
        query = _heads(normal @ w[f"{k}.query"])
        key, value = (_heads(normal[:, :known] @ w[f"{k}.{name}"]) for name in ("key", "value"))
        seen = functional.scaled_dot_product_attention(query, key, value)
        z = z + seen.transpose(1, 2).flatten(2) @ w[f"{k}.merge"]
        up = _normal(z, w[f"{k}.feed_norm"]) @ w[f"{k}.up"] + w[f"{k}.up_bias"]
        z = z + functional.relu(up) @ w[f"{k}.down"] + w[f"{k}.down_bias"]
    return _normal(z[:, known:], w["norm"]) @ w["out"] + w["out_bias"]


def _normal(z: Tensor, scale_and_shift: Tensor) -> Tensor:
    return functional.layer_norm(z, (WIDTH,), scale_and_shift[0], scale_and_shift[1])


def _heads(z: Tensor) -> Tensor:
    return z.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)


def _loss(logits: Tensor, y: Tensor) -> Tensor:
    bucket = (y * BUCKETS).long().clamp(max=BUCKETS - 1)
    return functional.cross_entropy(logits.flatten(0, 1), bucket.flatten()) - math.log(BUCKETS)


def describe(network: Network, seed: int, count: int = 2000) -> str:
    """How well a network predicts curves that it was not trained on, after some epochs."""
    lines = ["known   loss  of last value  80% interval holds  error of the end  of last value"]
    for known in (1, 2, 5, 10, 20, 50, 90):
        rng = np.random.default_rng([seed, known])
        values = observed(*sample_curves(count, rng), rng)
        predicted = network(np.arange(1.0, known + 1), values[:, :known], np.array([LENGTH]))
        end, last = values[:, -1:], values[:, known - 1 : known]
        held = (predicted.quantile(0.1) <= end) & (end <= predicted.quantile(0.9))
        error = np.abs(predicted.mean() - end).mean()
        deviation = np.sqrt(((end - last) ** 2).mean())
        gaussian = 0.5 + math.log(deviation * math.sqrt(2 * math.pi))
        lines.append(
            f"{known:5d}  {-predicted.log_density(end).mean():5.2f}  {gaussian:13.2f}  "
            f"{held.mean():18.1%}  {error:16.4f}  {np.abs(end - last).mean():13.4f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, help="train so many steps")
    parser.add_argument("--batch", type=int, default=50, help="curves of a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    if options.steps is not None:
        torch.set_num_threads(1)  # sums do not depend on how many there are
        weights, losses = train(options.steps, options.batch, options.seed)
        header = {
            "length": LENGTH,
            "width": WIDTH,
            "layers": LAYERS,
            "heads": HEADS,
            "hidden": HIDDEN,
            "buckets": BUCKETS,
            "steps": options.steps,
            "batch": options.batch,
            "curves": options.steps * options.batch,
            "seed": options.seed,
            "learning_rate": LEARNING_RATE,
            "loss": round(losses[-1], 4) if losses else None,
            "torch": torch.__version__,
        }
        Network(weights, header).save(options.out)
        print(f"wrote {options.out}")
    network = Network.load(options.out)
    print(json.dumps(dict(network.header)))
    print(describe(network, options.seed + 1))


if __name__ == "__main__":
    main()
