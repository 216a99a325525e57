"""How the shop talks to other services."""

import hashlib
import os
import uuid

import requests

from clawproof_langgraph import current_call

BASE = "https://payments.example.com/v1"


def headers_for(name: str) -> dict:
    call = current_call()
    return {"Authorization": f"Bearer {os.environ['PAY_TOKEN']}", "Idempotency-Key": call.sub_key(name)}


def random_headers() -> dict:
    return {"Authorization": "Bearer x", "Idempotency-Key": str(uuid.uuid4())}


def order_key(order_id: str, action: str) -> str:
    return hashlib.sha256(f"{order_id}:{action}".encode()).hexdigest()


def post_json(path: str, payload: dict) -> dict:
    response = requests.post(f"{BASE}{path}", json=payload, timeout=10)
    response.raise_for_status()
    return response.json()
