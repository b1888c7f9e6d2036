"""Which components of LCRankNet matter? Each is taken away, and the ranking compared.

    python analysis/components.py --store images

is ``analysis/ranking.py`` with the ablations of docs/methods/lcranknet.md: the difference of each
to the full network, with its interval. Twenty completed runs of each target are handed to the
network without transfer, and no method is asked about them. Writes
analysis/results/images/components.parquet and docs/figures/images/components.png; without
``--store`` it reads what was written, of every store.
"""

from __future__ import annotations

import ranking

# The full network has the reconstruction loss, as the paper's, so that it can be taken away.
FULL = "lcranknet:alpha=0.8"
WITHOUT = (
    "transfer=false",
    "architecture=false",
    "curve=false",
    "dataset_embedding=false",
    "loss=pointwise",
    "fusion=concat",
)
METHODS = [FULL, *(f"{FULL}:{option}" for option in WITHOUT), "lcranknet", "last_value"]


def main() -> None:
    ranking.main(__doc__, name="components", methods=",".join(METHODS), baseline=FULL, given=20)


if __name__ == "__main__":
    main()
