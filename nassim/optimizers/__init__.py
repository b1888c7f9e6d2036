"""Which architecture next? An optimizer is one file and one line in ``OPTIMIZERS``."""

from __future__ import annotations

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: dict[str, str] = {
    "evolution": "nassim.optimizers.evolution:Evolution",
    "random": "nassim.optimizers.random_search:RandomSearch",
    "smbo": "nassim.optimizers.smbo:SMBO",
    "tapas": "nassim.optimizers.tapas:TAPAS",
    "tournament": "nassim.optimizers.tournament:Tournament",
}
