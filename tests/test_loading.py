from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nassim.errors import InputError, NassimError, UnknownNameError
from nassim.loading import build, load, parse_specification, parse_specifications
from nassim.terminators import TERMINATORS
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Terminator


def options(text: str) -> dict[str, Any]:
    return dict(parse_specification(text, TERMINATORS, "terminator").options)


def make(text: str) -> Any:
    return build(parse_specification(text, TERMINATORS, "terminator"), "terminator")


def test_a_name_alone() -> None:
    specification = parse_specification(" asha ", TERMINATORS, "terminator")
    assert (specification.name, specification.text) == ("asha", "asha")
    assert specification.path == TERMINATORS["asha"]
    assert specification.options == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("-2", -2),
        ("true", True),
        ("False", False),
        ("None", None),
        ("best", "best"),
        ("'best'", "best"),
        ("two words", "two words"),
        ("(1, 2)", (1, 2)),
        ("[1, 2]", (1, 2)),
        ("", ""),
    ],
)
def test_values_are_read_as_python_where_they_can_be(text: str, value: object) -> None:
    assert options(f"asha:eta={text}") == {"eta": value}


def test_options_are_built_with() -> None:
    asha = make("asha:eta=4:variant=promotion")
    assert isinstance(asha, ASHA)
    assert (asha.eta, asha.variant, asha.min_epochs) == (4.0, "promotion", 1)


def test_the_order_of_options_means_nothing() -> None:
    assert options("asha:eta=4:min_epochs=2") == options("asha:min_epochs=2:eta=4")


def test_a_list_of_specifications() -> None:
    parsed = parse_specifications(
        "asha, last_value:epochs=(1, 2):delta=0.3,,never", TERMINATORS, ""
    )
    assert [p.name for p in parsed] == ["asha", "last_value", "never"]
    assert dict(parsed[1].options) == {"epochs": (1, 2), "delta": 0.3}


def test_a_user_s_own_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rules.py").write_text(
        "from nassim.terminators.never import Never\n"
        "class Mine(Never):\n"
        "    def __init__(self, patience=1): self.patience = patience\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = make("my_rules:Mine:patience=7")
    assert isinstance(mine, Terminator)
    assert mine.patience == 7
    specification = parse_specification("my_rules:Mine", TERMINATORS, "terminator")
    assert specification.name == specification.path == "my_rules:Mine"
    with pytest.raises(InputError, match="Module 'my_rules' has no 'Yours'"):
        make("my_rules:Yours")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("ahsa", UnknownNameError, "No terminator is called 'ahsa'. Did you mean 'asha'"),
        ("ahsa:eta=3", UnknownNameError, "No terminator is called 'ahsa'"),
        ("", UnknownNameError, "No terminator is called ''"),
        ("asha:eta", InputError, "Option 'eta' of terminator 'asha' cannot be read; expected opt"),
        ("asha:=3", InputError, "Option '=3' of terminator 'asha' cannot be read"),
        ("asha:2=3", InputError, "Option '2=3' of terminator 'asha' cannot be read"),
        ("asha:eta=3:eta=4", InputError, "Option 'eta' of terminator 'asha' is given twice"),
        (
            "asha:delta=3",
            InputError,
            "'asha' has no option 'delta'; it takes: eta, min_epochs, var",
        ),
        ("never:delta=3", InputError, "'never' has no option 'delta'; it takes: none"),
        ("asha:eta=x", InputError, "Option eta is 'x'; expected a number above 1"),
        ("no_such_module:Mine", InputError, "Module 'no_such_module' .* cannot be imported"),
        ("nassim.no_such:Mine", InputError, "cannot be imported; expected a module on the Python"),
        ("nassim.loading:no_such", InputError, "Module 'nassim.loading' has no 'no_such'"),
    ],
)
def test_what_cannot_be_built_is_refused(text: str, error: type[NassimError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        make(text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["asha,never,asha", "asha:eta=4:min_epochs=2,asha:min_epochs=2:eta=4"]
)
def test_the_same_one_twice_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="named twice"):
        parse_specifications(text, TERMINATORS, "terminator")


@pytest.mark.parametrize("text", ["", " , "])
def test_none_at_all_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="No terminator is named in"):
        parse_specifications(text, TERMINATORS, "terminator")


def test_a_missing_dependency_is_not_taken_for_a_missing_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load("needy:Mine")


def test_only_what_is_built_is_imported() -> None:
    """Naming, listing and parsing import no method; a table holds paths, not classes."""
    code = (
        "import sys; from nassim.terminators import TERMINATORS as t; "
        "from nassim.optimizers import OPTIMIZERS as o; from nassim.loading import *; "
        "parse_specifications(','.join(t | o), t | o, 'method'); "
        "paths = {path.split(':')[0] for path in (t | o).values()}; "
        "assert not paths & set(sys.modules), paths & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
