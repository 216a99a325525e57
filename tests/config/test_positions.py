"""Where keys and values stand: in every way of writing them that TOML has."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawproof_langgraph.config.positions import locate

TEXT = '''# a comment with [brackets] = "x"
url = "x"   # behind
a.b . "c d" = [1, {x = 2, y.z = [ # not an end ]
  3 ] }, """m
"]l"""]
[tools."reserve_*"]
\tttl = 1979-05-27 07:32:00
'l i' = '\\n'
[[w]]
k=1
[[w]]
k=2
[w.s]
q = """a\\"""b""""
r = \'\'\'x\'\'\'\'
empty = []
none = {}
"ünï" = "ö"
'''


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("url",), (2, 1, 3), (2, 7, 3)),
        (("a",), (3, 1, 1), (3, 1, 1)),
        (("a", "b", "c d"), (3, 7, 5), (3, 15, 34)),
        (("a", "b", "c d", 0), (3, 16, 1), (3, 16, 1)),
        (("a", "b", "c d", 1, "x"), (3, 20, 1), (3, 24, 1)),
        (("a", "b", "c d", 1, "y", "z"), (3, 29, 1), (3, 33, 16)),
        (("a", "b", "c d", 1, "y", "z", 0), (4, 3, 1), (4, 3, 1)),
        (("a", "b", "c d", 2), (4, 10, 4), (4, 10, 4)),
        (("tools",), (6, 2, 5), (6, 2, 5)),
        (("tools", "reserve_*"), (6, 8, 11), (6, 8, 11)),
        (("tools", "reserve_*", "ttl"), (7, 2, 3), (7, 8, 19)),
        (("tools", "reserve_*", "l i"), (8, 1, 5), (8, 9, 4)),
        (("w", 0), (9, 3, 1), (9, 3, 1)),
        (("w", 1), (11, 3, 1), (11, 3, 1)),
        (("w", 1, "k"), (12, 1, 1), (12, 3, 1)),
        (("w", 1, "s"), (13, 4, 1), (13, 4, 1)),
        (("w", 1, "s", "q"), (14, 1, 1), (14, 5, 13)),
        (("w", 1, "s", "r"), (15, 1, 1), (15, 5, 8)),
        (("w", 1, "s", "empty"), (16, 1, 5), (16, 9, 2)),
        (("w", 1, "s", "ünï"), (18, 1, 5), (18, 9, 3)),
    ],
)
def test_a_key_and_its_value_are_where_they_stand(path: Any, key: Any, value: Any) -> None:
    tomllib.loads(TEXT)
    spot = locate(TEXT)[path]
    assert (tuple(spot.key), tuple(spot.value)) == (key, value)


def test_a_table_stands_at_its_own_header_and_not_where_a_table_inside_it_names_it() -> None:
    found = locate("[a.b]\nx = 1\n[a]\ny = 2\n")
    assert (found["a",].key.line, found["a", "b"].key.line) == (3, 1)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the way to each key and element of what tomllib has read."""
    for step, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, step)
        yield from paths_of(each, (*path, step))


signs = st.text(alphabet="ab \\\"'#[]{}=,.\n\té", max_size=6)
scalars = st.one_of(signs, st.integers(-9, 9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(signs, inner, max_size=3), max_leaves=12
)


def as_toml(value: Any, spread: str) -> str:
    """Write a value in TOML, with arrays spread over lines and long strings where the seed says so."""
    match value:
        case bool() | int() | float():
            return str(value).lower()
        case str():
            plain = json.dumps(value, ensure_ascii=False)
            return f'""{plain}""' if "long" in spread else plain
        case list():
            gap = "\n  # ] , }\n" if "lines" in spread else " "
            return f"[{gap}{f',{gap}'.join(as_toml(each, spread) for each in value)}{gap}]"
        case _:
            pairs = ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {as_toml(each, spread)}"
                              for key, each in value.items())  # fmt: skip
            return f"{{ {pairs} }}"


@given(
    st.dictionaries(signs, values, max_size=4),
    st.sampled_from(["", "lines", "long", "lines long"]),
    st.sampled_from(["", "[t]\n", '[t."u".v]\n', "[[t]]\n[[t]]\n"]),
)
def test_whatever_tomllib_reads_has_a_place_for_each_key_and_element(
    document: dict[str, Any], spread: str, header: str
) -> None:
    pairs = [f"{json.dumps(key, ensure_ascii=False)} = {as_toml(each, spread)} # c\n" for key, each in document.items()]
    text = header + "".join(pairs)
    data = tomllib.loads(text)

    found = locate(text)

    assert set(paths_of(data)) == set(found)
    lines = text.split("\n")
    for spot in found.values():
        for place in spot:
            assert lines[place.line - 1][place.column - 1 : place.column - 1 + place.width]
