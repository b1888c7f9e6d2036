"""Which architecture next? An optimizer is one file and one line in ``OPTIMIZERS``."""

from __future__ import annotations

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: dict[str, str] = {
    "average_rank": "nassim.optimizers.average_rank:AverageRank",
    "best_elsewhere": "nassim.optimizers.best_elsewhere:BestElsewhere",
    "bounding_box": "nassim.optimizers.bounding_box:BoundingBox",
    "copula": "nassim.optimizers.copula:Copula",
    "evolution": "nassim.optimizers.evolution:Evolution",
    "maml": "nassim.optimizers.maml:MAML",
    "naml": "nassim.optimizers.tnaml:NAML",
    "nao": "nassim.optimizers.nao:NAO",
    "nearest_dataset": "nassim.optimizers.nearest_dataset:NearestDataset",
    "random": "nassim.optimizers.random_search:RandomSearch",
    "reinforce": "nassim.optimizers.reinforce:Reinforce",
    "ridge": "nassim.optimizers.ridge:Ridge",
    "smbo": "nassim.optimizers.smbo:SMBO",
    "tapas": "nassim.optimizers.tapas:TAPAS",
    "tnaml": "nassim.optimizers.tnaml:TNAML",
    "tournament": "nassim.optimizers.tournament:Tournament",
    "xfernas": "nassim.optimizers.xfernas:XferNAS",
    "zero_shot": "nassim.optimizers.zero_shot:ZeroShot",
}
