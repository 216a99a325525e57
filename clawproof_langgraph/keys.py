"""Idempotency keys and fingerprints: SHA-256 over parts that cannot run into each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from clawproof_langgraph.errors import ConfigurationError

_SIZE: Final = 32
"""Hexadecimal digits of a key: 128 bits, so that 10**12 keys collide with a chance of 1 in 10**15."""

_encode: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=lambda v: _plain(v)
)


def digest(*parts: str) -> str:
    """Hash texts so that no other list of texts has the same hash: each part carries its length."""
    data = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:_SIZE]


def fingerprint(values: Mapping[str, Any]) -> str:
    """Hash arguments over their canonical JSON.

    Raises:
        ConfigurationError: an argument has no canonical form.
    """
    return digest(_encode.encode(values))


def _plain(value: Any) -> Any:
    """Give a JSON form, with its type, of a value that has none of its own."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(value, "model_dump"):
        return {name: value.model_dump()}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: asdict(value)}
    if isinstance(value, set | frozenset):
        return {name: sorted(_encode.encode(element) for element in value)}
    if isinstance(value, bytes | bytearray):
        return {name: bytes(value).hex()}
    if hasattr(value, "isoformat"):
        return {name: value.isoformat()}
    if kind.__module__ in ("decimal", "uuid", "pathlib", "fractions", "ipaddress") or isinstance(value, complex):
        return {name: str(value)}
    if hasattr(value, "value") and hasattr(value, "name"):
        return {name: value.value}
    raise ConfigurationError(
        f"An argument of type {name} cannot be part of a fingerprint. Name in `key_fields` the arguments that make "
        f"the call the same, without this one."
    )
