"""Results as bytes: JSON with tags for a fixed list of types. It can build nothing that is not on the list."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from clawproof_langgraph.errors import ClawproofError, ConfigurationError

_VERSION: Final = b"1"
_TAG: Final = "$"
LIMIT: Final = 256 * 1024
"""The most bytes of a stored result."""


class NotStorable(ClawproofError):
    """Says that a value has no stored form, or that stored bytes cannot be read."""


_encoders: dict[type, tuple[str, Callable[[Any], Any]]] = {}
_decoders: dict[str, Callable[[Any], Any]] = {}


def register(kind: type, tag: str, encode: Callable[[Any], Any], decode: Callable[[Any], Any]) -> None:
    """Put a type on the list.

    Args:
        kind: the type itself; its subclasses are other types.
        tag: its name in the stored form.
        encode: gives a value of storable parts.
        decode: makes the object of it.
    """
    _encoders[kind] = (tag, encode)
    _decoders[tag] = decode


def allow(*kinds: type) -> None:
    """Put dataclasses, pydantic models and enums on the list: those types themselves, and nothing that they refer to.

    Raises:
        ConfigurationError: something else is named.
    """
    for kind in kinds:
        tag = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"
        if not isinstance(kind, type):
            raise ConfigurationError(f"{kind!r} is no type; name classes: results=[Receipt].")
        if issubclass(kind, Enum):
            register(kind, tag, _value_of, kind)
        elif issubclass(kind, BaseModel):
            _register_proved(kind, tag, dict, partial(kind.model_validate, by_alias=False, by_name=True))
        elif is_dataclass(kind):
            _register_proved(kind, tag, _fields_of, partial(_dataclass_of, kind))
        else:
            raise ConfigurationError(
                f"{tag} is neither a dataclass, nor a pydantic model, nor an enum: return something that is, or a dict."
            )


def _register_proved(kind: type, tag: str, read: Callable[[Any], Any], make: Callable[[Any], Any]) -> None:
    """Put a type on the list whose own code makes its objects: what that code would make otherwise is not stored."""

    def encode(value: Any) -> Any:
        values = read(value)
        try:
            comes_back = read(make(values)) == values
        except Exception as exc:
            raise NotStorable(f"The value cannot be stored: a {tag} does not come back as it was: {exc!r}.") from exc
        if not comes_back:
            raise NotStorable(
                f"The value cannot be stored: a {tag} does not come back as it was: it changes what it is made of."
            )
        return values

    register(kind, tag, encode, make)


def _value_of(member: Enum) -> Any:
    return member.value


def _fields_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _dataclass_of(kind: type, values: dict[str, Any]) -> Any:
    given = {field.name for field in fields(kind) if field.init}
    made = kind(**{name: value for name, value in values.items() if name in given})
    for name in values.keys() - given:
        object.__setattr__(made, name, values[name])  # also where the class is frozen
    return made


def dumps(value: Any) -> bytes:
    """Encode a value.

    Raises:
        NotStorable: it holds a type that is not on the list, or is larger than `LIMIT`.
    """
    try:
        data = _VERSION + json.dumps(_pack(value), ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as exc:  # lone surrogates, endless nesting
        raise NotStorable(f"The value cannot be stored: {exc}.") from exc
    if len(data) > LIMIT:
        raise NotStorable(f"The value has {len(data)} bytes when stored; the limit is {LIMIT}.")
    return data


def loads(data: bytes) -> Any:
    """Decode what `dumps` wrote.

    Raises:
        NotStorable: it is damaged, of a newer version, or names a type that is not on the list.
    """
    if data[:1] != _VERSION:
        raise NotStorable("The stored result is damaged, or from a newer version of clawproof-langgraph: upgrade it.")
    try:
        return _unpack(json.loads(data[1:]))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
        raise NotStorable(f"The stored result is damaged: {exc!r}.") from exc


def _pack(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (str, int, bool, float):
        return value
    if kind is list:
        return [_pack(element) for element in value]
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _pack(element) for key, element in value.items()}
        return {_TAG: "dict", "v": [[_pack(key), _pack(element)] for key, element in value.items()]}
    if kind in _encoders:
        tag, encode = _encoders[kind]
        return {_TAG: tag, "v": _pack(encode(value))}
    raise NotStorable(
        f"The value cannot be stored: {kind.__module__}.{kind.__qualname__} is not on the list of types. A "
        f"dataclass, a pydantic model or an enum can be named: Coordinator.from_url(url, results=[{kind.__name__}])."
    )


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(element) for element in value]
    if isinstance(value, dict):
        if _TAG in value:
            return _decoder(value[_TAG])(_unpack(value["v"]))
        return {key: _unpack(element) for key, element in value.items()}
    return value


def _decoder(tag: str) -> Callable[[Any], Any]:
    if tag in _decoders:
        return _decoders[tag]
    raise NotStorable(
        f"The stored result holds a {tag}, which is not on the list of types in this process. If it is one of yours, "
        f"name it: Coordinator.from_url(url, results=[{tag.rpartition('.')[2]}])."
    )


_decoders["dict"] = dict
register(tuple, "tuple", list, tuple)
register(set, "set", list, set)
register(frozenset, "frozenset", list, frozenset)
register(bytes, "bytes", lambda value: base64.b64encode(value).decode(), partial(base64.b64decode, validate=True))
register(datetime, "datetime", datetime.isoformat, datetime.fromisoformat)
register(date, "date", date.isoformat, date.fromisoformat)
register(time, "time", time.isoformat, time.fromisoformat)
register(timedelta, "timedelta", lambda span: [span.days, span.seconds, span.microseconds], lambda v: timedelta(*v))
register(Decimal, "decimal", str, Decimal)
register(UUID, "uuid", str, UUID)
