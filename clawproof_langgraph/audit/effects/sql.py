"""SQL in tools: which call is given which statements, and whether doing them twice is as good as once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.parameters import Parameters, parameters_of
from clawproof_langgraph.audit.effects.sites import Site, callee
from clawproof_langgraph.audit.effects.statement import HOLE, Statement
from clawproof_langgraph.audit.effects.statements import is_sql, statements
from clawproof_langgraph.audit.effects.text import Text, text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.effects.verdicts import judge
from clawproof_langgraph.audit.findings import Confidence

_METHODS: Final = frozenset(
    {"execute", "executemany", "executescript", "exec_driver_sql", "fetch", "fetchrow", "fetchval", "fetch_all",
     "fetch_one", "fetch_val", "execute_fetchall", "execute_insert", "scalar", "scalars", "exec", "run", "query",
     "raw", "execute_sql", "execute_batch", "execute_values", "read_sql", "run_sql", "stream", "sql", "copy_expert",
     "copy", "execute_many"}
)  # fmt: skip
_DIALECTS: Final = {
    "sqlite3": "sqlite", "aiosqlite": "sqlite", "psycopg": "postgres", "psycopg2": "postgres", "asyncpg": "postgres",
    "psycopg_pool": "postgres", "pymysql": "mysql", "MySQLdb": "mysql", "aiomysql": "mysql", "mysql": "mysql",
    "oracledb": "oracle", "cx_Oracle": "oracle", "pyodbc": "tsql", "pymssql": "tsql", "duckdb": "duckdb",
}  # fmt: skip
_COPIES: Final = {"copy_from": 1, "copy_records_to_table": 0, "copy_to_table": 0}
"""Methods that copy rows into a table, each with the position of its name."""
_FAMILIES: Final = ("sql", "alchemy", "engine", "flask")


def touches(site: Site) -> Iterator[Touch]:
    """Tell what the SQL that a call is given does."""
    if site.name == "callproc":
        yield from _procedure(site)
        return
    if site.name in _COPIES and site.family == "sql":
        yield _copied(site)
        return
    if site.name not in _METHODS:
        return
    text, position = _text(site)
    if text is None or callee(site.call.func, site.scope) is not None:
        return  # a function of the project counts by what is in it
    confidence = _confidence(site, text)
    given = parameters_of(site, position)
    for statement in statements(_filled(text), _dialect(site)):
        yield from _touch(site, statement, given, confidence)


def statements_at(site: Site) -> tuple[Statement, ...]:
    """Give the statements that a call is given."""
    if site.name not in _METHODS:
        return ()
    text, _ = _text(site)
    return statements(_filled(text), _dialect(site)) if text is not None else ()


def _text(site: Site) -> tuple[Text | None, int]:
    """Find the argument that is SQL, and its position: `execute_batch(cursor, sql, rows)` has it second."""
    for position in (0, 1):
        argument = site.argument(position, *(("sql", "query", "statement", "operation") if position == 0 else ()))
        if argument is None:
            continue
        text = text_of(argument, site.scope)
        first = text.parts[0] if text.parts else ""
        if isinstance(first, str) and is_sql(text.filled(HOLE)):
            return text, position
    return None, 0


def _filled(text: Text) -> str:
    parts: list[str] = []
    for number, part in enumerate(text.parts):
        parts.append(part if isinstance(part, str) else f"{HOLE}{number}")
    return "".join(parts)


def _confidence(site: Site, text: Text) -> Confidence:
    if site.family not in _FAMILIES and not site.dotted.startswith(("pandas.", "psycopg2.")):
        return Confidence.LIKELY
    return Confidence.CERTAIN if text.is_known else Confidence.LIKELY


def _dialect(site: Site) -> str:
    if site.family == "sql" and site.detail:
        return site.detail
    roots = {name.partition(".")[0] for name in site.scope.module.imports.values()}
    found = {_DIALECTS[root] for root in roots if root in _DIALECTS}
    return found.pop() if len(found) == 1 else ""


def _procedure(site: Site) -> Iterator[Touch]:
    name = text_of(site.argument(0), site.scope).filled() if site.argument(0) is not None else ""  # type: ignore[arg-type]
    yield site.touch(
        "sql",
        f"CALL {name}",
        repeatable=None,
        resource=name,
        short=f"calls the procedure {name}",
        confidence=Confidence.POSSIBLE,
        why="What a stored procedure does is not in this source.",
        fix="Give the tool a business key, or make the procedure an upsert.",
    )


def _copied(site: Site) -> Touch:
    """`copy_from(file, "log")` and asyncpg's `copy_records_to_table("log", records=...)`."""
    named = site.argument(_COPIES[site.name], "table", "table_name")
    table = text_of(named, site.scope).filled() if named is not None else ""
    verdict = judge(Statement("load", table), parameters_of(site, 0))
    return site.touch(
        "sql",
        f"COPY INTO {table}".strip(),
        repeatable=verdict.repeatable,
        resource=table,
        short=verdict.short,
        why=verdict.why,
        fix=verdict.fix,
    )


def _touch(site: Site, statement: Statement, given: Parameters, confidence: Confidence) -> Iterator[Touch]:
    if statement.verb == "other":
        return
    table = "" if statement.table.startswith(HOLE) else statement.table
    what = f"{_WHAT.get(statement.verb, statement.words)} {table}".strip()
    if statement.verb in ("select", "lock"):
        yield site.touch(
            "sql", what, writes=False, repeatable=True, resource=table, why="It only reads.", confidence=confidence
        )
        return
    verdict = judge(statement, given)
    if not (verdict.sure and statement.parsed):
        confidence = min(confidence, Confidence.LIKELY, key=list(Confidence).index)
    if verdict.repeatable is None:
        confidence = Confidence.POSSIBLE
    yield site.touch(
        "sql",
        what,
        repeatable=verdict.repeatable,
        short=verdict.short,
        why=verdict.why,
        fix=verdict.fix,
        resource=table,
        confidence=confidence,
    )


_WHAT: Final = {
    "insert": "INSERT INTO", "update": "UPDATE", "delete": "DELETE FROM", "merge": "MERGE INTO",
    "select": "SELECT FROM", "lock": "LOCK", "load": "COPY INTO", "call": "CALL",
}  # fmt: skip
