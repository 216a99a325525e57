"""SQL used in several places."""

UPSERT_CUSTOMER = """
    INSERT INTO customers (id, name, email)
    VALUES (%(id)s, %(name)s, %(email)s)
    ON CONFLICT (id) DO UPDATE
       SET name = EXCLUDED.name,
           email = EXCLUDED.email
"""

ADD_LEDGER_ROW = """
    INSERT INTO ledger (account, amount, note)
    VALUES (%(account)s, %(amount)s, %(note)s)
"""

STOCK = "stock"


class Orders:
    BY_ID = "SELECT * FROM orders WHERE id = ?"
    CANCEL = "UPDATE orders SET status = 'cancelled' WHERE id = ?"
    BUMP = "UPDATE orders SET reminders = reminders + 1 WHERE id = ?"
