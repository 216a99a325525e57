import asyncio
import hashlib

import httpx
from langchain_core.tools import tool

CREATE_ISSUE = """
mutation CreateIssue($input: IssueCreateInput!) {
  issueCreate(input: $input) { success issue { id url } }
}
"""


async def graphql(query: str, variables: dict) -> dict:
    async with httpx.AsyncClient(headers={"Authorization": "lin_key"}) as client:
        response = await client.post("https://api.linear.app/graphql", json={"query": query, "variables": variables})
        response.raise_for_status()
        return response.json()["data"]


# expect: unsafe http
@tool
async def file_bug(team: str, title: str) -> str:
    """File a bug in Linear."""
    data = await graphql(CREATE_ISSUE, {"input": {"teamId": team, "title": title}})
    return data["issueCreate"]["issue"]["url"]


class Payments:
    def __init__(self, token: str):
        self.headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url="https://pay.example", timeout=30)

    def pay(self, invoice: str, cents: int) -> dict:
        key = hashlib.sha256(f"{invoice}:{cents}".encode()).hexdigest()
        r = self.http.post(
            f"/invoices/{invoice}/payments",
            json={"amount": cents},
            headers={**self.headers, "Idempotency-Key": key},
        )
        r.raise_for_status()
        return r.json()


payments = Payments("t")


# expect: safe
@tool
def pay_invoice(invoice: str, cents: int) -> dict:
    """Pay an invoice."""
    return payments.pay(invoice, cents)


# expect: read
@tool
async def fetch_pages(urls: list[str]) -> list[str]:
    """Fetch web pages at the same time."""
    async with httpx.AsyncClient(follow_redirects=True) as client:
        answers = await asyncio.gather(*(client.get(url) for url in urls), return_exceptions=True)
    return [a.text for a in answers if isinstance(a, httpx.Response)]
