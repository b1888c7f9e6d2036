"""Many architectures, one set of weights. A method is one file and one line in ``ONE_SHOT``.

So is a space's supernet in ``SUPERNETS``.

What they share: :mod:`nassim.oneshot.supernet` is the network, :mod:`nassim.oneshot.data` what it
is trained and scored on, :mod:`nassim.oneshot.scoring` how; :mod:`nassim.oneshot.base` is the
contract.
"""

from __future__ import annotations

__all__ = ["ONE_SHOT", "SUPERNETS"]

ONE_SHOT: dict[str, str] = {
    "asap": "nassim.oneshot.asap:ASAP",
    "bender": "nassim.oneshot.bender:Bender",
    "darts": "nassim.oneshot.darts:DARTS",
    "dartsminus": "nassim.oneshot.dartsminus:DARTSMinus",
    "dartsplus": "nassim.oneshot.dartsplus:DARTSPlus",
    "dartspt": "nassim.oneshot.dartspt:DARTSPT",
    "enas": "nassim.oneshot.enas:ENAS",
    "fairdarts": "nassim.oneshot.fairdarts:FairDARTS",
    "fairnas": "nassim.oneshot.fairnas:FairNAS",
    "fewshot": "nassim.oneshot.fewshot:FewShot",
    "gdas": "nassim.oneshot.gdas:GDAS",
    "landmark": "nassim.oneshot.landmark:Landmark",
    "nao": "nassim.oneshot.nao:NAO",
    "ofa": "nassim.oneshot.ofa:OnceForAll",
    "parsec": "nassim.oneshot.parsec:PARSEC",
    "pcdarts": "nassim.oneshot.pcdarts:PCDARTS",
    "pdarts": "nassim.oneshot.pdarts:PDARTS",
    "proxylessnas": "nassim.oneshot.proxylessnas:ProxylessNAS",
    "robustdarts": "nassim.oneshot.robustdarts:RobustDARTS",
    "sdarts": "nassim.oneshot.sdarts:SDARTS",
    "setn": "nassim.oneshot.setn:SETN",
    "spos": "nassim.oneshot.spos:SPOS",
}

SUPERNETS: dict[str, str] = {
    "darts": "nassim.oneshot.supernet_cells:DARTSSupernet",
    "elastic": "nassim.oneshot.supernet_elastic:ElasticSupernet",
    "elastic_tiny": "nassim.oneshot.supernet_elastic:ElasticSupernet",
    "nasbench101": "nassim.oneshot.supernet101:NASBench101Supernet",
    "nasbench201": "nassim.oneshot.supernet:NASBench201Supernet",
    "nasbench201_3nodes": "nassim.oneshot.supernet:NASBench201Supernet",
    "nasnet": "nassim.oneshot.supernet_cells:NASNetSupernet",
    "s1_tiny": "nassim.oneshot.supernet:NASBench201Supernet",
    "s1_tiny_3nodes": "nassim.oneshot.supernet:NASBench201Supernet",
    "s2_tiny": "nassim.oneshot.supernet:NASBench201Supernet",
    "s2_tiny_3nodes": "nassim.oneshot.supernet:NASBench201Supernet",
    "s3_tiny": "nassim.oneshot.supernet:NASBench201Supernet",
    "s3_tiny_3nodes": "nassim.oneshot.supernet:NASBench201Supernet",
    "s4_tiny": "nassim.oneshot.supernet:NASBench201Supernet",
    "s4_tiny_3nodes": "nassim.oneshot.supernet:NASBench201Supernet",
}
