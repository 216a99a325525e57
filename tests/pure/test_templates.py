"""Resource templates: from arguments to names, and never an empty or private one."""

from __future__ import annotations

import os
from collections import namedtuple
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.templates import agent_name, canonical, parse


class Order(BaseModel):
    """A model, with something that is no field."""

    id: int
    note: str = "n"

    @property
    def secret(self) -> str:
        return "s"


@dataclass
class Item:
    """A dataclass, with something that is no field."""

    sku: str
    warehouse = "class attribute"


Shelf = namedtuple("Shelf", "row place")


class Plain(Enum):
    RED = "red"


class Mixed(str, Enum):  # noqa: UP042 - what many tool schemas still use
    RED = "red"


class Modern(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


ID = UUID("12345678-1234-5678-1234-567812345678")


def render(template: str, **values: Any) -> tuple[str, ...]:
    """Fill a template."""
    return parse(template).render(values)


@pytest.mark.parametrize(
    ("template", "values", "names"),
    [
        ("config", {}, ["config"]),
        ("inventory/{sku}", {"sku": "42"}, ["inventory/42"]),
        ("{a}/{b}", {"a": "x", "b": "y"}, ["x/y"]),
        ("{a}{a}", {"a": "x"}, ["xx"]),
        ("pre-{a}-post", {"a": 0}, ["pre-0-post"]),
        ("{ a | lower }", {"a": "ABC"}, ["abc"]),
        ("{sku|lower}", {"sku": "\u00c9"}, ["\u00e9"]),
        ("{order.id}", {"order": {"id": 7}}, ["7"]),
        ("{a.b.c}", {"a": {"b": {"c": "d"}}}, ["d"]),
        ("{order.id}", {"order": Order(id=7)}, ["7"]),
        ("{item.sku}", {"item": Item("s")}, ["s"]),
        ("{shelf.place}", {"shelf": Shelf(1, "p")}, ["p"]),
        ("{order.id}", {"order": MappingProxyType({"id": "m"})}, ["m"]),
        ("{skus[*]}", {"skus": ["a", "b"]}, ["a", "b"]),
        ("{skus[*]}", {"skus": ("a",)}, ["a"]),
        ("{skus[1]}", {"skus": ["a", "b"]}, ["b"]),
        ("x/{items[*].sku}", {"items": [{"sku": "a"}, Item("b")]}, ["x/a", "x/b"]),
        ("{grid[*][*]}", {"grid": [["a", "b"], ["c"]]}, ["a", "b", "c"]),
        ("{grid[1][0]}", {"grid": [["a"], ["b"]]}, ["b"]),
        ("{os[*].items[*].sku}", {"os": [{"items": [{"sku": 1}, {"sku": 2}]}, {"items": [{"sku": 3}]}]}, list("123")),
        ("{a[*]}/{b[*]}", {"a": [1, 2], "b": [3, 4]}, ["1/3", "1/4", "2/3", "2/4"]),
        ("{a[*]}/{b}", {"a": [1, 2], "b": 3}, ["1/3", "2/3"]),
        ("{d}", {"d": Decimal("1.50")}, ["1.50"]),
        ("{d}", {"d": ID}, [str(ID)]),
        ("{d}", {"d": date(2026, 1, 2)}, ["2026-01-02"]),
        ("{d}", {"d": Path("/etc/x")}, ["/etc/x"]),
        ("{d}", {"d": -3}, ["-3"]),
        ("{d}", {"d": "  x  "}, ["x"]),
        ("{d}", {"d": "{e}"}, ["{e}"]),
    ],
)
def test_a_template_names_the_resources_of_a_call(template: str, values: dict[str, Any], names: list[str]) -> None:
    assert parse(template).render(values) == tuple(names)


@pytest.mark.parametrize(
    "value", [Plain.RED, Mixed.RED, Modern.RED, "red"], ids=["Enum", "str, Enum", "StrEnum", "text"]
)
def test_an_enum_names_the_same_resource_as_its_value(value: Any) -> None:
    """Whether a schema has been applied or not must not decide who excludes whom."""
    assert render("paint/{colour}", colour=value) == ("paint/red",)


def test_a_number_from_an_enum_is_its_number() -> None:
    assert render("shelf/{n}", n=Number.ONE) == ("shelf/1",)


def test_different_spellings_of_a_letter_are_one_name() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert render("{a}", a=composed) == render("{a}", a=decomposed) == (composed,)
    assert render(f"{composed}/{{a}}", a=1) == render(f"{decomposed}/{{a}}", a=1)
    assert parse(decomposed).render({}) == (composed,)
    assert render("e{a}", a="\u0301") == ("\u00e9",), "also across the border of a field"


def test_the_real_path_is_one_name_for_all_its_spellings(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    spellings = [tmp_path / "real" / "f", tmp_path / "link" / "f", tmp_path / "link" / ".." / "real" / "." / "f"]

    assert {render("{p|realpath}", p=str(path)) for path in spellings} == {(os.path.realpath(tmp_path / "real/f"),)}


def test_filters_apply_in_order(tmp_path: Path) -> None:
    (tmp_path / "Real").mkdir()
    assert render("{p|realpath|lower}", p=str(tmp_path / "x" / ".." / "Real")) == (str(tmp_path / "real").lower(),)


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{sku}", {}),
        ("{sku}", {"sku": None}),
        ("{sku}", {"sku": ""}),
        ("{sku}", {"sku": "   "}),
        ("x/{sku}", {"sku": ""}),
        ("{a.b}", {"a": {}}),
        ("{a.b}", {"a": {"b": None}}),
        ("{a.b}", {"a": "text"}),
        ("{a.b.c}", {"a": {"b": 1}}),
        ("{a[*]}", {"a": []}),
        ("{a[*]}", {"a": "text"}),
        ("{a[*]}", {"a": {"b": 1}}),
        ("{a[*]}", {"a": ["x", ""]}),
        ("{a[*]}", {"a": ["x", None]}),
        ("{a[*].sku}", {"a": [{"sku": 1}, {}]}),
        ("{a[2]}", {"a": [1, 2]}),
        ("{a[0]}", {"a": "text"}),
        ("{order.secret}", {"order": Order(id=1)}),
        ("{order.model_fields}", {"order": Order(id=1)}),
        ("{item.warehouse}", {"item": Item("s")}),
        ("{text.upper}", {"text": "x"}),
    ],
)
def test_a_missing_or_empty_field_is_an_error_that_names_it(template: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(template).render(values)
    assert template in str(refused.value)
    assert "correct the arguments or the template" in str(refused.value)


@pytest.mark.parametrize(
    "value", [True, False, 1.5, 2.0, float("nan"), b"x", [1], {"a": 1}, {1}, object(), Order(id=1), Item, 1j]
)
def test_a_value_without_one_obvious_text_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="does not name a resource"):
        render("{a}", a=value)


@pytest.mark.parametrize("char", [chr(n) for n in [*range(32), 127]] + ["\ud800", "\udfff", "\U0010ffff", "\U0010fffe"])
def test_control_characters_and_what_is_reserved_are_refused(char: str) -> None:
    with pytest.raises(ConfigurationError, match="control characters"):
        render("{a}", a=f"x{char}y")
    for template in (f"x{char}y", f"x{char}y/{{a}}"):
        with pytest.raises(ConfigurationError, match="control characters"):
            parse(template)


@pytest.mark.parametrize("name", ["a\nb", "\x00", "\ud800"])
def test_the_name_of_an_agent_has_no_control_characters(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"agent's name .* has control characters, such as a line feed"):
        agent_name(name)
    assert [agent_name(name) for name in ("", "orders", "Müller & Söhne")] == ["", "orders", "Müller & Söhne"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        (" a", "blanks"),
        ("a ", "blanks"),
        ("{", 'without its "}"'),
        ("a{b", 'without its "}"'),
        ("}", 'without its "{"'),
        ("{a}}", 'without its "{"'),
        ("{}", "not a name"),
        ("{{a}}", "not a name"),
        ("{.a}", "not a name"),
        ("{a.}", "not a name"),
        ("{a..b}", "not a name"),
        ("{0}", "not a name"),
        ("{[*]}", "not a name"),
        ("{_a}", "private"),
        ("{a.__class__}", "private"),
        ("{a._b}", "private"),
        ("{a[x]}", "cannot be read at"),
        ("{a[-1]}", "cannot be read at"),
        ("{a[]}", "cannot be read at"),
        ("{a[*}", "cannot be read at"),
        ("{a b}", "cannot be read at"),
        ("{a!r}", "cannot be read at"),
        ("{a:>10}", "cannot be read at"),
        ("{a|upper}", "there are: lower, realpath"),
        ("{a|lwoer}", 'did you mean "lower"'),
        ("{a|}", "lower, realpath"),
    ],
)
def test_a_mistake_in_a_template_is_told_when_it_is_written(template: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told.replace("{", r"\{")) as refused:
        parse(template)
    assert template.strip() in str(refused.value)


@pytest.mark.parametrize("template", [None, 5, b"x"])
def test_what_is_no_text_is_no_template(template: Any) -> None:
    with pytest.raises(ConfigurationError, match="needs a name"):
        parse(template)


def test_the_arguments_that_a_template_reads_are_known_without_filling_it() -> None:
    assert parse("{a.x}/{b[*].y}/{c|lower}/lit").roots == ("a", "b", "c")


@given(st.text(max_size=30))
def test_a_canonical_name_is_its_own_canonical_form(name: str) -> None:
    try:
        once = canonical(name)
    except ConfigurationError:
        return
    assert canonical(once) == once
    assert once == once.strip() != ""


@given(st.text(max_size=30))
def test_any_text_is_a_template_or_a_configuration_error(text: str) -> None:
    try:
        names = parse(text).render({})
    except ConfigurationError:
        return
    assert len(names) == 1
