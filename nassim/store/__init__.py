"""Stores of training runs: plain Parquet, opened in milliseconds, appended to safely."""

from __future__ import annotations

from nassim.store.find import DEFAULT_STORE, find_store, known_stores
from nassim.store.folders import is_remote
from nassim.store.lookup import Lookup
from nassim.store.store import RunIndex, Store

__all__ = [
    "DEFAULT_STORE",
    "Lookup",
    "RunIndex",
    "Store",
    "find_store",
    "is_remote",
    "known_stores",
]
