"""Replay: search and early-termination methods against recorded runs, on a virtual clock."""

from nassim.simulator.simulate import Episode, simulate
from nassim.simulator.sources import Replay, Replayable, TableSource

__all__ = ["Episode", "Replay", "Replayable", "TableSource", "simulate"]
