"""Stored results: what comes back is what went in, or an error that says why not."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict, namedtuple
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from clawproof_langgraph import codec
from clawproof_langgraph.codec import LIMIT, NotStorable, dumps, loads
from clawproof_langgraph.errors import ConfigurationError

Point = namedtuple("Point", "x y")


class Colour(StrEnum):
    RED = "red"


VALUES: list[Any] = [
    None, True, False, 0, -1, 2**70, 1.5, float("inf"), "", "caf\u00e9", "\U0001f600", "\u2028", [], [1, [2, [3]]], {},
    {"a": {"b": None}}, (), (1, (2,)), set(), {1, "a"}, frozenset({1}), {frozenset({(1, 2)})}, b"", b"\x00\xff",
    date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 6), datetime(2026, 1, 2, tzinfo=UTC), time(1, 2, 3, 4),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))), timedelta(days=-1, microseconds=1),
    Decimal("1.50"), Decimal("-Infinity"), Decimal("1E+400"), UUID(int=5), {"$": 1}, {"$": "bytes", "v": "eA=="},
    {"$": {"$": {}}}, {"v": 1}, {1: "a"}, {"1": "a"}, {None: 1, True: 2, (1, 2): 3}, {b"k": b"v"}, [{"$": "x"}],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_comes_back_as_it_was_with_its_types(value: Any) -> None:
    found = loads(dumps(value))
    assert found == value
    assert repr(found) == repr(value) or isinstance(value, set | frozenset)


def test_nan_comes_back() -> None:
    assert repr(loads(dumps([float("nan"), Decimal("NaN")]))) == "[nan, Decimal('NaN')]"


def test_a_dictionary_keeps_its_order() -> None:
    assert list(loads(dumps({"b": 1, "a": 2}))) == ["b", "a"]


leaves = (
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.dates() | st.datetimes() | st.times() | st.timedeltas() | st.uuids()
    | st.decimals(allow_nan=False)
)  # fmt: skip
hashable = st.recursive(leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2), max_leaves=3)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["$", "v", "a"]) | st.text(), inner, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
@example(timedelta.max)
@example(timedelta(days=400_000, microseconds=1))
def test_any_value_of_the_known_types_comes_back(value: Any) -> None:
    before = copy.deepcopy(value)
    assert loads(dumps(value)) == value == before


@pytest.mark.parametrize(
    "value",
    [object(), object, len, 1j, Point(1, 2), OrderedDict(a=1), Colour.RED, bytearray(b"x"), range(3), {"a": [object()]},
     {object(): 1}, ValueError("x")],
)  # fmt: skip
def test_a_type_that_is_not_on_the_list_is_refused_by_name(value: Any) -> None:
    """Also a subclass of a known type: it would come back as something else."""
    with pytest.raises(NotStorable, match="is not on the list of types"):
        dumps(value)


def test_what_json_cannot_hold_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in ("\ud800", endless, 10**5000):
        with pytest.raises(NotStorable):
            dumps(value)


def test_the_limit_counts_stored_bytes() -> None:
    room = LIMIT - len(dumps(""))
    assert loads(dumps("x" * room)) == "x" * room
    for value in ("x" * (room + 1), "\u00e9" * (room // 2 + 1), b"x" * room):
        with pytest.raises(NotStorable, match=f"the limit is {LIMIT}"):
            dumps(value)


@pytest.mark.parametrize("data", [b"", b"2[]", b"[]", b"\x801", b"null"])
def test_another_version_is_refused_with_the_remedy(data: bytes) -> None:
    with pytest.raises(NotStorable, match="upgrade"):
        loads(data)


DAMAGED = [
    "", "{", "[1,", "nul", '{"$":"bytes"}', '{"$":["bytes"],"v":""}', '{"$":null,"v":1}',
    '{"$":"bytes","v":"a"}', '{"$":"bytes","v":5}', '{"$":"date","v":"x"}', '{"$":"date","v":5}',
    '{"$":"datetime","v":[]}', '{"$":"time","v":"25:00"}', '{"$":"timedelta","v":1e300}', '{"$":"timedelta","v":"x"}',
    '{"$":"decimal","v":"x"}', '{"$":"decimal","v":{}}', '{"$":"uuid","v":"x"}', '{"$":"uuid","v":5}',
    '{"$":"bytes","v":"eA=!="}',
    '{"$":"tuple","v":5}', '{"$":"set","v":[[]]}', '{"$":"dict","v":[[1]]}', '{"$":"dict","v":5}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:30])
def test_damaged_bytes_are_refused_and_build_nothing(text: str) -> None:
    with pytest.raises(NotStorable, match="damaged"):
        loads(b"1" + text.encode())


def test_what_was_never_on_the_list_is_refused_and_builds_nothing() -> None:
    with pytest.raises(NotStorable, match=r"os\.system, which is not on the list"):
        loads(b'1{"$":"os.system","v":"x"}')


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(NotStorable, match="damaged"):
        loads(b'1"\xff\xfe"')


@given(st.binary(max_size=40) | st.sampled_from(DAMAGED[:-1]).map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        loads(b"1" + data)
    except NotStorable:
        return


@given(values, st.data())
def test_a_truncated_value_is_refused_or_another_value(value: Any, data: st.DataObject) -> None:
    stored = dumps(value)
    cut = data.draw(st.integers(0, len(stored) - 1))
    try:
        loads(stored[:cut])
    except NotStorable:
        return


def test_a_registered_type_is_stored_by_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_encoders", dict(codec._encoders))
    monkeypatch.setattr(codec, "_decoders", dict(codec._decoders))
    codec.register(Point, "point", tuple, lambda value: Point(*value))

    stored = dumps([Point(1, Point(2, 3))])

    assert loads(stored) == [Point(1, Point(2, 3))]
    assert json.loads(stored[1:])[0]["$"] == "point"


# --- types that a user names ------------------------------------------------------------------------------------


class Line(BaseModel):
    sku: str = Field(alias="articleNumber")
    colour: Colour | None = None


@dataclass(frozen=True)
class Receipt:
    number: int
    lines: list[Line]
    total: Decimal = field(default=Decimal(0), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", Decimal(len(self.lines)))


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_encoders", dict(codec._encoders))
    monkeypatch.setattr(codec, "_decoders", dict(codec._decoders))
    codec.allow(Receipt, Line, Colour)


@pytest.mark.usefixtures("allowed")
def test_types_that_are_named_are_stored_and_given_back() -> None:
    receipt = Receipt(7, [Line(articleNumber="a", colour=Colour.RED), Line(articleNumber="b")])

    [given_back] = loads(dumps([receipt]))

    assert given_back == receipt
    assert type(given_back.lines[0].colour) is Colour


def test_types_that_are_not_named_are_refused_with_the_remedy() -> None:
    with pytest.raises(NotStorable, match=r"results=\[Line\]"):
        dumps(Line(articleNumber="a"))


@pytest.mark.usefixtures("allowed")
def test_what_is_stored_of_a_type_that_is_not_named_any_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = dumps(Line(articleNumber="a"))
    monkeypatch.setattr(codec, "_decoders", {})
    with pytest.raises(NotStorable, match=r"Line, which is not on the list.*results=\[Line\]"):
        loads(stored)


@pytest.mark.usefixtures("allowed")
def test_a_stored_model_that_is_not_valid_any_more_is_refused() -> None:
    stored = dumps(Line(articleNumber="a")).replace(b'"a"', b"5")
    with pytest.raises(NotStorable, match="damaged"):
        loads(stored)


@pytest.mark.usefixtures("allowed")
def test_a_subclass_of_a_named_type_is_another_type() -> None:
    class Special(Line):
        pass

    with pytest.raises(NotStorable, match="Special"):
        dumps(Special(articleNumber="a"))


@dataclass
class Seeded:
    number: int
    seed: InitVar[int]


@dataclass
class Growing:
    number: int

    def __post_init__(self) -> None:
        self.number += 1


@dataclass(init=False)
class OfText:
    number: int

    def __init__(self, text: str) -> None:
        self.number = int(text)


class Doubling(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def double(cls, number: int) -> int:
        return 2 * number


@pytest.mark.parametrize("value", [Seeded(1, 2), Growing(1), OfText("1"), Doubling(number=1)], ids=repr)
def test_what_would_not_come_back_as_it_was_is_not_stored(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.setattr(codec, "_encoders", dict(codec._encoders))
    monkeypatch.setattr(codec, "_decoders", dict(codec._decoders))
    codec.allow(type(value))
    with pytest.raises(NotStorable, match=f"{type(value).__name__} does not come back as it was"):
        dumps([value])


@pytest.mark.parametrize("kind", [int, object, Point, Line(articleNumber="a"), "Line"])
def test_what_is_no_such_type_is_refused_with_the_remedy(kind: object) -> None:
    with pytest.raises(ConfigurationError, match=r"dataclass|results="):
        codec.allow(kind)  # type: ignore[arg-type]
