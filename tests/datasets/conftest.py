from __future__ import annotations

from collections.abc import Callable

import pytest

from nassim.datasets import ImageData, load_dataset
from nassim.errors import DataUnavailableError, MissingDependencyError


@pytest.fixture
def load() -> Callable[[str], ImageData]:
    """An image dataset by name; or skip, where its package is not at hand."""

    def or_skip(name: str) -> ImageData:
        try:
            data = load_dataset(name)
        except (DataUnavailableError, MissingDependencyError) as error:
            pytest.skip(str(error))
        assert isinstance(data, ImageData)
        return data

    return or_skip
