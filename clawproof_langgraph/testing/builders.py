"""Short ways to write the commands that tests send."""

from __future__ import annotations

from typing import Any

from clawproof_langgraph.model import Begin, Granted, Mode, Settle, State, Want


def reading(resource: str) -> Want:
    """Name a resource that is shared with other readers."""
    return Want(resource, Mode.SHARED)


def ask(owner: str, *resources: str | Want, session: str = "s1", agent: str = "orders", **fields: Any) -> Begin:
    """Ask for a plain lock; a bare string is exclusive. `fields` are those of `Begin`."""
    wants = (want if isinstance(want, Want) else Want(want, Mode.EXCLUSIVE) for want in resources)
    return Begin(owner=owner, session=session, agent=agent, wants=tuple(sorted(wants)), **fields)


def call(owner: str, *resources: str | Want, key: str = "", tool: str = "reserve", **fields: Any) -> Begin:
    """Ask for a turn of a tool call; with a key, calls are the same unless their `fingerprint` is given."""
    return ask(owner, *resources, key=key, tool=tool, **{"thread": "t1", "fingerprint": "same", **fields})


def again(request: Begin, *, waited: float = 0.0) -> Begin:
    """Repeat a request: a claim, a poll, or the repair of a lost reply."""
    return request._replace(repeated=True, waited=waited)


def settled(lease: Granted, state: State | None = State.DONE, **fields: Any) -> Settle:
    """End a lease after one more execution of its tool. `fields` are those of `Settle`."""
    return Settle(
        owner=lease.owner, fence=lease.fence, state=state, key=lease.key, **{"attempt": lease.attempt + 1, **fields}
    )


def released(lease: Granted) -> Settle:
    """End a plain lock, which has no outcome."""
    return Settle(owner=lease.owner, fence=lease.fence, state=None, key=lease.key)
