import asyncio
import csv
import functools
import os
import smtplib
from email.mime.text import MIMEText
from pathlib import Path

import boto3
import httpx
import requests
from django.db import transaction
from django.db.models import F, Q
from django.shortcuts import get_object_or_404
from django.utils import timezone
from flask_sqlalchemy import SQLAlchemy
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool, tool
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import settings
from billing.models import Account, Charge, Invoice
from clawproof_langgraph import current_call

db = SQLAlchemy()
sns = boto3.client("sns")


class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80))
    qty = db.Column(db.Integer)


class Base:
    pass


class Ledger(Base):
    __tablename__ = "ledger"


class ApiError(Exception):
    pass


class ApiClient:
    def __init__(self, base_url=settings.CRM_URL, token=None):
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers.update({"Authorization": f"Bearer {token}"})

    def _call(self, verb, path, **kwargs):
        response = getattr(self.session, verb)(self.base_url + path, **kwargs)
        if not response.ok:
            raise ApiError(response.text)
        return response.json()

    def create_contact(self, name):
        return self.session.post(self.base_url + "/contacts", json={"name": name}).json()

    def save_contact(self, contact_id, name):
        return self.session.put(self.base_url + f"/contacts/{contact_id}", json={"name": name}).json()

    def search(self, text):
        return self.session.post(self.base_url + "/contacts/search", json={"q": text}).json()


api = ApiClient(token=os.environ.get("CRM_TOKEN"))


# expect: unsafe http
@tool
def create_contact(name: str) -> dict:
    """Create a contact."""
    return api.create_contact(name)


# expect: safe
@tool
def save_contact(contact_id: str, name: str) -> dict:
    """Save a contact."""
    return api.save_contact(contact_id, name)


# expect: read
@tool
def search_contacts(text: str) -> dict:
    """Search for contacts."""
    return api.search(text)


# expect: unsafe http
@tool
async def place_trade(symbol: str, quantity: int) -> dict:
    """Place a trade."""
    payload = {"symbol": symbol, "qty": quantity, "side": "buy"}
    async with httpx.AsyncClient(timeout=httpx.Timeout(10)) as c:
        for attempt in range(3):
            try:
                r = await c.post("https://broker.example/v2/orders", json=payload)
                r.raise_for_status()
                return r.json()
            except httpx.HTTPError:
                await asyncio.sleep(2**attempt)
    return {}


# expect: safe
@tool
async def place_trade_keyed(symbol: str, quantity: int) -> dict:
    """Place a trade under a key."""
    call = current_call()
    request_headers = {
        "Content-Type": "application/json",
        settings.IDEMPOTENCY_HEADER: call.sub_key(f"trade-{symbol}"),
    }
    async with httpx.AsyncClient() as c:
        r = await c.post("https://broker.example/v2/orders", json={"symbol": symbol, "qty": quantity}, headers=request_headers)
    return r.json()


# expect: unsafe http
@tool
def start_pipeline(ref: str, config: RunnableConfig) -> str:
    """Start a pipeline."""
    url = "https://gitlab.example/api/v4/projects/{}/pipeline".format(config["configurable"]["project"])
    with requests.Session() as http:
        reply = http.post(url, params={"ref": ref}, headers={"PRIVATE-TOKEN": os.environ["TOKEN"]})
    return reply.json()["web_url"]


# expect: safe
@tool
def set_thermostat(room: str, degrees: float) -> str:
    """Set a thermostat."""
    requests.put(f"http://hub.local/rooms/{room}", json={"target": degrees}, timeout=5).raise_for_status()
    return "set"


# expect: unsafe http
@tool
def lower_stock(sku: str, n: int) -> str:
    """Lower the stock by the API."""
    current = requests.get(f"http://wms.local/stock/{sku}").json()["units"]
    requests.put(f"http://wms.local/stock/{sku}", json={"units": current - n})
    return "lowered"


# expect: unsafe orm
@tool
def add_item(name: str, qty: int) -> str:
    """Add an item."""
    item = Item(name=name, qty=qty)
    db.session.add(item)
    db.session.commit()
    return str(item.id)


# expect: unsafe orm
@tool
def use_item(item_id: int, qty: int) -> str:
    """Use some of an item."""
    item = Item.query.get_or_404(item_id)
    item.qty = item.qty - qty
    db.session.commit()
    return "used"


# expect: safe
@tool
def rename_item(item_id: int, name: str) -> str:
    """Rename an item."""
    item = db.session.get(Item, item_id)
    if item is None:
        return "not found"
    item.name = name
    db.session.add(item)
    db.session.commit()
    return "renamed"


# expect: safe
@tool
def find_or_add(name: str) -> str:
    """Add an item unless one of the name is there."""
    item = db.session.execute(select(Item).where(Item.name == name)).scalar_one_or_none()
    if not item:
        item = Item(name=name, qty=0)
        db.session.add(item)
        db.session.commit()
    return str(item.id)


# expect: unsafe orm
def write_entries(session: Session, entries: list[dict]) -> None:
    session.add_all([Ledger(**entry) for entry in entries])
    session.commit()


# expect: read
@tool
def count_items(session: Session) -> int:
    """Count the items."""
    return session.scalar(select(func.count()).select_from(Item))


# expect: unsafe orm
@tool
def charge_account(account_id: int, cents: int) -> str:
    """Charge an account."""
    with transaction.atomic():
        account = get_object_or_404(Account, pk=account_id)
        account.balance -= cents
        account.save()
        Charge.objects.create(account=account, cents=cents)
    return "charged"


# expect: safe
@tool
def settle_invoice(number: str) -> str:
    """Settle an invoice, once."""
    changed = Invoice.objects.filter(number=number, settled_at__isnull=True).update(
        settled_at=timezone.now(), payments=F("payments") + 1
    )
    return "settled" if changed else "was settled"


# expect: safe
@tool
def charge_once(account_id: int, order: str, cents: int) -> str:
    """Charge an order once."""
    if Charge.objects.filter(Q(order=order)).exists():
        return "charged before"
    Charge.objects.create(account_id=account_id, order=order, cents=cents)
    return "charged"


# expect: unsafe cloud
@tool
def broadcast(message: str) -> str:
    """Tell everybody."""
    send = functools.partial(sns.publish, TopicArn=os.environ["TOPIC"])
    sns.publish(TopicArn=os.environ["TOPIC"], Message=message)
    return "told"


# expect: unsafe cloud
@tool
def use_credit(user: str, credits: int) -> str:
    """Use credits."""
    table = boto3.resource("dynamodb", region_name="eu-central-1").Table(os.environ["TABLE"])
    table.update_item(
        Key={"user": user},
        UpdateExpression="SET #c = if_not_exists(#c, :zero) - :n",
        ExpressionAttributeNames={"#c": "credits"},
        ExpressionAttributeValues={":n": credits, ":zero": 0},
    )
    return "used"


# expect: unsafe mail
@tool
def notify(to: str, text: str) -> str:
    """Notify by mail."""
    message = MIMEText(text)
    message["To"] = to
    server = smtplib.SMTP_SSL("smtp.example.com", 465)
    server.login("bot", os.environ["PASSWORD"])
    server.sendmail("bot@example.com", [to], message.as_string())
    server.quit()
    return "sent"


# expect: unsafe file
@tool
def log_visit(name: str) -> str:
    """Write a visit into the book."""
    book = Path("visits") / "book.csv"
    with book.open("a", newline="") as fh:
        writer = csv.DictWriter(fh, fieldnames=["name"])
        writer.writerow({"name": name})
    return "written"


# expect: safe
@tool
def export(name: str, rows: list[list[str]]) -> str:
    """Export rows to a file."""
    target = Path(os.environ.get("OUT", ".")) / f"{name}.csv"
    with target.open("w", newline="") as fh:
        csv.writer(fh).writerows(rows)
    return str(target)


# expect: read
@tool
def plan(steps: list[str]) -> dict:
    """Make a plan."""
    plan = {"steps": []}
    for number, step in enumerate(steps):
        plan["steps"].append(step)
        plan["n"] = plan.get("n", 0) + 1
    plan.update(done=False)
    return plan


def _delete_contact(contact_id: str) -> str:
    requests.delete(f"{settings.CRM_URL}/contacts/{contact_id}")
    return "deleted"


delete_contact = StructuredTool.from_function(_delete_contact)


# expect: safe
async def remove_contact(contact_id: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(None, _delete_contact, contact_id)
