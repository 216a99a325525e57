"""Older tools, still on requests."""

import requests
from langchain.agents import tool
from requests.adapters import HTTPAdapter

from payments.http import auth_headers

BASE_URL = "https://tracker.example/api/v4"
SLACK_HOOK = "https://hooks.slack.com/services/T000/B000/XXXX"

session = requests.Session()
session.mount("https://", HTTPAdapter(max_retries=3))


def _access_token() -> str:
    r = requests.post(
        "https://login.example/oauth2/token",
        data={"grant_type": "client_credentials", "client_id": "agent", "client_secret": "s"},
        timeout=10,
    )
    return r.json()["access_token"]


# expect: unsafe http
@tool
def tell_channel(text: str) -> str:
    """Tell the team something in Slack."""
    res = requests.post(SLACK_HOOK, json={"text": text}, timeout=5)
    return "sent" if res.ok else f"failed: {res.status_code}"


# expect: read
@tool
def company_profile(domain: str) -> dict:
    """Look up a company by its web domain."""
    return requests.get("https://companies.example/find", params={"domain": domain}, timeout=10).json()


# expect: unsafe http
@tool
def create_issue(project: int, title: str, description: str = "") -> str:
    """Open an issue in the tracker."""
    payload = {"title": title, "description": description}
    resp = session.post(f"{BASE_URL}/projects/{project}/issues", json=payload, headers=auth_headers())
    resp.raise_for_status()
    return resp.json()["web_url"]


# expect: safe
@tool
def pay_supplier(invoice_no: str, cents: int) -> str:
    """Pay a supplier's invoice."""
    resp = requests.request(
        "POST",
        "https://api.pay.example/v2/payouts",
        headers=auth_headers(idempotency_key=f"payout:{invoice_no}"),
        json={"invoice": invoice_no, "amount": cents},
        timeout=30,
    )
    resp.raise_for_status()
    return resp.json()["id"]


# expect: safe
@tool
def report_alert(alert_id: str, summary: str) -> str:
    """Open an issue for an alert unless there is one."""
    url = f"{BASE_URL}/projects/7/issues"
    known = session.get(url, params={"labels": f"alert-{alert_id}"}, headers=auth_headers()).json()
    if known:
        return known[0]["web_url"]
    made = session.post(url, json={"title": summary, "labels": f"alert-{alert_id}"}, headers=auth_headers())
    made.raise_for_status()
    return made.json()["web_url"]


# expect: unsafe http
@tool
def raise_hourly_rate(contractor: str, percent: float) -> str:
    """Raise the hourly rate of a contractor by some percent."""
    url = f"https://hr.example/contractors/{contractor}/rate"
    rate = requests.get(url, headers=auth_headers()).json()["cents"]
    new = int(rate * (100 + percent) / 100)
    requests.put(url, json={"cents": new}, headers=auth_headers()).raise_for_status()
    return f"now {new}"


# expect: read
@tool
def open_invoices(customer: str) -> list[dict]:
    """List the open invoices of a customer."""
    token = _access_token()
    r = requests.get(
        "https://erp.example/invoices",
        params={"customer": customer, "state": "open"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    return r.json()["items"]
