"""How networks are trained: one frozen record, hashed, so that a changed recipe is another one."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from nassim.errors import InputError
from nassim.records import Dataset

__all__ = ["Recipe"]

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant", "step")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a learning curve besides architecture, data and seed.

    Cross-entropy, minimised by ``optimizer``: ``sgd``, or ``adamw`` (which has no use for
    ``momentum`` and ``nesterov``, and wants a ``learning_rate`` of about 0.001). For images
    alone: ``channels`` and ``cells`` (normal cells a stage) are the network's, and of spaces
    ``nasnet`` and ``darts`` also the ``skeleton`` (see ``StackedCells``; empty: its own); images
    larger than ``resolution`` pixels are averaged down to it (0 keeps all); ``shift``, ``cutout``
    are in pixels (0 is off); ``flip`` mirrors half of the images, where a dataset's images may be
    mirrored. ``schedule`` is ``cosine`` (to zero, every step), ``constant`` or ``step`` (a tenth
    at half and at three quarters). Accuracy is measured every ``valid_every``-th epoch and after
    the last; on the test inputs every ``test_every``-th (0: after the last only). A run that
    takes longer than ``limit_seconds`` is stopped and recorded as such (0: no limit).

    >>> Recipe("short", epochs=2).settings["learning_rate"]
    0.1
    >>> Recipe("short", epochs=2).id == Recipe("short", epochs=3).id
    False
    """

    name: str
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    label_smoothing: float = 0.0
    channels: int = 8
    cells: int = 1
    resolution: int = 0
    shift: int = 0
    flip: bool = False
    cutout: int = 0
    n_train: int = 0  # at most so many, the first of the split; 0: all
    n_valid: int = 0
    n_test: int = 0
    valid_every: int = 1
    test_every: int = 0
    limit_seconds: float = 0.0
    optimizer: str = "sgd"
    skeleton: str = ""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            kinds, words = _KINDS[str(f.type)]
            if type(value) not in kinds:
                raise InputError(f"Recipe key {f.name!r} is {value!r}; expected {words}.")
            if f.type == "float":
                object.__setattr__(self, f.name, float(value))  # 1 and 1.0 are one recipe
        if not self.name or "-" in self.name or not self.name.replace("_", "a").isalnum():
            raise InputError(
                f"Recipe key 'name' is {self.name!r}; expected letters, digits and underscores."
            )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not math.isfinite(value) or value < least:
                raise InputError(f"Recipe key {name!r} is {value!r}; expected {least} or more.")
        if self.momentum >= 1 or self.label_smoothing >= 1:
            raise InputError("Recipe keys 'momentum' and 'label_smoothing' must be below 1.")
        if self.optimizer not in OPTIMIZERS:
            raise InputError(
                f"Recipe key 'optimizer' is {self.optimizer!r}; "
                f"expected one of {', '.join(OPTIMIZERS)}."
            )
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"Recipe key 'schedule' is {self.schedule!r}; "
                f"expected one of {', '.join(SCHEDULES)}."
            )
        if self.skeleton.strip("NR"):
            raise InputError(
                f"Recipe key 'skeleton' is {self.skeleton!r}; expected letters N (normal cells) "
                "and R (a reduction cell), as in 'NRN'."
            )
        if self.nesterov and self.momentum == 0:
            raise InputError("Recipe key 'nesterov' is true; expected a momentum above 0.")

    def check_fits(self, dataset: Dataset) -> None:
        """Refuse a dataset (InputError) that this recipe can not train on.

        It has fewer training inputs than a batch, or has features, and a setting is for images.
        """
        n = min(dataset.n_train, self.n_train or dataset.n_train)
        if n < self.batch_size:
            raise InputError(
                f"Recipe {self.name!r} trains on {n} inputs of dataset {dataset.name!r}; expected "
                f"{self.batch_size} or more, its 'batch_size'. Lower that, or give more inputs."
            )
        if len(dataset.shape) != 1:
            return
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in _FOR_IMAGES and value != f.default:
                raise InputError(
                    f"Recipe {self.name!r} has {f.name!r} {value!r}, which is for images, and "
                    f"dataset {dataset.name!r} has features. Leave that key out."
                )

    @property
    def id(self) -> str:
        """The name and a hash of all settings, as a store's runs name their recipe."""
        text = json.dumps(self.settings, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def settings(self) -> dict[str, Any]:
        """All settings but the name, as plain values."""
        settings = asdict(self)
        del settings["name"]
        for name in _YOUNGER:
            if settings[name] == getattr(Recipe, name):
                del settings[name]
        return settings


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text in quotes"),
}
_FOR_IMAGES = ("channels", "cells", "skeleton", "resolution", "shift", "flip", "cutout")
_YOUNGER = ("optimizer", "skeleton")  # than the first stores, whose recipes keep their id
_LEAST: dict[str, float] = {
    **dict.fromkeys(("epochs", "channels", "cells", "valid_every"), 1),
    "batch_size": 2,  # batch norm cannot normalise one image
    **dict.fromkeys(("learning_rate", "momentum", "weight_decay", "label_smoothing"), 0.0),
    **dict.fromkeys(("resolution", "shift", "cutout", "n_train", "n_valid", "n_test"), 0),
    **dict.fromkeys(("test_every", "limit_seconds"), 0),
}
