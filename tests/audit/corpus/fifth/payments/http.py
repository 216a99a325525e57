import os


def auth_headers(idempotency_key: str | None = None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {os.environ['PAY_TOKEN']}", "Accept": "application/json"}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    return headers
