from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks import build_network, count_multiply_adds, count_parameters
from nassim.networks.dropout import Dropout
from nassim.spaces import get_space

SPACE = get_space("feedforward")


def build(text: str, features: int = 20, seed: int = 0) -> nn.Module:
    return build_network(
        SPACE.parse(text),
        channels=8,
        cells=1,
        classes=3,
        input_shape=(features,),
        generator=torch.Generator().manual_seed(seed),
    )


def examples(n: int = 50, features: int = 20) -> Tensor:
    """Features of which some directions vary much more than others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features)) * 0.7 ** np.arange(features)
    mixed = x @ np.linalg.qr(rng.normal(size=(features, features)))[0]
    return torch.from_numpy(mixed.astype(np.float32))


@pytest.mark.parametrize("embedding", ["none:8:trained", "svd:8:frozen", "random:32:trained"])
@pytest.mark.parametrize("hidden", ["0x8:relu:plain:drop0", "3x32:swish:norm:drop0.5"])
def test_shapes_and_gradients(embedding: str, hidden: str) -> None:
    network = build(f"{embedding}|{hidden}|lr1")
    scores = network(examples())
    assert scores.shape == (50, 3)
    scores.square().sum().backward()
    for parameter in network.parameters():
        assert (parameter.grad is not None) == parameter.requires_grad


@pytest.mark.parametrize(
    ("text", "parameters", "adds"),
    [
        ("none:8:trained|0x8:relu:plain:drop0|lr1", 20 * 3 + 3, 20 * 3),
        ("random:8:trained|0x8:relu:plain:drop0|lr1", 160 + 8 * 3 + 3, 160 + 24),
        ("random:8:frozen|0x8:relu:plain:drop0|lr1", 8 * 3 + 3, 160 + 24),
        ("none:8:trained|2x8:tanh:plain:drop0.5|lr1", 168 + 72 + 27, 160 + 64 + 24),
        ("none:8:trained|2x8:tanh:norm:drop0.5|lr1", 160 + 16 + 64 + 16 + 27, 160 + 64 + 24),
    ],
)
def test_sizes(text: str, parameters: int, adds: int) -> None:
    network = build(text)
    assert count_parameters(network) == parameters
    assert count_multiply_adds(network, (20,)) == adds


def test_an_svd_embedding_keeps_the_most_of_its_inputs() -> None:
    network, x = build("svd:8:frozen|0x8:relu:plain:drop0|lr1"), examples()
    network.fit_embedding(x)
    assert isinstance(network.embedding, nn.Linear)
    weight = network.embedding.weight
    embedded = network.embedding(x)
    assert float(embedded.square().mean()) == pytest.approx(1, rel=1e-4)
    _, _, directions = torch.linalg.svd(x, full_matrices=False)
    unit = weight / weight.norm(dim=1, keepdim=True)
    overlap = (unit[:4] @ directions[:4].T).abs()
    torch.testing.assert_close(overlap, torch.eye(4), atol=1e-2, rtol=0)
    assert not weight.requires_grad


def test_its_signs_do_not_depend_on_the_seed() -> None:
    weights = []
    for seed in (0, 1):
        network = build("svd:8:trained|1x8:relu:plain:drop0|lr1", seed=seed)
        network.fit_embedding(examples())
        weights.append(network.embedding.weight)
    assert torch.equal(*weights)
    assert weights[0].requires_grad


def test_a_random_embedding_stays_as_it_was_drawn() -> None:
    network = build("random:8:frozen|1x8:relu:plain:drop0|lr1")
    before = network.embedding.weight.clone()
    network.fit_embedding(examples())
    assert torch.equal(network.embedding.weight, before)


def test_units_beyond_the_rank_stay_as_they_were_drawn() -> None:
    network = build("svd:32:trained|0x8:relu:plain:drop0|lr1", features=5)
    before = network.embedding.weight.clone()
    network.fit_embedding(examples(features=5))
    assert torch.equal(network.embedding.weight[5:], before[5:])
    assert not torch.equal(network.embedding.weight[:5], before[:5])


@pytest.mark.parametrize(("word", "factor"), [("lr0.1", 0.1), ("lr3", 3.0)])
def test_it_tells_the_factor_of_the_learning_rate(word: str, factor: float) -> None:
    network = build(f"none:8:trained|0x8:relu:plain:drop0|{word}")
    assert network.learning_rate_factor == factor


def test_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"read \(features\); an input has shape \(8, 8, 1\)"):
        build_network(
            SPACE.parse("none:8:trained|0x8:relu:plain:drop0|lr1"),
            channels=8,
            cells=1,
            classes=3,
            input_shape=(8, 8, 1),
        )


# --- dropout ------------------------------------------------------------------------------------


def test_dropout_draws_by_its_own_seed_and_not_globally() -> None:
    x, masks = torch.ones(100), []
    for seed in (1, 1, 2):
        torch.manual_seed(len(masks))  # of no influence
        dropout = Dropout(0.2)
        dropout.seed = seed
        masks.append(dropout(x))
        assert not torch.equal(dropout(x), masks[-1])  # each call draws anew
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert set(masks[0].tolist()) == {0.0, 1.25}


def test_dropout_is_off_after_training() -> None:
    dropout = Dropout(0.5).eval()
    assert torch.equal(dropout(torch.ones(100)), torch.ones(100))


def test_a_network_seeds_its_dropouts_apart() -> None:
    network = build("none:8:trained|3x8:relu:plain:drop0.5|lr1", seed=4)
    seeds = [module.seed for module in network.modules() if isinstance(module, Dropout)]
    assert len(set(seeds)) == 3
    again = build("none:8:trained|3x8:relu:plain:drop0.5|lr1", seed=4)
    assert seeds == [module.seed for module in again.modules() if isinstance(module, Dropout)]
