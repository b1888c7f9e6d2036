"""Tables and texts of docs/ that were written from result files are what those files say."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from nassim.errors import InputError

ROOT = Path(__file__).parents[1]
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if "<!-- quoted:" in path.read_text(encoding="utf-8")
]
COMPONENTS = "<!-- quoted: components images/components -->"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "analysis")
    for path in (ROOT / "analysis").glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    return importlib.import_module("quoted")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_quotes_what_the_results_say(script: ModuleType, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    again, changed = script.refreshed(text)
    assert changed == [], "python analysis/quoted.py writes them again"
    assert again == text


def test_every_page_with_figures_of_the_bundled_store_is_among_them() -> None:
    assert {"results", "termination", "baker", "lcranknet"} <= {page.stem for page in PAGES}


def test_another_number_is_found_and_mended(script: ModuleType) -> None:
    lines = script.quoted("components images/components")
    page = ["# Page", "", COMPONENTS, *lines, "", "What it says."]
    wrong = [line.replace("0.", "1.") for line in page]
    again, changed = script.refreshed("\n".join(wrong))
    assert changed == ["components images/components"]
    assert again.splitlines() == page


def test_a_fenced_text_ends_with_its_fence(script: ModuleType) -> None:
    comment = "<!-- quoted: calibration images/calibration paragraphs=1:2 -->"
    page = [comment, "```text", "", "old", "```", "```text", "another", "```"]
    again = script.refreshed("\n".join(page))[0].splitlines()
    assert again[2].split()[:2] == ["method", "Brier"]
    assert again[-4:] == ["```", *page[-3:]]


def test_results_of_a_former_state_of_the_store_say_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = [COMPONENTS, *script.quoted("components images/components"), "", "What it says."]
    monkeypatch.setattr(script, "_sha", lambda name: "0" * 64)
    old = script.refreshed("\n".join(page))[0].splitlines()
    assert re.fullmatch(r"\*Of a former state of the store `images`, sha [0-9a-f]{12}\.\*", old[1])
    assert script.refreshed("\n".join(old)) == ("\n".join(old) + "\n", [])
    sha = pq.read_table(script._path("images/components")).column("store_sha")[0].as_py()
    monkeypatch.setattr(script, "_sha", lambda name: sha)
    new = script.refreshed("\n".join(old))[0].splitlines()
    assert new[1].startswith("| Spearman")
    assert new[-1] == "What it says."


def test_an_imported_store_has_no_state_to_compare_with(script: ModuleType) -> None:
    assert script.former("metaqnn") == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["<!-- quoted: tables images/components -->", "| x |"],
            "No kind of quotation is called 'tables'",
        ),
        ([COMPONENTS, "", "| x |"], "is neither a fenced text that ends nor a table"),
        ([COMPONENTS], "is neither a fenced text that ends nor a table"),
        ([COMPONENTS, "```text", "no end"], "is neither a fenced text that ends nor a table"),
        (
            ["<!-- quoted: methods images/termination methods=bakery -->", "| x |"],
            "No method of these results is called 'bakery'",
        ),
    ],
)
def test_a_comment_that_quotes_nothing_is_refused(
    script: ModuleType, lines: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        script.refreshed("\n".join(lines))
