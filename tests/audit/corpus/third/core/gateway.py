import logging
from functools import lru_cache

import httpx
from tenacity import retry, stop_after_attempt

from .config import settings

log = logging.getLogger(__name__)


@lru_cache
def client() -> httpx.Client:
    return httpx.Client(base_url=settings.api, timeout=20)


@retry(stop=stop_after_attempt(3))
def call(method: str, path: str, body=None, key=None):
    headers = {"Accept": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    response = client().request(method, path, json=body, headers=headers)
    response.raise_for_status()
    log.info("called %s", path)
    return response.json()
