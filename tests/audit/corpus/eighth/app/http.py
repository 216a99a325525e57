import httpx
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from app.settings import get_settings


def auth_headers(**extra: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {get_settings().crm_token}", "Accept": "application/json"}
    headers.update(extra)
    return headers


def make_client() -> httpx.AsyncClient:
    settings = get_settings()
    return httpx.AsyncClient(base_url=settings.crm_url, headers=auth_headers(), timeout=10)


def make_session() -> requests.Session:
    session = requests.Session()
    session.headers.update(auth_headers())
    session.mount("https://", HTTPAdapter(max_retries=Retry(total=3, backoff_factor=0.5)))
    return session


def api_call(method: str, path: str, payload: dict | None = None) -> dict:
    with httpx.Client(base_url=get_settings().crm_url, headers=auth_headers()) as client:
        response = client.request(method, path, json=payload)
        response.raise_for_status()
        return response.json() if response.content else {}


class CrmClient:
    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def _send(self, verb: str, path: str, **kwargs) -> dict:
        response = self.session.request(verb, f"{self.base_url}/{path}", timeout=20, **kwargs)
        response.raise_for_status()
        return response.json()

    def create_contact(self, name: str, email: str) -> dict:
        return self._send("POST", "contacts", json={"name": name, "email": email})

    def replace_contact(self, contact_id: str, name: str, email: str) -> dict:
        return self._send("PUT", f"contacts/{contact_id}", json={"name": name, "email": email})

    def find(self, query: str) -> list[dict]:
        return self._send("GET", "contacts", params={"q": query})["items"]
