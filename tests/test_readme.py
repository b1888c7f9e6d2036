"""README.md keeps its word: its commands run in order, its files are as shown, its links lead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from nassim.cli import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# <!-- file: name --> before a block says that the block is this file
_BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    file: str
    language: str
    text: str


def blocks() -> list[Block]:
    return [Block(file or "", language, text) for file, language, text in _BLOCK.findall(README)]


def commands(group: click.Group, path: str = "nassim") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize("name", [name for name, _ in commands(cli)])
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"`{name}" in README


def test_its_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nassim: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for file, language, text in blocks():
        if file:
            Path(file).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(compile(text, "README.md", "exec"), {})
        for line in text.splitlines() if language == "sh" else ():
            words = shlex.split(line)
            if words[0] == "nassim":
                code, _, err = nassim(*words[1:])
                assert code == 0, f"{line}\n{err}"
                ran += 1
    assert ran >= 8
    for name in ("report.html", "results.parquet", "mine", "figures"):
        assert Path(name).exists(), name


def test_its_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert named >= {"demo", "test"}
    assert named <= targets


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))],
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in link:
            assert ((ROOT / page).parent / link).exists(), link
