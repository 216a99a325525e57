"""What a statement of SQL does is told from its text, whatever its dialect and its placeholders."""

import pytest

from clawproof_langgraph.audit.findings import Confidence
from tests.audit.effects.sources import touches_in, writes_in

REPEATABLE = [
    "INSERT INTO t (id) VALUES (?) ON CONFLICT (id) DO NOTHING",
    "INSERT INTO t (id, n) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n",
    "INSERT OR IGNORE INTO t VALUES (?)",
    "INSERT OR REPLACE INTO t VALUES (?)",
    "REPLACE INTO t (id) VALUES (?)",
    "INSERT INTO t (id, n) VALUES (%s, %s) ON DUPLICATE KEY UPDATE n = VALUES(n)",
    "INSERT INTO t (id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM t WHERE id = ?)",
    "INSERT INTO t (id) SELECT s.id FROM s LEFT JOIN t ON t.id = s.id WHERE t.id IS NULL",
    "IF NOT EXISTS (SELECT 1 FROM t WHERE id = @id) INSERT INTO t (id) VALUES (@id)",
    "MERGE INTO t USING s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET t.n = s.n",
    "UPDATE t SET n = ? WHERE id = ?",
    "UPDATE t SET n = COALESCE(n, ?) WHERE id = ?",
    "UPDATE t SET n = GREATEST(n, %s) WHERE id = %s",
    "UPDATE t SET a = b + 1 WHERE id = ?",
    "UPDATE t SET n = staging.n * 2 FROM staging WHERE staging.id = t.id",
    "INSERT INTO t (id, n) VALUES (%s, %s) AS fresh ON DUPLICATE KEY UPDATE n = fresh.n * 2",
    "MERGE INTO t USING u s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET t.n = s.n + 1",
    "UPDATE t SET n = (SELECT sum(n) + 1 FROM s WHERE s.id = ?) WHERE id = ?",
    "UPDATE t SET paid = 1, n = n - 1 WHERE id = ? AND paid = 0",
    "UPDATE t SET n = n - 1, done_at = now() WHERE id = %s AND done_at IS NULL",
    "UPDATE t SET state = 'new', version = version + 1 WHERE id = ?",
    "UPDATE t SET n = n + 1 WHERE id = %(id)s AND NOT EXISTS (SELECT 1 FROM done WHERE key = %(key)s)",
    "DELETE FROM t WHERE id = ?",
    "DELETE FROM t WHERE at < (SELECT MAX(at) FROM t)",
    "DELETE FROM t WHERE id NOT IN (SELECT MIN(id) FROM t GROUP BY email)",
    "DELETE FROM t WHERE id = (SELECT MAX(id) FROM drafts)",
    "UPDATE t SET state = 'new' WHERE id = (SELECT MAX(id) FROM t WHERE owner = ?)",
    "CREATE TABLE IF NOT EXISTS t (id INTEGER)",
    "TRUNCATE TABLE t",
]
AGAIN = [
    "INSERT INTO t (id) VALUES (?)",
    "insert into t select * from s",
    "INSERT INTO t (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n",
    "INSERT INTO t (id, n) VALUES (%s, 1) ON DUPLICATE KEY UPDATE n = n + 1",
    "INSERT INTO t AS s (id, n) VALUES (%s, 1) ON CONFLICT (id) DO UPDATE SET n = s.n + 1",
    "UPDATE t AS source SET n = source.n - 1 WHERE source.id = ?",
    "INSERT INTO t (id) VALUES (gen_random_uuid()) ON CONFLICT (id) DO NOTHING",
    "UPDATE t SET n = n - 1 WHERE id = ?",
    "UPDATE t SET n = n - :n WHERE id = :id AND n >= :n",
    "UPDATE t SET tags = tags || ? WHERE id = ?",
    "UPDATE t SET tags = array_append(tags, %s) WHERE id = %s",
    "UPDATE t SET on_off = NOT on_off WHERE id = ?",
    "UPDATE t SET owner = ? WHERE id = (SELECT id FROM t WHERE owner IS NULL LIMIT 1)",
    "DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 1)",
    "DELETE FROM t WHERE id = (SELECT MAX(id) FROM t WHERE owner = ?)",
    "UPDATE t SET owner = ? WHERE id = (SELECT MIN(id) FROM t WHERE owner IS NULL)",
    "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO old SELECT * FROM gone",
    "CREATE TABLE t (id INTEGER)",
    "ALTER TABLE t ADD COLUMN n INTEGER",
    "COPY t FROM STDIN",
]
READS = [
    "SELECT * FROM t WHERE id = ?",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "SELECT 'INSERT INTO t VALUES (1)'",
    "SELECT * FROM t WHERE id = 1 FOR UPDATE",
    "-- INSERT INTO t VALUES (1)\nSELECT 1",
]


def tool(statement: str) -> str:
    return f"""
def tool(conn, a, b):
    conn.execute({statement!r}, (a, b))
"""


@pytest.mark.parametrize("statement", REPEATABLE)
def test_a_statement_that_leads_to_one_state_is_repeatable(statement: str) -> None:
    [touch] = writes_in(tool(statement))

    assert touch.repeatable is True, touch


@pytest.mark.parametrize("statement", AGAIN)
def test_a_statement_that_adds_or_computes_is_not_repeatable(statement: str) -> None:
    [touch] = writes_in(tool(statement))

    assert touch.repeatable is False
    assert touch.short and touch.why and touch.fix


@pytest.mark.parametrize("statement", READS)
def test_a_query_changes_nothing(statement: str) -> None:
    assert not writes_in(tool(statement))


def test_what_a_procedure_does_cannot_be_told() -> None:
    [touch] = writes_in(tool("CALL pay(?, ?)"))

    assert touch.repeatable is None
    assert touch.confidence is Confidence.POSSIBLE


def test_each_statement_of_a_script_is_told() -> None:
    touches = touches_in("""
        import sqlite3
        def tool():
            sqlite3.connect("x").executescript("DELETE FROM a; INSERT INTO b VALUES (';'); -- INSERT INTO c\\n")
    """)

    assert [(touch.resource, touch.repeatable) for touch in touches] == [("a", True), ("b", False)]


def test_a_statement_that_no_dialect_reads_is_judged_by_its_words() -> None:
    [touch] = writes_in(tool("INSERT INTO t VALUES (?) WITH STRANGE <<words>> ON CONFLICT"))

    assert touch.repeatable is True
    assert touch.confidence is Confidence.LIKELY


def test_a_connection_is_known_through_what_passes_it_on() -> None:
    [touch] = writes_in("""
        import sqlite3
        from contextlib import closing
        def tool():
            with closing(sqlite3.connect("x")) as conn, conn:
                conn.execute("INSERT INTO t VALUES (1)")
    """)

    assert touch.confidence is Confidence.CERTAIN


def test_an_unresolved_connection_is_told_with_less_confidence() -> None:
    known = "import sqlite3\ndef tool():\n    sqlite3.connect('x').execute('INSERT INTO t VALUES (1)')\n"
    [sure] = writes_in(known)
    [unsure] = writes_in(tool("INSERT INTO t VALUES (1)"))

    assert (sure.confidence, unsure.confidence) == (Confidence.CERTAIN, Confidence.LIKELY)


def test_a_table_whose_name_is_not_known_may_be_the_one_that_is_mentioned() -> None:
    [touch] = writes_in("""
        def tool(conn, table, a):
            upsert = f"INSERT INTO {table} (id, n) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET n = {table}.n + 1"
            conn.execute(upsert, (a,))
    """)

    assert touch.repeatable is False
