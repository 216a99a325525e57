"""Idempotency keys and fingerprints: SHA-256 over parts that cannot run into each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from clawproof_langgraph.errors import ConfigurationError

_SIZE: Final = 32
"""Hexadecimal digits of a key: 128 bits, so that 10**12 keys collide with a chance of 1 in 10**15."""

_encode: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode

_ADDRESSES: Final = (IPv4Address, IPv6Address, IPv4Network, IPv6Network)
_TEXTUAL: Final = (datetime, date, time, timedelta, Decimal, UUID, PurePath, Fraction, complex, *_ADDRESSES)


def digest(*parts: str) -> str:
    """Hash texts so that no other list of texts has the same hash: each part carries its length."""
    data = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:_SIZE]


def sealed(secret: bytes, hashed: str) -> str:
    """Hash once more, with a secret: what can be guessed, such as arguments, cannot be told from it by trying."""
    # Keyed BLAKE2: `hmac.digest` lets other threads run meanwhile, and takes 60 µs to get its turn again.
    return hashlib.blake2b(hashed.encode(), key=secret, digest_size=_SIZE // 2).hexdigest()


def fingerprint(values: Mapping[str, Any], tool: str = "") -> str:
    """Hash arguments over their canonical JSON, and the tool that they are for.

    Raises:
        ConfigurationError: an argument has no canonical form.
    """
    return digest(tool, _encode(_canonical(values)))


def _canonical(value: Any) -> Any:
    """Give the JSON form of a value; what JSON does not know carries its type, so that no two types are the same."""
    kind = type(value)
    if value is None or kind in (str, int, bool, float):
        return value
    if kind is list:
        return [_canonical(element) for element in value]
    if isinstance(value, Mapping):
        return _canonical_mapping(value)
    if isinstance(value, Enum):
        return _typed(kind, _canonical(value.value))
    if isinstance(value, tuple):
        return _typed(kind, [_canonical(element) for element in value])
    if isinstance(value, set | frozenset):
        return _typed(kind, sorted(_encode(_canonical(element)) for element in value))
    for known in _TEXTUAL:
        if isinstance(value, known):  # by this name in every version of Python
            return {known.__name__: str(value)}
    return _typed(kind, _plain(value))


def _canonical_mapping(value: Mapping[Any, Any]) -> Any:
    if all(type(key) is str for key in value):
        return {key: _canonical(element) for key, element in value.items()}
    pairs = [[_encode(_canonical(key)), _canonical(element)] for key, element in value.items()]
    return _typed(type(value), sorted(pairs, key=lambda pair: pair[0]))


def _typed(kind: type, form: Any) -> dict[str, Any]:
    return {f"{kind.__module__}.{kind.__qualname__}": form}


def _plain(value: Any) -> Any:
    kind = type(value)
    if hasattr(value, "model_dump"):
        return _canonical(value.model_dump())
    if is_dataclass(value):
        return {field.name: _canonical(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, str | int | float):  # a subclass of its own
        return _canonical(value.__str__() if isinstance(value, str) else value + 0)
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    raise ConfigurationError(
        f"An argument of type {kind.__module__}.{kind.__qualname__} cannot be part of a fingerprint. Name in "
        f"`key_fields` the arguments that make the call the same, without this one."
    )
