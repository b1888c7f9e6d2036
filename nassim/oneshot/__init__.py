"""Many architectures, one set of weights. A method is one file and one line in ``ONE_SHOT``.

What they share: :mod:`nassim.oneshot.supernet` is the network, :mod:`nassim.oneshot.data` what it
is trained and scored on, :mod:`nassim.oneshot.scoring` how; :mod:`nassim.oneshot.base` is the
contract.
"""

from __future__ import annotations

__all__ = ["ONE_SHOT"]

ONE_SHOT: dict[str, str] = {
    "bender": "nassim.oneshot.bender:Bender",
    "enas": "nassim.oneshot.enas:ENAS",
    "fairnas": "nassim.oneshot.fairnas:FairNAS",
    "fewshot": "nassim.oneshot.fewshot:FewShot",
    "gdas": "nassim.oneshot.gdas:GDAS",
    "parsec": "nassim.oneshot.parsec:PARSEC",
    "proxylessnas": "nassim.oneshot.proxylessnas:ProxylessNAS",
    "setn": "nassim.oneshot.setn:SETN",
    "spos": "nassim.oneshot.spos:SPOS",
}
