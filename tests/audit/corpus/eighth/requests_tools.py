import os
from datetime import datetime, timezone

import requests
from langchain_core.tools import tool
from requests.auth import HTTPBasicAuth

from app.http import CrmClient, make_session
from app.settings import get_settings

JIRA = os.getenv("JIRA_URL", "https://jira.example.com")
session = make_session()


def crm() -> CrmClient:
    settings = get_settings()
    return CrmClient(settings.crm_url, settings.crm_token)


# expect: unsafe http
@tool
def add_contact(name: str, email: str) -> str:
    """Add a contact to the CRM."""
    contact = crm().create_contact(name, email)
    return f"added {contact['id']}"


# expect: safe
@tool
def replace_contact(contact_id: str, name: str, email: str) -> str:
    """Replace a contact in the CRM."""
    crm().replace_contact(contact_id, name, email)
    return "replaced"


# expect: safe
@tool
def add_contact_once(name: str, email: str) -> str:
    """Add a contact unless there is one with this address."""
    api = crm()
    if api.find(email):
        return "already there"
    return api.create_contact(name, email)["id"]


# expect: unsafe http
@tool
def comment_issue(issue: str, text: str) -> str:
    """Comment on an issue."""
    url = JIRA + "/rest/api/2/issue/" + issue + "/comment"
    auth = HTTPBasicAuth(os.environ["JIRA_USER"], os.environ["JIRA_TOKEN"])
    reply = requests.post(url, json={"body": text}, auth=auth, timeout=30)
    if not reply.ok:
        return f"Jira said {reply.status_code}"
    return "commented"


# expect: unsafe http
@tool
def transition_issue(issue: str, transition: str) -> str:
    """Move an issue through the workflow."""
    reply = session.request(
        method="POST",
        url=f"{JIRA}/rest/api/2/issue/{issue}/transitions",
        json={"transition": {"id": transition}},
    )
    reply.raise_for_status()
    return "moved"


# expect: safe
@tool
def unwatch_issue(issue: str, user: str) -> str:
    """Remove a watcher of an issue."""
    reply = session.request("DELETE", f"{JIRA}/rest/api/2/issue/{issue}/watchers", params={"username": user})
    return str(reply.status_code)


class Wiki:
    def __init__(self, root: str = "https://wiki.example.com") -> None:
        self.root = root
        self.client = make_session()

    def pages(self, query: str) -> list[dict]:
        return self.client.get(f"{self.root}/search", params={"q": query}).json()

    def publish(self, title: str, body: str) -> str:
        payload = {"title": title, "body": body, "at": datetime.now(timezone.utc).isoformat()}
        return self.client.post(f"{self.root}/pages", json=payload).json()["url"]

    def overwrite(self, page: str, body: str) -> str:
        return self.client.put(f"{self.root}/pages/{page}", json={"body": body}).json()["url"]


wiki = Wiki()


# expect: unsafe http
@tool
def publish_page(title: str, body: str) -> str:
    """Publish a page."""
    return wiki.publish(title, body)


# expect: safe
@tool
def overwrite_page(page: str, body: str) -> str:
    """Overwrite a page."""
    return wiki.overwrite(page, body)


# expect: read
@tool
def search_wiki(query: str) -> str:
    """Search the wiki."""
    return "\n".join(page["title"] for page in wiki.pages(query))
