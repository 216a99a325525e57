"""Key-value and document stores: Redis, MongoDB."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.growing import is_changed_in_place
from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_key, is_unstable
from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.readings import readings
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_REDIS_ADDS: Final = frozenset(
    {"incr", "incrby", "incrbyfloat", "decr", "decrby", "hincrby", "hincrbyfloat", "zincrby", "lpush", "rpush",
     "lpop", "rpop", "append", "xadd", "publish", "spop", "rpoplpush", "lmove", "blpop", "brpop", "linsert",
     "lpushx", "rpushx", "getdel"}
)  # fmt: skip
_REDIS_SETS: Final = frozenset(
    {"set", "mset", "setex", "psetex", "hset", "hmset", "hsetnx", "setnx", "sadd", "srem", "delete", "unlink",
     "expire", "persist", "zadd", "zrem", "hdel", "rename", "setbit", "pfadd", "geoadd", "flushdb", "ltrim", "lrem",
     "copy", "getset"}
)  # fmt: skip
_REDIS_READS: Final = frozenset(
    {"get", "mget", "hget", "hgetall", "hmget", "lrange", "smembers", "sismember", "zrange", "zscore", "exists",
     "keys", "scan", "ttl", "llen", "scard", "type", "xrange", "xread", "scan_iter", "lindex", "hexists", "hkeys",
     "zcard", "strlen"}
)  # fmt: skip
_MONGO_ADDS: Final = ("insert_one", "insert_many", "bulk_write", "insert")
_MONGO_UPDATES: Final = ("update_one", "update_many", "find_one_and_update")
_MONGO_SETS: Final = ("replace_one", "delete_one", "delete_many", "find_one_and_replace", "create_index", "drop")
_MONGO_READS: Final = ("find", "find_one", "count_documents", "aggregate", "distinct")
_RELATIVE: Final = frozenset({"$inc", "$push", "$mul", "$pop", "$bit", "$pushAll"})
_FIX: Final = (
    "Set the value itself, or guard it with a key of the call: SET key NX, or a set of the keys that were done."
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of a store does."""
    if site.family == "redis":
        yield from _of_redis(site)
    elif site.family == "mongo" or (
        not site.kind and site.receiver is not None and site.name in ("insert_one", "insert_many", *_MONGO_UPDATES)
    ):
        yield from _of_mongo(site)


def _of_redis(site: Site) -> Iterator[Touch]:
    key = site.argument(0, "name", "key", "channel")
    resource = text_of(key, site.scope).filled() if key is not None else ""
    what = f"{site.name.upper()} {resource}".strip()
    if site.name in _REDIS_ADDS or (site.name == "zadd" and site.argument(None, "incr") is not None):
        if (
            site.name == "xadd"
            and (named := site.argument(None, "id")) is not None
            and not is_unstable(named, site.scope)
        ):
            yield site.touch(
                "store", what, repeatable=True, resource=resource, why="An entry of that id is added once."
            )
            return
        yield site.touch(
            "store",
            what,
            repeatable=False,
            resource=resource,
            short=f"uses {site.name.upper()}",
            why="Each repetition does it again.",
            fix=_FIX,
        )
    elif site.name in _REDIS_SETS:
        yield _set(site, what, resource, key)
    elif site.name in ("eval", "evalsha", "execute_command", "fcall"):
        yield site.touch(
            "store",
            what,
            repeatable=None,
            short="runs a script",
            confidence=Confidence.POSSIBLE,
            fix=_FIX,
            why="What a script does cannot be told from here.",
        )
    elif site.name in _REDIS_READS:
        yield site.touch("store", what, writes=False, repeatable=True, resource=resource, why="It only reads.")


def _set(site: Site, what: str, resource: str, key: ast.expr | None) -> Touch:
    if is_unstable(key, site.scope) or (site.name in ("sadd", "zadd") and is_unstable(site.argument(1), site.scope)):
        return site.touch(
            "store",
            what,
            repeatable=False,
            resource=resource,
            short="writes under a new key each time",
            why="Each repetition writes another one.",
            fix="Make the key from the arguments of the call.",
        )
    value = site.argument(2 if site.name in ("hset", "setex", "psetex") else 1, "value")
    if value is not None and _is_computed(Valued(value, site.scope)):
        return site.touch(
            "store",
            what,
            repeatable=False,
            resource=resource,
            confidence=Confidence.LIKELY,
            fix=_FIX,
            short="writes back a value that it computed from what it read",
            why="A repetition reads the new value and computes from that.",
        )
    return site.touch("store", what, repeatable=True, resource=resource, why="It sets a value by its key.")


def _is_computed(value: Valued) -> bool:
    computed = any(reading.computed and _reads(reading.call) for reading in readings(value))
    return computed or is_changed_in_place(value, _reads)


def _reads(call: Valued) -> bool:
    node = call.node
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "hget", "mget", "hgetall", "find_one")
        and kind_of(node.func.value, call.scope).partition(":")[0] in ("redis", "mongo")
    )


def _of_mongo(site: Site) -> Iterator[Touch]:
    certain = Confidence.CERTAIN if site.family == "mongo" else Confidence.LIKELY
    resource = ast.unparse(site.receiver).rpartition(".")[2] if site.receiver is not None else ""
    what = f"{resource}.{site.name}"
    if site.name in _MONGO_ADDS:
        yield _inserted(site, what, resource, certain)
    elif site.name in _MONGO_UPDATES:
        yield _updated(site, what, resource, certain)
    elif site.name in _MONGO_SETS:
        yield site.touch(
            "store",
            what,
            repeatable=True,
            resource=resource,
            why="It leads to a state that a repetition finds.",
            confidence=certain,
        )
    elif site.name in _MONGO_READS:
        yield site.touch(
            "store", what, writes=False, repeatable=True, resource=resource, why="It only reads.", confidence=certain
        )


def _inserted(site: Site, what: str, resource: str, certain: Confidence) -> Touch:
    document = site.argument(0, "document")
    for name, value in entries(document, site.scope) if document is not None and site.name == "insert_one" else ():
        if value is not None and (
            is_key(value.node, value.scope)
            or ((name == "_id" or KEY_NAME.search(name)) and not is_unstable(value.node, value.scope))
        ):
            return site.touch(
                "store",
                what,
                repeatable=True,
                resource=resource,
                why="A second document of that key is refused.",
                confidence=certain,
            )
    return site.touch(
        "store",
        what,
        repeatable=False,
        resource=resource,
        short=f"uses {site.name}, not an upsert",
        why="Each repetition adds a document.",
        confidence=certain,
        fix="Use update_one(..., {'$setOnInsert': ...}, upsert=True) under a business key.",
    )


def _updated(site: Site, what: str, resource: str, certain: Confidence) -> Touch:
    change = site.argument(1, "update")
    operators = {name for name, _ in entries(change, site.scope)} if change is not None else set()
    if operators & _RELATIVE:
        return site.touch(
            "store",
            what,
            repeatable=False,
            resource=resource,
            confidence=certain,
            short=f"updates with {sorted(operators & _RELATIVE)[0]}",
            why="Each repetition changes it again.",
            fix="Use $set or $addToSet, or put the key of the call into the filter.",
        )
    query = site.argument(0, "filter")
    if query is not None and any(
        value and is_unstable(value.node, value.scope) for _, value in entries(query, site.scope)
    ):
        return site.touch(
            "store",
            what,
            repeatable=False,
            resource=resource,
            confidence=certain,
            short="upserts under a new key each time",
            why="It never meets the document that is there.",
            fix="Make the key from the arguments of the call.",
        )
    return site.touch(
        "store",
        what,
        repeatable=True,
        resource=resource,
        confidence=certain,
        why="It sets values that do not depend on the old ones.",
    )
