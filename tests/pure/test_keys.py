"""Keys and fingerprints: two different calls never have the same, and one call always has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.keys import digest, fingerprint, sealed


class Model(BaseModel):
    """A model with the same content as the dataclass below."""

    a: int = 1


@dataclass
class Data:
    """A dataclass with the same content as the model above."""

    a: int = 1


class Colour(Enum):
    RED = "red"


ID = UUID("12345678-1234-5678-1234-567812345678")

DISTINCT: list[Any] = [
    1, 1.0, True, "1", "1.0", "true", None, "null", "", 0, False, -0.5, 10**30, [], {}, [1], ["1"], [[1]], [1, 1],
    {"a": 1}, {"a": "1"}, {"b": 1}, {"a": None}, {1}, {"1"}, frozenset({1}), b"1", b"", bytearray(b"1"), Decimal("1"),
    Decimal("1.0"), Fraction(1), 1j, ID, str(ID), date(2026, 1, 1), datetime(2026, 1, 1), "2026-01-01", time(1),
    datetime(2026, 1, 1, tzinfo=UTC), PurePosixPath("1"), ip_address("1.1.1.1"), "1.1.1.1", Colour.RED, "red",
    Model(), Data(), Model(a=2), Data(a=2), "caf\u00e9", "\ud800",
]  # fmt: skip


def test_values_of_different_content_or_type_have_different_fingerprints() -> None:
    prints = [fingerprint({"value": value}) for value in DISTINCT]
    twins = [(DISTINCT[prints.index(p)], DISTINCT[n]) for n, p in enumerate(prints) if prints.index(p) != n]
    assert twins == []


@pytest.mark.parametrize("value", DISTINCT)
def test_a_fingerprint_is_the_same_each_time(value: Any) -> None:
    assert fingerprint({"value": value}) == fingerprint({"value": value})


def test_it_does_not_depend_on_the_order_of_arguments_or_of_sets() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    names = [f"n{n}" for n in range(50)]
    assert fingerprint({"a": set(names)}) == fingerprint({"a": grown_otherwise(names)})


def grown_otherwise(names: list[str]) -> set[str]:
    """Make the same set by another way, so that it is walked in another order."""
    grown = {f"other{n}" for n in range(500)}
    grown.update(reversed(names))
    return {name for name in grown if not name.startswith("other")}


def test_it_depends_on_the_order_of_lists() -> None:
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})


def test_keys_of_other_types_are_not_taken_for_texts() -> None:
    assert fingerprint({"a": {1: "x"}}) != fingerprint({"a": {"1": "x"}})


class Unknown:
    """Something without a canonical form."""


@pytest.mark.parametrize(
    "value",
    [Unknown(), Unknown, lambda: None, [Unknown()], {"deep": {"er": Unknown()}}, {(1, 2): 3}, {1: 2, "b": 3}],
    ids=["object", "class", "function", "in a list", "in a mapping", "tuple as a key", "keys of mixed types"],
)
def test_what_has_no_canonical_form_is_refused_or_has_one(value: Any) -> None:
    """Never an error of another kind, which would tell nobody what to do."""
    try:
        found = fingerprint({"a": value})
    except ConfigurationError:
        return
    assert isinstance(value, dict) and found == fingerprint({"a": value})


def test_an_object_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"test_keys\.Unknown cannot .* `key_fields`"):
        fingerprint({"a": Unknown()})


def test_a_digest_is_128_bits_of_hexadecimal() -> None:
    assert len(digest("a")) == 32
    int(digest("a"), 16)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        (("a", "b"), ("a:b",)),
        (("a", "b"), ("a", "", "b")),
        (("ab", "c"), ("a", "bc")),
        (("1:a",), ("a",)),
        (("a", "1:b"), ("a1:b",)),
        ((), ("",)),
        (("a", "b"), ("b", "a")),
    ],
)
def test_parts_cannot_run_into_each_other(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert digest(*one) != digest(*other)


parts = st.lists(st.text(alphabet="a1:0", max_size=4), max_size=4)


@given(parts, parts)
def test_only_the_same_parts_have_the_same_digest(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) is (one == other)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_whatever_a_model_can_emit_has_a_fingerprint(arguments: dict[str, Any]) -> None:
    shuffled = dict(sorted(arguments.items(), reverse=True))
    assert fingerprint(arguments) == fingerprint(shuffled)


def test_a_sealed_hash_is_the_secrets_own() -> None:
    """Who knows every argument that there is cannot find out which one was given."""
    assert sealed(b"a", "hash") == sealed(b"a", "hash")
    assert len({sealed(b"a", "hash"), sealed(b"b", "hash"), sealed(b"a", "other"), "hash"}) == 4
