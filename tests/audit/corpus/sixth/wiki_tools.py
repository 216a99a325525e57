import os
import uuid

import requests
from langchain_core.tools import tool

WIKI = os.environ.get("WIKI_URL", "https://wiki.example/rest/api")
session = requests.Session()
session.auth = ("bot", "secret")


def _api(method: str, path: str, **kwargs):
    call = getattr(session, method)
    reply = call(f"{WIKI}{path}", timeout=15, **kwargs)
    reply.raise_for_status()
    return reply.json()


# expect: unsafe http
@tool
def create_page(space: str, title: str, body: str) -> str:
    """Create a page in the wiki."""
    page = _api("post", "/content", json={"type": "page", "space": {"key": space}, "title": title, "body": body})
    return page["id"]


# expect: unsafe http
@tool
def register_webhook(target: str) -> str:
    """Have the wiki call an address when a page changes."""
    hook_id = uuid.uuid4()
    session.put(f"{WIKI}/webhooks/{hook_id}", json={"url": target, "events": ["page_updated"]}).raise_for_status()
    return str(hook_id)


# expect: read
@tool
def embed(text: str) -> list[float]:
    """Compute the embedding of a text."""
    r = requests.post(
        "https://api.openai.com/v1/embeddings",
        headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        json={"model": "text-embedding-3-small", "input": text},
    )
    return r.json()["data"][0]["embedding"]
