"""What is installed: the wheel holds the code, the bundled stores and their licence."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nassim

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_wheel_holds_what_is_needed(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"nassim/cli.py", "nassim/py.typed", "nassim/reports/explorer.js"}
    wanted.add("nassim/terminators/lcpfn.npz")
    wanted |= {
        f"nassim/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "data").rglob("*")
        if path.is_file()
    }
    assert wanted <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    strangers = {name.partition("/")[0] for name in names} - {"nassim"}
    assert strangers == {f"nassim-{nassim.__version__}.dist-info"}


def test_one_version() -> None:
    assert PROJECT["version"] == nassim.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {nassim.__version__}" in changes


def test_nothing_is_pinned_from_above() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        assert not set("<=~!") & set(requirement.replace(">=", "")), requirement
