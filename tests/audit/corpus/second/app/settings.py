from pathlib import Path

DATABASE = Path(__file__).parent / "app.sqlite3"
TABLES = {"orders": "orders", "audit": "audit_trail"}
CRM_URL = "https://crm.internal"
IDEMPOTENCY_HEADER = "Idempotency-Key"
EVENTS_FILE = "var/events.jsonl"
