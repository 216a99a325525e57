"""The statements of a text of SQL, each with what it does: by sqlglot where it changes something, else by its words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from clawproof_langgraph.audit.effects.parsing import parsed
from clawproof_langgraph.audit.effects.placeholders import split
from clawproof_langgraph.audit.effects.statement import COUNTERS, Assigned, Change, Statement, Term, Verb

_FIRST: Final = re.compile(r"\s*(?:(?:--[^\n]*\n|/\*.*?\*/|\()\s*)*([A-Za-z]+)", re.DOTALL)
_VERBS: Final[dict[str, Verb]] = {
    "insert": "insert", "replace": "insert", "upsert": "insert", "update": "update", "delete": "delete",
    "merge": "merge", "select": "select", "values": "select", "table": "select", "show": "select",
    "describe": "select", "explain": "select", "create": "ddl", "drop": "ddl", "alter": "ddl", "truncate": "ddl",
    "call": "call", "exec": "call", "execute": "call", "lock": "lock", "copy": "load", "load": "load", "with": "other",
    "begin": "other", "commit": "other", "rollback": "other", "savepoint": "other", "release": "other",
    "pragma": "other", "set": "other", "vacuum": "other", "notify": "other", "listen": "other", "analyze": "other",
    "grant": "other", "use": "other", "declare": "other", "start": "other", "if": "other", "attach": "other",
    "reindex": "other", "do": "call", "refresh": "other",
}  # fmt: skip


def is_sql(text: str) -> bool:
    """Tell whether a text begins like a statement."""
    match = _FIRST.match(text)
    return (
        match is not None
        and match[1].lower() in _VERBS
        and (" " in text.strip() or match[1].lower() in ("commit", "begin"))
    )


@lru_cache(maxsize=4096)
def statements(text: str, dialect: str) -> tuple[Statement, ...]:
    """Read the statements of a text.

    Args:
        text: the SQL; unknown parts are identifiers that begin with `HOLE`.
        dialect: as sqlglot names it; empty where it is not known.
    """
    return tuple(_read(part, dialect) for part in split(text))


def _read(text: str, dialect: str) -> Statement:
    match = _FIRST.match(text)
    word = match[1].lower() if match is not None else ""
    verb = _VERBS.get(word, "other")
    words = " ".join(text.split()[:3])
    if word == "if":
        return _guessed(text, verb)
    if verb in ("insert", "update", "delete", "merge") or word == "with":
        return parsed(text, dialect, word) or _guessed(text, verb)
    if verb == "select":
        locking = re.search(
            r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b|_advisory_(xact_)?lock|\bGET_LOCK\b", text, re.IGNORECASE
        )
        writing = re.search(r"\b(nextval|setval|dblink_exec)\s*\(", text, re.IGNORECASE)
        return Statement("call" if writing else "select", _table_after(text, "FROM"), locks=bool(locking), words=words)
    if verb == "ddl":
        exists = (
            bool(re.search(r"\bIF\s+(NOT\s+)?EXISTS\b|\bOR\s+REPLACE\b", text, re.IGNORECASE)) or word == "truncate"
        )
        words = " ".join(text.split()[:2]).upper()
        return Statement("ddl", _table_after(text, "TABLE|INDEX|VIEW|TRUNCATE"), exists=exists, words=words)
    if verb == "load" and re.search(r"\bTO\b", text, re.IGNORECASE) and not re.search(r"\bFROM\b", text, re.IGNORECASE):
        verb = "select"
    return Statement(verb, _table_after(text, "CALL|EXECUTE|EXEC|COPY|TABLE"), locks=verb == "lock", words=words)


def _table_after(text: str, words: str) -> str:
    match = re.search(
        rf"\b(?:{words})\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+|INTO\s+|ONLY\s+)?([\w.\"`\[\]]+)", text, re.IGNORECASE
    )
    return match[1].strip('"`[]') if match is not None else ""


def _guessed(text: str, verb: Verb) -> Statement:
    """Judge a text that no dialect reads by its words."""
    upper = " ".join(text.upper().split())
    words = " ".join(text.split()[:3])
    table = _table_after(text, "INSERT|INTO|UPDATE|FROM|MERGE")
    if verb == "insert" or (verb == "other" and "INSERT INTO" in upper):
        upsert = any(
            each in upper
            for each in (
                "ON CONFLICT",
                "ON DUPLICATE KEY",
                "INSERT OR IGNORE",
                "INSERT OR REPLACE",
                "INSERT IGNORE",
                "REPLACE INTO",
                "MERGE INTO",
            )
        )
        relative = re.search(
            r"DO UPDATE SET .*?\b(\w+) = (?:\w+\.)?\1 [-+*|]|DUPLICATE KEY UPDATE .*?\b(\w+) = \2 [-+*|]", upper
        )
        sets = (Assigned(relative[1] or relative[2] or "", "relative", Term()),) if relative is not None else ()
        return Statement(
            "insert",
            table,
            upsert=upsert,
            guarded="NOT EXISTS" in upper or upper.startswith("IF EXISTS"),
            sets=sets,
            words=words,
            parsed=False,
        )
    relative = re.search(r"\b(\w+) = (?:\w+\.)?\1 ?(?:[-+*/]|\|\|)", upper)
    if verb == "update" and relative is not None:
        column = relative[1].lower()
        change: Change = "counter" if COUNTERS.search(column) else "relative"
        return Statement("update", table, sets=(Assigned(column, change, Term()),), words=words, parsed=False)
    return Statement(verb, table, words=words, parsed=False)
