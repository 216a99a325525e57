import json
import sqlite3
import textwrap
import uuid
from contextlib import closing
from datetime import datetime

from langchain_core.tools import tool

from clawproof_langgraph import current_call
from clawproof_langgraph.effects import sql
from shop.db import OrderRepository, cursor, get_connection, run
from shop.queries import STOCK, Orders

DB = "shop.db"
INSERT_EVENT = "INSERT INTO events (kind, payload, created_at) VALUES (?, ?, ?)"


# expect: unsafe sql
@tool
def create_order(customer_id: str, item: str, quantity: int) -> str:
    """Create an order for a customer."""
    conn = sqlite3.connect(DB)
    cur = conn.cursor()
    cur.execute(
        "INSERT INTO orders (customer_id, item, quantity) VALUES (?, ?, ?)",
        (customer_id, item, quantity),
    )
    conn.commit()
    conn.close()
    return f"Order {cur.lastrowid} created"


# expect: safe
@tool
def save_customer(customer_id: str, name: str, email: str) -> str:
    """Save a customer."""
    with sqlite3.connect(DB) as conn:
        conn.execute(
            """
            INSERT INTO customers (id, name, email) VALUES (?, ?, ?)
            ON CONFLICT(id) DO UPDATE SET name = excluded.name, email = excluded.email
            """,
            (customer_id, name, email),
        )
    return "saved"


# expect: unsafe sql
@tool
def reserve_stock(sku: str, quantity: int) -> str:
    """Reserve stock for an item."""
    with closing(sqlite3.connect(DB)) as conn, conn:
        cur = conn.execute(
            "UPDATE stock SET available = available - ? WHERE sku = ? AND available >= ?",
            (quantity, sku, quantity),
        )
        if cur.rowcount == 0:
            return "not enough stock"
    return "reserved"


# expect: safe
@tool
def set_price(sku: str, price: float) -> str:
    """Set the price of an item."""
    with closing(sqlite3.connect(DB)) as conn, conn:
        conn.execute("UPDATE products SET price = ?, updated_at = ? WHERE sku = ?", (price, datetime.now(), sku))
    return f"{sku} now costs {price}"


# expect: safe
@tool
def delete_order(order_id: str) -> str:
    """Delete an order."""
    with cursor() as cur:
        cur.execute("DELETE FROM orders WHERE id = ?", (order_id,))
    return "deleted"


# expect: read
@tool
def get_stock(sku: str) -> int:
    """How many units of an item are there. Never write INSERT INTO stock VALUES (1) yourself."""
    conn = get_connection()
    row = conn.execute(f"SELECT available FROM {STOCK} WHERE sku = ?", (sku,)).fetchone()
    return row["available"] if row else 0


# expect: unsafe sql
@tool
def log_event(kind: str, payload: dict) -> str:
    """Write an event."""
    run(INSERT_EVENT, kind, json.dumps(payload), datetime.utcnow().isoformat())
    return "logged"


# expect: safe
@tool
def remember_event(event_id: str, kind: str) -> str:
    """Write an event once."""
    run("INSERT OR IGNORE INTO events (id, kind) VALUES (?, ?)", event_id, kind)
    return "ok"


# expect: unsafe sql
@tool
def take_units(sku: str, units: int) -> str:
    """Take units from the stock."""
    conn = get_connection()
    row = conn.execute("SELECT available FROM stock WHERE sku = ?", (sku,)).fetchone()
    if row["available"] < units:
        return "not enough"
    remaining = row["available"] - units
    conn.execute("UPDATE stock SET available = ? WHERE sku = ?", (remaining, sku))
    conn.commit()
    return f"{remaining} left"


# expect: safe
@tool
def cancel_order(order_id: str) -> str:
    """Cancel an order."""
    conn = get_connection()
    if conn.execute(Orders.BY_ID, (order_id,)).fetchone() is None:
        return "no such order"
    conn.execute(Orders.CANCEL, (order_id,))
    conn.commit()
    return "cancelled"


# expect: unsafe sql
@tool
def remind_customer(order_id: str) -> str:
    """Count a reminder."""
    conn = get_connection()
    conn.execute(Orders.BUMP, (order_id,))
    conn.commit()
    return "reminded"


# expect: unsafe sql
@tool
def place_order(order_id: str, total: float) -> str:
    """Place an order."""
    repo = OrderRepository(get_connection())
    repo.add(order_id, total)
    return "placed"


# expect: safe
@tool
def ship_order(order_id: str) -> str:
    """Mark an order as shipped."""
    OrderRepository(get_connection()).set_status(order_id, "shipped")
    return "shipped"


# expect: safe
@tool
def pay_invoice(invoice_id: str, amount: int) -> str:
    """Pay an invoice."""

    def write(conn: sqlite3.Connection) -> str:
        conn.execute("INSERT INTO payments (invoice_id, amount) VALUES (?, ?)", (invoice_id, amount))
        conn.execute("UPDATE accounts SET balance = balance - ? WHERE id = 'main'", (amount,))
        return "paid"

    with closing(sqlite3.connect(DB)) as conn:
        return sql.once(conn, current_call(), write)


# expect: safe
@tool
def record_payment(order_id: str, amount: int) -> str:
    """Record a payment."""
    call = current_call()
    with closing(sqlite3.connect(DB)) as conn, conn:
        conn.execute(
            "INSERT INTO payments (key, order_id, amount) VALUES (?, ?, ?)", (call.idempotency_key, order_id, amount)
        )
    return "recorded"


# expect: unsafe sql
@tool
def open_ticket(subject: str, body: str) -> str:
    """Open a support ticket."""
    ticket_id = str(uuid.uuid4())
    with closing(sqlite3.connect(DB)) as conn, conn:
        conn.execute(
            "INSERT INTO tickets (id, subject, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (ticket_id, subject, body),
        )
    return ticket_id


# expect: unsafe sql
@tool
def add_points(customer_id: str, points: int) -> str:
    """Add loyalty points."""
    statement = textwrap.dedent("""\
        INSERT INTO loyalty (customer_id, points)
        VALUES (:customer, :points)
        ON CONFLICT (customer_id) DO UPDATE SET points = loyalty.points + excluded.points
    """)
    with sqlite3.connect(DB) as conn:
        conn.execute(statement, {"customer": customer_id, "points": points})
    return "added"


# expect: unsafe sql
@tool
def import_rows(rows: list[dict]) -> int:
    """Import stock movements."""
    with cursor() as cur:
        cur.executemany(
            "INSERT INTO movements (sku, delta) VALUES (?, ?)", [(row["sku"], row["delta"]) for row in rows]
        )
    return len(rows)


# expect: safe
@tool
def sync_prices(prices: dict[str, float]) -> int:
    """Write all prices."""
    with cursor() as cur:
        cur.executemany("REPLACE INTO prices (sku, price) VALUES (?, ?)", list(prices.items()))
    return len(prices)


# expect: safe
@tool
def claim_coupon(code: str, customer_id: str) -> str:
    """Claim a coupon for a customer, if nobody has it."""
    with cursor() as cur:
        cur.execute(
            "UPDATE coupons SET owner = ? WHERE code = ? AND owner IS NULL",
            (customer_id, code),
        )
    return "claimed"


# expect: unsafe sql
@tool
def insert_dynamic(table: str, values: dict) -> str:
    """Insert a row into a table."""
    columns = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    query = f"INSERT INTO {table} ({columns}) VALUES ({marks})"
    conn = sqlite3.connect(DB)
    conn.execute(query, tuple(values.values()))
    conn.commit()
    return "inserted"


# expect: unsafe sql
@tool
def assign_seat(passenger: str, flight: str) -> str:
    """Give the passenger the next free seat."""
    sql_text = (
        "UPDATE seats SET passenger = ? WHERE id = ("
        "  SELECT id FROM seats WHERE flight = ? AND passenger IS NULL ORDER BY id LIMIT 1"
        ")"
    )
    with sqlite3.connect(DB) as conn:
        conn.execute(sql_text, (passenger, flight))
    return "assigned"


# expect: safe
@tool
def subscribe(email: str) -> str:
    """Subscribe an address to the newsletter."""
    conn = sqlite3.connect(DB)
    try:
        conn.execute("INSERT INTO subscribers (email) VALUES (?)", (email,))
        conn.commit()
    except sqlite3.IntegrityError:
        return "already subscribed"
    return "subscribed"


# expect: safe
@tool
def register_device(device_id: str, owner: str) -> str:
    """Register a device, once."""
    conn = sqlite3.connect(DB)
    existing = conn.execute("SELECT 1 FROM devices WHERE id = ?", (device_id,)).fetchone()
    if existing:
        return "already registered"
    conn.execute("INSERT INTO devices (id, owner) VALUES (?, ?)", (device_id, owner))
    conn.commit()
    return "registered"
