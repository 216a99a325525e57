import os


class Settings:
    dsn = os.getenv("DSN", "postgresql://localhost/ops")
    api = "https://ops.example.com/api/v2"
    ledger_sql = "INSERT INTO ledger(entry_id, amount) VALUES(%s, %s)"


settings = Settings()
