import base64
import hashlib
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pandas as pd
import psycopg
import requests
import yaml
from langchain_core.tools import tool
from sqlalchemy import insert, text, update

from clawproof_langgraph import current_call
from core import gateway, repo
from core.config import settings
from core.repo import Repo, execute, fetch_one, make_session
from core.tables import Employee, events

logger = logging.getLogger("tools")
BALANCES = defaultdict(int)
BOOKINGS = {}
HISTORY = []
_lock = threading.Lock()


# expect: unsafe sql
@tool
def hire(name: str) -> str:
    """Hire somebody."""
    execute("INSERT INTO staff(name) VALUES (?)", (name,))
    return "hired"


# expect: safe
@tool
def hire_once(badge: str, name: str) -> str:
    """Hire somebody, once."""
    if fetch_one("SELECT badge FROM staff WHERE badge = ?", (badge,)):
        return "is here"
    execute("INSERT INTO staff(badge, name) VALUES (?, ?)", (badge, name))
    return "hired"


# expect: safe
@tool
def rename_staff(badge: str, name: str) -> str:
    """Rename somebody."""
    execute("UPDATE staff SET name = :name WHERE badge = :badge", {"name": name, "badge": badge})
    return "renamed"


# expect: unsafe orm
@tool
def add_employee(name: str) -> int:
    """Add an employee."""
    with make_session() as session:
        employee = Employee(name=name, vacation=30)
        Repo(session).save(employee)
        return employee.id


# expect: unsafe orm
@tool
def take_vacation(employee_id: int, days: int) -> str:
    """Take days off."""
    with make_session() as session:
        employee = Repo(session).by_id(employee_id)
        employee.vacation -= days
        session.commit()
    return "have fun"


# expect: safe
@tool
def set_vacation(employee_id: int, days: int, version: int) -> str:
    """Set the days."""
    with make_session() as session:
        session.execute(
            update(Employee)
            .where(Employee.id == employee_id, Employee.version == version)
            .values(vacation=days, version=Employee.version + 1)
        )
        session.commit()
    return "set"


# expect: unsafe orm
@tool
def record_event(name: str) -> str:
    """Record an event."""
    with repo.engine.begin() as conn:
        conn.execute(events.insert().values(name=name))
    return "recorded"


# expect: unsafe orm
@tool
def record_event_too(name: str) -> str:
    """Record an event."""
    with repo.engine.begin() as conn:
        conn.execute(insert(events), [{"name": name}])
    return "recorded"


# expect: unsafe sql
@tool
def ledger_entry(amount: int) -> str:
    """Make an entry."""
    entry = secrets.token_hex(8)
    with psycopg.connect(settings.dsn) as conn:
        conn.execute(settings.ledger_sql + " ON CONFLICT (entry_id) DO NOTHING", (entry, amount))
    return entry


# expect: safe
@tool
def ledger_entry_once(invoice: str, amount: int) -> str:
    """Make an entry under a stable id."""
    entry = hashlib.sha1(f"{invoice}|{amount}".encode()).hexdigest()
    with psycopg.connect(settings.dsn) as conn:
        conn.execute(settings.ledger_sql + " ON CONFLICT (entry_id) DO NOTHING", (entry, amount))
    return entry


# expect: unsafe sql
@tool
def decrement(sku: str) -> str:
    """Take one."""
    with _lock:
        conn = sqlite3.connect("stock.db")
        units = conn.execute("SELECT units FROM stock WHERE sku=?", [sku]).fetchone()[0]
        if units <= 0:
            return "none left"
        conn.execute("UPDATE stock SET units=? WHERE sku=?", [units - 1, sku])
        conn.commit()
    return "taken"


# expect: safe
@tool
def snapshot_total(day: str) -> str:
    """Store the total of a day, computed from the sales."""
    conn = sqlite3.connect("stock.db")
    price, units = conn.execute("SELECT price, units FROM sales WHERE day=?", (day,)).fetchone()
    total = price * units
    conn.execute("UPDATE reports SET total=? WHERE day=?", (total, day))
    conn.commit()
    return str(total)


# expect: unsafe http
@tool
def create_case(title: str) -> Any:
    """Open a case."""
    return gateway.call("POST", "/cases", {"title": title})


# expect: safe
@tool
def create_case_once(title: str) -> Any:
    """Open a case, once."""
    return gateway.call("POST", "/cases", {"title": title}, key=current_call().idempotency_key)


# expect: safe
@tool
def close_case(case: str) -> Any:
    """Close a case."""
    return gateway.call("PUT", f"/cases/{case}/state", {"state": "closed"})


# expect: read
@tool
def case(case: str) -> Any:
    """Read a case."""
    return gateway.call("GET", f"/cases/{case}")


# expect: unsafe http
@tool
def upload_avatar(user: str, image: str) -> str:
    """Upload an avatar to the service for images."""
    files = {"file": (f"{user}.png", base64.b64decode(image), "image/png")}
    response = requests.post(urljoin(settings.api, "images"), files=files)
    return response.json()["id"]


# expect: read
@tool
def ask_graph(question: str) -> Any:
    """Ask the GraphQL service."""
    query = "query($q: String!) { answers(q: $q) { text } }"
    return httpx.post("https://graph.example.com/graphql", json={"query": query, "variables": {"q": question}}).json()


# expect: unsafe http
@tool
def change_graph(name: str) -> Any:
    """Add something to the graph."""
    mutation = "mutation($n: String!) { addNode(name: $n) { id } }"
    return httpx.post("https://graph.example.com/graphql", json={"query": mutation, "variables": {"n": name}}).json()


# expect: unsafe memory
@tool
def deposit(account: str, cents: int) -> int:
    """Put money into an account."""
    with _lock:
        BALANCES[account] += cents
    return BALANCES[account]


# expect: safe
@tool
def book_desk(day: str, desk: str, who: str) -> str:
    """Book a desk."""
    if (day, desk) in BOOKINGS:
        return "taken"
    BOOKINGS[(day, desk)] = who
    return "booked"


# expect: unsafe memory
@tool
def withdraw(account: str, cents: int) -> str:
    """Take money."""
    balance = BALANCES[account]
    if balance < cents:
        return "no"
    BALANCES[account] = balance - cents
    return "ok"


# expect: unsafe file
@tool
def add_rule(rule: str) -> str:
    """Add a rule to the YAML file."""
    path = Path("rules.yaml")
    rules = yaml.safe_load(path.read_text()) or []
    rules.append(rule)
    with path.open("w") as out:
        yaml.safe_dump(rules, out)
    return "added"


# expect: safe
@tool
def add_rule_once(rule: str) -> str:
    """Add a rule unless it is there."""
    path = Path("rules.yaml")
    rules = yaml.safe_load(path.read_text()) or []
    if rule not in rules:
        rules.append(rule)
        path.write_text(yaml.safe_dump(rules))
    return "added"


# expect: safe
@tool
def set_rules(rules: list[str]) -> str:
    """Replace all rules."""
    Path("rules.yaml").write_text(yaml.safe_dump(sorted(set(rules))))
    return "set"


# expect: unsafe file
@tool
def daily_note(note: str) -> str:
    """Add to the note of the day."""
    path = os.path.join("notes", f"{date.today():%Y-%m-%d}.md")
    os.makedirs("notes", exist_ok=True)
    with open(path, "a+") as f:
        f.write(f"- {note}\n")
    return path


# expect: safe
@tool
def save_frame(name: str, rows: list[dict]) -> str:
    """Save a table."""
    pd.DataFrame(rows).to_csv(f"out/{name}.csv", index=False)
    return "saved"


# expect: unsafe file
@tool
def append_frame(rows: list[dict]) -> str:
    """Append to a table."""
    pd.DataFrame(rows).to_csv("out/all.csv", mode="a", header=False)
    return "appended"


# expect: unsafe sql
@tool
def load_frame(rows: list[dict]) -> str:
    """Load a table into the database."""
    frame = pd.DataFrame(rows)
    frame.to_sql("facts", repo.engine, if_exists="append", index=False)
    return "loaded"


# expect: read
@tool
def summarise(rows: list[dict]) -> str:
    """Summarise rows."""
    logger.info("INSERT of %d rows asked for", len(rows))
    frame = pd.DataFrame(rows)
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["k"]] = totals.get(row["k"], 0) + row["v"]
    parts = []
    parts.append(str(frame.shape))
    parts.append(json.dumps(totals))
    return "\n".join(parts)


# expect: read
@tool
def read_table(table: str) -> list:
    """Read a table."""
    return pd.read_sql(f"SELECT * FROM {table}", repo.engine).to_dict("records")


# expect: safe
@tool
def touch_case(case: str) -> str:
    """Remember when a case was looked at."""
    with make_session() as session:
        session.execute(text("UPDATE cases SET looked_at = :at WHERE id = :id"), {"at": datetime.now(), "id": case})
        session.commit()
    return "ok"


# expect: unsafe sql
@tool
def escalate(case: str) -> str:
    """Raise the priority of a case by one."""
    statement = "UPDATE cases SET {column} = {column} + 1 WHERE id = :id".format(column="priority")
    with make_session() as session:
        session.execute(text(statement), {"id": case})
        session.commit()
    return "raised"


# expect: safe
@tool
def claim_case(case: str, who: str) -> str:
    """Claim a case if it is free."""
    with make_session() as session:
        done = session.execute(
            text("UPDATE cases SET owner = :who, claims = claims + 1 WHERE id = :id AND owner IS NULL"),
            dict(who=who, id=case),
        )
        session.commit()
    return "claimed" if done.rowcount else "taken"


# expect: unsafe sql
@tool
def copy_case(case: str) -> str:
    """Copy a case."""
    sql = """
    INSERT INTO cases (title, body)
    SELECT title || ' (copy)', body FROM cases WHERE id = %s
    """
    with psycopg.connect(settings.dsn) as conn, conn.cursor() as cur:
        cur.execute(sql, (case,))
    return "copied"


# expect: unsafe sql
@tool
def grant(user: str, roles: list[str]) -> str:
    """Give roles."""
    with sqlite3.connect("auth.db") as conn:
        for role in roles:
            conn.execute("INSERT INTO grants VALUES (?, ?)", (user, role))
    return "given"


# expect: safe
@tool
def grant_all(user: str, roles: list[str]) -> str:
    """Replace the roles of a user."""
    with sqlite3.connect("auth.db") as conn:
        conn.execute("DELETE FROM grants WHERE user = ?", (user,))
        conn.executemany("INSERT INTO grants VALUES (?, ?)", [(user, role) for role in roles])
    return "given"
