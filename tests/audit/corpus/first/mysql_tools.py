import mysql.connector
import oracledb
import pymysql
from langchain_core.tools import tool


def connection():
    return pymysql.connect(host="localhost", user="shop", database="shop")


# expect: unsafe sql
@tool
def enqueue_job(name: str, payload: str) -> str:
    """Put a job into the queue table."""
    db = connection()
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO jobs (name, payload) VALUES (%s, %s)", (name, payload))
    db.commit()
    return "queued"


# expect: safe
@tool
def set_setting(name: str, value: str) -> str:
    """Change a setting."""
    db = connection()
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO settings (name, value) VALUES (%s, %s) ON DUPLICATE KEY UPDATE value = VALUES(value)",
            (name, value),
        )
    db.commit()
    return "set"


# expect: unsafe sql
@tool
def count_visit(page: str) -> str:
    """Count a visit."""
    db = connection()
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO visits (page, n) VALUES ('%s', 1) ON DUPLICATE KEY UPDATE n = n + 1" % page,
        )
    db.commit()
    return "counted"


# expect: safe
@tool
def block_user(user_id: int) -> str:
    """Block a user."""
    cnx = mysql.connector.connect(user="shop", database="shop")
    cur = cnx.cursor()
    cur.execute("INSERT IGNORE INTO blocked (user_id) VALUES (%s)", (user_id,))
    cnx.commit()
    cnx.close()
    return "blocked"


# expect: safe
@tool
def merge_employee(emp_id: int, salary: float) -> str:
    """Write the salary of an employee."""
    with oracledb.connect(dsn="hr") as conn:
        with conn.cursor() as cur:
            cur.execute(
                """MERGE INTO salaries t USING (SELECT :id AS id, :salary AS salary FROM dual) s ON (t.id = s.id)
                   WHEN MATCHED THEN UPDATE SET t.salary = s.salary
                   WHEN NOT MATCHED THEN INSERT (id, salary) VALUES (s.id, s.salary)""",
                id=emp_id,
                salary=salary,
            )
        conn.commit()
    return "written"


# expect: safe
@tool
def close_month(month: str) -> str:
    """Close a month in the books."""
    with oracledb.connect(dsn="books") as conn:
        with conn.cursor() as cur:
            cur.callproc("books.close_month", [month])
    return "closed"
