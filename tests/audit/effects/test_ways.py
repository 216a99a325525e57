"""The ways in which people get at a session, a model, a column or a table, each of which leads to the same write."""

import pytest

from tests.audit.effects.sources import writes_in

HEAD = """
import sqlite3, asyncpg, psycopg, psycopg2
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import models
from sqlalchemy import MetaData, Table, create_engine, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session, scoped_session, sessionmaker
engine = create_engine("x")
session = Session(engine)
Scoped = scoped_session(sessionmaker(engine))
items = Table("items", MetaData())
class Loan(models.Model): pass
class Item(Base):
    __tablename__ = "items"
class Database:
    _only = None
    def __init__(self):
        self.conn = sqlite3.connect("x")
    @classmethod
    def get(cls):
        if cls._only is None:
            cls._only = cls()
        return cls._only
    def insert(self, name):
        self.conn.execute("INSERT INTO people (name) VALUES (?)", (name,))
"""
ADDING = {
    "a scoped session": "Scoped.add(Item(name=a))",
    "a scoped session that is called": """
    db = Scoped()
    db.add(Item(name=a))""",
    "the only object of a class": "Database.get().insert(a)",
    "the model of the users": "get_user_model().objects.create(name=a)",
    "a model by its name": """
    model = apps.get_model("library", "Book")
    model.objects.create(title=a)""",
    "a method for users": "User.objects.create_user(username=a)",
    "rows that asyncpg copies": "asyncpg.connect('x').copy_records_to_table('log', records=a)",
    "rows that psycopg copies": """
    with psycopg.connect("x") as conn, conn.cursor() as cur, cur.copy("COPY log (name) FROM STDIN") as copy:
        copy.write_row(a)""",
    "a file that psycopg2 copies": "psycopg2.connect('x').cursor().copy_from(a, 'log')",
    "an attribute by its name": """
    item = session.get(Item, a)
    setattr(item, "stock", item.stock + 1)""",
    "a row that is read or made": """
    item = session.query(Item).filter(Item.id == a).first()
    if item is None:
        item = Item(id=a, stock=0)
    item.stock += 1""",
    "a column that is selected alone": """
    stock = session.execute(select(items.c.stock).where(items.c.id == a)).scalar_one()
    session.execute(items.update().where(items.c.id == a).values(stock=stock - 1))""",
    "a value of Django's list": """
    copies = Loan.objects.filter(pk=a).values_list("copies", flat=True).first()
    Loan.objects.filter(pk=a).update(copies=copies + 1)""",
    "an error that tells of something else": """
    try:
        session.execute(select(User).where(User.name == a)).scalar_one()
    except NoResultFound:
        session.add(Item(name=a))""",
}
ONCE = {
    "an attribute that is set by its name": """
    item = session.get(Item, a)
    setattr(item, "stock", 1)""",
    "another column that is selected": """
    price = session.execute(select(items.c.price).where(items.c.id == a)).scalar_one()
    session.execute(items.update().where(items.c.id == a).values(stock=price - 1))""",
    "rows that are copied out": """
    with psycopg.connect("x") as conn, conn.cursor() as cur, cur.copy("COPY log TO STDOUT") as copy:
        return copy.read()""",
    "a row of SQLAlchemy that is not found": """
    try:
        session.execute(select(Item).where(Item.name == a)).scalar_one()
    except NoResultFound:
        session.add(Item(name=a))""",
    "a row of Django that is not found": """
    try:
        loan = Loan.objects.get(reader=a)
    except Loan.DoesNotExist:
        loan = Loan.objects.create(reader=a)""",
}


@pytest.mark.parametrize("body", ADDING.values(), ids=ADDING)
def test_a_write_is_seen_whichever_way_leads_to_it(body: str) -> None:
    assert any(touch.repeatable is False for touch in writes_in(f"{HEAD}\ndef tool(a):\n    {body}\n"))


@pytest.mark.parametrize("body", ONCE.values(), ids=ONCE)
def test_a_way_that_leads_to_one_state_is_repeatable(body: str) -> None:
    assert all(touch.repeatable for touch in writes_in(f"{HEAD}\ndef tool(a):\n    {body}\n"))
