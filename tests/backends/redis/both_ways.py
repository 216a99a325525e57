"""Histories through the fast paths of the scripts, and through their rules alone, compared field by field.

`python -m tests.backends.redis.both_ways --histories 20000 --seed 1` plays as many on a server of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import isclose
from typing import Any, Final

import redis

from clawproof_langgraph.backends.redis.keys import keys_of
from clawproof_langgraph.backends.redis.scripts import Script, script
from tests.backends.redis.histories import History
from tests.servers import start_server

STEPS: Final = 40
_DATABASE: Final = 9
"""Of the server; emptied before each history."""
_FAST: Final = ("begin", "settle")
_FACTS: Final = ("kill", "revive", "resolve", "note")
_PARTS: Final = files("clawproof_langgraph.backends.redis") / "lua" / "parts"


@cache
def scripts_of(name: str) -> dict[str, Script]:
    """Put the script of a command together with its fast path, which counts what it leaves over, and without."""
    whole = script(name)
    if name not in _FAST:
        return {"fast": whole, "rules": whole}
    part = (_PARTS / f"{name}_fast.lua").read_text(encoding="utf-8")
    assert whole.text.count(part) == 1
    counted = f"{part}redis.call('INCR', 'left to the rules: {name}')\n"
    return {"fast": _composed(whole.text.replace(part, counted)), "rules": _composed(whole.text.replace(part, ""))}


def _composed(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_DUMP: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', 'clawproof:*')) do
  local kind = redis.call('TYPE', key).ok
  local held
  if kind == 'hash' then held = redis.call('HGETALL', key)
  elseif kind == 'zset' then held = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'list' then held = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'stream' then held = redis.call('XRANGE', key, '-', '+')
  else held = redis.call('GET', key) end
  found[#found + 1] = {key, kind, held, redis.call('TTL', key)}
end
return found
"""


class Pair:
    """Two namespaces of a server, of which one knows the rules alone.

    Args:
        port: of the server; a database of it is emptied.

    Attributes:
        sent: how many commands were sent, by name.
        left: how many of them the fast paths have left to the rules.
    """

    def __init__(self, port: int) -> None:
        self._client = redis.Redis(port=port, db=_DATABASE)
        self._keys = {kind: keys_of(kind) for kind in ("fast", "rules")}
        self._dump = self._client.register_script(_DUMP)
        self._known: set[str] = set()
        self.sent, self.left = Counter[str](), Counter[str]()

    def clear(self) -> None:
        """Empty both."""
        for name in _FAST:
            self.left[name] += int(self._client.get(f"left to the rules: {name}") or 0)
        self._client.flushdb()

    def run(self, name: str, now: float, ticks: float, arguments: Sequence[Any]) -> tuple[Any, Any]:
        """Run a command on both."""
        self.sent[name] += 1
        pipeline = self._client.pipeline(transaction=False)
        for kind, keys in self._keys.items():
            each = scripts_of(name)[kind]
            if each.sha not in self._known:
                self._client.script_load(each.text)
                self._known.add(each.sha)
            names = (*keys.facts, f"{keys.said}{self.sent.total()}") if name in _FACTS else keys.scripts
            pipeline.execute_command("EVALSHA", each.sha, len(names), *names, now, ticks, keys.bells, *arguments)
        fast, rules = pipeline.execute(raise_on_error=False)
        return fast, rules

    def held(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read all keys of both, as values that are equal where they mean the same."""
        found: dict[str, dict[str, Any]] = {kind: {} for kind in self._keys}
        for name, kind, held, ttl in self._dump():
            _, namespace, rest = name.decode().split(":", 2)
            found[namespace.strip("{}")][rest] = _read(rest, kind.decode(), held), ttl > 0
        return found["fast"], found["rules"]

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


def _read(key: str, kind: str, held: Any) -> Any:
    if kind == "hash":
        return {name: _field(name, value) for name, value in zip(held[::2], held[1::2], strict=True)}
    if key == "log":
        return [(entry, [_event(part) for part in fields]) for entry, fields in held]
    return held


def _field(name: bytes, value: bytes) -> Any:
    if name[:1] == b"d":
        head, row, result = value.split(b"\n", 2)
        return head, [[] if part == {} else part for part in json.loads(row)], result  # Lua has one word for {} and []
    if name[:1] in b"lw":
        head, row = value.split(b"\n", 1)
        return head, json.loads(row)
    return value


def _event(part: bytes) -> Any:
    return json.loads(part)


def first_difference(one: Any, other: Any, path: str = "") -> str:
    """Tell where two values differ; empty where they do not."""
    if isinstance(one, float) or isinstance(other, float):
        # The time that a caller has waited is written as it was sent, or with six decimals.
        return "" if isclose(one, other, abs_tol=1e-6) else f"{path}: {one!r} != {other!r}"
    if type(one) is not type(other):
        return f"{path}: {one!r} != {other!r}"
    if isinstance(one, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                where = "only in the second" if key not in one else "only in the first"
                return f"{path}/{key!r}: {where}: {one.get(key, other.get(key))!r}"
            if found := first_difference(one[key], other[key], f"{path}/{key!r}"):
                return found
        return ""
    if isinstance(one, list | tuple):
        for at, (left, right) in enumerate(zip(one, other, strict=False)):
            if found := first_difference(left, right, f"{path}[{at}]"):
                return found
        more = (one if len(one) > len(other) else other)[min(len(one), len(other)) :]
        return f"{path}: only in the {'first' if len(one) > len(other) else 'second'}: {more!r}" if more else ""
    return "" if one == other else f"{path}: {one!r} != {other!r}"


def play(pair: Pair, seed: int, *, steps: int = STEPS, every_step: bool = False) -> str:
    """Play a history both ways; tell where they differ first, empty where they do not."""
    pair.clear()
    history = History(seed)
    for step in range(steps):
        history.pass_time()
        name, arguments, call = history.command()
        fast, rules = pair.run(name, history.now, history.ticks, arguments)
        found = first_difference(_plain(fast), _plain(rules), "reply")
        if not found and (every_step or step == steps - 1):
            found = first_difference(*pair.held())
        if found:
            told = f"seed {seed}, step {step}, {name} {arguments} at {history.now!r}, {history.ticks!r}: {found}"
            return told if every_step else play(pair, seed, steps=steps, every_step=True) or told
        if call is not None:
            history.heard(call, fast)
    return ""


def _plain(reply: Any) -> Any:
    return str(reply) if isinstance(reply, Exception) else reply


def main() -> int:
    """Play histories until one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    server, began = start_server(), time.monotonic()
    pair = Pair(server.port)
    try:
        for seed in range(options.seed, options.seed + options.histories):
            if found := play(pair, seed):
                print(found)  # noqa: T201
                return 1
    finally:
        pair.close()
        server.stop()
    print(f"{options.histories} histories from seed {options.seed}, {time.monotonic() - began:.0f} s: no difference")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
