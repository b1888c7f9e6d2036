"""Is this run worth more epochs? A terminator is one file and one line in ``TERMINATORS``."""

from __future__ import annotations

__all__ = ["TERMINATORS"]

TERMINATORS: dict[str, str] = {
    "asha": "nassim.terminators.asha:ASHA",
    "baker": "nassim.terminators.baker:Baker",
    "chandrashekaran": "nassim.terminators.chandrashekaran:Chandrashekaran",
    "domhan": "nassim.terminators.domhan:Domhan",
    "dyhpo": "nassim.terminators.dyhpo:DyHPO",
    "freeze_thaw": "nassim.terminators.freeze_thaw:FreezeThaw",
    "hyperband": "nassim.terminators.hyperband:Hyperband",
    "last_value": "nassim.terminators.last_value:LastValue",
    "lcnet": "nassim.terminators.lcnet:LCNet",
    "lcpfn": "nassim.terminators.lcpfn:LCPFN",
    "lcranknet": "nassim.terminators.lcranknet:LCRankNet",
    "lcranknet_nested": "nassim.terminators.lcranknet_nested:NestedLCRankNet",
    "median": "nassim.terminators.median:MedianRule",
    "never": "nassim.terminators.never:Never",
    "parametric": "nassim.terminators.parametric:Parametric",
    "rush": "nassim.terminators.rush:RUSH",
    "successive_halving": "nassim.terminators.successive_halving:SuccessiveHalving",
}
