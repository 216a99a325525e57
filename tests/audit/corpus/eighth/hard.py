import asyncio
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import aiosmtplib
import boto3
import httpx
import redis.asyncio as aioredis
import requests
from langchain_core.tools import tool
from slack_sdk.webhook import WebhookClient
from tenacity import retry, stop_after_attempt, wait_exponential

from app.http import auth_headers
from app.settings import get_settings

kv = aioredis.from_url(get_settings().redis_url)
s3 = boto3.resource("s3")


class BaseUrlSession(requests.Session):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def request(self, method, url, *args, **kwargs):
        return super().request(method, urljoin(self.base, url), *args, **kwargs)


gateway = BaseUrlSession("https://gateway.example.com")


@retry(stop=stop_after_attempt(3), wait=wait_exponential())
async def fetch(method: str, url: str, **options) -> httpx.Response:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        response = await client.request(method, url, **options)
    response.raise_for_status()
    return response


# expect: unsafe http
@tool
async def launch_campaign(name: str) -> str:
    """Launch a campaign."""
    response = await fetch("POST", "https://ads.example.com/launch", json={"name": name}, headers=auth_headers())
    return response.text


# expect: safe
@tool
async def pause_campaign(name: str) -> str:
    """Pause a campaign."""
    response = await fetch("PUT", f"https://ads.example.com/{name}/state", json={"state": "paused"})
    return response.text


# expect: unsafe http
@tool
def open_account(owner: str) -> str:
    """Open an account."""
    return gateway.post("/accounts", json={"owner": owner}).json()["iban"]


# expect: safe
@tool
def pay_out(transfer_id: str, cents: int) -> str:
    """Pay out."""
    headers = auth_headers(**{"Idempotency-Key": f"payout-{transfer_id}"})
    return gateway.post("/payouts", json={"id": transfer_id, "cents": cents}, headers=headers).text


# expect: unsafe http
@tool
async def invite_all(emails: list[str]) -> str:
    """Invite people."""
    async with httpx.AsyncClient(base_url=get_settings().crm_url) as client:
        replies = await asyncio.gather(*(client.post("/invitations", json={"email": each}) for each in emails))
    return f"{sum(reply.is_success for reply in replies)} invited"


# expect: unsafe file
@tool
def add_lines(names: list[str], line: str) -> str:
    """Add a line to several files."""
    with ExitStack() as stack:
        files = [stack.enter_context(open(name, "a")) for name in names]
        for file in files:
            file.write(line + "\n")
    return "added"


# expect: unsafe file
@tool
def bump_counter(name: str) -> str:
    """Count up in a file, without tearing it."""
    path = Path("counters") / name
    count = int(path.read_text()) if path.exists() else 0
    count += 1
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as temporary:
        temporary.write(str(count))
    os.replace(temporary.name, path)
    return str(count)


# expect: safe
@tool
def save_draft(name: str, text: str) -> str:
    """Save a draft, without tearing it."""
    path = Path("drafts") / name
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as temporary:
        temporary.write(text)
    os.replace(temporary.name, path)
    return str(path)


# expect: unsafe mail
@tool
async def mail_later(to: str, text: str) -> str:
    """Send a mail."""
    message = f"To: {to}\r\nSubject: Hello\r\n\r\n{text}"
    await aiosmtplib.send(message, sender="me@example.com", recipients=[to], hostname="localhost", port=25)
    return "sent"


# expect: unsafe message
@tool
def alert(text: str) -> str:
    """Alert the people on call."""
    reply = WebhookClient(os.environ["SLACK_WEBHOOK"]).send(text=text)
    return reply.body


# expect: unsafe cloud
@tool
def append_to_object(key: str, line: str) -> str:
    """Add a line to an object."""
    thing = s3.Object("logs", key)
    old = thing.get()["Body"].read().decode()
    thing.put(Body=(old + line + "\n").encode())
    return "added"


# expect: safe
@tool
def upload_file(name: str) -> str:
    """Upload a file."""
    bucket = s3.Bucket("uploads")
    bucket.upload_file(name, f"in/{Path(name).name}")
    return "uploaded"


# expect: safe
@tool
def load_catalogue(items: list[dict]) -> str:
    """Load items into the catalogue."""
    table = boto3.resource("dynamodb").Table("catalogue")
    with table.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)
    return f"{len(items)} loaded"


# expect: safe
@tool
def move_money(transfer_id: str, source: str, target: str, cents: int) -> str:
    """Move money between accounts."""
    def add(account: str, amount: int) -> dict:
        return {
            "Update": {
                "TableName": "accounts",
                "Key": {"id": {"S": account}},
                "UpdateExpression": "ADD cents :n",
                "ExpressionAttributeValues": {":n": {"N": str(amount)}},
            }
        }

    boto3.client("dynamodb").transact_write_items(
        ClientRequestToken=transfer_id, TransactItems=[add(source, -cents), add(target, cents)]
    )
    return "moved"


# expect: unsafe store
@tool
async def top_up(user: str, credits: int) -> str:
    """Add credits."""
    balance = int(await kv.get(f"credits:{user}") or 0)
    await kv.set(f"credits:{user}", balance + credits)
    return f"{balance + credits}"


# expect: safe
@tool
async def announce_once(event: str, text: str) -> str:
    """Announce an event, once."""
    if not await kv.set(f"announced:{event}", "1", nx=True, ex=86400):
        return "already announced"
    async with httpx.AsyncClient() as client:
        await client.post("https://hooks.example.com/news", json={"event": event, "text": text})
    return "announced"


# expect: safe
@tool
async def share_state(user: str, state: dict) -> str:
    """Share the state of a user."""
    async with kv.lock(f"lock:{user}", timeout=10):
        await kv.hset(f"state:{user}", mapping={name: json.dumps(value) for name, value in state.items()})
    return "shared"
