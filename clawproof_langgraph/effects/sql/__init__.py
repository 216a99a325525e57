"""Effects in the user's own database: made exactly once there, and never by a holder that has been replaced.

Connections of sqlite3, psycopg 3, and SQLAlchemy 2 (Connection, Session) over either database; the functions with the
prefix `a` take psycopg's AsyncConnection and SQLAlchemy's AsyncConnection and AsyncSession.
"""

from clawproof_langgraph.effects.sql.fences import afenced, fenced
from clawproof_langgraph.effects.sql.inbox import aonce, once
from clawproof_langgraph.effects.sql.schema import SCHEMA, acreate_inbox, create_inbox

__all__ = ["SCHEMA", "acreate_inbox", "afenced", "aonce", "create_inbox", "fenced", "once"]
