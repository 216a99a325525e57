"""A write that happens only before a state which the call leaves behind is made once."""

import pytest

from tests.audit.effects.sources import writes_in

HEAD = """
import sqlite3
from django.db import models
from django.db.models import F
from django.utils import timezone
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session
conn = sqlite3.connect('x')
session = Session(create_engine('x'))
class Loan(models.Model): pass
class Book(models.Model): pass
class Order(Base):
    __tablename__ = "orders"
class Item(Base):
    __tablename__ = "items"
def changed(query, *values):
    return conn.execute(query, values).rowcount
def mark(order):
    order.status = "sent"
def mark_perhaps(order):
    if order.late:
        order.status = "sent"
"""
TAKE = 'conn.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")'
BACK = 'Book.objects.filter(pk=1).update(copies=F("copies") + 1)'
SOLD = "session.execute(update(Item).where(Item.id == 1).values(stock=Item.stock - 1))"

LEFT = {
    "a state that is asked for and left": f"""
    row = conn.execute("SELECT 1 FROM orders WHERE id = ? AND status = 'open'", (a,)).fetchone()
    if row is None:
        return
    conn.execute("UPDATE orders SET status = 'sent' WHERE id = ?", (a,))
    {TAKE}
""",
    "a state that is compared": f"""
    row = conn.execute("SELECT status FROM orders WHERE id = ?", (a,)).fetchone()
    if not row or row["status"] != "open":
        return
    {TAKE}
    conn.execute("UPDATE orders SET status = 'sent' WHERE id = ?", (a,))
""",
    "a time": f"""
    row = conn.execute("SELECT sent_at FROM orders WHERE id = ?", (a,)).fetchone()
    if row["sent_at"] is not None:
        return
    conn.execute("UPDATE orders SET sent_at = CURRENT_TIMESTAMP WHERE id = ?", (a,))
    {TAKE}
""",
    "the number of rows": f"""
    cur = conn.execute("UPDATE orders SET status = 'sent' WHERE id = ? AND status = 'open'", (a,))
    if cur.rowcount != 1:
        return
    {TAKE}
""",
    "the number of rows of a cursor": f"""
    cur = conn.cursor()
    cur.execute("UPDATE orders SET status = 'sent' WHERE id = ? AND status = 'open'", (a,))
    if cur.rowcount:
        {TAKE}
""",
    "the row that was changed": f"""
    row = conn.execute("UPDATE orders SET done = 1 WHERE id = ? AND done = 0 RETURNING id", (a,)).fetchone()
    if row:
        {TAKE}
""",
    "the tag of the command": f"""
    tag = conn.execute("UPDATE orders SET status = 'sent' WHERE id = ? AND status = 'open'", (a,))
    if tag == "UPDATE 0":
        return
    {TAKE}
""",
    "the number that a helper gives": f"""
    if not changed("UPDATE orders SET status = 'sent' WHERE id = ? AND status = 'open'", a):
        return
    {TAKE}
""",
    "the number of rows that were removed": f"""
    cur = conn.execute("DELETE FROM holds WHERE id = ?", (a,))
    if cur.rowcount == 0:
        return
    {TAKE}
""",
    "a state that a helper sets": f"""
    order = session.get(Order, a)
    if order.status == "sent":
        return
    {SOLD}
    mark(order)
""",
    "a field of Django": f"""
    loan = Loan.objects.get(pk=a)
    if loan.returned:
        return
    loan.returned = True
    loan.save()
    {BACK}
""",
    "a time of Django": f"""
    loan = Loan.objects.get(pk=a)
    if loan.returned_at is None:
        loan.returned_at = timezone.now()
        loan.save()
        {BACK}
""",
    "a filter of Django": f"""
    loan = Loan.objects.filter(pk=a, returned=False).first()
    if loan is None:
        return
    loan.returned = True
    loan.save()
    {BACK}
""",
    "the number of rows of Django": f"""
    if not Loan.objects.filter(pk=a, returned=False).update(returned=True):
        return
    {BACK}
""",
    "an attribute of SQLAlchemy": f"""
    order = session.get(Order, a)
    if order is None or order.status in ("sent", "lost"):
        return
    order.status = "sent"
    {SOLD}
""",
    "a condition of SQLAlchemy": f"""
    order = session.scalars(select(Order).where(Order.id == a, Order.status == "open")).first()
    if not order:
        return
    {SOLD}
    order.status = "sent"
""",
    "the number of rows of SQLAlchemy": f"""
    done = session.execute(update(Order).where(Order.id == a, Order.status == "open").values(status="sent"))
    if done.rowcount == 0:
        return
    {SOLD}
""",
}
NOT_LEFT = {
    "a state that is only asked for": f"""
    row = conn.execute("SELECT 1 FROM orders WHERE id = ? AND status = 'open'", (a,)).fetchone()
    if row is None:
        return
    {TAKE}
""",
    "another state that lets it pass again": f"""
    row = conn.execute("SELECT status FROM orders WHERE id = ?", (a,)).fetchone()
    if row["status"] == "sent":
        return
    conn.execute("UPDATE orders SET status = 'packed' WHERE id = ?", (a,))
    {TAKE}
""",
    "a state of another table": f"""
    row = conn.execute("SELECT status FROM orders WHERE id = ?", (a,)).fetchone()
    if row["status"] == "sent":
        return
    conn.execute("UPDATE parcels SET status = 'sent' WHERE id = ?", (a,))
    {TAKE}
""",
    "an UPDATE that finds its rows again": f"""
    cur = conn.execute("UPDATE orders SET status = 'sent' WHERE id = ?", (a,))
    if cur.rowcount == 0:
        return
    {TAKE}
""",
    "any row of a table": f"""
    row = conn.execute("SELECT id FROM orders WHERE status = 'open'").fetchone()
    if row is None:
        return
    conn.execute("UPDATE orders SET status = 'sent' WHERE id = ?", (row[0],))
    {TAKE}
""",
    "a state that a helper sets at times": f"""
    order = session.get(Order, a)
    if order.status == "sent":
        return
    {SOLD}
    mark_perhaps(order)
""",
    "a cursor, which is always there": f"""
    done = conn.execute("UPDATE orders SET status = 'sent' WHERE id = ? AND status = 'open'", (a,))
    if not done:
        return
    {TAKE}
""",
    "a result of SQLAlchemy, which is always there": f"""
    done = session.execute(update(Order).where(Order.id == a, Order.status == "open").values(status="sent"))
    if not done:
        return
    {SOLD}
""",
    "a state that is not always set": f"""
    order = session.get(Order, a)
    if order.status != "open":
        return
    {SOLD}
    if a > 10:
        order.status = "sent"
""",
    "a state that is set back": f"""
    loan = Loan.objects.get(pk=a)
    if loan.busy:
        return
    loan.busy = True
    {BACK}
    loan.busy = False
    loan.save()
""",
    "another field": f"""
    loan = Loan.objects.filter(pk=a, returned=False).first()
    if loan is None:
        return
    loan.seen = True
    loan.save()
    {BACK}
""",
    "any row of the state, another one the next time": f"""
    loan = Loan.objects.filter(returned=False).first()
    if loan is None:
        return
    loan.returned = True
    loan.save()
    {BACK}
""",
    "the first row of the state": f"""
    order = session.scalars(select(Order).where(Order.shop == a, Order.status == "open").order_by(Order.id)).first()
    if order is None:
        return
    order.status = "sent"
    {SOLD}
""",
}


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT)
def test_a_write_before_a_state_that_the_call_leaves_behind_is_made_once(body: str) -> None:
    touches = writes_in(f"{HEAD}\ndef tool(a):{body}")

    assert touches
    assert all(touch.repeatable for touch in touches)


@pytest.mark.parametrize("body", NOT_LEFT.values(), ids=NOT_LEFT)
def test_a_state_that_lets_a_repetition_pass_is_no_guard(body: str) -> None:
    touches = writes_in(f"{HEAD}\ndef tool(a):{body}")

    assert any(touch.repeatable is False for touch in touches)
