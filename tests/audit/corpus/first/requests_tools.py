import os
import uuid

import requests
import stripe
from langchain_core.tools import tool

from clawproof_langgraph import current_call
from shop.web import BASE, headers_for, order_key, post_json, random_headers

API = "https://crm.example.com/api"
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ.get("TOKEN", "")


# expect: unsafe http
@tool
def create_lead(name: str, email: str) -> dict:
    """Create a lead in the CRM."""
    response = requests.post(f"{API}/leads", json={"name": name, "email": email}, timeout=10)
    response.raise_for_status()
    return response.json()


# expect: safe
@tool
def charge(order_id: str, amount: int) -> dict:
    """Charge the customer."""
    response = requests.post(
        f"{BASE}/charges",
        json={"order": order_id, "amount": amount},
        headers={"Idempotency-Key": f"charge-{order_id}"},
        timeout=10,
    )
    return response.json()


# expect: unsafe http
@tool
def charge_again(order_id: str, amount: int) -> dict:
    """Charge the customer with a random key."""
    key = uuid.uuid4().hex
    return requests.post(
        f"{BASE}/charges", json={"order": order_id, "amount": amount}, headers={"Idempotency-Key": key}
    ).json()


# expect: safe
@tool
def refund(order_id: str) -> dict:
    """Pay back."""
    return requests.post(f"{BASE}/refunds", json={"order": order_id}, headers=headers_for("refund")).json()


# expect: unsafe http
@tool
def payout(account: str, amount: int) -> dict:
    """Pay out."""
    return requests.post(f"{BASE}/payouts", json={"to": account, "amount": amount}, headers=random_headers()).json()


# expect: unsafe http
@tool
def order_parts(part: str, quantity: int) -> dict:
    """Order parts from the supplier."""
    return post_json("/orders", {"part": part, "quantity": quantity})


# expect: safe
@tool
def put_lead(lead_id: str, data: dict) -> int:
    """Replace a lead."""
    return session.put(f"{API}/leads/{lead_id}", json=data).status_code


# expect: safe
@tool
def delete_lead(lead_id: str) -> int:
    """Delete a lead."""
    return session.delete(f"{API}/leads/{lead_id}").status_code


# expect: unsafe http
@tool
def patch_lead(lead_id: str, data: dict) -> int:
    """Change fields of a lead."""
    return session.patch(f"{API}/leads/{lead_id}", json=data).status_code


# expect: read
@tool
def get_lead(lead_id: str) -> dict:
    """Read a lead."""
    return session.get(f"{API}/leads/{lead_id}").json()


# expect: safe
@tool
def create_payment(order_id: str, cents: int) -> str:
    """Create a payment at Stripe."""
    intent = stripe.PaymentIntent.create(
        amount=cents, currency="eur", idempotency_key=current_call().idempotency_key
    )
    return intent.id


# expect: unsafe http
@tool
def create_refund(charge_id: str) -> str:
    """Refund a charge at Stripe."""
    return stripe.Refund.create(charge=charge_id).id


# expect: safe
@tool
def submit_order(order_id: str, lines: list) -> dict:
    """Submit an order under a key made from it."""
    headers = {"Authorization": "Bearer x"}
    headers["X-Idempotency-Key"] = order_key(order_id, "submit")
    response = requests.request("POST", f"{API}/orders", json={"lines": lines}, headers=headers)
    return response.json()


# expect: unsafe http
@tool
def trigger_build(branch: str) -> str:
    """Start a build."""
    r = session.request(method="POST", url=f"{API}/builds", json={"branch": branch})
    return r.text


# expect: safe
@tool
def create_invoice(order_id: str, amount: int) -> dict:
    """Create an invoice; the service deduplicates by a field."""
    payload = {"idempotency_key": f"invoice-{order_id}", "amount": amount}
    return requests.post(f"{API}/invoices", json=payload).json()
