import uuid

import httpx
from langchain_core.tools import tool

API = "https://api.pay.example/v2"


# expect: unsafe http
@tool
async def create_invoice(customer: str, lines: list[dict]) -> dict:
    """Create an invoice."""
    async with httpx.AsyncClient(base_url=API, timeout=20) as client:
        r = await client.post("/invoices", json={"customer": customer, "lines": lines})
        r.raise_for_status()
        return r.json()


# expect: safe
@tool
async def charge_order(order_id: str, cents: int) -> dict:
    """Charge the card that is on file for an order."""
    headers = {"Idempotency-Key": f"order-{order_id}-charge"}
    async with httpx.AsyncClient(base_url=API) as client:
        r = await client.post("/charges", headers=headers, json={"order": order_id, "amount": cents})
    return r.raise_for_status().json()


# expect: unsafe http
@tool
def refund_order(order_id: str, cents: int) -> dict:
    """Refund an order, wholly or in part."""
    key = str(uuid.uuid4())
    r = httpx.post(
        f"{API}/refunds",
        headers={"Idempotency-Key": key},
        json={"order": order_id, "amount": cents},
        timeout=10.0,
    )
    r.raise_for_status()
    return r.json()


# expect: read
@tool
def search_transactions(text: str, size: int = 10) -> list[dict]:
    """Search the transactions by free text."""
    query = {"size": size, "query": {"multi_match": {"query": text, "fields": ["payee", "memo"]}}}
    with httpx.Client(timeout=5) as client:
        resp = client.post("http://es:9200/transactions/_search", json=query)
        resp.raise_for_status()
    return [hit["_source"] for hit in resp.json()["hits"]["hits"]]
