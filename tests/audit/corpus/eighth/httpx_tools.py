import hashlib
import logging
import uuid
from contextlib import asynccontextmanager

import httpx
from langchain_core.tools import tool

from app.http import api_call, auth_headers, make_client
from app.settings import get_settings

logger = logging.getLogger(__name__)
BASE_URL = "https://tickets.example.com/v2"
client = httpx.Client(base_url=BASE_URL, timeout=httpx.Timeout(10.0), transport=httpx.HTTPTransport(retries=2))


# expect: unsafe http
@tool
def open_ticket(title: str, body: str, priority: str = "normal") -> str:
    """Open a support ticket."""
    try:
        response = client.post("/tickets", json={"title": title, "body": body, "priority": priority})
        response.raise_for_status()
    except httpx.HTTPStatusError as error:
        logger.warning("ticket refused: %s", error)
        return f"Error: {error.response.status_code}"
    return f"Opened ticket {response.json()['id']}"


# expect: safe
@tool
def set_priority(ticket_id: str, priority: str) -> str:
    """Set the priority of a ticket."""
    response = client.put(f"/tickets/{ticket_id}/priority", json={"priority": priority})
    response.raise_for_status()
    return f"{ticket_id} is now {priority}"


# expect: unsafe http
@tool
async def add_crm_note(contact_id: str, note: str) -> str:
    """Add a note to a contact."""
    async with make_client() as crm:
        response = await crm.post(f"/contacts/{contact_id}/notes", json={"text": note})
    return "added" if response.is_success else f"failed: {response.text}"


# expect: safe
@tool
async def remove_crm_note(contact_id: str, note_id: str) -> str:
    """Remove a note of a contact."""
    async with make_client() as crm:
        response = await crm.delete(f"/contacts/{contact_id}/notes/{note_id}")
        if response.status_code == 404:
            return "no such note"
        response.raise_for_status()
    return "removed"


# expect: unsafe http
@tool
def create_deal(name: str, amount: float) -> str:
    """Create a deal in the CRM."""
    deal = api_call("POST", "/deals", {"name": name, "amount": amount})
    return f"Created deal {deal['id']}"


# expect: read
@tool
def show_deal(deal_id: str) -> str:
    """Show a deal."""
    deal = api_call("GET", f"/deals/{deal_id}")
    return f"{deal['name']}: {deal['amount']}"


def key_of(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


# expect: safe
@tool
def charge_invoice(invoice_id: str, cents: int) -> str:
    """Charge an invoice."""
    headers = auth_headers()
    headers["Idempotency-Key"] = key_of("charge", invoice_id, str(cents))
    response = httpx.post(f"{BASE_URL}/charges", headers=headers, json={"invoice": invoice_id, "cents": cents})
    return response.text


# expect: unsafe http
@tool
def refund_invoice(invoice_id: str, cents: int) -> str:
    """Refund an invoice."""
    headers = {**auth_headers(), "Idempotency-Key": str(uuid.uuid4())}
    response = httpx.post(f"{BASE_URL}/refunds", headers=headers, json={"invoice": invoice_id, "cents": cents})
    return response.text


@asynccontextmanager
async def ticket_api():
    async with httpx.AsyncClient(base_url=get_settings().crm_url, headers=auth_headers()) as api:
        yield api


# expect: unsafe http
@tool
async def assign_ticket(ticket_id: str, agent: str) -> str:
    """Assign a ticket to an agent."""
    async with ticket_api() as api:
        response = await api.patch(f"/tickets/{ticket_id}", json={"assignee": agent})
        response.raise_for_status()
        return response.json()["assignee"]


# expect: safe
@tool
async def put_label(ticket_id: str, label: str) -> str:
    """Put a label on a ticket."""
    async with ticket_api() as api:
        request = api.build_request("PUT", f"/tickets/{ticket_id}/labels/{label}")
        response = await api.send(request)
    return str(response.status_code)
