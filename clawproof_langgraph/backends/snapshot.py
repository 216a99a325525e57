"""The namespace at one instant, as an operator sees it."""

from __future__ import annotations

from clawproof_langgraph.backends.records import doubt_of
from clawproof_langgraph.backends.store import LeaseRow, RecordRow, Transaction, WaiterRow
from clawproof_langgraph.model import InDoubt, LeaseView, Snapshot, WaiterView


def snapshot(tx: Transaction) -> Snapshot:
    """Read the namespace; what has expired is shown as it will be swept."""
    claimed = [row for row in tx.leases() if row.claimed]
    live = [row for row in claimed if not tx.is_over(row)]
    running = {row.ask.key for row in live}
    coming = {row.ask.key: _coming_doubt(tx, row) for row in claimed if row.ask.key and tx.is_over(row)}
    doubts = [coming.pop(row.key, row) for row in tx.in_doubt() if row.key not in running]
    doubts += coming.values()
    return Snapshot(
        tuple(_lease_view(tx, row) for row in live),
        tuple(_waiter_view(tx, row) for row in tx.waiters() if tx.is_alive(row.ask.session)),
        tuple(_doubt_view(row) for row in doubts),
        tuple(tx.all_killed()),
    )


def _coming_doubt(tx: Transaction, lease: LeaseRow) -> RecordRow:
    return doubt_of(tx, lease)._replace(updated_at=tx.now - max(tx.ticks - lease.expires, 0.0))


def _doubt_view(row: RecordRow) -> InDoubt:
    return InDoubt(row.key, row.agent, row.thread, row.tool, row.attempt, row.updated_at, row.resources, row.reason)


def _lease_view(tx: Transaction, row: LeaseRow) -> LeaseView:
    ask = row.ask
    return LeaseView(
        ask.owner, ask.agent, ask.thread, ask.tool, ask.key, ask.wants, row.fence, tx.ticks - row.since,
        row.expires - tx.ticks, ask.ancestors,
    )  # fmt: skip


def _waiter_view(tx: Transaction, row: WaiterRow) -> WaiterView:
    ask = row.ask
    return WaiterView(
        ask.owner, ask.agent, ask.thread, ask.tool, ask.wants, row.place, tx.ticks - row.arrived, ask.key,
        ask.ancestors,
    )  # fmt: skip
