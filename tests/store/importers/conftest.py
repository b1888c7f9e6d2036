"""Published tables to test against: the folder named by NASSIM_TABLES, else ../shared/tables."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tables() -> Path:
    beside = Path(__file__).parents[3].parent / "shared" / "tables"
    folder = Path(os.environ.get("NASSIM_TABLES", beside))
    if not folder.is_dir():
        pytest.skip(f"no published tables in {folder}; set NASSIM_TABLES to their folder")
    return folder
