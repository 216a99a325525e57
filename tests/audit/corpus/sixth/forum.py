import asyncpg
import psycopg
from langchain_core.tools import tool

_pool: asyncpg.Pool | None = None


async def get_pool() -> asyncpg.Pool:
    global _pool
    if _pool is None:
        _pool = await asyncpg.create_pool("postgresql://localhost/forum")
    return _pool


# expect: unsafe sql
@tool
async def add_comment(thread_id: int, author: str, body: str) -> int:
    """Add a comment to a thread and return its id."""
    pool = await get_pool()
    async with pool.acquire() as conn:
        return await conn.fetchval(
            "INSERT INTO comments(thread_id, author, body) VALUES ($1, $2, $3) RETURNING id",
            thread_id,
            author,
            body,
        )


# expect: safe
@tool
def sync_members(group: str, emails: list[str]) -> str:
    """Make sure that these people are members of a group."""
    with psycopg.connect("dbname=forum") as conn:
        with conn.cursor() as cur:
            cur.executemany(
                'INSERT INTO memberships ("group", email) VALUES (%s, %s) ON CONFLICT DO NOTHING',
                [(group, email.strip().lower()) for email in emails],
            )
            added = cur.rowcount
    return f"{added} added"


# expect: safe
@tool
async def set_feature(flag: str, enabled: bool) -> str:
    """Turn a feature of the forum on or off."""
    pool = await get_pool()
    status = await pool.execute("UPDATE features SET enabled = $2, changed_at = now() WHERE flag = $1", flag, enabled)
    return "set" if status.endswith("1") else "no such feature"
