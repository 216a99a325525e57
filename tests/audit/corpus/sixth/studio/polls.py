from langchain_core.tools import tool
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from studio import tables
from studio.tables import metrics, run, votes


# expect: safe
@tool
def record_vote(poll: str, voter: str, choice: str) -> str:
    """Record a vote; each person has one vote in a poll."""
    result = run(insert(votes).values(poll=poll, voter=voter, choice=choice).on_conflict_do_nothing())
    return "recorded" if result.rowcount else "has voted before"


# expect: unsafe orm
@tool
def load_plays() -> str:
    """Load the staged plays into the table of plays."""
    with tables.eng.connect() as conn:
        source = select(tables.staging.c.track)
        conn.execute(tables.plays.insert().from_select(["track"], source))
        conn.commit()
    return "loaded"


# expect: unsafe orm
@tool
def bump_metrics(deltas: dict[str, float]) -> str:
    """Add to metrics, by name."""
    stmt = update(metrics).where(metrics.c.name == bindparam("b_name")).values(value=metrics.c.value + bindparam("delta"))
    run(stmt, [{"b_name": name, "delta": delta} for name, delta in deltas.items()])
    return f"{len(deltas)} metrics changed"
