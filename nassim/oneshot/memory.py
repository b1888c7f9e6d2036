"""How much a training keeps for its backward passes: a count, the same on every machine.

The resident size of a process depends on the allocator, the machine and what ran before. What
autograd saves does not: each tensor that a backward pass will need is handed to a hook, and is let
go when that pass is done. Here the bytes of what is saved at one time are added, every storage
once, whatever views of it are saved; their largest sum is the peak. Parameters of a module are
left out, because they are there anyway; copies of them, as second-order DARTS makes, count.
The count is of one version of torch and one kind of device, whose operations decide what is saved.

The hook costs some microseconds a tensor, an eighth of a step on one path of tiny cells. So a
training is watched in each seventh step, from the first, which costs it two per cent; seven divides
none of the intervals (5, 10, 20, 50 steps) at which methods do what they do not do in each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nassim.oneshot.base import Journal, Trained

__all__ = ["WATCHED_EVERY", "SavedBytes", "WatchedJournal", "state_bytes"]

WATCHED_EVERY = 7  # steps


class SavedBytes:
    """While it is entered, counts the bytes that are saved for backward; ``peak`` is their most.

    >>> x = torch.ones(1000, requires_grad=True)
    >>> with SavedBytes() as saved:
    ...     y = (x.exp() * 2).exp()  # each exp keeps its result, of 4,000 bytes; the factor is none
    ...     y.sum().backward()
    >>> saved.peak, saved.now
    (8000, 0)
    """

    def __init__(self) -> None:
        self.peak = self.now = 0
        self._times: dict[int, int] = {}  # saved tensors of each storage, by its address
        self._bytes: dict[int, int] = {}
        self._hooks: Any = None

    def __enter__(self) -> SavedBytes:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> Tensor | _Saved:
        if type(tensor) is nn.Parameter or type(tensor._base) is nn.Parameter:
            return tensor
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        times = self._times.get(address, 0)
        self._times[address] = times + 1
        if not times:
            self._bytes[address] = size = storage.nbytes()
            self.now += size
            self.peak = max(self.peak, self.now)
        # without its graph, which would keep itself alive through what it saved
        return _Saved(tensor.detach(), address, self)

    def let_go(self, address: int) -> None:
        """A saved tensor of this storage is no longer held."""
        times = self._times[address] - 1
        if times:
            self._times[address] = times
        else:
            del self._times[address]
            self.now -= self._bytes.pop(address)


class _Saved:
    """A saved tensor, which says when the graph no longer holds it."""

    __slots__ = ("_address", "_saved", "tensor")

    def __init__(self, tensor: Tensor, address: int, saved: SavedBytes) -> None:
        self.tensor, self._address, self._saved = tensor, address, saved

    def __del__(self) -> None:
        self._saved.let_go(self._address)


def _unpack(saved: Tensor | _Saved) -> Tensor:
    return saved.tensor if isinstance(saved, _Saved) else saved


class WatchedJournal(Journal):
    """A journal that also counts what each seventh step saves for backward.

    Enter it around the training: ``with journal: method.train(..., journal)``. ``peaks`` has the
    bytes of each step that was watched.
    """

    def __init__(
        self,
        checkpoints: Sequence[float] = (),
        at_checkpoint: Callable[[int, Trained], None] | None = None,
    ) -> None:
        super().__init__(checkpoints, at_checkpoint)
        self.peaks: list[int] = []
        self._saved: SavedBytes | None = None

    def __enter__(self) -> WatchedJournal:
        self._watch()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def finished(self, step: int, steps: int, trained: Trained) -> None:
        """As for every journal; a checkpoint is not watched, nor what follows the last step."""
        self._stop()
        super().finished(step, steps, trained)
        if step % WATCHED_EVERY == 0 and step < steps:
            self._watch()

    def _watch(self) -> None:
        self._saved = SavedBytes()
        self._saved.__enter__()

    def _stop(self) -> None:
        if self._saved is not None:
            self._saved.__exit__(None, None, None)
            self.peaks.append(self._saved.peak)
            self._saved = None


def state_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers, of a shared one once.

    >>> state_bytes(nn.Linear(3, 2))  # 8 numbers
    32
    """
    held = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(held.values())
