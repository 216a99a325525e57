"""Whether a statement of SQL may be made twice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_key, is_unstable
from clawproof_langgraph.audit.effects.parameters import Parameters
from clawproof_langgraph.audit.effects.readings import is_computed_from, is_picked_from, is_read_from
from clawproof_langgraph.audit.effects.statement import Assigned, Statement, Term

_TIMES: Final = re.compile(r"(_at|_on|time|date|stamp|^ts)$", re.IGNORECASE)
"""Names of columns that hold a time, and are no key."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a statement may be made twice, and what is said of it."""

    repeatable: bool | None
    short: str = ""
    why: str = ""
    fix: str = ""
    sure: bool = True


def judge(statement: Statement, given: Parameters) -> Verdict:
    """Tell whether making a statement twice is as good as once, with what its placeholders are given."""
    match statement.verb:
        case "insert" | "merge":
            return _insert(statement, given)
        case "update":
            return _update(statement, given)
        case "delete":
            if statement.picks:
                return Verdict(False, "uses DELETE ... LIMIT", "Each repetition deletes other rows.", "Delete by key.")
            if _is_of_picked_row(statement, given):
                short = "deletes the row that a query picked"
                return Verdict(False, short, "Each repetition deletes another row.", "Delete by key.", sure=False)
            return Verdict(True, why="A second DELETE of the same rows finds none.")
        case "ddl":
            if statement.exists:
                return Verdict(True, why="It says IF [NOT] EXISTS.")
            return Verdict(
                False, f"uses {statement.words} without IF [NOT] EXISTS", "A repetition fails.", "Say IF [NOT] EXISTS."
            )
        case "load":
            return Verdict(
                False,
                "uses COPY, not UPSERT",
                "Each repetition adds the rows again.",
                "Load into a staging table, then upsert.",
            )
        case _:
            return Verdict(
                None, f"calls {statement.table or 'a procedure'}", "What a stored procedure does is not in this source."
            )


_UPSERT_FIX: Final = (
    "Write INSERT ... ON CONFLICT ... DO UPDATE or DO NOTHING on a business key, "
    "or put the write into effects.sql.once(...)."
)


def _insert(statement: Statement, given: Parameters) -> Verdict:
    if any(_has_key(column, term, given) for column, term in statement.values):
        return Verdict(True, why="It stores the idempotency key, by which the database refuses a second row.")
    if statement.guarded:
        return Verdict(True, why="It inserts only WHERE NOT EXISTS.")
    if not statement.upsert:
        return Verdict(
            False,
            "uses INSERT, not UPSERT",
            "Each repetition adds a row, or fails on the one that is there.",
            _UPSERT_FIX,
        )
    if (bad := next((each for each in statement.sets if each.change == "relative"), None)) is not None:
        return Verdict(
            False,
            f"adds to {bad.column} in its UPSERT",
            f"Each repetition changes {bad.column} again.",
            "Set the new value itself, or put the write into effects.sql.once(...).",
        )
    if (column := _new_each_time(statement, given)) is not None:
        return Verdict(
            False,
            f"upserts under a new {column} each time",
            f"{column} is another one in each repetition, so it never meets the row that is there.",
            "Make it from the arguments of the call, or use its idempotency key.",
        )
    return Verdict(True, why="It is an upsert.")


def _new_each_time(statement: Statement, given: Parameters) -> str | None:
    """Find the key of an upsert that is another one each time: a column of its conflict, else the first one."""
    for number, (column, term) in enumerate(statement.values):
        is_key_column = column in statement.on_columns if statement.on_columns else number == 0
        if not is_key_column or _TIMES.search(column):
            continue
        if term.by_chance or any(is_unstable(value.node, value.scope) for value in given.of(term.marks)):
            return column or "key"
    return None


def _has_key(column: str, term: Term, given: Parameters) -> bool:
    for value in given.of(term.marks):
        if is_key(value.node, value.scope):
            return True
        if KEY_NAME.search(column) and not is_unstable(value.node, value.scope):
            return True
    return False


def _update(statement: Statement, given: Parameters) -> Verdict:
    if statement.picks:
        return Verdict(
            False,
            "updates rows that LIMIT picks",
            "Each repetition picks other rows.",
            "Choose the rows by key, or put the write into effects.sql.once(...).",
        )
    if any(_has_key(each.column, each.term, given) for each in statement.sets):
        return Verdict(True, why="It stores the idempotency key, and its condition can tell a repetition.")
    relative = next((each for each in statement.sets if each.change == "relative"), None)
    computed = relative or next((each for each in statement.sets if _is_computed(statement, each, given)), None)
    if computed is None and _is_of_picked_row(statement, given):
        return Verdict(
            False,
            "updates the row that a query picked",
            "Each repetition picks another row.",
            "Choose the row by key, or put the query and the write into effects.sql.once(...).",
            sure=False,
        )
    if computed is None:
        return Verdict(True, why="It sets values that do not depend on the old ones.")
    if statement.guarded:
        return Verdict(True, why="Its condition asks that a row of its own is not there yet.", sure=False)
    if has_passed(statement):
        return Verdict(True, why="Its condition no longer holds once it was made.")
    compared = _compared(statement, computed.column)
    if compared is not None and not any(is_read_from(each, statement.table) for each in given.of(compared.marks)):
        return Verdict(True, why="It is a compare-and-set with a value from the call.")
    if relative is not None:
        return Verdict(
            False,
            f"changes {relative.column} relative to its old value",
            f"Each repetition changes {relative.column} again.",
            "Set the new value itself under a lock, or put the write into effects.sql.once(...).",
        )
    return Verdict(
        False,
        f"writes back a {computed.column} that it computed from what it read",
        f"A repetition reads the new {computed.column} and computes from that.",
        "Put the write into effects.sql.once(...), or store the idempotency key with it.",
        sure=False,
    )


def _is_of_picked_row(statement: Statement, given: Parameters) -> bool:
    """Tell whether a statement changes the row that a query of the same table gave as its first or last."""
    leaving = frozenset(each.column for each in statement.sets) if statement.verb == "update" else None
    return any(
        is_picked_from(value, statement.table, leaving)
        for compare in statement.compares
        if compare.operator in ("eq", "in") and compare.term.marks
        for value in given.of(compare.term.marks)
    )


def _is_computed(statement: Statement, each: Assigned, given: Parameters) -> bool:
    return any(is_computed_from(value, statement.table, each.column) for value in given.of(each.term.marks))


def has_passed(statement: Statement) -> bool:
    """Tell whether what an UPDATE sets makes its own condition false: SET paid = 1 ... WHERE paid = 0."""
    for each in statement.sets:
        if each.change != "absolute":
            continue
        for compare in statement.compares:
            if compare.column.lower() != each.column.lower():
                continue
            old, new = compare.term.literal, each.term.literal
            if compare.operator == "eq" and old is not None and new is not None and old != new:
                return True
            if compare.operator in ("is", "eq") and (old or "").upper() in ("NULL", "FALSE") and new != old:
                return True
            if compare.operator in ("neq", "not is", "not eq", "nullsafeneq") and compare.term.text == each.term.text:
                return True
    return False


def _compared(statement: Statement, column: str) -> Term | None:
    """Find the old value, or the version, with which an UPDATE compares."""
    counters = {each.column.lower() for each in statement.sets if each.change == "counter"} | {column.lower()}
    for compare in statement.compares:
        if compare.operator in ("eq", "is") and compare.column.lower() in counters and compare.term.marks:
            return compare.term
    return None
