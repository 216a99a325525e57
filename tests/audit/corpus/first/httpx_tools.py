import json
import urllib.request
from datetime import datetime

import aiohttp
import httpx
from langchain_core.tools import tool

from clawproof_langgraph import current_call
from clawproof_langgraph.effects.http import AsyncIdempotencyTransport, IdempotencyTransport

client = httpx.Client(base_url="https://api.example.com")
keyed = httpx.Client(base_url="https://api.example.com", transport=IdempotencyTransport(httpx.HTTPTransport()))


# expect: unsafe http
@tool
async def create_issue(title: str, body: str) -> str:
    """Open an issue."""
    async with httpx.AsyncClient(base_url="https://git.example.com") as http:
        response = await http.post("/issues", json={"title": title, "body": body})
    return response.json()["url"]


# expect: safe
@tool
def keyed_charge(amount: int) -> str:
    """Charge through the transport with keys."""
    keyed.post("/charges", json={"amount": amount}).raise_for_status()
    return "charged"


# expect: unsafe http
@tool
def plain_charge(amount: int) -> str:
    """Charge."""
    client.post("/charges", json={"amount": amount}).raise_for_status()
    return "charged"


# expect: safe
@tool
async def keyed_issue(title: str) -> str:
    """Open an issue through the transport with keys."""
    transport = AsyncIdempotencyTransport(httpx.AsyncHTTPTransport(retries=1))
    async with httpx.AsyncClient(transport=transport) as http:
        response = await http.post("https://git.example.com/issues", json={"title": title})
    return response.text


# expect: unsafe http
@tool
def dated_key(report: str) -> str:
    """Send a report under a key with the time in it."""
    key = f"report-{datetime.now().isoformat()}"
    client.post("/reports", content=report, headers={"Idempotency-Key": key})
    return "sent"


# expect: safe
@tool
def call_key(report: str) -> str:
    """Send a report under the key of the call."""
    call = current_call()
    client.post("/reports", content=report, headers={"Idempotency-Key": call.idempotency_key})
    return "sent"


# expect: unsafe http
@tool
async def notify_hook(url: str, text: str) -> int:
    """Call a web hook."""
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={"text": text}) as resp:
            return resp.status


# expect: read
@tool
async def fetch_page(url: str) -> str:
    """Fetch a page."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as resp:
            return await resp.text()


# expect: unsafe http
@tool
def old_style(url: str, data: dict) -> bytes:
    """Post with urllib."""
    request = urllib.request.Request(url, data=json.dumps(data).encode(), method="POST")
    with urllib.request.urlopen(request) as response:
        return response.read()


# expect: safe
@tool
def turn_on(device: str) -> str:
    """Turn a device on."""
    httpx.put(f"https://home.example.com/devices/{device}", json={"state": "on"}).raise_for_status()
    return "on"


class Crm:
    def __init__(self, token: str):
        self.http = httpx.Client(headers={"Authorization": token})

    # expect: unsafe http
    def add_note(self, contact: str, note: str) -> None:
        self._send("POST", f"/contacts/{contact}/notes", {"note": note})

    # expect: safe
    def set_phone(self, contact: str, phone: str) -> None:
        self._send("PUT", f"/contacts/{contact}/phone", {"phone": phone})

    def _send(self, method: str, path: str, payload: dict) -> None:
        self.http.request(method, f"https://crm.example.com{path}", json=payload).raise_for_status()
