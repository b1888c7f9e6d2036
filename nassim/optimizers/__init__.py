"""Which architecture next? An optimizer is one file and one line in ``OPTIMIZERS``."""

from __future__ import annotations

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: dict[str, str] = {
    "maml": "nassim.optimizers.maml:MAML",
    "naml": "nassim.optimizers.tnaml:NAML",
    "random": "nassim.optimizers.random_search:RandomSearch",
    "reinforce": "nassim.optimizers.reinforce:Reinforce",
    "tnaml": "nassim.optimizers.tnaml:TNAML",
}
