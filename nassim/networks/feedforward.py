"""Feed-forward networks (``nassim.spaces.feedforward``): embedding, hidden layers, scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nassim.networks.dropout import Dropout
from nassim.records import Architecture
from nassim.spaces.feedforward import settings

__all__ = ["FeedforwardNetwork"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "swish": nn.SiLU}


class FeedforwardNetwork(nn.Module):
    """Features (n, inputs) to scores; ``channels`` and ``cells`` have no meaning here.

    The embedding is linear, without a bias. The optimizer's learning rate shall be multiplied by
    ``learning_rate_factor``.
    """

    def __init__(
        self, architecture: Architecture, *, channels: int, cells: int, classes: int, inputs: int
    ) -> None:
        super().__init__()
        chosen = settings(architecture.decisions)
        self.learning_rate_factor = chosen.learning_rate_factor
        self.from_svd = chosen.embedding == "svd"
        self.embedding: nn.Linear | None = None
        width = inputs
        if chosen.embedding != "none":
            width = chosen.embedding_size
            self.embedding = nn.Linear(inputs, width, bias=False)
            self.embedding.requires_grad_(chosen.embedding_training == "trained")
        layers: list[nn.Module] = []
        for _layer in range(chosen.layers):
            is_normalised = chosen.normalisation == "norm"
            layers.append(nn.Linear(width, chosen.width, bias=not is_normalised))
            if is_normalised:
                layers.append(nn.BatchNorm1d(chosen.width))
            layers.append(_ACTIVATIONS[chosen.activation]())
            if chosen.dropout:
                layers.append(Dropout(chosen.dropout))
            width = chosen.width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def fit_embedding(self, x: Tensor) -> None:
        """Let an ``svd`` embedding project on singular directions of the features (n, inputs).

        Directions are scaled together, so that the embedded features have mean square 1; their
        signs are fixed. Units that exceed the features' rank keep their initial weights.
        """
        if self.embedding is None or not self.from_svd:
            return
        from sklearn.decomposition import TruncatedSVD

        weight = self.embedding.weight
        rank = min(weight.shape[0], *x.shape)
        svd = TruncatedSVD(rank, random_state=0).fit(x.cpu().numpy())
        directions = torch.from_numpy(svd.components_).to(weight)
        scale = (x @ directions.T).square().mean().sqrt()
        with torch.no_grad():
            weight[:rank] = directions / scale

    def forward(self, x: Tensor) -> Tensor:
        if self.embedding is not None:
            x = self.embedding(x)
        scores: Tensor = self.head(self.hidden(x))
        return scores
