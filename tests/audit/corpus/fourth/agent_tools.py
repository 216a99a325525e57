from __future__ import annotations

import json
import os
import sqlite3
import typing as t
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import boto3
import httpx
import requests
from botocore.exceptions import ClientError
from django.db import IntegrityError, models, transaction
from langchain_core.tools import tool
from langgraph.types import Command
from pydantic import BaseModel
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError as SqlIntegrityError
from sqlalchemy.orm import Session, declarative_base, relationship, scoped_session, sessionmaker

from clawproof_langgraph import current_call
from inventory import database as dbm
from inventory.database import INSERT_SQL, UPSERT_SQL, database, get_cursor
from inventory.notifications import Notifier, slack

Base = declarative_base()
engine = create_engine(os.environ.get("DB", "sqlite://"))
DBSession = scoped_session(sessionmaker(bind=engine))


class Cart(Base):
    __tablename__ = "carts"
    id = Column(Integer, primary_key=True)
    customer = Column(String)
    total = Column(Integer, default=0)
    lines = relationship("Line")


class Line(Base):
    __tablename__ = "lines"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))
    sku = Column(String)
    quantity = Column(Integer)


class Ticket(models.Model):
    external_id = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)


# expect: unsafe sql
@tool
def log_change(sku: str, change: int) -> str:
    """Log a change."""
    with get_cursor(commit=True) as cursor:
        cursor.execute(INSERT_SQL, (sku, change))
    return "ok"


# expect: safe
@tool
def set_quantity(sku: str, quantity: int) -> str:
    """Set a quantity."""
    with get_cursor(commit=True) as cursor:
        cursor.execute(UPSERT_SQL, (sku, quantity))
    return "ok"


# expect: unsafe sql
@tool
def change_quantity(sku: str, delta: int) -> str:
    """Change a quantity."""
    with dbm.get_cursor(commit=True) as cursor:
        cursor.execute("SELECT quantity FROM inventory WHERE sku = %s FOR UPDATE", (sku,))
        row = cursor.fetchone()
        new_quantity = max(0, row["quantity"] + delta)
        cursor.execute("UPDATE inventory SET quantity = %s WHERE sku = %s", (new_quantity, sku))
    return str(new_quantity)


# expect: unsafe sql
@tool
async def reserve(sku: str, quantity: int) -> str:
    """Reserve."""
    result = await database.execute(
        "UPDATE inventory SET reserved = reserved + $2 WHERE sku = $1 AND quantity - reserved >= $2", sku, quantity
    )
    return result


# expect: unsafe sql
@tool
async def order(sku: str, quantity: int) -> str:
    """Order."""
    async with database.transaction() as connection:
        order_id = await connection.fetchval(
            "INSERT INTO orders (sku, quantity) VALUES ($1, $2) RETURNING id", sku, quantity
        )
        await connection.execute("UPDATE inventory SET updated_at = now() WHERE sku = $1", sku)
    return str(order_id)


# expect: safe
@tool
async def confirm(order_id: int) -> str:
    """Confirm an order."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE orders SET status = 'confirmed', confirmed_at = now() WHERE id = $1", order_id)
    return "confirmed"


# expect: unsafe orm
@tool
def start_cart(customer: str) -> int:
    """Start a cart."""
    session = DBSession()
    cart = Cart(customer=customer)
    session.add(cart)
    session.commit()
    return cart.id


# expect: unsafe orm
@tool
def put_into_cart(cart_id: int, sku: str, quantity: int) -> str:
    """Put something into a cart."""
    with DBSession() as session:
        cart = session.scalars(select(Cart).where(Cart.id == cart_id)).one()
        cart.lines.append(Line(sku=sku, quantity=quantity))
        session.commit()
    return "put"


# expect: unsafe orm
@tool
def add_to_total(cart_id: int, cents: int) -> str:
    """Add to the total."""
    with Session(engine) as session, session.begin():
        cart = session.query(Cart).filter(Cart.id == cart_id).with_for_update().first()
        setattr(cart, "customer", cart.customer.strip())
        cart.total = (cart.total or 0) + cents
    return "added"


# expect: safe
@tool
def rename_cart(cart_id: int, customer: str) -> str:
    """Rename a cart."""
    with Session(engine) as session:
        session.query(Cart).filter_by(id=cart_id).update({"customer": customer})
        session.commit()
    return "renamed"


# expect: unsafe orm
@tool
def bump_cart(cart_id: int) -> str:
    """Bump a cart."""
    with Session(engine) as session:
        session.query(Cart).filter(Cart.id == cart_id).update({Cart.total: Cart.total + 1})
        session.commit()
    return "bumped"


# expect: safe
@tool
def import_line(line_id: int, sku: str) -> str:
    """Import a line, once."""
    with Session(engine) as session:
        try:
            session.add(Line(id=line_id, sku=sku, quantity=1))
            session.commit()
        except SqlIntegrityError:
            session.rollback()
    return "imported"


# expect: safe
@tool
def sync_lines(rows: list[dict]) -> str:
    """Sync lines."""
    with engine.begin() as connection:
        statement = insert(Line.__table__).values(rows)
        connection.execute(
            statement.on_conflict_do_update(constraint="lines_pkey", set_=dict(quantity=statement.excluded.quantity))
        )
    return "synced"


# expect: unsafe orm
@tool
def upvote(ticket_id: int) -> str:
    """Vote for a ticket."""
    ticket = Ticket.objects.get(id=ticket_id)
    ticket.votes += 1
    ticket.save()
    return str(ticket.votes)


# expect: safe
@tool
def import_ticket(external_id: str, title: str) -> str:
    """Import a ticket."""
    try:
        with transaction.atomic():
            Ticket.objects.create(external_id=external_id, title=title)
    except IntegrityError:
        return "was there"
    return "imported"


# expect: unsafe orm
@tool
def new_ticket(title: str) -> str:
    """Make a ticket."""
    ticket = Ticket(external_id=uuid.uuid4().hex, title=title)
    ticket.full_clean()
    ticket.save()
    return ticket.external_id


# expect: unsafe mail
@tool
def tell_customer(address: str, text: str) -> str:
    """Tell a customer."""
    Notifier().email(address, "News of your order", text)
    return "told"


# expect: unsafe http
@tool
def tell_team(text: str) -> str:
    """Tell the team."""
    slack(f":robot: {text}")
    return "told"


class PaymentInput(BaseModel):
    customer: str
    cents: int


# expect: unsafe http
@tool(args_schema=PaymentInput)
def pay(customer: str, cents: int) -> str:
    """Pay."""
    with httpx.Client(base_url="https://pay.example", headers={"X-Api-Key": os.environ["KEY"]}) as client:
        response = client.post("/payments", json={"customer": customer, "cents": cents})
    return response.json()["id"]


# expect: safe
@tool(args_schema=PaymentInput)
def pay_once(customer: str, cents: int) -> str:
    """Pay, once."""
    key = current_call().sub_key("pay")
    with httpx.Client(base_url="https://pay.example", headers={"Idempotency-Key": key}) as client:
        response = client.post("/payments", json={"customer": customer, "cents": cents})
    return response.json()["id"]


# expect: unsafe http
@tool
def pay_at(customer: str, cents: int) -> str:
    """Pay with the hour in the key."""
    hour = datetime.now(timezone.utc).replace(minute=0)
    headers = {**{"Accept": "application/json"}, "Idempotency-Key": f"{customer}:{hour:%H}"}
    return requests.post("https://pay.example/payments", headers=headers, data=json.dumps({"c": cents})).text


@dataclass
class Jira:
    url: str = "https://jira.example/rest/api/2"

    def post(self, path: str, body: dict) -> dict:
        response = requests.post(self.url + path, json=body, auth=("bot", os.environ["JIRA"]))
        response.raise_for_status()
        return response.json()

    def get(self, path: str) -> dict:
        return requests.get(self.url + path, auth=("bot", os.environ["JIRA"])).json()


jira = Jira()


# expect: unsafe http
@tool
def comment(issue: str, text: str) -> str:
    """Comment on an issue."""
    jira.post(f"/issue/{issue}/comment", {"body": text})
    return "commented"


# expect: read
@tool
def issue(key: str) -> dict:
    """Read an issue."""
    return jira.get(f"/issue/{key}")


# expect: safe
@tool
def lock_item(sku: str) -> str:
    """Mark an item, if nobody did."""
    table = boto3.resource("dynamodb").Table("items")
    try:
        table.update_item(
            Key={"sku": sku},
            UpdateExpression="SET marked = :yes, marks = marks + :one",
            ConditionExpression="attribute_not_exists(marked)",
            ExpressionAttributeValues={":yes": True, ":one": 1},
        )
    except ClientError:
        return "was marked"
    return "marked"


# expect: unsafe cloud
@tool
def dynamo_decrement(sku: str) -> str:
    """Take one item."""
    table = boto3.resource("dynamodb").Table("items")
    item = table.get_item(Key={"sku": sku})["Item"]
    table.put_item(Item={"sku": sku, "units": item["units"] - 1})
    return "taken"


# expect: unsafe cloud
@tool
def enqueue(order_id: str) -> str:
    """Enqueue an order."""
    queue = boto3.resource("sqs").get_queue_by_name(QueueName="orders")
    queue.send_message(MessageBody=order_id)
    return "queued"


# expect: safe
@tool
def archive(order_id: str, document: dict) -> str:
    """Archive a document."""
    boto3.resource("s3").Object("archive", f"orders/{order_id}.json").put(Body=json.dumps(document))
    return "archived"


# expect: unsafe file
@tool
def journal(entry: str) -> str:
    """Write into the journal."""
    fh = open(os.path.join(os.environ.get("HOME", "."), "journal.md"), "a")
    try:
        fh.write(f"* {entry}\n")
    finally:
        fh.close()
    return "written"


# expect: safe
@tool
def write_config(values: dict) -> str:
    """Write the configuration."""
    tmp = "config.json.new"
    with open(tmp, "w") as fh:
        json.dump(values, fh)
        fh.flush()
        os.fsync(fh.fileno())
    os.rename(tmp, "config.json")
    return "written"


# expect: unsafe sql
def fulfil_node(state: dict) -> Command:
    conn = sqlite3.connect("orders.db")
    for item in state["items"]:
        conn.execute(
            "INSERT INTO shipments (order_id, sku, created) VALUES (?, ?, ?)",
            (state["order_id"], item["sku"], datetime.now() + timedelta(days=1)),
        )
    conn.commit()
    return Command(update={"shipped": True}, goto="notify")


# expect: read
def route_node(state: dict) -> Command:
    messages = state["messages"]
    messages.append({"role": "system", "content": "INSERT nothing"})
    state["attempts"] = state.get("attempts", 0) + 1
    state.update({"seen": True})
    return Command(update=state, goto="next")


# expect: read
@tool
def compare(left: list[str], right: list[str]) -> t.Any:
    """Compare two lists."""
    found: dict[str, list[str]] = {"left": [], "right": []}
    for name in left:
        if name not in right:
            found["left"].append(name)
    found["right"].extend(each for each in right if each not in left)
    return found
